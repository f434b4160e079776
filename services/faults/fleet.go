package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// part is what can be killed and started again.
type part interface {
	// kill is kill -9.
	kill(ctx context.Context) error
	// start returns when it works again.
	start(ctx context.Context) error
}

// fleet is the pipeline, each role a process of its own.
type fleet struct {
	cfg Config
	// processes in the order of their start.
	processes []*process
	// parts by name: the processes, and the nodes of a cluster.
	parts map[string]part

	brokers                []string
	http, grpc, clickhouse string // host:port
	crashed                func(error)
}

// Names of the parts; those with a number come twice, brokers of a cluster thrice.
const (
	broker    = "broker"
	chserve   = "chserve"
	processor = "processor"
	sink      = "sink"
	collector = "collector"
)

// roles in the order of their start.
var roles = []string{broker, chserve, sink, processor, collector}

func newFleet(cfg Config, crashed func(error)) (*fleet, error) {
	f := &fleet{cfg: cfg, parts: map[string]part{}, crashed: crashed}
	ports, err := freePorts(11)
	if err != nil {
		return nil, err
	}
	next := func() (address string) { address, ports = ports[0], ports[1:]; return address }
	if err := os.MkdirAll(filepath.Join(cfg.Dir, dataDir), 0o755); err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	f.http, f.grpc, f.clickhouse = next(), next(), next()
	var errs []error
	role := func(name, format string, args ...any) {
		admin := next()
		path, err := f.write(name, fmt.Sprintf(format, args...)+"\nadmin: "+admin+"\n")
		errs = append(errs, err)
		kind, _, _ := strings.Cut(name, "-")
		f.add(name, admin, filepath.Join(cfg.Bin, "goodhart"), kind).config = path
	}
	if cfg.Cluster == nil {
		f.brokers = []string{next()}
		role(broker, "listen: %s\ndata: %s", f.brokers[0], f.data(broker))
	} else {
		f.brokers = cfg.Cluster.Brokers
		for n := 1; n <= nodes; n++ {
			f.parts[numbered(broker, n)] = node{script: filepath.Join(cfg.Deploy, "kafka", "cluster.sh"), number: n}
		}
	}
	admin := next()
	f.add(chserve, admin, filepath.Join(cfg.Bin, "chserve"), "--admin", admin, "--listen", f.clickhouse, "--path", f.data(chserve), "--lib", cfg.Library)
	for i := 1; i <= 2; i++ {
		role(numbered(sink, i), "%s\n%s\ninstance: sink-%d", f.kafka(), f.dsn(), i)
	}
	for i := 1; i <= 2; i++ {
		// A step of the traffic is an hour, and comes in any order.
		role(numbered(processor, i), "%s\ninstance: processor-%d\nsnapshot_period: 15s\nspill_dir: %s\nrules: {out_of_orderness: 1h5m}",
			f.kafka(), i, filepath.Join(cfg.Dir, dataDir))
	}
	role(collector, "%s\nclock: header\nlisten: {http: %s, grpc: %s}\nkeys_file: %s\npeople_file: %s\nkeyring: {demo: %s}",
		f.kafka(), f.http, f.grpc, f.plan("keys.yaml"), f.plan("people.yaml"), strings.Repeat("5a", 32))
	return f, errors.Join(errs...)
}

func numbered(role string, n int) string { return fmt.Sprintf("%s-%d", role, n) }

func (f *fleet) add(name, admin string, argv ...string) *process {
	p := &process{
		name: name, argv: argv, admin: admin, ready: "http://" + admin + "/readyz",
		log: filepath.Join(f.cfg.Dir, logDir, name+".log"), crashed: f.crashed,
	}
	f.processes = append(f.processes, p)
	f.parts[name] = p
	return p
}

func (f *fleet) data(name string) string { return filepath.Join(f.cfg.Dir, dataDir, name) }

func (f *fleet) plan(name string) string { return filepath.Join(f.cfg.Dir, planDir, name) }

func (f *fleet) kafka() string { return "kafka: {brokers: [" + strings.Join(f.brokers, ", ") + "]}" }

func (f *fleet) dsn() string { return "clickhouse: {dsn: http://default@" + f.clickhouse + "/default}" }

// write writes the configuration of a role.
func (f *fleet) write(name, text string) (path string, err error) {
	path = filepath.Join(f.cfg.Dir, name+".yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("configure %s: %w", name, err)
	}
	return path, nil
}

// start brings everything up, each part when those it needs are ready.
func (f *fleet) start(ctx context.Context) error {
	migrated := false
	for _, p := range f.processes {
		if !migrated && p.name != broker && p.name != chserve {
			migrated = true
			if err := f.migrate(ctx); err != nil {
				return err
			}
		}
		if err := p.start(ctx); err != nil {
			return fmt.Errorf("%w\n%s", err, Tail(p.log))
		}
	}
	return nil
}

func (f *fleet) migrate(ctx context.Context) error {
	path, err := f.write("migrate", fmt.Sprintf("%s\n%s\nreplication: %d\npartitions: {events: 4, facts: 4, features: 2, dead: 1}\nschema: {kind: embedded}\n",
		f.kafka(), f.dsn(), len(f.brokers)))
	if err != nil {
		return err
	}
	return f.goodhart(ctx, "migrate", "--config", path)
}

// goodhart runs a role that ends by itself.
func (f *fleet) goodhart(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(f.cfg.Bin, "goodhart"), args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("goodhart %s: %w\n%s", args[0], err, bytes.TrimSpace(out))
	}
	return nil
}

// stop ends the processes against the order of their start; each must end well.
func (f *fleet) stop(ctx context.Context) error {
	var errs []error
	for _, p := range slices.Backward(f.processes) {
		errs = append(errs, p.stop(ctx))
	}
	return errors.Join(errs...)
}

// wait returns when no process runs.
func (f *fleet) wait() {
	for _, p := range f.processes {
		p.wait()
	}
}

func (f *fleet) process(name string) *process {
	for _, p := range f.processes {
		if p.name == name {
			return p
		}
	}
	return nil
}

// freePorts finds loopback addresses that nobody listens on, below the range
// from which the kernel takes the ports of outgoing connections: one of those
// could take a port while its process is down.
func freePorts(n int) ([]string, error) {
	var free []string
	for range 100 * n {
		address := fmt.Sprintf("127.0.0.1:%d", 16_000+rand.IntN(16_000))
		if slices.Contains(free, address) {
			continue
		}
		ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
		if err != nil {
			continue
		}
		_ = ln.Close()
		if free = append(free, address); len(free) == n {
			return free, nil
		}
	}
	return nil, fmt.Errorf("find %d free ports: found %d", n, len(free))
}

// node is one of a cluster of deploy/kafka, which its script knows how to find.
type node struct {
	script string
	number int
}

// nodes is how many a cluster has.
const nodes = 3

func (n node) kill(ctx context.Context) error { return n.do(ctx, "kill") }

func (n node) start(ctx context.Context) error { return n.do(ctx, "restart") }

func (n node) do(ctx context.Context, verb string) error {
	out, err := exec.CommandContext(ctx, n.script, verb, fmt.Sprint(n.number)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s broker-%d: %w\n%s", verb, n.number, err, bytes.TrimSpace(out))
	}
	return nil
}

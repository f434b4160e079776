package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
)

// fleet is every role as a process of its own.
type fleet struct {
	dir, bin string
	// kafka is the cluster to use; without one the fleet has a broker of its own.
	kafka   *ktest.Cluster
	running []*exec.Cmd
}

// deployment is where each role of a fleet is.
type deployment struct {
	clickhouse, collector string
	// brokers are the addresses, separated by commas.
	brokers string
	// admin is by role.
	admin map[string]string
	// secret is an API key of the collector, for tenant acme.
	secret string
}

// deploy starts every role from its own configuration file, on addresses of
// their own: a broker, ClickHouse, sink, processor, collector. more is added to
// the configuration of a role.
func (f *fleet) deploy(tb testing.TB, library string, partitions string, more map[string]string) deployment {
	tb.Helper()
	d := deployment{brokers: f.address(tb), clickhouse: f.address(tb), collector: f.address(tb), secret: "a secret of the test", admin: map[string]string{}}
	replication := int16(1)
	role := func(name, text string) {
		tb.Helper()
		d.admin[name] = f.address(tb)
		config := f.file(tb, name+".yaml", text+more[name]+"admin: "+d.admin[name]+"\n")
		check := exec.CommandContext(tb.Context(), filepath.Join(f.bin, "goodhart"), name, "--config", config, "--check-config")
		if out, err := check.CombinedOutput(); err != nil {
			tb.Fatalf("check %s: %v\n%s", name, err, out)
		}
		f.start(tb, "http://"+d.admin[name]+"/readyz", "goodhart", name, "--config", config)
	}
	if f.kafka == nil {
		role("broker", fmt.Sprintf("listen: %s\ndata: %s\n", d.brokers, filepath.Join(f.dir, "broker")))
	} else {
		d.brokers, replication = strings.Join(f.kafka.Addrs, ","), f.kafka.Replication
	}
	kafka := fmt.Sprintf("kafka:\n  brokers: [%s]\n", d.brokers)
	f.start(tb, "http://"+d.clickhouse+"/ping", "chserve", "--path", filepath.Join(f.dir, "clickhouse"), "--listen", d.clickhouse, "--lib", library)
	migration := f.file(tb, "migrate.yaml", kafka+d.dsn()+fmt.Sprintf("partitions: %s\nreplication: %d\nschema: {kind: embedded}\n", partitions, replication))
	for range 2 { // the second time there is nothing to do
		migrate := exec.CommandContext(tb.Context(), filepath.Join(f.bin, "goodhart"), "migrate", "--config", migration)
		if out, err := migrate.CombinedOutput(); err != nil {
			tb.Fatalf("migrate: %v\n%s", err, out)
		}
	}
	role("sink", kafka+d.dsn()+"instance: s-1\n")
	role("processor", kafka+"instance: p-1\n")
	hash := sha256.Sum256([]byte(d.secret))
	keys := f.file(tb, "keys.yaml", fmt.Sprintf("keys:\n  - {id: k1, sha256: %s, tenant: acme, accounting: billable}\n", hex.EncodeToString(hash[:])))
	role("collector", kafka+fmt.Sprintf("listen: {http: %q, grpc: \"\"}\nkeys_file: %s\nkeyring: {acme: %s}\n", d.collector, keys, strings.Repeat("5a", 32)))
	return d
}

// dsn is the part of a configuration file that names ClickHouse.
func (d deployment) dsn() string {
	return fmt.Sprintf("clickhouse:\n  dsn: http://default@%s/default\n", d.clickhouse)
}

// answer is what ClickHouse answers to a query.
func (d deployment) answer(tb testing.TB, query string) string {
	tb.Helper()
	body, _ := get(tb.Context(), fmt.Sprintf("http://%s/?query=%s", d.clickhouse, url.QueryEscape(query)))
	return body
}

// address returns a loopback address that nobody listens on. It is below the
// range from which the kernel takes the ports of outgoing connections: one of
// those could take it before its process does.
func (f *fleet) address(tb testing.TB) string {
	tb.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 16_000+rand.IntN(16_000))
		ln, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", address)
		if err != nil {
			continue
		}
		_ = ln.Close()
		return address
	}
	tb.Fatal("no free port")
	return ""
}

func (f *fleet) file(tb testing.TB, name, text string) string {
	tb.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// start runs a binary with a configuration file and waits for the URL to answer.
func (f *fleet) start(tb testing.TB, ready string, args ...string) {
	tb.Helper()
	log, err := os.Create(filepath.Join(f.dir, fmt.Sprintf("%d.log", len(f.running))))
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(f.bin, args[0]), args[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	f.running = append(f.running, cmd)
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		if tb.Failed() {
			text, _ := os.ReadFile(log.Name())
			tb.Logf("%v:\n%s", cmd.Args, text)
		}
	})
	eventually(tb, strings.Join(args, " "), func() bool { _, ok := get(tb.Context(), ready); return ok })
}

// stop ends the processes against the order of their start; each must end by
// itself and well.
func (f *fleet) stop(tb testing.TB) {
	tb.Helper()
	for i := len(f.running) - 1; i >= 0; i-- {
		cmd := f.running[i]
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			tb.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			log, _ := os.ReadFile(filepath.Join(f.dir, fmt.Sprintf("%d.log", i)))
			tb.Errorf("%v after SIGTERM: %v\n%s", cmd.Args, err, log)
		}
	}
}

func get(ctx context.Context, url string) (string, bool) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", false
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return string(body), err == nil && resp.StatusCode == http.StatusOK
}

func eventually(tb testing.TB, what string, done func() bool) {
	tb.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(60 * time.Second); !done(); {
		select {
		case <-tick.C:
		case <-deadline:
			tb.Fatalf("waited a minute for %s", what)
		}
	}
}

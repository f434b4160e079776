package doctor_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/chschema"
	"github.com/goodhartlabs/goodhart/pkg/chtest"
	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/ktest"
	schema "github.com/goodhartlabs/goodhart/schemas/clickhouse"
	"github.com/goodhartlabs/goodhart/services/collector"
	"github.com/goodhartlabs/goodhart/services/doctor"
	"github.com/goodhartlabs/goodhart/services/probe"
	"github.com/goodhartlabs/goodhart/services/processor"
	"github.com/goodhartlabs/goodhart/services/sink"
)

// patient is a migrated broker and a migrated database; services run where a test
// starts them.
type patient struct {
	*testing.T
	cfg    doctor.Config
	client *kgo.Client
	adm    *kadm.Client
	conn   driver.Conn
}

// each runs a test on both brokers, without a database.
func each(t *testing.T, run func(p *patient)) {
	t.Helper()
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
		t.Helper()
		run(newPatient(t, c))
	})
}

// fake is a patient on kfake, without a database.
func fake(t *testing.T, opts ...kfake.Opt) *patient {
	t.Helper()
	return newPatient(t, ktest.Fake(t, opts...))
}

// whole is a patient on kfake with a database.
func whole(t *testing.T) *patient {
	t.Helper()
	return fake(t).withDatabase()
}

func newPatient(t *testing.T, c *ktest.Cluster) *patient {
	t.Helper()
	p := &patient{T: t, cfg: doctor.Default(), client: c.Client(t, kgo.RecordPartitioner(kgo.ManualPartitioner()))}
	p.adm = kadm.NewClient(p.client)
	p.cfg.Kafka.Brokers = c.Addrs
	counts := kschema.Counts{Events: 2, Facts: 2, Features: 1, Dead: 1}
	if _, err := kschema.Migrate(t.Context(), p.client, kschema.Options{Counts: counts, Replication: c.Replication}); err != nil {
		t.Fatal(err)
	}
	p.cfg.ClickHouse.DSN = "http://default@127.0.0.1:1/default"
	p.cfg.Data = []string{t.TempDir()}
	// What the machine that runs the tests has free is not the tests' matter.
	p.cfg.Limits.DiskFree = doctor.Limit[float64]{}
	return p
}

func (p *patient) withDatabase() *patient {
	p.Helper()
	p.cfg.ClickHouse.DSN = chtest.StartFixed(p.T, "core", "goodhart")
	var err error
	if p.conn, err = p.cfg.ClickHouse.Open(p.Context()); err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { _ = p.conn.Close() })
	if _, err := chschema.Apply(p.Context(), p.conn, schema.Default(), slog.New(slog.DiscardHandler)); err != nil {
		p.Fatal(err)
	}
	return p
}

// report is what the command prints in JSON.
type report struct {
	Status             string
	Warnings, Failures int
	Findings           []finding
}

type finding struct{ Check, Status, Found, Want, Do, Page string }

// examine makes the checks, all if none is named.
func (p *patient) examine(only ...string) report {
	p.Helper()
	var out bytes.Buffer
	cfg := p.cfg
	cfg.Only = only
	cfg.Out, cfg.Format, cfg.Getenv = &out, doctor.FormatJSON, os.LookupEnv
	err := doctor.Run(p.Context(), cfg, nil)
	var r report
	if json.Unmarshal(out.Bytes(), &r) != nil {
		p.Fatalf("no report: %v\n%s", err, out.String())
	}
	var unwell *doctor.UnwellError
	want := map[string]int{"ok": 0, "warn": 1, "fail": 2}[r.Status]
	if got := errors.As(err, &unwell); got != (want > 0) || got && unwell.ExitCode() != want {
		p.Errorf("status %s ends with %v", r.Status, err)
	}
	return r
}

// finds wants a finding of a check with a status, whose text holds the words, and
// that tells what is wanted, what to do and where it is written.
func (p *patient) finds(check, status string, words ...string) {
	p.Helper()
	r := p.examine(check)
	var of []finding
	for _, f := range r.Findings {
		if f.Check != check {
			continue
		}
		of = append(of, f)
		missing := f.Status != status
		for _, w := range words {
			missing = missing || !strings.Contains(f.Found+"\n"+f.Do, w)
		}
		if missing {
			continue
		}
		_, err := os.Stat(filepath.Join("../..", f.Page))
		if status != "ok" && (f.Want == "" || f.Do == "" || err != nil || strings.Contains(f.Do, "\n")) {
			p.Errorf("%s does not say what to do: %+v", check, f)
		}
		return
	}
	p.Errorf("%s does not %s with %q:\n%+v", check, status, words, of)
}

// start runs a role until the test ends, or until stop.
func (p *patient) start(name string, run func(context.Context) error) (stop func()) {
	p.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			p.Errorf("%s: %v", name, err)
		}
	}
	p.Cleanup(stop)
	return stop
}

// services starts a collector, a processor and a sink.
func (p *patient) services() (stop func()) {
	p.Helper()
	tel := func() *probe.Telemetry { return probe.New(slog.New(slog.DiscardHandler)) }
	s := sink.Default()
	s.Kafka, s.ClickHouse, s.Admin = p.cfg.Kafka, p.cfg.ClickHouse, ""
	f := processor.Default()
	f.Kafka, f.Admin, f.SpillDir = p.cfg.Kafka, "", p.TempDir()
	c := p.collector()
	var stops []func()
	stops = append(stops,
		p.start("sink", func(ctx context.Context) error { return sink.Run(ctx, s, tel()) }),
		p.start("processor", func(ctx context.Context) error { return processor.Run(ctx, f, tel()) }),
		p.start("collector", func(ctx context.Context) error { return collector.Run(ctx, c, tel()) }),
	)
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// collector is a collector with files of its own.
func (p *patient) collector() collector.Config {
	p.Helper()
	dir := p.TempDir()
	hash := sha256.Sum256([]byte("secret"))
	p.write(filepath.Join(dir, "keys.yaml"), "keys:\n  - {id: k, sha256: "+hex.EncodeToString(hash[:])+", tenant: acme}\n")
	p.write(filepath.Join(dir, "keyring.yaml"), "acme: "+strings.Repeat("5a", 32)+"\n")
	p.write(filepath.Join(dir, "people.yaml"), "people:\n  - {id: ada, role: developer}\n")
	c := collector.Default()
	c.Kafka, c.Admin, c.TickInterval = p.cfg.Kafka, "", 200*time.Millisecond
	c.Keys, c.KeyringFile, c.People = filepath.Join(dir, "keys.yaml"), filepath.Join(dir, "keyring.yaml"), filepath.Join(dir, "people.yaml")
	c.Listen = collector.Listen{HTTP: p.address()}
	return c
}

func (p *patient) address() string {
	p.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func (p *patient) write(path, text string) {
	p.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.Fatal(err)
	}
}

func (p *patient) exec(sql string) {
	p.Helper()
	if err := p.conn.Exec(p.Context(), sql); err != nil {
		p.Fatalf("%s: %v", sql, err)
	}
}

func (p *patient) produce(records ...*kgo.Record) {
	p.Helper()
	if err := p.client.ProduceSync(p.Context(), records...).FirstErr(); err != nil {
		p.Fatal(err)
	}
}

// until examines until the report is as wanted.
func (p *patient) until(done func(report) bool, only ...string) report {
	p.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(3 * time.Minute); ; {
		r := p.examine(only...)
		if done(r) {
			return r
		}
		select {
		case <-tick.C:
		case <-deadline:
			p.Fatalf("never: %+v", r)
		}
	}
}

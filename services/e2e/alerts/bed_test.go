package alerts

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/chtest"
	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/tracing"
	schema "github.com/goodhartlabs/goodhart/schemas/clickhouse"
	"github.com/goodhartlabs/goodhart/services/alerter"
	"github.com/goodhartlabs/goodhart/services/broker"
	"github.com/goodhartlabs/goodhart/services/clickhouse"
	"github.com/goodhartlabs/goodhart/services/collector"
	"github.com/goodhartlabs/goodhart/services/console"
	"github.com/goodhartlabs/goodhart/services/kafka"
	"github.com/goodhartlabs/goodhart/services/migrate"
	"github.com/goodhartlabs/goodhart/services/probe"
	"github.com/goodhartlabs/goodhart/services/processor"
	"github.com/goodhartlabs/goodhart/services/reconcile"
	"github.com/goodhartlabs/goodhart/services/sink"
)

const (
	secret = "a secret of the test"
	tenant = "acme"
)

// bed is the whole pipeline on the embedded broker and the embedded engine: the
// engine a process that can be killed, every other role in this process, with
// telemetry and probes of its own.
type bed struct {
	t          *testing.T
	clickhouse *chtest.Server
	conn       driver.Conn
	kafka      *kgo.Client
	// line is how the collector reaches the broker.
	line line
	// chat is a channel that the alerter posts to; while refuses is set it takes
	// nothing.
	chat    *httptest.Server
	refuses atomic.Bool
	// spill is where the processor spills to.
	spill string
	// tracer is that of every role; nil for none.
	tracer *tracing.Tracer
	// registry makes the registries of roles; nil for plain ones.
	registry func(role string) probe.Registry

	brokers, endpoint string
	admin             map[string]string // role → address of its probes
	running           map[string]*role
	log               *os.File
}

// role is one that runs.
type role struct {
	stop func() error
}

// newBed starts the pipeline. change may set the fields that roles take over.
func newBed(t *testing.T, change func(*bed)) *bed {
	t.Helper()
	if testing.Short() {
		t.Skip("runs a whole pipeline")
	}
	b := &bed{t: t, admin: map[string]string{}, running: map[string]*role{}, spill: t.TempDir()}
	if change != nil {
		change(b)
	}
	b.openLog()
	b.chat = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if b.refuses.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(b.chat.Close)
	b.admin["chserve"] = address(t)
	b.clickhouse = chtest.StartServer(t, "--admin", b.admin["chserve"])
	b.brokers, b.endpoint = address(t), address(t)

	b.start("broker", func(ctx context.Context, tel *probe.Telemetry) error {
		cfg := broker.Default()
		cfg.Listen, cfg.Data = b.brokers, filepath.Join(t.TempDir(), "broker")
		return broker.Run(ctx, cfg, tel)
	})
	eventually(t, "the broker to listen", func() bool { // a role is ready until it says that it is not
		conn, err := net.Dial("tcp", b.brokers)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	m := migrate.Default()
	m.Kafka, m.ClickHouse, m.Replication = b.seeds(), b.dsn(), 1
	m.Partitions = kschema.Counts{Events: 2, Facts: 2, Features: 1, Dead: 1}
	m.Schema.Kind = schema.Embedded
	if err := migrate.Run(t.Context(), m, probe.New(slog.New(slog.DiscardHandler))); err != nil {
		t.Fatal(err)
	}
	var err error
	if b.conn, err = b.dsn().Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.conn.Close() })
	if b.kafka, err = kgo.NewClient(append(b.seeds().Options(), kgo.RecordPartitioner(kgo.ManualPartitioner()))...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.kafka.Close)

	b.start("sink", b.sink)
	b.startProcessor(1 << 16)
	b.start("collector", b.collector)
	b.start("alerter", b.alerter)
	b.start("console", b.console)
	b.start("reconcile", b.reconcile)
	return b
}

func (b *bed) seeds() kafka.Config    { return kafka.Config{Brokers: []string{b.brokers}} }
func (b *bed) dsn() clickhouse.Config { return clickhouse.Config{DSN: b.clickhouse.DSN} }

func (b *bed) sink(ctx context.Context, tel *probe.Telemetry) error {
	cfg := sink.Default()
	cfg.Kafka, cfg.ClickHouse, cfg.WatchEvery = b.seeds(), b.dsn(), time.Second
	return sink.Run(ctx, cfg, tel)
}

// startProcessor starts the folds with a budget of event ids.
func (b *bed) startProcessor(idsPerShard int) {
	b.t.Helper()
	b.start("processor", func(ctx context.Context, tel *probe.Telemetry) error {
		cfg := processor.Default()
		cfg.Kafka, cfg.SpillDir = b.seeds(), b.spill
		cfg.Rules.Horizon, cfg.Rules.IDsPerShard = time.Hour, idsPerShard
		return processor.Run(ctx, cfg, tel)
	})
}

func (b *bed) collector(ctx context.Context, tel *probe.Telemetry) error {
	hash := sha256.Sum256([]byte(secret))
	keys := filepath.Join(b.t.TempDir(), "keys.yaml")
	text := fmt.Sprintf("keys:\n  - {id: k1, sha256: %s, tenant: %s, accounting: billable}\n", hex.EncodeToString(hash[:]), tenant)
	if err := os.WriteFile(keys, []byte(text), 0o600); err != nil {
		return err
	}
	cfg := collector.Default()
	cfg.Kafka = b.seeds()
	cfg.Kafka.Extra = []kgo.Opt{kgo.Dialer(b.line.dial)}
	cfg.Listen = collector.Listen{HTTP: b.endpoint}
	cfg.Keys, cfg.Keyring = keys, map[string]string{tenant: strings.Repeat("5a", 32)}
	cfg.TickInterval, cfg.Timeouts.Produce = 200*time.Millisecond, time.Second
	return collector.Run(ctx, cfg, tel)
}

func (b *bed) reconcile(ctx context.Context, tel *probe.Telemetry) error {
	cfg := reconcile.Default()
	cfg.ClickHouse, cfg.Every, cfg.Attempts, cfg.Pause = b.dsn(), time.Second, 2, 200*time.Millisecond
	return reconcile.Run(ctx, cfg, tel)
}

// alerter tells the chat of every signal.
func (b *bed) alerter(ctx context.Context, tel *probe.Telemetry) error {
	cfg := alerter.Default()
	cfg.Kafka = b.seeds()
	cfg.Receivers = []alerter.Receiver{{Name: "chat", Slack: &alerter.Slack{URL: b.chat.URL}}}
	cfg.Rules = []alerter.Rule{{To: []string{"chat"}}}
	return alerter.Run(ctx, cfg, tel)
}

// console answers people about themselves.
func (b *bed) console(ctx context.Context, tel *probe.Telemetry) error {
	cfg := console.Default()
	cfg.Kafka, cfg.Listen, cfg.KeyringFile = b.seeds(), "127.0.0.1:0", filepath.Join(b.t.TempDir(), "keyring.yaml")
	if err := os.WriteFile(cfg.KeyringFile, []byte(tenant+": "+strings.Repeat("5a", 32)+"\n"), 0o600); err != nil {
		return err
	}
	return console.Run(ctx, cfg, tel)
}

// start runs a role, with its probes at the same address as before, and waits
// until it is ready.
func (b *bed) start(name string, run func(context.Context, *probe.Telemetry) error) {
	b.t.Helper()
	if b.admin[name] == "" {
		b.admin[name] = address(b.t)
	}
	log := slog.New(slog.NewTextHandler(b.log, nil)).With("process", name)
	tel := probe.New(log)
	if b.registry != nil {
		tel = probe.NewWith(log, b.registry(name))
	}
	tel.Tracer = b.tracer
	tel.NotReady(name, "not begun")
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.t.Context()))
	ended := make(chan error, 2)
	go func() { ended <- tel.Serve(ctx, b.admin[name]) }()
	go func() {
		tel.Ready(name) // from here on the role tells
		ended <- run(ctx, tel)
	}()
	r := &role{stop: sync.OnceValue(func() error { cancel(); return errors.Join(<-ended, <-ended) })}
	b.running[name] = r
	b.t.Cleanup(func() {
		if err := r.stop(); err != nil {
			b.t.Errorf("%s: %v", name, err)
		}
	})
	eventually(b.t, name+" to be ready", func() bool {
		resp, err := http.Get("http://" + b.admin[name] + "/readyz")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// stop ends a role and its probes.
func (b *bed) stop(name string) {
	b.t.Helper()
	if err := b.running[name].stop(); err != nil {
		b.t.Errorf("stop %s: %v", name, err)
	}
}

// openLog makes roles log to a file, which is shown if the test fails.
func (b *bed) openLog() {
	b.t.Helper()
	var err error
	if b.log, err = os.CreateTemp(b.t.TempDir(), "roles-*.log"); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if text, err := os.ReadFile(b.log.Name()); err == nil && b.t.Failed() {
			b.t.Logf("the roles' last words:\n%s", text[max(0, len(text)-20_000):])
		}
		_ = b.log.Close()
	})
}

// exec runs a statement in ClickHouse.
func (b *bed) exec(query string, args ...any) {
	b.t.Helper()
	if err := b.conn.Exec(b.t.Context(), query, args...); err != nil {
		b.t.Fatalf("%s: %v", query, err)
	}
}

// count is the single number that a query returns.
func (b *bed) count(query string) (n uint64) {
	b.t.Helper()
	if err := b.conn.QueryRow(b.t.Context(), query).Scan(&n); err != nil {
		b.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// post sends a body to the collector and returns the status; 0 if there was none.
func (b *bed) post(contentType, body string) int {
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, "http://"+b.endpoint+"/v1/events", bytes.NewReader([]byte(body)))
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Authorization", "Bearer "+secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

const (
	typeEvent = "application/cloudevents+json"
	typeBatch = "application/cloudevents-batch+json"
)

// usage is a model request as a gateway would announce it.
func usage(id string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"//gateway","type":"ai.usage.v1","time":%q,
		"data":{"gen_ai.request.model":"claude-sonnet-4-5","request_id":"req_%s","gen_ai.conversation.id":"c-1","tokens":{"input_total":11,"output_total":7}}}`,
		id, time.Now().UTC().Format(time.RFC3339Nano), id)
}

// line is a network that can be cut and mended.
type line struct {
	mu    sync.Mutex
	isCut bool
	conns []net.Conn
}

func (l *line) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isCut {
		return nil, net.ErrClosed
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err == nil {
		l.conns = append(l.conns, conn)
	}
	return conn, err
}

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = true
	for _, conn := range l.conns {
		_ = conn.Close()
	}
	l.conns = nil
}

func (l *line) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = false
}

// address is a loopback address that nobody listens on, below the range from
// which the kernel takes the ports of outgoing connections.
func address(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 16_000+rand.IntN(16_000))
		if ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address); err == nil {
			_ = ln.Close()
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}

// patience is how long a test waits for what should come within seconds.
const patience = 3 * time.Minute

func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); !yes(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited for %s in vain", what)
		}
	}
}

// records reads a topic from its start until it has seen so many records that
// are no watermarks.
func (b *bed) records(topic string, enough int) []*kgo.Record {
	b.t.Helper()
	cl, err := kgo.NewClient(append(b.seeds().Options(), kgo.ConsumeTopics(topic), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))...)
	if err != nil {
		b.t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	var all []*kgo.Record
	for found := 0; found < enough; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			b.t.Fatalf("read %s: %v", topic, err)
		}
		for _, rec := range fetches.Records() {
			all = append(all, rec)
			if len(rec.Key) > 0 {
				found++
			}
		}
	}
	return all
}

package dead_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/chschema"
	"github.com/goodhartlabs/goodhart/pkg/chtest"
	"github.com/goodhartlabs/goodhart/pkg/fold"
	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/pkg/ledger"
	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/schemas"
	schema "github.com/goodhartlabs/goodhart/schemas/clickhouse"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
	"github.com/goodhartlabs/goodhart/services/dead"
	"github.com/goodhartlabs/goodhart/services/kafka"
	"github.com/goodhartlabs/goodhart/services/probe"
	"github.com/goodhartlabs/goodhart/services/processor"
	"github.com/goodhartlabs/goodhart/services/reconcile"
	"github.com/goodhartlabs/goodhart/services/sink"
)

const partitions = 2

// bed is a pipeline from events.v1 to the tables, with a clock of its own: record
// timestamps of events.v1 are the test's.
type bed struct {
	*testing.T
	brokers kafka.Config
	client  *kgo.Client
	conn    driver.Conn
	dsn     string
	// accepted is the hour in which everything was accepted, six hours ago.
	accepted time.Time
	ticks    uint64
}

func newBed(t *testing.T, c *ktest.Cluster) *bed {
	t.Helper()
	b := &bed{T: t, brokers: kafka.Config{Brokers: c.Addrs}, dsn: chtest.StartFixed(t, "core", "goodhart")}
	b.accepted = time.Now().Add(-6 * time.Hour).Truncate(time.Hour).Add(10 * time.Minute)
	b.client = c.Client(t, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if _, err := kadm.NewClient(b.client).CreateTopic(t.Context(), partitions, c.Replication, nil, schemas.TopicEvents); err != nil {
		t.Fatal(err)
	}
	counts := kschema.Counts{Events: partitions, Facts: partitions, Features: 1, Dead: 1}
	if _, err := kschema.Migrate(t.Context(), b.client, kschema.Options{Counts: counts, Replication: c.Replication}); err != nil {
		t.Fatal(err)
	}
	cfg := sink.Default()
	cfg.ClickHouse.DSN = b.dsn
	var err error
	if b.conn, err = cfg.ClickHouse.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.conn.Close() })
	if _, err := chschema.Apply(t.Context(), b.conn, schema.Default(), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return b
}

// each runs a test on both brokers.
func each(t *testing.T, open func(*testing.T, *ktest.Cluster) *bed, run func(b *bed)) {
	t.Helper()
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
		t.Helper()
		run(open(t, c))
	})
}

func (b *bed) log() *slog.Logger {
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(b.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	return slog.New(slog.DiscardHandler)
}

// run runs a role until stop is called or the test ends.
func (b *bed) run(name string, role func(context.Context) error) (stop func()) {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- role(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			b.Errorf("%s: %v", name, err)
		}
	}
	b.Cleanup(stop)
	return stop
}

func (b *bed) processor(folds ...string) (stop func()) {
	b.Helper()
	cfg := processor.Default()
	cfg.Kafka, cfg.Folds, cfg.SpillDir, cfg.Admin = b.brokers, folds, b.TempDir(), ""
	cfg.Interval = 50 * time.Millisecond
	return b.run("processor", func(ctx context.Context) error { return processor.Run(ctx, cfg, probe.New(b.log())) })
}

func (b *bed) sink(from string) (stop func()) {
	b.Helper()
	cfg := sink.Default()
	cfg.Kafka, cfg.ClickHouse.DSN, cfg.MaxAge, cfg.Admin, cfg.From = b.brokers, b.dsn, 50*time.Millisecond, "", from
	return b.run("sink", func(ctx context.Context) error { return sink.Run(ctx, cfg, probe.New(b.log())) })
}

// older is a ledger fold of a version that does not know the form of newer's
// announcements yet: it takes them for what has no known signal, and quotes the
// original in its letter.
type older struct{ *ledger.Fold }

const newer = "newer-tool"

// Step implements machine.Machine.
func (o older) Step(r *machine.Record, out *machine.Outputs) {
	var e goodhartv1.Event
	if e.UnmarshalVT(r.Value) != nil || e.Source != newer {
		o.Fold.Step(r, out)
		return
	}
	e.Signal = 99
	read := *r
	read.Value, _ = e.MarshalVT()
	var own machine.Outputs
	o.Fold.Step(&read, &own)
	for _, rec := range own.Records() {
		if rec.Topic != schemas.TopicDead {
			out.EmitBytes(rec.Topic, rec.Partition, rec.Key, rec.W, rec.Body(), rec.Headers)
			continue
		}
		var letter goodhartv1.DeadLetter
		if err := letter.UnmarshalVT(rec.Body()); err != nil {
			panic(err)
		}
		hash := sha256.Sum256(r.Value)
		letter.Value, letter.Hash, letter.SizeBytes = r.Value, hash[:], int64(len(r.Value))
		out.Emit(rec.Topic, rec.Partition, rec.Key, rec.W, &letter)
	}
}

// olderLedger runs the fold that older is.
func (b *bed) olderLedger() (stop func()) {
	b.Helper()
	cl, err := kgo.NewClient(b.brokers.Options()...)
	if err != nil {
		b.Fatal(err)
	}
	defer cl.Close()
	layout, err := kschema.Load(b.Context(), cl)
	if err != nil {
		b.Fatal(err)
	}
	return b.run("older ledger", func(ctx context.Context) error {
		return fold.Run(ctx, fold.Config{
			Stage: fold.Stage{
				Name: processor.Ledger, Input: schemas.TopicEvents, State: schemas.TopicLedgerState, Group: schemas.GroupLedger,
				Stamped: schemas.TopicFacts, Dead: schemas.TopicDead,
				New: func(p int32) machine.Machine {
					rules := ledger.Default()
					rules.Partition, rules.Partitions = p, partitions
					return older{ledger.New(rules)}
				},
			},
			Client: b.brokers.Options(), Partitions: layout.Partitions, Instance: "processor", Interval: 50 * time.Millisecond,
			SpillDir: b.TempDir(), Log: b.log(), Metrics: prometheus.NewRegistry(),
		})
	})
}

// usage is a request of one conversation, accepted in the hour.
func (b *bed) usage(source string, n int) *goodhartv1.Event {
	return &goodhartv1.Event{
		Kind: goodhartv1.EventKind_EVENT_KIND_USAGE, Tenant: "acme", Source: source, Signal: goodhartv1.Signal_SIGNAL_LOG,
		EventId: name("id", source, n), RequestKey: name("rq", source, n), TimeMs: b.accepted.UnixMilli(), ReceivedMs: b.accepted.UnixMilli(),
		Conversation: "c0ffee", Accounting: goodhartv1.Accounting_ACCOUNTING_BILLABLE, Subject: "p_1", Team: "pay",
		IdentityType: goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN, Tool: "claude-code", SchemaVersion: 1,
		Usage: &goodhartv1.Usage{
			Model: "claude-opus-4-8", OutputTokens: new(int64(10)), CostNanos: new(int64(7)), CostBasis: goodhartv1.CostBasis_COST_BASIS_ESTIMATED,
			Status: goodhartv1.Status_STATUS_OK, Granularity: goodhartv1.Granularity_GRANULARITY_REQUEST,
		},
	}
}

func name(kind, source string, n int) []byte {
	sum := sha256.Sum256(fmt.Append(nil, kind, source, n))
	return sum[:16]
}

// accept publishes events as a collector does.
func (b *bed) accept(events ...*goodhartv1.Event) {
	b.Helper()
	for _, e := range events {
		key := []byte(e.Tenant + "|" + e.Conversation)
		b.produce(&kgo.Record{
			Topic: schemas.TopicEvents, Partition: schemas.Partition(key, partitions), Key: key,
			Value: encode(b, e), Timestamp: b.accepted,
		})
	}
}

func encode(tb testing.TB, m interface{ MarshalVT() ([]byte, error) }) []byte {
	tb.Helper()
	value, err := m.MarshalVT()
	if err != nil {
		tb.Fatal(err)
	}
	return value
}

func (b *bed) produce(records ...*kgo.Record) {
	b.Helper()
	if err := b.client.ProduceSync(b.Context(), records...).FirstErr(); err != nil {
		b.Fatal(err)
	}
}

// tick moves the time to now and some minutes on: the tallies of what came
// before are told, and the folds behind release it.
func (b *bed) tick() {
	b.Helper()
	for range 4 {
		b.ticks++
		at := time.Now().Add(time.Duration(b.ticks) * time.Minute)
		for p := range int32(partitions) {
			b.produce(&kgo.Record{Topic: schemas.TopicEvents, Partition: p, Timestamp: at, Value: encode(b, &goodhartv1.Event{
				Kind: goodhartv1.EventKind_EVENT_KIND_TICK, TimeMs: at.UnixMilli(), ReceivedMs: at.UnixMilli(),
				Tick: &goodhartv1.Tick{Collector: "c", Sequence: b.ticks},
			})})
		}
	}
}

// balance is an hour of data_quality, as text.
const balance = `SELECT concat('accepted ', toString(sum(q.accepted)), ', duplicate ', toString(sum(q.duplicates)), ', stored ', toString(sum(q.stored)),
	', dead ', toString(sum(q.dead))) FROM goodhart.data_quality AS q WHERE q.tenant = 'acme'`

// until waits until a query returns one value.
func (b *bed) until(query, want string) {
	b.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var got string
	for deadline := time.After(3 * time.Minute); ; {
		if err := b.conn.QueryRow(b.Context(), query).Scan(&got); err != nil {
			b.Fatalf("%s: %v", query, err)
		}
		if got == want {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			b.Fatalf("%s\nis  %s\nwant %s", query, got, want)
		}
	}
}

// caughtUp waits until a group has committed everything that a topic holds.
func (b *bed) caughtUp(group, topic string) {
	b.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(3 * time.Minute); ; {
		lags, err := kadm.NewClient(b.client).Lag(b.Context(), group)
		if err != nil {
			b.Fatal(err)
		}
		behind, partitions := int64(0), 0
		for _, l := range lags[group].Lag[topic] {
			if partitions++; l.Lag < 0 || l.Commit.At < 0 {
				behind++
			}
			behind += max(0, l.Lag)
		}
		if partitions > 0 && behind == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			b.Fatalf("group %s is %d records behind on %s", group, behind, topic)
		}
	}
}

// stored waits until so many usage rows are stored.
func (b *bed) stored(n int) {
	b.Helper()
	b.until("SELECT toString(count()) FROM core.usage", fmt.Sprint(n))
}

// conserved proves that rollups equal raw and every record has one fate.
func (b *bed) conserved() {
	b.Helper()
	cfg := reconcile.Default()
	cfg.ClickHouse.DSN, cfg.Pause = b.dsn, 500*time.Millisecond
	if err := reconcile.Run(b.Context(), cfg, probe.New(b.log())); err != nil {
		b.Errorf("reconcile: %v", err)
	}
}

// dead runs the command as an operator types it.
func (b *bed) dead(args ...string) (string, error) {
	b.Helper()
	file := b.TempDir() + "/dead.yaml"
	text := fmt.Sprintf("kafka: {brokers: [%s]}\nclickhouse: {dsn: %q}\n", strings.Join(b.brokers.Brokers, ", "), b.dsn)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	var out bytes.Buffer
	cfg, err := dead.ParseArgs(append(args, "--config", file), &out, os.LookupEnv)
	if err != nil {
		return out.String(), err
	}
	err = dead.Run(b.Context(), cfg, probe.New(b.log()))
	return out.String(), err
}

// says runs the command and wants every line in its output.
func (b *bed) says(args string, lines ...string) string {
	b.Helper()
	out, err := b.dead(strings.Fields(args)...)
	if err != nil {
		b.Fatalf("dead %s: %v\n%s", args, err, out)
	}
	for _, line := range lines {
		if !strings.Contains(out, line) {
			b.Errorf("dead %s: no %q in\n%s", args, line, out)
		}
	}
	return out
}

// records returns what a topic holds.
func (b *bed) records(topic string) []*kgo.Record {
	b.Helper()
	spans, err := kafka.Spans(b.Context(), b.client, topic, time.Time{})
	if err != nil {
		b.Fatal(err)
	}
	var all []*kgo.Record
	for _, s := range spans {
		if err := s.Read(b.Context(), b.brokers.Options(), func(r *kgo.Record) error {
			all = append(all, r)
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	return all
}

package apply

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
	"github.com/goodhartlabs/goodhart/services/kafka"
	"github.com/goodhartlabs/goodhart/services/probe"
	"github.com/goodhartlabs/goodhart/services/processor"
)

// bed is a broker with goodhart's topics and a clock of its own: events.v1 keeps
// the producer's timestamps.
type bed struct {
	*testing.T
	*ktest.Cluster
	counts kschema.Counts
	client *kgo.Client
	now    time.Time
	ticks  uint64
}

func newBed(t *testing.T, c *ktest.Cluster) *bed {
	t.Helper()
	b := &bed{
		T: t, Cluster: c, counts: kschema.Counts{Events: 2, Facts: 3, Features: 2, Dead: 1},
		client: c.Client(t, kgo.RecordPartitioner(kgo.ManualPartitioner())),
		now:    time.Date(2026, 10, 5, 8, 0, 0, 0, time.UTC),
	}
	b.migrate()
	return b
}

// migrate makes the topics that are missing and returns what it did beyond that.
func (b *bed) migrate() []string {
	b.Helper()
	_, err := kadm.NewClient(b.client).CreateTopic(b.Context(), b.counts.Events, b.Replication, nil, schemas.TopicEvents)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		b.Fatal(err)
	}
	done, err := kschema.Migrate(b.Context(), b.client, kschema.Options{Counts: b.counts, Replication: b.Replication})
	if err != nil {
		b.Fatal(err)
	}
	return slices.DeleteFunc(done, func(step string) bool { return strings.HasPrefix(step, "create ") })
}

func (b *bed) config(file string) Config {
	b.Helper()
	c := Default()
	c.Kafka, c.File = kafka.Config{Brokers: b.Addrs}, file
	return c
}

// run runs a command and returns what it printed.
func (b *bed) run(c Config) (string, error) {
	b.Helper()
	var out bytes.Buffer
	c.Out = &out
	err := Run(b.Context(), c, nil)
	return out.String(), err
}

// says runs a command that must succeed with a first line.
func (b *bed) says(c Config, want string) {
	b.Helper()
	out, err := b.run(c)
	if first, _, _ := strings.Cut(out, "\n"); err != nil || first != want {
		b.Fatalf("%q, %v; want %q", out, err, want)
	}
}

// events are the configurations in a topic, partition by partition.
func (b *bed) events(topic string) []*goodhartv1.Event {
	b.Helper()
	var events []*goodhartv1.Event
	for _, rec := range b.Records(b.T, topic) {
		var e goodhartv1.Event
		if topic == schemas.TopicMeta && !bytes.HasPrefix(rec.Key, []byte("config|")) {
			continue
		}
		if err := e.UnmarshalVT(rec.Value); err != nil {
			b.Fatal(err)
		}
		events = append(events, &e)
	}
	return events
}

// versions are those of a tenant in a topic.
func (b *bed) versions(topic, tenant string) []uint64 {
	b.Helper()
	var got []uint64
	for _, e := range b.events(topic) {
		if e.Tenant == tenant && e.Config != nil {
			got = append(got, e.Config.Version)
		}
	}
	return got
}

// process runs the folds until stop is called or the test ends.
func (b *bed) process() (stop func()) {
	b.Helper()
	cfg := processor.Default()
	cfg.Kafka, cfg.SpillDir, cfg.Admin, cfg.Interval = kafka.Config{Brokers: b.Addrs}, b.TempDir(), "", 30*time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- processor.Run(ctx, cfg, probe.New(slog.New(slog.DiscardHandler))) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			b.Errorf("processor: %v", err)
		}
	}
	b.Cleanup(stop)
	return stop
}

func (b *bed) produce(e *goodhartv1.Event, key string, partition int32) {
	b.Helper()
	value, err := e.MarshalVT()
	if err != nil {
		b.Fatal(err)
	}
	rec := &kgo.Record{Topic: schemas.TopicEvents, Partition: partition, Value: value, Timestamp: b.now}
	if key != "" {
		rec.Key, rec.Partition = []byte(key), schemas.Partition([]byte(key), b.counts.Events)
	}
	if err := b.client.ProduceSync(b.Context(), rec).FirstErr(); err != nil {
		b.Fatal(err)
	}
}

// pass lets time pass, minute by minute, as the ticks of a collector tell it.
func (b *bed) pass(minutes int) {
	b.Helper()
	for range minutes {
		b.now = b.now.Add(time.Minute)
		b.ticks++
		for p := range b.counts.Events {
			b.produce(&goodhartv1.Event{
				Kind: goodhartv1.EventKind_EVENT_KIND_TICK, TimeMs: b.now.UnixMilli(), ReceivedMs: b.now.UnixMilli(),
				Tick: &goodhartv1.Tick{Collector: "c", Sequence: b.ticks},
			}, "", p)
		}
	}
}

// usage is a request of a person.
func (b *bed) usage() {
	b.Helper()
	b.produce(&goodhartv1.Event{
		Kind: goodhartv1.EventKind_EVENT_KIND_USAGE, Tenant: "acme", Source: "claude-code", Signal: goodhartv1.Signal_SIGNAL_LOG,
		EventId: []byte("0123456789abcdef"), RequestKey: []byte("fedcba9876543210"), TimeMs: b.now.UnixMilli(), ReceivedMs: b.now.UnixMilli(),
		Conversation: "c0ffee", Accounting: goodhartv1.Accounting_ACCOUNTING_BILLABLE, Subject: "p_1", Team: "payments",
		IdentityType: goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN, Tool: "claude-code",
		Usage: &goodhartv1.Usage{
			Model: "claude-opus-4-8", OutputTokens: new(int64(10)), CostNanos: new(int64(7)), CostBasis: goodhartv1.CostBasis_COST_BASIS_ESTIMATED,
			Status: goodhartv1.Status_STATUS_OK, Granularity: goodhartv1.Granularity_GRANULARITY_REQUEST,
		},
	}, "acme|c0ffee", 0)
}

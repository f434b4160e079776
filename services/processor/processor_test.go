package processor

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
	"github.com/goodhartlabs/goodhart/services/kafka"
	"github.com/goodhartlabs/goodhart/services/probe"
	"github.com/goodhartlabs/goodhart/services/probe/probetest"
)

const partitions = 4

// start is a Monday, 2026-09-07 06:00 UTC.
const start = 1788760800000

// bed is a broker with goodhart's topics; events.v1 keeps the producer's
// timestamps, so that a log can be folded twice under the same ones.
type bed struct {
	*ktest.Cluster

	client *kgo.Client
}

func newBed(t *testing.T, c *ktest.Cluster) *bed {
	t.Helper()
	b := &bed{Cluster: c, client: c.Client(t, kgo.RecordPartitioner(kgo.ManualPartitioner()))}
	if _, err := kadm.NewClient(b.client).CreateTopic(t.Context(), partitions, b.Replication, nil, schemas.TopicEvents); err != nil {
		t.Fatal(err)
	}
	counts := kschema.Counts{Events: partitions, Facts: partitions, Features: 2, Dead: 1}
	if _, err := kschema.Migrate(t.Context(), b.client, kschema.Options{Counts: counts, Replication: b.Replication}); err != nil {
		t.Fatal(err)
	}
	return b
}

// send produces copies of the records, so that they can be sent again.
func (b *bed) send(t *testing.T, records []*kgo.Record) {
	t.Helper()
	fresh := make([]*kgo.Record, len(records))
	for i, rec := range records {
		c := *rec
		fresh[i] = &c
	}
	if err := b.client.ProduceSync(t.Context(), fresh...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// recorded is a log of events.v1: three days of requests of two teams, announced
// by logs, spans and metrics, some twice, some late, a merged change, and ticks.
func recorded(seed uint64, hours, perHour int) []*kgo.Record {
	r := &recorder{random: rand.New(rand.NewPCG(seed, 9))}
	for hour := range hours {
		r.now = start + int64(hour)*3_600_000
		for range perHour {
			r.now += r.random.Int64N(2 * 3_600_000 / int64(perHour))
			r.request()
		}
		r.ticks(uint64(hour + 1))
	}
	// A record is released once a later watermark has come from everywhere, in
	// each of two merges: the time that matters needs two rounds behind it.
	r.now += 50 * 3_600_000
	for i := range uint64(3) {
		r.now += 60_000
		r.ticks(uint64(hours) + i + 1)
	}
	return r.records
}

type recorder struct {
	random  *rand.Rand
	now     int64
	serial  uint64
	records []*kgo.Record
}

func id(kind string, n uint64) []byte { return fmt.Appendf(nil, "%-8s%08d", kind, n)[:16] }

func (r *recorder) put(e *goodhartv1.Event, key string) {
	value, err := e.MarshalVT()
	if err != nil {
		panic(err)
	}
	r.records = append(r.records, &kgo.Record{
		Topic: schemas.TopicEvents, Partition: schemas.Partition([]byte(key), partitions),
		Key: []byte(key), Value: value, Timestamp: time.UnixMilli(r.now),
	})
}

// usage is a request of a person as a log announces it.
func (r *recorder) usage(person int, session string) *goodhartv1.Event {
	return &goodhartv1.Event{
		Kind: goodhartv1.EventKind_EVENT_KIND_USAGE, Tenant: "acme", Source: "claude-code",
		Signal: goodhartv1.Signal_SIGNAL_LOG, EventId: id("log", r.serial), RequestKey: id("req", r.serial),
		TimeMs: r.now, ReceivedMs: r.now, Conversation: session, Accounting: goodhartv1.Accounting_ACCOUNTING_BILLABLE,
		Subject: fmt.Sprintf("p_%032d", person), Team: fmt.Sprintf("team-%d", person%2), IdentityType: goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN,
		Tool: "claude-code",
		Usage: &goodhartv1.Usage{
			Model: "claude-sonnet-4-5", InputUncachedTokens: new(r.random.Int64N(5000)), CacheReadTokens: new(r.random.Int64N(90000)),
			OutputTokens: new(r.random.Int64N(2000)), CostNanos: new(r.random.Int64N(1e8)), CostBasis: goodhartv1.CostBasis_COST_BASIS_ESTIMATED,
			Status: goodhartv1.Status_STATUS_OK, Granularity: goodhartv1.Granularity_GRANULARITY_REQUEST,
		},
	}
}

func (r *recorder) request() {
	r.serial++
	person := r.random.IntN(30)
	session := hex.EncodeToString(id("session", uint64(person)*1000+uint64(r.now/1_800_000%500)))
	e := r.usage(person, session)
	if r.random.IntN(20) == 0 {
		e.TimeMs -= r.random.Int64N(60 * 3_600_000) // comes late, some too late for any score
	}
	key := "acme|" + session
	if r.random.IntN(4) == 0 {
		span := proto.Clone(e).(*goodhartv1.Event)
		span.Signal, span.EventId = goodhartv1.Signal_SIGNAL_SPAN, id("span", r.serial)
		r.put(span, key)
	}
	r.put(e, key)
	if r.random.IntN(15) == 0 {
		r.put(e, key)
	}
	if r.random.IntN(25) == 0 {
		r.outcome(person)
	}
}

func (r *recorder) outcome(person int) {
	r.put(&goodhartv1.Event{
		Kind: goodhartv1.EventKind_EVENT_KIND_OUTCOME, Tenant: "acme", Source: "cloudevents",
		Signal: goodhartv1.Signal_SIGNAL_CLOUDEVENT, EventId: id("out", r.serial),
		TimeMs: r.now, ReceivedMs: r.now, Accounting: goodhartv1.Accounting_ACCOUNTING_BILLABLE,
		Subject: fmt.Sprintf("p_%032d", person), Team: fmt.Sprintf("team-%d", person%2), IdentityType: goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN,
		Repository: "repo", Outcome: &goodhartv1.Outcome{
			Kind: goodhartv1.OutcomeKind_OUTCOME_KIND_PR_MERGED, Object: hex.EncodeToString(id("object", r.serial)),
		},
	}, "acme|repo")
}

func (r *recorder) ticks(sequence uint64) {
	for p := range int32(partitions) {
		value, err := (&goodhartv1.Event{
			Kind: goodhartv1.EventKind_EVENT_KIND_TICK, TimeMs: r.now, ReceivedMs: r.now,
			Tick: &goodhartv1.Tick{Collector: "c-1", Sequence: sequence},
		}).MarshalVT()
		if err != nil {
			panic(err)
		}
		r.records = append(r.records, &kgo.Record{Topic: schemas.TopicEvents, Partition: p, Value: value, Timestamp: time.UnixMilli(r.now)})
	}
}

// runner is a processor that can be cut off from the broker, as kill -9 would.
type runner struct {
	cancel context.CancelFunc
	done   chan error
	line   ktest.Line
	tel    *probe.Telemetry
}

func (b *bed) run(t *testing.T, instance string, interval time.Duration) *runner {
	t.Helper()
	return b.runWith(t, func(cfg *Config) { cfg.Instance, cfg.Interval = instance, interval })
}

func (b *bed) runWith(t *testing.T, edit func(*Config)) *runner {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &runner{cancel: cancel, done: make(chan error, 1), tel: probe.New(slog.New(slog.NewTextHandler(probetest.NewLog(t), nil)))}
	cfg := Default()
	cfg.Kafka = kafka.Config{Brokers: b.Addrs}
	cfg.Interval, cfg.SnapshotPeriod, cfg.SpillDir = 30*time.Millisecond, time.Second, t.TempDir()
	cfg.MergeMemory = 1 << 20
	cfg.dial = r.line.Dial
	edit(&cfg)
	go func() {
		err := Run(ctx, cfg, r.tel)
		if err != nil {
			r.tel.Log.Error("the processor ends", "error", err)
		}
		r.done <- err
	}()
	t.Cleanup(func() { r.kill() })
	return r
}

func (r *runner) kill() {
	r.line.Cut()
	r.cancel()
}

func (r *runner) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	if err := <-r.done; err != nil {
		t.Errorf("stop: %v", err)
	}
}

// read returns the committed records of a topic once they satisfy enough.
func (b *bed) read(t *testing.T, topic string, enough func([]*kgo.Record) bool) []*kgo.Record {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Addrs...), kgo.ConsumeTopics(topic),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	var got []*kgo.Record
	for !enough(got) {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%s never got there: %d records", topic, len(got))
		}
		got = append(got, fetches.Records()...)
	}
	return got
}

// written is what the folds made of a log: facts and features by (upstream
// partition, partition), whose order between upstream partitions is the accident
// of transactions; scores by partition.
type written struct{ facts, features, scores map[string][]string }

// finish waits until the folds have taken all that was sent.
func (b *bed) finish(t *testing.T) written {
	t.Helper()
	b.Await(t, schemas.GroupLedger, schemas.TopicEvents)
	b.Await(t, schemas.GroupSubject, schemas.TopicFacts)
	b.Await(t, schemas.GroupTenant, schemas.TopicFeatures)
	byStamp := func(topic string) map[string][]string {
		m := map[string][]string{}
		for _, rec := range b.Records(t, topic) {
			pair := fmt.Sprintf("%d to %d", stamp(rec).P, rec.Partition)
			m[pair] = append(m[pair], string(rec.Key)+" "+hex.EncodeToString(rec.Value))
		}
		return m
	}
	w := written{facts: byStamp(schemas.TopicFacts), features: byStamp(schemas.TopicFeatures), scores: map[string][]string{}}
	for _, rec := range b.Records(t, schemas.TopicScores) {
		line := string(rec.Key) + " " + string(rec.Value)
		for _, h := range rec.Headers {
			line += " " + h.Key + "=" + string(h.Value)
		}
		p := fmt.Sprint(rec.Partition)
		w.scores[p] = append(w.scores[p], line)
	}
	return w
}

// stamp reads a Fact, or a Feature: the first four fields are the same.
func stamp(rec *kgo.Record) *goodhartv1.Fact {
	f := &goodhartv1.Fact{}
	_ = proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(rec.Value[:min(len(rec.Value), 40)], f) // the stamp is at the front, the rest is cut
	return f
}

func TestProcessorIsDeterministic(t *testing.T) {
	hours, perHour := 30, 150
	if testing.Short() {
		hours, perHour = 10, 60
	}
	log := recorded(4, hours, perHour)
	calm := newBed(t, ktest.Fake(t))
	calm.send(t, log)
	one := calm.run(t, "one", 250*time.Millisecond)
	want := calm.finish(t)
	one.stop(t)
	report(t, want)

	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
		rough := newBed(t, c)
		a := rough.run(t, "a", 30*time.Millisecond)
		cut := len(log) / 4
		rough.send(t, log[:cut])
		rough.read(t, schemas.TopicFacts, func(r []*kgo.Record) bool { return len(r) > cut/4 })
		a.kill()
		rough.send(t, log[cut:2*cut])
		again := rough.run(t, "a", 50*time.Millisecond)
		rough.read(t, schemas.TopicFacts, func(r []*kgo.Record) bool { return len(r) > cut })
		other := rough.run(t, "b", 70*time.Millisecond)
		rough.send(t, log[2*cut:3*cut])
		rough.read(t, schemas.TopicFacts, func(r []*kgo.Record) bool { return len(r) > 2*cut })
		again.stop(t)
		rough.send(t, log[3*cut:])
		back := rough.run(t, "a", 40*time.Millisecond)
		want.same(t, rough.finish(t))
		other.stop(t)
		back.stop(t)
	})
}

// same fails if what was written differs in any byte or in order.
func (w written) same(t *testing.T, got written) {
	t.Helper()
	f := func(what string, want, got map[string][]string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-calm +rough):\n%.2000s", what, diff)
		}
	}
	f("facts", w.facts, got.facts)
	f("features", w.features, got.features)
	f("scores", w.scores, got.scores)
}

// factOf decodes a fact as written has it.
func factOf(t *testing.T, line string) *goodhartv1.Fact {
	t.Helper()
	raw, err := hex.DecodeString(line[strings.LastIndex(line, " ")+1:])
	if err != nil {
		t.Fatal(err)
	}
	f := &goodhartv1.Fact{}
	if err := f.UnmarshalVT(raw); err != nil {
		t.Fatal(err)
	}
	return f
}

// report fails unless what the log provokes did occur.
func report(t *testing.T, w written) {
	t.Helper()
	var usage, merged, late, revised, transitions int
	for _, lines := range w.facts {
		for _, line := range lines {
			f := factOf(t, line)
			switch {
			case f.Kind == goodhartv1.FactKind_FACT_KIND_TRANSITION:
				transitions++
			case f.Kind != goodhartv1.FactKind_FACT_KIND_USAGE:
			case f.Observational:
				merged++
			default:
				usage++
			}
			if f.Late {
				late++
			}
		}
	}
	total := 0
	for _, lines := range w.scores {
		total += len(lines)
		for _, line := range lines {
			if strings.Contains(line, `"rev":1`) {
				revised++
			}
		}
	}
	t.Logf("%d usage facts, %d merged, %d late, %d transitions, %d scores, %d revised", usage, merged, late, transitions, total, revised)
	if usage == 0 || merged == 0 || late == 0 || transitions == 0 || revised == 0 {
		t.Error("one of the counts is 0: the log does not provoke what it should")
	}
}

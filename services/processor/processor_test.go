package processor

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
	"github.com/goodhartlabs/goodhart/services/kafka"
	"github.com/goodhartlabs/goodhart/services/probe"
)

const partitions = 4

// start is a Monday, 2026-09-07 06:00 UTC.
const start = 1788760800000

// bed is a broker with goodhart's topics; events.v1 keeps the producer's
// timestamps, so that a log can be folded twice under the same ones.
type bed struct {
	addrs  []string
	client *kgo.Client
}

func newBed(t *testing.T) *bed {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	b := &bed{addrs: cluster.ListenAddrs()}
	b.client, err = kgo.NewClient(kgo.SeedBrokers(b.addrs...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.client.Close)
	if _, err := kadm.NewClient(b.client).CreateTopic(t.Context(), partitions, 1, nil, schemas.TopicEvents); err != nil {
		t.Fatal(err)
	}
	counts := kschema.Counts{Events: partitions, Facts: partitions, Features: 2, Dead: 1}
	if _, err := kschema.Migrate(t.Context(), b.client, kschema.Options{Counts: counts, Replication: 1}); err != nil {
		t.Fatal(err)
	}
	return b
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

func (r *recorder) request() {
	r.serial++
	person := r.random.IntN(30)
	session := hex.EncodeToString(id("session", uint64(person)*1000+uint64(r.now/1_800_000%500)))
	e := &goodhartv1.Event{
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
}

func (b *bed) run(t *testing.T, instance string, interval time.Duration) *runner {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &runner{cancel: cancel, done: make(chan error, 1)}
	cfg := Default()
	cfg.Instance = instance
	cfg.Kafka = kafka.Config{Brokers: b.addrs}
	cfg.Interval, cfg.SnapshotPeriod, cfg.SpillDir = interval, time.Second, t.TempDir()
	cfg.MergeMemory = 1 << 20
	cfg.dial = r.line.Dial
	tel := probe.New(slog.New(slog.DiscardHandler))
	go func() { r.done <- Run(ctx, cfg, tel) }()
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
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.addrs...), kgo.ConsumeTopics(topic),
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

// settle waits until the watermark w has passed every partition and the tenant
// fold has read what came of it, and returns what was written: facts and features
// by (partition, upstream partition), scores by partition.
func (b *bed) settle(t *testing.T, w int64) (facts, features, scores map[string][]string) {
	t.Helper()
	reached := func(pairs int) func([]*kgo.Record) bool {
		return func(records []*kgo.Record) bool {
			past := map[string]bool{}
			for _, rec := range records {
				if f := stamp(rec); f.W >= w {
					past[fmt.Sprint(f.P, rec.Partition)] = true
				}
			}
			return len(past) == pairs
		}
	}
	byStamp := func(records []*kgo.Record) map[string][]string {
		m := map[string][]string{}
		for _, rec := range records {
			pair := fmt.Sprintf("%d to %d", stamp(rec).P, rec.Partition)
			m[pair] = append(m[pair], string(rec.Key)+" "+hex.EncodeToString(rec.Value))
		}
		return m
	}
	facts = byStamp(b.read(t, schemas.TopicFacts, reached(partitions*partitions)))
	last := b.read(t, schemas.TopicFeatures, reached(partitions*2))
	features = byStamp(last)
	b.await(t, schemas.GroupTenant, last)
	scores = map[string][]string{}
	ends, err := kadm.NewClient(b.client).ListCommittedOffsets(t.Context(), schemas.TopicScores)
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range b.read(t, schemas.TopicScores, func(records []*kgo.Record) bool {
		at := map[int32]int64{}
		for _, rec := range records {
			at[rec.Partition] = rec.Offset
		}
		done := len(at) > 0
		ends.Each(func(o kadm.ListedOffset) { done = done && at[o.Partition] >= o.Offset-2 }) // behind the last record lies its commit marker
		return done
	}) {
		line := string(rec.Key) + " " + string(rec.Value)
		for _, h := range rec.Headers {
			line += " " + h.Key + "=" + string(h.Value)
		}
		p := fmt.Sprint(rec.Partition)
		scores[p] = append(scores[p], line)
	}
	return facts, features, scores
}

// stamp reads a Fact, or a Feature: the first four fields are the same.
func stamp(rec *kgo.Record) *goodhartv1.Fact {
	f := &goodhartv1.Fact{}
	_ = proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(rec.Value[:min(len(rec.Value), 40)], f) // the stamp is at the front, the rest is cut
	return f
}

// await returns once the group has committed past the given records.
func (b *bed) await(t *testing.T, group string, records []*kgo.Record) {
	t.Helper()
	past := map[int32]int64{}
	for _, rec := range records {
		past[rec.Partition] = max(past[rec.Partition], rec.Offset+1)
	}
	adm := kadm.NewClient(b.client)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(60 * time.Second); ; {
		offsets, err := adm.FetchOffsets(t.Context(), group)
		if err != nil {
			t.Fatal(err)
		}
		done := true
		for p, offset := range past {
			at, ok := offsets.Lookup(records[0].Topic, p)
			done = done && ok && at.At >= offset
		}
		if done {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("group %s never got to %v", group, past)
		}
	}
}

func TestProcessorIsDeterministic(t *testing.T) {
	hours, perHour := 30, 150
	if testing.Short() {
		hours, perHour = 10, 60
	}
	log := recorded(4, hours, perHour)
	last := log[len(log)-1].Timestamp.UnixMilli() - 2*60_000 - 31_000
	produce := func(b *bed, records []*kgo.Record) {
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
	calm := newBed(t)
	produce(calm, log)
	one := calm.run(t, "one", 250*time.Millisecond)
	wantFacts, wantFeatures, wantScores := calm.settle(t, last)
	one.stop(t)

	rough := newBed(t)
	a := rough.run(t, "a", 30*time.Millisecond)
	cut := len(log) / 4
	produce(rough, log[:cut])
	rough.read(t, schemas.TopicFacts, func(r []*kgo.Record) bool { return len(r) > cut/4 })
	a.kill()
	produce(rough, log[cut:2*cut])
	again := rough.run(t, "a", 50*time.Millisecond)
	rough.read(t, schemas.TopicFacts, func(r []*kgo.Record) bool { return len(r) > cut })
	other := rough.run(t, "b", 70*time.Millisecond)
	produce(rough, log[2*cut:3*cut])
	rough.read(t, schemas.TopicFacts, func(r []*kgo.Record) bool { return len(r) > 2*cut })
	again.stop(t)
	produce(rough, log[3*cut:])
	back := rough.run(t, "a", 40*time.Millisecond)
	gotFacts, gotFeatures, gotScores := rough.settle(t, last)
	other.stop(t)
	back.stop(t)

	differ(t, "facts", wantFacts, gotFacts)
	differ(t, "features", wantFeatures, gotFeatures)
	differ(t, "scores", wantScores, gotScores)
	report(t, wantFacts, wantScores)
}

func differ(t *testing.T, what string, want, got map[string][]string) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(want)) {
		n := min(len(want[key]), len(got[key]))
		if diff := cmp.Diff(want[key][:n], got[key][:n]); diff != "" {
			t.Errorf("%s %s (-calm +rough):\n%.2000s", what, key, diff)
		}
	}
}

// report fails unless what the log provokes did occur.
func report(t *testing.T, facts, scores map[string][]string) {
	t.Helper()
	var usage, merged, late, revised, transitions int
	for _, lines := range facts {
		for _, line := range lines {
			raw, _ := hex.DecodeString(line[strings.LastIndex(line, " ")+1:])
			var f goodhartv1.Fact
			if err := f.UnmarshalVT(raw); err != nil {
				t.Fatal(err)
			}
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
	for _, lines := range scores {
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

package processor

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
	"github.com/goodhartlabs/goodhart/services/kafka"
	"github.com/goodhartlabs/goodhart/services/probe"
)

// benchPartitions of events.v1, facts.v1 and of the bare loop's topics.
const benchPartitions = 8

// BenchmarkThroughput drains the same backlog three times, in the same run:
// through a bare loop that consumes and produces in transactions of 250 ms,
// through the ledger fold, and through the three folds at once. Every event is a
// new request, so that each makes one fact of its full size; ticks lie between
// them as a collector sends them.
func BenchmarkThroughput(b *testing.B) {
	events := 600_000
	if testing.Short() {
		events = 10_000
	}
	for _, broker := range benchBrokers() {
		b.Run(broker.name, func(b *testing.B) {
			var bare, ledger, folds drain
			for b.Loop() {
				bare.add(drainBare(b, broker, events))
				ledger.add(drainFolds(b, broker, events, Ledger))
				folds.add(drainFolds(b, broker, events, Ledger, Subject, Tenant))
			}
			b.ReportMetric(0, "ns/op") // says nothing: it holds loading and starting
			for _, d := range []struct {
				name string
				drain
			}{{"bare", bare}, {"ledger", ledger}, {"folds", folds}} {
				b.ReportMetric(float64(events*b.N)/d.took.Seconds(), d.name+"-events/s")
				b.ReportMetric(float64(d.cpu.Nanoseconds())/float64(events*b.N), d.name+"-cpu-ns/event")
			}
			b.ReportMetric(bare.took.Seconds()/ledger.took.Seconds(), "ledger/bare")
			b.ReportMetric(bare.took.Seconds()/folds.took.Seconds(), "folds/bare")
		})
	}
}

// drain is how long something took, and the processor time of this process.
type drain struct{ took, cpu time.Duration }

func (d *drain) add(o drain) {
	d.took += o.took
	d.cpu += o.cpu
}

// benchBroker opens an empty cluster for one drain at a time.
type benchBroker struct {
	name string
	open func(b *testing.B) (addrs []string, shut func())
}

// benchBrokers are kfake twice and the Apache Kafka of KAFKA_BROKERS. The state of
// a kfake in memory lies in one growing buffer per partition, which it copies:
// on disk it is faster.
func benchBrokers() []benchBroker {
	embedded := func(opts func(b *testing.B) []kfake.Opt) func(b *testing.B) ([]string, func()) {
		return func(b *testing.B) ([]string, func()) {
			b.Helper()
			cluster, err := kfake.NewCluster(append(opts(b), kfake.NumBrokers(1))...)
			if err != nil {
				b.Fatal(err)
			}
			return cluster.ListenAddrs(), cluster.Close
		}
	}
	var apache *ktest.Cluster
	return []benchBroker{
		{"kfake_in_memory", embedded(func(*testing.B) []kfake.Opt { return nil })},
		{"kfake_on_disk", embedded(func(b *testing.B) []kfake.Opt {
			b.Helper()
			return []kfake.Opt{kfake.DataDir(b.TempDir())}
		})},
		{"kafka", func(b *testing.B) ([]string, func()) {
			b.Helper()
			if apache == nil {
				apache = ktest.Apache(b)
			}
			return apache.Addrs, func() { apache.Empty(b) }
		}},
	}
}

// backlog is what 5,000 people do at 5,000 requests a second, with a round of
// ticks every 5 s, and then two minutes of ticks that close every pane. Nobody
// keeps it: the collector of garbage would have to look at it in every drain.
func backlog(events int) iter.Seq[*kgo.Record] {
	const perSecond, people = 5000, 5000
	return func(yield func(*kgo.Record) bool) {
		random := rand.New(rand.NewPCG(1, 5))
		ticks := int64(0)
		tick := func() {
			roundOfTicks(yield, start+ticks*5000, uint64(ticks)+1)
			ticks++
		}
		for i := range events {
			if i%(5*perSecond) == 0 {
				tick()
			}
			yield(benchRecord(benchEvent(random, i, random.IntN(people), start+int64(i)*1000/perSecond)))
		}
		for range 24 {
			tick()
		}
	}
}

// roundOfTicks is a tick of a collector to every partition.
func roundOfTicks(yield func(*kgo.Record) bool, at int64, sequence uint64) {
	for p := range int32(benchPartitions) {
		rec := benchRecord(&goodhartv1.Event{
			Kind: goodhartv1.EventKind_EVENT_KIND_TICK, TimeMs: at, ReceivedMs: at,
			Tick: &goodhartv1.Tick{Collector: "collector-1", Sequence: sequence},
		})
		rec.Key, rec.Partition = nil, p
		yield(rec)
	}
}

// benchRecord is an event in its partition, accepted when it says.
func benchRecord(e *goodhartv1.Event) *kgo.Record {
	value, err := e.MarshalVT()
	if err != nil {
		panic(err)
	}
	key := []byte(e.Tenant + "|" + e.Conversation)
	return &kgo.Record{
		Topic: schemas.TopicEvents, Partition: schemas.Partition(key, benchPartitions),
		Key: key, Value: value, Timestamp: time.UnixMilli(e.ReceivedMs),
	}
}

// benchID is 16 bytes that differ for every n and look random, as hashes do.
func benchID(n uint64) []byte {
	r := rand.NewPCG(n, 16)
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, r.Uint64()), r.Uint64())
}

// benchEvent is a request of Claude Code as the collector publishes it.
func benchEvent(random *rand.Rand, serial, person int, at int64) *goodhartv1.Event {
	n := func(most int64) *int64 { return new(random.Int64N(most)) }
	return &goodhartv1.Event{
		Kind: goodhartv1.EventKind_EVENT_KIND_USAGE, Tenant: "acme", Source: "claude-code",
		Signal: goodhartv1.Signal_SIGNAL_LOG, EventId: benchID(uint64(serial)*2 + 1), RequestKey: benchID(uint64(serial)*2 + 2),
		TimeMs: at - random.Int64N(5000), ReceivedMs: at, Conversation: fmt.Sprintf("%x", benchID(uint64(person*2+serial%2))),
		Accounting: goodhartv1.Accounting_ACCOUNTING_BILLABLE, Subject: fmt.Sprintf("p_%x", benchID(uint64(person)<<32)), Team: fmt.Sprintf("team-%d", person%40), Role: "engineer",
		IdentityType: goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN, IdentityMethod: goodhartv1.IdentityMethod_IDENTITY_METHOD_EMAIL,
		Credential: "key-1", Tool: "claude-code", ToolVersion: "2.1.220", Transport: goodhartv1.Transport_TRANSPORT_OTLP_HTTP,
		AdapterVersion: "1", Prompt: fmt.Sprintf("%x", benchID(uint64(serial/7)<<40)), SchemaVersion: 1,
		Usage: &goodhartv1.Usage{
			OperationName: "chat", ProviderName: "anthropic", RequestModel: "claude-sonnet-4-5-20250929", Model: "claude-sonnet-4-5",
			InputUncachedTokens: n(400), CacheReadTokens: n(90_000), CacheWriteTokens: n(9000), OutputTokens: n(3000),
			CostNanos: n(400e6), CostBasis: goodhartv1.CostBasis_COST_BASIS_REPORTED, PriceVersion: "2026-10-01", ReportedCostNanos: n(400e6),
			PriceTier: "standard", DurationMs: n(30_000), Status: goodhartv1.Status_STATUS_OK,
			Granularity: goodhartv1.Granularity_GRANULARITY_REQUEST, QuerySource: "repl_main_thread",
		},
	}
}

// benchBed is a cluster with goodhart's topics and a backlog that no consumer
// sees before release.
type benchBed struct {
	b      *testing.B
	addrs  []string
	loader *kgo.Client
	adm    *kadm.Client
	shut   func()
}

func (bed *benchBed) close() {
	bed.loader.Close()
	bed.shut()
}

// openBenchBed opens a cluster with goodhart's topics. Those that are created
// before migrate does keep the producer's timestamps.
func openBenchBed(b *testing.B, broker benchBroker) *benchBed {
	b.Helper()
	addrs, shut := broker.open(b)
	loader, err := kgo.NewClient(kgo.SeedBrokers(addrs...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.TransactionalID("loader"), kgo.TransactionTimeout(10*time.Minute))
	if err != nil {
		b.Fatal(err)
	}
	bed := &benchBed{b: b, addrs: addrs, loader: loader, adm: kadm.NewClient(loader), shut: shut}
	for _, topic := range []string{schemas.TopicEvents, bareOutput} {
		if _, err := bed.adm.CreateTopic(b.Context(), benchPartitions, -1, nil, topic); err != nil {
			b.Fatal(err)
		}
	}
	counts := kschema.Counts{Events: benchPartitions, Facts: benchPartitions, Features: 4, Dead: 1}
	plain, err := kgo.NewClient(kgo.SeedBrokers(addrs...))
	if err != nil {
		b.Fatal(err)
	}
	defer plain.Close()
	if _, err := kschema.Migrate(b.Context(), plain, kschema.Options{Counts: counts, Replication: -1}); err != nil {
		b.Fatal(err)
	}
	return bed
}

// newBenchBed loads the backlog behind a transaction that is still open. The
// first round of ticks lies before it, for the consumers to warm up on.
func newBenchBed(b *testing.B, broker benchBroker, events int) *benchBed {
	b.Helper()
	bed := openBenchBed(b, broker)
	n := 0
	bed.begin()
	for rec := range backlog(events) {
		if n++; n == benchPartitions+1 {
			bed.end()
			bed.begin()
		}
		bed.produce(rec)
	}
	if err := bed.loader.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	runtime.GC()
	return bed
}

func (bed *benchBed) produce(rec *kgo.Record) {
	bed.loader.Produce(bed.b.Context(), rec, func(_ *kgo.Record, err error) {
		if err != nil {
			bed.b.Error(err)
		}
	})
}

func (bed *benchBed) begin() {
	bed.b.Helper()
	if err := bed.loader.BeginTransaction(); err != nil {
		bed.b.Fatal(err)
	}
}

func (bed *benchBed) end() {
	bed.b.Helper()
	if err := bed.loader.Flush(bed.b.Context()); err != nil {
		bed.b.Fatal(err)
	}
	if err := bed.loader.EndTransaction(bed.b.Context(), kgo.TryCommit); err != nil {
		bed.b.Fatal(err)
	}
}

// measure releases the backlog and waits until each group has read the whole of
// its topic, in the order of the stages.
func (bed *benchBed) measure(stages ...[2]string) drain {
	bed.b.Helper()
	began, cpu := time.Now(), cpuTime(bed.b)
	bed.end()
	for _, s := range stages {
		bed.await(s[0], s[1], false)
	}
	return drain{time.Since(began), cpuTime(bed.b) - cpu}
}

// await returns once the group has committed the last record of every partition
// of the topic, behind which lies only the marker of its transaction; and once no
// transaction is open there, unless the backlog's is: Apache Kafka writes markers
// after the end of a transaction.
func (bed *benchBed) await(group, topic string, gated bool) {
	bed.b.Helper()
	ctx, cancel := context.WithTimeout(bed.b.Context(), 5*time.Minute)
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		ends, err := bed.adm.ListEndOffsets(ctx, topic)
		if err != nil {
			bed.b.Fatal(err)
		}
		stable, err := bed.adm.ListCommittedOffsets(ctx, topic)
		if err != nil {
			bed.b.Fatal(err)
		}
		offsets, err := bed.adm.FetchOffsets(ctx, group)
		done := err == nil // else the group does not exist yet
		ends.Each(func(end kadm.ListedOffset) {
			at, ok := offsets.Lookup(topic, end.Partition)
			last, _ := stable.Lookup(topic, end.Partition)
			done = done && (gated || last.Offset == end.Offset) && last.Offset > 0 && ok && at.At >= last.Offset-1
		})
		if done {
			return
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			bed.b.Fatalf("group %s never read the whole of %s", group, topic)
		}
	}
}

// cpuTime is the processor time of this process.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// labelled runs f under a label by which a profile can be cut: what a broker in
// the same process costs carries none.
func labelled(drain string, f func()) {
	pprof.Do(context.Background(), pprof.Labels("drain", drain), func(context.Context) { f() })
}

func drainFolds(b *testing.B, broker benchBroker, events int, folds ...string) drain {
	b.Helper()
	bed := newBenchBed(b, broker, events)
	defer bed.close()
	cfg := Default()
	cfg.Kafka = kafka.Config{Brokers: bed.addrs}
	cfg.Folds, cfg.SpillDir = folds, b.TempDir()
	stages := [][2]string{{schemas.GroupLedger, schemas.TopicEvents}}
	if slices.Contains(folds, Tenant) {
		stages = append(stages, [2]string{schemas.GroupSubject, schemas.TopicFacts}, [2]string{schemas.GroupTenant, schemas.TopicFeatures})
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go labelled("folds/"+strconv.Itoa(len(folds)), func() { done <- Run(ctx, cfg, probe.New(slog.New(slog.DiscardHandler))) })
	for _, s := range stages[:min(len(stages), 2)] { // nothing reaches the tenant fold yet
		bed.await(s[0], s[1], true)
	}
	d := bed.measure(stages...)
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	return d
}

// Names of the bare loop.
const (
	bareGroup  = "bare"
	bareOutput = "bare"
)

// drainBare is what franz-go's transactions cost by themselves: every record
// goes out as it came in.
func drainBare(b *testing.B, broker benchBroker, events int) drain {
	b.Helper()
	bed := newBenchBed(b, broker, events)
	defer bed.close()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go labelled("bare", func() { done <- passOn(ctx, bed.addrs) })
	bed.await(bareGroup, schemas.TopicEvents, true)
	d := bed.measure([2]string{bareGroup, schemas.TopicEvents})
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	return d
}

// passOn copies records until ctx ends, in transactions as long as a fold's.
func passOn(ctx context.Context, addrs []string) error {
	session, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(addrs...),
		kgo.ConsumerGroup(bareGroup),
		kgo.ConsumeTopics(schemas.TopicEvents),
		kgo.TransactionalID(bareGroup),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.BlockRebalanceOnPoll(),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MaxBufferedRecords(1<<20),
	)
	if err != nil {
		return fmt.Errorf("open session: %w", err)
	}
	defer session.CloseAllowingRebalance()
	for ctx.Err() == nil {
		if err := session.Begin(); err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		var failed atomic.Pointer[error]
		deadline, cancel := context.WithTimeout(ctx, 250*time.Millisecond)
		for total := 0; deadline.Err() == nil && total < 50_000; {
			session.PollRecords(deadline, 50_000).EachRecord(func(r *kgo.Record) {
				total++
				session.Produce(context.Background(), &kgo.Record{Topic: bareOutput, Partition: r.Partition, Key: r.Key, Value: r.Value}, func(_ *kgo.Record, err error) {
					if err != nil {
						failed.Store(&err)
					}
				})
			})
			session.AllowRebalance()
		}
		cancel()
		if _, err := session.End(context.Background(), kgo.TryCommit); err != nil {
			return fmt.Errorf("end: %w", err)
		}
		if err := failed.Load(); err != nil {
			return fmt.Errorf("produce: %w", *err)
		}
	}
	return nil
}

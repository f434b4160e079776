package fold

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/pkg/machine"
)

const partitions = 4

// bed is a broker with the topics of a two-stage pipeline: in → first → mid →
// second → out.
type bed struct {
	*ktest.Cluster

	client *kgo.Client
	adm    *kadm.Client
	storm  *storm // on the lines of processes; nil for fair weather
}

func newBed(t *testing.T, c *ktest.Cluster) *bed {
	t.Helper()
	b := &bed{Cluster: c, client: c.Client(t, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(100*time.Millisecond))}
	b.adm = kadm.NewClient(b.client)
	for _, topic := range []string{"in", "mid", "out", "dead", "first.state", "second.state"} {
		b.create(t, topic)
	}
	return b
}

func (b *bed) create(t *testing.T, topic string) {
	t.Helper()
	var configs map[string]*string
	if strings.HasSuffix(topic, ".state") {
		configs = map[string]*string{"cleanup.policy": kadm.StringPtr("compact")}
	}
	if _, err := b.adm.CreateTopic(t.Context(), partitions, b.Replication, configs, topic); err != nil {
		t.Fatal(err)
	}
}

// input is n records with growing event times, 20 ms apart in the mean, the same
// for the same seed, and last ticks to every partition that let everything out.
func input(seed uint64, n int) []*kgo.Record { return inputEvery(20*time.Millisecond, seed, n) }

func inputEvery(step time.Duration, seed uint64, n int) []*kgo.Record {
	random := rand.New(rand.NewPCG(seed, 1))
	var records []*kgo.Record
	now := uint64(1_000_000)
	for range n {
		now += random.Uint64N(2 * uint64(step.Milliseconds()))
		key := fmt.Sprintf("key-%d", random.IntN(300))
		records = append(records, &kgo.Record{
			Topic: "in", Partition: int32(machine.Shard([]byte(key))) % partitions,
			Key: []byte(key), Value: binary.BigEndian.AppendUint64(nil, now-random.Uint64N(5000)),
		})
	}
	for step := range uint64(3) {
		for p := range int32(partitions) {
			records = append(records, &kgo.Record{Topic: "in", Partition: p, Value: binary.BigEndian.AppendUint64(nil, now+(step+1)*beat)})
		}
	}
	return records
}

func (b *bed) send(t *testing.T, records []*kgo.Record) {
	t.Helper()
	if err := b.client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// process is one running pair of folds that can be stopped or killed.
type process struct {
	cancel context.CancelFunc
	done   chan error
	line   ktest.Line
}

func (b *bed) start(t *testing.T, instance string, shards int, edit func(*Config)) *process {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{cancel: cancel, done: make(chan error, 2)}
	stages := []Stage{
		{
			Name: "ledger", Input: "in", State: "first.state", Group: "first", Stamped: "mid", Dead: "dead",
			New: func(int32) machine.Machine { return newCounter(true, "mid", machine.Shards) },
		},
		{
			Name: "tenant", Input: "mid", State: "second.state", Group: "second", Upstreams: partitions, Dead: "dead",
			New: func(int32) machine.Machine { return newCounter(false, "out", shards) },
		},
	}
	for _, stage := range stages {
		cfg := Config{
			Stage:          stage,
			Client:         []kgo.Opt{kgo.SeedBrokers(b.Addrs...), kgo.Dialer(b.storm.over(p.line.Dial)), kgo.RetryTimeout(5 * time.Second)},
			Partitions:     func(string) int32 { return partitions },
			Instance:       instance,
			Interval:       20 * time.Millisecond,
			SnapshotPeriod: 200 * time.Millisecond,
			MergeMemory:    4 << 10, // spills
			SpillDir:       t.TempDir(),
			Log:            slog.New(slog.DiscardHandler),
			Metrics:        prometheus.NewRegistry(),
			patience:       patience{ends: 200 * time.Millisecond},
		}
		if edit != nil {
			edit(&cfg)
		}
		go func() { p.done <- Run(ctx, cfg) }()
	}
	t.Cleanup(func() { p.kill() })
	return p
}

// kill cuts the process off from the broker, as kill -9 would.
func (p *process) kill() {
	p.line.Cut()
	p.cancel()
}

func (p *process) stop(t *testing.T) {
	t.Helper()
	p.cancel()
	for range 2 {
		if err := <-p.done; err != nil {
			t.Errorf("stop: %v", err)
		}
	}
}

// read returns the committed values of a topic, by partition, once it holds
// want records (or any when want is 0 and enough is satisfied).
func (b *bed) read(t *testing.T, topic string, enough func(map[int32][]string) bool) map[int32][]string {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Addrs...),
		kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	got := map[int32][]string{}
	for !enough(got) {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%s never got there: %d records", topic, count(got))
		}
		for _, rec := range fetches.Records() {
			got[rec.Partition] = append(got[rec.Partition], string(rec.Value))
		}
	}
	return got
}

func count(m map[int32][]string) (n int) {
	for _, values := range m {
		n += len(values)
	}
	return n
}

// running counts the records that are not timers' or watermarks'.
func running(m map[int32][]string) (n int) {
	for _, values := range m {
		for _, v := range values {
			if strings.Contains(body(v), "=") {
				n++
			}
		}
	}
	return n
}

// body is a value without its stamp, if it has one.
func body(v string) string {
	for i := byte(1); i <= 3 && v != "" && v[0] == i<<3; i++ {
		_, size := binary.Uvarint([]byte(v[1:]))
		v = v[1+size:]
	}
	return v
}

// clean runs the pipeline once, undisturbed, and returns what it wrote.
func clean(t *testing.T, records []*kgo.Record, shards int) (mid, out map[int32][]string) {
	t.Helper()
	b := newBed(t, ktest.Fake(t))
	b.send(t, records)
	p := b.start(t, "clean", shards, nil)
	mid, out = b.finish(t)
	p.stop(t)
	return mid, out
}

// bySource orders what a merged topic holds by (partition, upstream partition):
// between upstream partitions its order is the accident of transactions.
func bySource(t *testing.T, m map[int32][]string) map[string][]string {
	t.Helper()
	sorted := map[string][]string{}
	for to, values := range m {
		for _, v := range values {
			pos, err := stampOf([]byte(v))
			if err != nil {
				t.Fatal(err)
			}
			source := fmt.Sprintf("%d to %d", pos.P, to)
			if want := uint64(len(sorted[source]) + 1); pos.Seq != want {
				t.Fatalf("seq %d from %s, want %d", pos.Seq, source, want)
			}
			sorted[source] = append(sorted[source], v)
		}
	}
	return sorted
}

// finish waits until both folds have taken all that was sent, and returns what
// they have written.
func (b *bed) finish(t *testing.T) (mid, out map[int32][]string) {
	t.Helper()
	b.Await(t, "first", "in")
	b.Await(t, "second", "mid")
	return b.all(t, "mid"), b.all(t, "out")
}

// all returns the committed values of a topic, by partition.
func (b *bed) all(t *testing.T, topic string) map[int32][]string {
	t.Helper()
	got := map[int32][]string{}
	for _, rec := range b.Records(t, topic) {
		got[rec.Partition] = append(got[rec.Partition], string(rec.Value))
	}
	return got
}

func TestFoldIsExactlyOnce(t *testing.T) {
	const n = 4000
	for _, shards := range []int{machine.Shards, 1} {
		t.Run(fmt.Sprintf("shards=%d", shards), func(t *testing.T) {
			t.Parallel()
			wantMid, wantOut := clean(t, input(7, n), shards)
			ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
				b, records := newBed(t, c), input(7, n)
				b.storm = &storm{random: rand.New(rand.NewPCG(uint64(shards), 3))}
				var f *misfortune
				if c.Fake != nil {
					f = b.curse(uint64(shards))
				}
				first := b.start(t, "a", shards, nil)
				b.send(t, records[:1000])
				b.read(t, "out", func(m map[int32][]string) bool { return running(m) > 300 })
				first.kill()
				again := b.start(t, "a", shards, nil)
				b.send(t, records[1000:2000])
				b.read(t, "out", func(m map[int32][]string) bool { return running(m) > 1200 })
				other := b.start(t, "b", shards, nil)
				b.send(t, records[2000:3000])
				b.read(t, "out", func(m map[int32][]string) bool { return running(m) > 2300 })
				again.stop(t)
				b.send(t, records[3000:])
				last := b.start(t, "a", shards, nil)
				gotMid, gotOut := b.finish(t)
				other.stop(t)
				last.stop(t)
				b.same(t, wantMid, wantOut, gotMid, gotOut)
				if b.storm.count() == 0 {
					t.Error("no connection broke")
				}
				if f == nil {
					return
				}
				for _, kind := range []string{"EndTxn", "TxnOffsetCommit"} {
					if f.count(kind) == 0 {
						t.Errorf("no fault of kind %s struck", kind)
					}
				}
			})
		})
	}
}

// A broker that dies and comes back costs time, no record and no order: not even
// the one that coordinates the transactions, or the group.
func TestFoldOutlivesABroker(t *testing.T) {
	const n = 4000
	wantMid, wantOut := clean(t, input(8, n), machine.Shards)
	b, records := newBed(t, ktest.Apache(t)), input(8, n)
	p := b.start(t, "a", machine.Shards, nil)
	sent := 0
	send := func(to int) {
		t.Helper()
		b.send(t, records[sent:to])
		b.read(t, "out", func(m map[int32][]string) bool { return running(m) > to*3/4 })
		sent = to
	}
	for _, find := range []func() kadm.FindCoordinatorResponses{
		func() kadm.FindCoordinatorResponses { return b.adm.FindTxnCoordinators(t.Context(), "first.a") },
		func() kadm.FindCoordinatorResponses { return b.adm.FindGroupCoordinators(t.Context(), "second") },
	} {
		send(sent + n/5)
		coordinators := find()
		if err := coordinators.Error(); err != nil {
			t.Fatal(err)
		}
		node := int(coordinators.Sorted()[0].NodeID)
		b.Kill(t, node)
		send(sent + n/5)
		b.Restart(t, node)
	}
	b.send(t, records[sent:])
	gotMid, gotOut := b.finish(t)
	p.stop(t)
	b.same(t, wantMid, wantOut, gotMid, gotOut)
}

// same compares with an undisturbed run.
func (b *bed) same(t *testing.T, wantMid, wantOut, gotMid, gotOut map[int32][]string) {
	t.Helper()
	if diff := cmp.Diff(wantOut, gotOut); diff != "" {
		t.Errorf("out differs from the undisturbed run (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(bySource(t, wantMid), bySource(t, gotMid)); diff != "" {
		t.Errorf("mid differs from the undisturbed run (-want +got):\n%s", diff)
	}
}

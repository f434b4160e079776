package fold

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/pkg/machine"
)

const partitions = 4

// bed is a broker with the topics of a two-stage pipeline: in → first → mid →
// second → out.
type bed struct {
	cluster *kfake.Cluster
	client  *kgo.Client
	stateID [16]byte // of first.state
}

func newBed(t *testing.T) *bed {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	adm := kadm.NewClient(client)
	compact := map[string]*string{"cleanup.policy": kadm.StringPtr("compact")}
	for topic, configs := range map[string]map[string]*string{
		"in": nil, "mid": nil, "out": nil, "dead": nil, "first.state": compact, "second.state": compact,
	} {
		if _, err := adm.CreateTopic(t.Context(), partitions, 1, configs, topic); err != nil {
			t.Fatal(err)
		}
	}
	topics, err := adm.ListTopics(t.Context(), "first.state")
	if err != nil {
		t.Fatal(err)
	}
	return &bed{cluster: cluster, client: client, stateID: topics["first.state"].ID}
}

// input is n records with growing event times, the same for the same seed, and
// last ticks to every partition that let everything out.
func input(seed uint64, n int) []*kgo.Record {
	random := rand.New(rand.NewPCG(seed, 1))
	var records []*kgo.Record
	now := uint64(1_000_000)
	for range n {
		now += random.Uint64N(40)
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
			Client:         []kgo.Opt{kgo.SeedBrokers(b.cluster.ListenAddrs()...), kgo.Dialer(p.line.Dial), kgo.RetryTimeout(2 * time.Second)},
			Partitions:     func(string) int32 { return partitions },
			Instance:       instance,
			Interval:       20 * time.Millisecond,
			SnapshotPeriod: 200 * time.Millisecond,
			MergeMemory:    4 << 10, // spills
			SpillDir:       t.TempDir(),
			Log:            slog.New(slog.DiscardHandler),
			Metrics:        prometheus.NewRegistry(),
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
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.cluster.ListenAddrs()...),
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
func clean(t *testing.T, records []*kgo.Record, n, shards int) (mid, out map[int32][]string) {
	t.Helper()
	b := newBed(t)
	b.send(t, records)
	p := b.start(t, "clean", shards, nil)
	out = b.read(t, "out", settled(n))
	mid = b.read(t, "mid", func(m map[int32][]string) bool { return running(m) >= n })
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

// settled waits for all n records and the timers behind them: after the last
// tick every key that changed has reported its final count.
func settled(n int) func(map[int32][]string) bool {
	return func(m map[int32][]string) bool {
		if running(m) < n {
			return false
		}
		last, reported := map[string]string{}, map[string]string{}
		for _, values := range m {
			for _, v := range values {
				if key, c, ok := strings.Cut(v, "="); ok {
					last[key[1:]] = c
				} else if key, c, ok := strings.Cut(v, ":"); ok {
					reported[key[1:]] = c
				}
			}
		}
		return cmp.Equal(last, reported)
	}
}

// misfortune makes the broker answer requests with errors, from a seed.
type misfortune struct {
	mu       sync.Mutex
	random   *rand.Rand
	injected map[string]int
}

// strikes decides whether a request fails: one in so many, thirty times at most
// so that the run ends.
func (f *misfortune) strikes(kind string, one int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.injected[kind] >= 30 || f.random.IntN(one) != 0 {
		return false
	}
	f.injected[kind]++
	return true
}

func (f *misfortune) count(kind string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.injected[kind]
}

func (b *bed) curse(seed uint64) *misfortune {
	f := &misfortune{random: rand.New(rand.NewPCG(seed, 2)), injected: map[string]int{}}
	b.cluster.ControlKey(int16(kmsg.EndTxn), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		if !req.(*kmsg.EndTxnRequest).Commit || !f.strikes("EndTxn", 5) {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.EndTxnResponse)
		resp.ErrorCode = kerr.UnknownServerError.Code
		return resp, nil, true
	})
	b.cluster.ControlKey(int16(kmsg.TxnOffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		if !f.strikes("TxnOffsetCommit", 5) {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.TxnOffsetCommitResponse)
		for _, topic := range req.(*kmsg.TxnOffsetCommitRequest).Topics {
			rt := kmsg.NewTxnOffsetCommitResponseTopic()
			rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
			for _, part := range topic.Partitions {
				rp := kmsg.NewTxnOffsetCommitResponseTopicPartition()
				rp.Partition, rp.ErrorCode = part.Partition, kerr.ConcurrentTransactions.Code
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
	return f
}

func TestFoldIsExactlyOnce(t *testing.T) {
	const n = 4000
	for _, shards := range []int{machine.Shards, 1} {
		t.Run(fmt.Sprintf("shards=%d", shards), func(t *testing.T) {
			t.Parallel()
			records := input(7, n)
			wantMid, wantOut := clean(t, input(7, n), n, shards)
			b := newBed(t)
			f := b.curse(uint64(shards))
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
			gotOut := b.read(t, "out", settled(n))
			gotMid := b.read(t, "mid", func(m map[int32][]string) bool { return running(m) >= n })
			other.stop(t)
			last.stop(t)
			if diff := cmp.Diff(wantOut, gotOut); diff != "" {
				t.Errorf("out differs from the undisturbed run (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(bySource(t, wantMid), bySource(t, gotMid)); diff != "" {
				t.Errorf("mid differs from the undisturbed run (-want +got):\n%s", diff)
			}
			for _, kind := range []string{"EndTxn", "TxnOffsetCommit"} {
				if f.count(kind) == 0 {
					t.Errorf("no fault of kind %s struck", kind)
				}
			}
		})
	}
}

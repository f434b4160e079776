package fold

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/pkg/machine"
)

// heavy is a machine whose state is so many bytes per shard.
type heavy struct {
	*counter

	state []byte
}

func (h *heavy) AppendShard(dst []byte, _ int) []byte { return append(dst, h.state...) }

func (h *heavy) LoadShard(_ int, data []byte) error {
	h.state = bytes.Clone(data)
	return nil
}

// weigh returns a partition with such a machine.
func weigh(shards, size int, cfg *Config) (*partition, *heavy) {
	h := &heavy{counter: newCounter(true, "mid", shards), state: make([]byte, size)}
	cfg.Stage = Stage{State: "state", New: func(int32) machine.Machine { return h }}
	return newPartition(cfg, 0), h
}

// topic is a compacted topic: the newest value of each key.
type topic map[string][]byte

func (c topic) take(records []*kgo.Record) (size int) {
	for _, rec := range records {
		size += len(rec.Value)
		if rec.Value == nil {
			delete(c, string(rec.Key))
			continue
		}
		c[string(rec.Key)] = rec.Value
	}
	return size
}

func (c topic) keys() []string { return slices.Sorted(maps.Keys(c)) }

func keys(prefix string, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("%s/%d", prefix, i))
	}
	slices.Sort(all)
	return all
}

// A snapshot that was taken before anything was applied holds nothing: what waited
// in the merge is applied after a restart, also a record that was written before
// there was a watermark.
func TestSnapshotBeforeTheFirstRecord(t *testing.T) {
	for _, shards := range []int{1, machine.Shards} {
		var c *counter
		cfg := &Config{Stage: Stage{State: "state", Upstreams: 2, New: func(int32) machine.Machine {
			c = newCounter(false, "out", shards)
			return c
		}}}
		cfg.setDefaults()
		record := func(offset int64, key string, at machine.Position) *kgo.Record {
			return &kgo.Record{Key: []byte(key), Value: stamped(at, ""), Offset: offset}
		}
		fold := func(p *partition, records ...*kgo.Record) {
			t.Helper()
			if err := p.fold(records); err != nil {
				t.Fatal(err)
			}
		}
		p := newPartition(cfg, 0)
		first := record(0, "early", machine.Position{W: math.MinInt64, Seq: 1})
		fold(p, first)
		records, err := p.snapshots.next(p, time.Unix(1_000_000, 0), true)
		if err != nil {
			t.Fatal(err)
		}
		state := topic{}
		state.take(records)

		restored := newPartition(cfg, 0)
		r, err := restored.snapshots.load(restored, p.header(), state)
		if err != nil {
			t.Fatal(err)
		}
		restored.machine.Rewind(r.w, r.at)
		restored.out.Silent = true // it has been said before
		fold(restored, first, record(1, "", machine.Position{W: 5, Seq: 2}), record(2, "", machine.Position{W: 5, P: 1, Seq: 1}))
		if got := c.shards[c.shard([]byte("early"))]["early"]; got == nil || got.Count != 1 {
			t.Errorf("%d shards: the record was counted %+v, want once", shards, got)
		}
	}
}

// However often transactions end, snapshots write no more than their rate: a chunk
// ahead at most.
func TestSnapshotsKeepToTheirRate(t *testing.T) {
	const rate = 5 << 20
	f := func(name string, shards, size int, interval, period time.Duration) {
		t.Helper()
		p, _ := weigh(shards, size/shards, &Config{SnapshotPeriod: period, SnapshotRate: rate})
		now := time.Unix(1_000_000, 0)
		total, began, pieces := 0, now, topic{}
		// A rolling snapshot knows what it will weigh once it has been around.
		if shards > 1 {
			records, err := p.snapshots.next(p, now, true)
			if err != nil {
				t.Fatal(err)
			}
			pieces.take(records)
		}
		for ; now.Sub(began) < time.Minute; now = now.Add(interval) {
			records, err := p.snapshots.next(p, now, false)
			if err != nil {
				t.Fatal(err)
			}
			total += pieces.take(records)
		}
		if most := 60*rate + 2*maxChunk; total > most {
			t.Errorf("%s: %d bytes in a minute, want at most %d", name, total, most)
		}
		if total < size {
			t.Errorf("%s: only %d of %d bytes in a minute", name, total, size)
		}
	}
	const heap = 120 << 20
	f("whole, short transactions", 1, heap, 20*time.Millisecond, time.Second)
	f("whole, long transactions", 1, heap, 2*time.Second, time.Second)
	f("rolling, short transactions", 256, heap, 20*time.Millisecond, time.Second)
	f("rolling, long transactions", 256, heap, 2*time.Second, time.Second)
}

// A handoff writes all there is, but not more than fits a transaction: a state
// too large for that goes on rolling.
func TestHandoffIsBounded(t *testing.T) {
	const rate = 5 << 20
	f := func(shards, size int, whole bool) {
		t.Helper()
		p, _ := weigh(shards, size/shards, &Config{SnapshotPeriod: time.Hour, SnapshotRate: rate})
		now := time.Unix(1_000_000, 0)
		pieces := topic{}
		for range 100 { // two of them make a weight known
			records, err := p.snapshots.next(p, now, false)
			if err != nil {
				t.Fatal(err)
			}
			pieces.take(records)
			now = now.Add(time.Minute)
		}
		records, err := p.snapshots.next(p, now, true)
		if err != nil {
			t.Fatal(err)
		}
		if got := pieces.take(records); (got >= size) != whole {
			t.Errorf("%d shards, %d bytes of state: a handoff of %d", shards, size, got)
		}
	}
	f(1, rate, true)
	f(1, 10*rate, false)
	f(256, rate, true)
	f(256, 10*rate, false)
}

// What an epoch has written before it was abandoned, for a handoff or with its
// process, is gone once the next one is in force: no piece of it lingers for ever.
func TestAbandonedEpochLeavesNothing(t *testing.T) {
	for _, restart := range []bool{false, true} {
		for abandonAfter := 1; abandonAfter < 12; abandonAfter++ {
			cfg := &Config{SnapshotPeriod: time.Second, SnapshotRate: 8 * maxChunk} // eight chunks a second
			p, h := weigh(1, 0, cfg)
			now, state := time.Unix(1_000_000, 0), topic{}
			next := func(all bool) {
				t.Helper()
				now = now.Add(130 * time.Millisecond) // a chunk each time
				records, err := p.snapshots.next(p, now, all)
				if err != nil {
					t.Fatal(err)
				}
				state.take(records)
			}
			epoch := func() uint64 { return p.snapshots.(*whole).epoch }
			write := func(chunks int) {
				t.Helper()
				h.state = bytes.Repeat([]byte{byte(chunks)}, chunks*maxChunk)
				for before := epoch(); epoch() == before; {
					next(false)
				}
			}
			write(10)
			write(3)
			h.state = make([]byte, 5*maxChunk) // of the parity that had ten
			for p.snapshots.(*whole).coming == nil {
				next(false)
			}
			for range abandonAfter - 1 {
				next(false)
			}
			if restart {
				header := p.header()
				var fresh *heavy
				p, fresh = weigh(1, 0, cfg)
				if _, err := p.snapshots.load(p, header, state); err != nil {
					t.Fatal(err)
				}
				h = fresh
			}
			h.state = make([]byte, maxChunk)
			next(true)
			next(true)
			want := append(keys("w/0", 1), keys("w/1", 1)...)
			if diff := cmp.Diff(want, state.keys()); diff != "" {
				t.Errorf("restart %v, abandoned after %d transactions: pieces (-want +got):\n%s", restart, abandonAfter, diff)
			}
		}
	}
}

// A transaction carries one header a partition, however often it was redone.
func TestOneHeaderATransaction(t *testing.T) {
	b := newBed(t, ktest.Fake(t))
	p := b.start(t, "a", machine.Shards, nil)
	b.send(t, input(5, 500))
	b.Await(t, "first", "in")
	failing := b.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Group: "first", Err: kerr.ConcurrentTransactions, Count: 7})
	b.send(t, input(6, 500))
	b.finish(t)
	p.stop(t)
	if failing.Hits() < 7 {
		t.Errorf("%d transactions aborted", failing.Hits())
	}
	ends, err := b.adm.ListEndOffsets(t.Context(), "first.state")
	if err != nil {
		t.Fatal(err)
	}
	ends.Each(func(end kadm.ListedOffset) {
		headers, most := 0, 0
		span := span{topic: end.Topic, partition: end.Partition, to: end.Offset}
		err := span.read(t.Context(), []kgo.Opt{kgo.SeedBrokers(b.Addrs...), kgo.KeepControlRecords()}, func(batch []*kgo.Record) error {
			for _, rec := range batch {
				switch {
				case rec.Attrs.IsControl():
					headers = 0
				case bytes.Equal(rec.Key, headerKey):
					headers++
				}
				most = max(most, headers)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if most != 1 {
			t.Errorf("partition %d: %d headers in a transaction", end.Partition, most)
		}
	})
}

package fold

import (
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/pkg/machine"
)

// Expired group offsets must not make the folds start over: the state topic
// knows where they were.
func TestGroupOffsetsGone(t *testing.T) {
	const n = 2000
	_, want := clean(t, input(5, n), machine.Shards)
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
		b, records := newBed(t, c), input(5, n)
		p := b.start(t, "a", machine.Shards, nil)
		b.send(t, records[:1500])
		b.read(t, "out", func(m map[int32][]string) bool { return running(m) > 1000 })
		p.stop(t)
		for _, group := range []string{"first", "second"} {
			b.empty(t, group)
			if _, err := b.adm.DeleteGroup(t.Context(), group); err != nil {
				t.Fatal(err)
			}
		}
		p = b.start(t, "a", machine.Shards, nil)
		b.send(t, records[1500:])
		_, got := b.finish(t)
		p.stop(t)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("out differs from the undisturbed run (-want +got):\n%s", diff)
		}
	})
}

// empty removes the static members that a stopped process leaves behind.
func (b *bed) empty(t *testing.T, group string) {
	t.Helper()
	described, err := b.adm.DescribeGroups(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	leave := kadm.LeaveGroup(group)
	for _, m := range described[group].Members {
		if m.InstanceID != nil {
			leave = leave.InstanceIDs(*m.InstanceID)
		}
	}
	if _, err := b.adm.LeaveGroup(t.Context(), leave); err != nil {
		t.Fatal(err)
	}
}

// A group offset that somebody moved contradicts the state: going on would lose
// or double records.
func TestMovedGroupOffsetIsRefused(t *testing.T) {
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
		b, records := newBed(t, c), input(5, 500)
		p := b.start(t, "a", machine.Shards, nil)
		b.send(t, records)
		b.finish(t)
		p.stop(t)
		b.empty(t, "first")
		var offsets kadm.Offsets
		offsets.AddOffset("in", 0, 3, -1)
		if err := b.adm.CommitAllOffsets(t.Context(), "first", offsets); err != nil {
			t.Fatal(err)
		}
		p = b.start(t, "a", machine.Shards, nil)
		p.ends(t, "somebody moved the group's offset")
	})
}

// A state topic that was lost while the group remembers its offset is an error,
// never a silent start from nothing.
func TestLostStateIsRefused(t *testing.T) {
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
		b := newBed(t, c)
		var offsets kadm.Offsets
		offsets.AddOffset("in", 2, 7, -1)
		if err := b.adm.CommitAllOffsets(t.Context(), "first", offsets); err != nil {
			t.Fatal(err)
		}
		p := b.start(t, "a", machine.Shards, nil)
		p.ends(t, "its state is lost")
	})
}

// The markers that end a transaction may come to the group long before they come
// to the state topic. A fold that is given partitions between the two waits,
// whether the state on its way is the first of all or a later one.
func TestWaitsForTheStateOfACommit(t *testing.T) {
	const n, cut = 2000, 1500
	_, want := clean(t, input(5, n), machine.Shards)
	for name, older := range map[string]int{"first": 0, "later": 1} {
		t.Run(name, func(t *testing.T) {
			ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
				b, records := newBed(t, c), input(5, n)
				p := b.start(t, "a", machine.Shards, nil)
				b.send(t, records[:cut/2])
				b.finish(t)
				b.send(t, records[cut/2:cut]) // a second transaction, at least
				b.finish(t)
				p.stop(t)
				arrive := b.delay(t, "first.state", "late.state", older)
				waits := make(chan struct{})
				log := said{"waiting for a transaction to end", sync.OnceFunc(func() { close(waits) })}
				p = b.start(t, "a", machine.Shards, func(cfg *Config) {
					cfg.Log = slog.New(slog.NewTextHandler(log, nil))
					if cfg.Stage.State == "first.state" {
						cfg.Stage.State = "late.state"
					}
				})
				select {
				case <-waits:
				case err := <-p.done:
					t.Fatalf("the fold ends: %v", err)
				}
				arrive()
				b.send(t, records[cut:])
				_, got := b.finish(t)
				p.stop(t)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("out differs from the undisturbed run (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// delay copies a state topic. What follows the first so many states of each
// partition is in a transaction that ends when arrive is called.
func (b *bed) delay(t *testing.T, from, to string, states int) (arrive func()) {
	t.Helper()
	b.create(t, to)
	cl := b.Client(t, kgo.TransactionalID("late"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	headers := map[int32]int{}
	var old, late []*kgo.Record
	for _, rec := range b.Records(t, from) {
		cp := &kgo.Record{Topic: to, Partition: rec.Partition, Key: rec.Key, Value: rec.Value}
		if headers[rec.Partition] < states {
			old = append(old, cp)
		} else {
			late = append(late, cp)
		}
		if string(rec.Key) == string(headerKey) {
			headers[rec.Partition]++
		}
	}
	end := func() {
		if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
			t.Fatal(err)
		}
	}
	begin := func(part []*kgo.Record) {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(t.Context(), part...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	begin(old)
	end()
	begin(late)
	return end
}

// said calls heard when a line of a log holds the words.
type said struct {
	words string
	heard func()
}

func (s said) Write(line []byte) (int, error) {
	if strings.Contains(string(line), s.words) {
		s.heard()
	}
	return len(line), nil
}

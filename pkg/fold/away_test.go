package fold

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/pkg/machine"
)

// One upstream partition is away for ten minutes of the others' time. Its
// watermark may lie further on in the very partitions that wait, so reading
// never stops: what waits goes to a file, memory stays within its bound, a kill
// in the middle loses none of it, and what comes out in the end is what comes out
// if nobody was away.
func TestUpstreamAway(t *testing.T) {
	const n, away = 6000, 2
	for _, shards := range []int{machine.Shards, 1} {
		wantMid, wantOut := clean(t, inputEvery(120*time.Millisecond, 9, n), shards)
		var early, late []*kgo.Record
		var first, last int64
		for to, values := range wantMid {
			for _, v := range values {
				pos, err := stampOf([]byte(v))
				if err != nil {
					t.Fatal(err)
				}
				rec := &kgo.Record{Topic: "mid", Partition: to, Key: keyOf(v), Value: []byte(v)}
				if pos.P == away {
					late = append(late, rec)
					continue
				}
				early = append(early, rec)
				last = max(last, pos.W)
				if first = min(first, pos.W); first == 0 {
					first = pos.W
				}
			}
		}
		if span := time.Duration(last-first) * time.Millisecond; span < 10*time.Minute {
			t.Fatalf("the records span %v", span)
		}
		ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
			b := newBed(t, c)
			run := func() (*process, *prometheus.Registry) {
				reg := prometheus.NewRegistry()
				return b.start(t, "a", shards, func(cfg *Config) {
					if cfg.Stage.Name == "tenant" {
						cfg.Metrics = reg
					}
				}), reg
			}
			waits := func(reg *prometheus.Registry) {
				t.Helper()
				ktest.Eventually(t, "everything is read and waits", func() bool {
					held := samples(t, reg, "merge_held_records")
					return held["0"]+held["1"]+held["2"]+held["3"] == float64(len(early))
				})
				spilled, memory := samples(t, reg, "merge_spilled_bytes"), samples(t, reg, "merge_memory_bytes")
				for p, bytes := range spilled {
					// A queue takes the record that crosses its budget.
					if bytes == 0 || memory[p] > partitions*(4<<10+200) {
						t.Errorf("partition %s: %v bytes in memory, %v in files", p, memory[p], bytes)
					}
				}
			}
			b.send(t, clones(early))
			p, reg := run()
			waits(reg)
			p.kill()
			p, reg = run()
			waits(reg)
			b.send(t, clones(late))
			b.Await(t, "second", "mid")
			got := b.all(t, "out")
			ktest.Eventually(t, "what waited has gone", func() bool { return samples(t, reg, "merge_spilled_bytes")["0"] == 0 })
			p.stop(t)
			if diff := cmp.Diff(wantOut, got); diff != "" {
				t.Errorf("out differs from the undisturbed run (-want +got):\n%.2000s", diff)
			}
		})
	}
}

// keyOf is the key under which the counter emitted a value; watermarks have none.
func keyOf(value string) []byte {
	v := body(value)
	for i, c := range v {
		if c == '=' || c == ':' {
			return []byte(v[1:i])
		}
	}
	return nil
}

// clones are records that can be produced once more.
func clones(records []*kgo.Record) []*kgo.Record {
	fresh := make([]*kgo.Record, len(records))
	for i, rec := range records {
		fresh[i] = &kgo.Record{Topic: rec.Topic, Partition: rec.Partition, Key: rec.Key, Value: rec.Value}
	}
	return fresh
}

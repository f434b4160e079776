package fold

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/pkg/machine"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// shouter also emits so many bytes for the key "key-loud"; compression cannot
// shrink them.
type shouter struct {
	*counter

	size int
}

func (s shouter) Step(r *machine.Record, out *machine.Outputs) {
	s.counter.Step(r, out)
	if string(r.Key) == "key-loud" {
		shout := make([]byte, s.size)
		_, _ = rand.NewChaCha8([32]byte{}).Read(shout) // never fails
		out.EmitBytes("mid", machine.ByKey, r.Key, s.w, shout, nil)
	}
}

func shouting(size int) func(*Config) {
	return func(cfg *Config) {
		if cfg.Stage.Name == "ledger" {
			cfg.Stage.New = func(int32) machine.Machine { return shouter{newCounter(true, "mid", machine.Shards), size} }
		}
	}
}

// loud is an input with a record of key-loud at index i, and its partition.
func loud(seed uint64, n, i int) ([]*kgo.Record, int32) {
	records := input(seed, n)
	rec := *records[i]
	rec.Key = []byte("key-loud")
	records[i] = &rec
	return records, rec.Partition
}

// An output that is too large becomes a dead letter and stops nothing.
func TestOutputTooLarge(t *testing.T) {
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
		b := newBed(t, c)
		records, _ := loud(5, 300, 10)
		reg := prometheus.NewRegistry()
		p := b.start(t, "a", machine.Shards, func(cfg *Config) {
			shouting(maxOutput + 1)(cfg)
			if cfg.Stage.Name == "ledger" {
				cfg.Metrics = reg
			}
		})
		b.send(t, records)
		b.finish(t)
		dead := b.read(t, "dead", func(m map[int32][]string) bool { return count(m) > 0 })
		p.stop(t)
		for _, values := range dead {
			var letter goodhartv1.DeadLetter
			if err := letter.UnmarshalVT([]byte(values[0])); err != nil {
				t.Fatal(err)
			}
			if letter.Reason != "output_too_large" || letter.SizeBytes != maxOutput+1 || len(letter.Value) != 0 {
				t.Errorf("dead letter %v", &letter)
			}
		}
		if diff := cmp.Diff(map[string]float64{"output_too_large": 1}, samples(t, reg, "dead_letters_total")); diff != "" {
			t.Errorf("dead_letters_total (-want +got):\n%s", diff)
		}
	})
}

// A record that the brokers refuse for good stops its partition, commits nothing
// of what it came from although the client would, and leaves the others working.
// Once the operator has mended the refusal a restart goes on where it stopped.
func TestRefusedRecordStopsItsPartition(t *testing.T) {
	const n, limit = 1200, 100 << 10
	undisturbed := newBed(t, ktest.Fake(t))
	records, sick := loud(5, n, 100)
	undisturbed.send(t, records)
	p := undisturbed.start(t, "clean", machine.Shards, shouting(2*limit))
	wantMid, _ := undisturbed.finish(t)
	p.stop(t)

	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
		b := newBed(t, c)
		b.LimitMessages(t, "mid", limit)
		records, _ := loud(5, n, 100)
		reg := prometheus.NewRegistry()
		p := b.start(t, "a", machine.Shards, func(cfg *Config) {
			shouting(2 * limit)(cfg)
			if cfg.Stage.Name == "ledger" {
				cfg.Metrics = reg
			}
		})
		b.send(t, records)
		healthy := 0
		for _, rec := range records {
			if rec.Partition != sick && len(rec.Key) > 0 {
				healthy++
			}
		}
		b.read(t, "mid", func(m map[int32][]string) bool {
			others := map[int32][]string{}
			for to, values := range m {
				others[to] = slices.DeleteFunc(slices.Clone(values), func(v string) bool {
					pos, err := stampOf([]byte(v))
					return err != nil || pos.P == uint32(sick)
				})
			}
			return running(others) == healthy
		})
		ktest.Eventually(t, "the sick partition is shown as stopped", func() bool {
			stopped := samples(t, reg, "stopped")
			return stopped[strconv.Itoa(int(sick))] == 1 && stopped[strconv.Itoa(int(sick+1)%partitions)] == 0
		})
		p.stop(t)
		offsets, err := b.adm.FetchOffsets(t.Context(), "first")
		if err != nil {
			t.Fatal(err)
		}
		if at, ok := offsets.Lookup("in", sick); ok && at.At > records[100].Offset {
			t.Errorf("the sick partition committed offset %d, past the record at %d whose output was refused", at.At, records[100].Offset)
		}

		b.LimitMessages(t, "mid", 1<<20)
		p = b.start(t, "a", machine.Shards, shouting(2*limit))
		gotMid, _ := b.finish(t)
		p.stop(t)
		if diff := cmp.Diff(bySource(t, wantMid), bySource(t, gotMid)); diff != "" {
			t.Errorf("mid differs from the undisturbed run (-want +got):\n%.2000s", diff)
		}
	})
}

// What the operator forbids is refused for good as well: a partition that has a
// dead letter to write, and may not, stands; no session is closed for it.
func TestUnauthorisedTopicStopsItsPartition(t *testing.T) {
	b := newBed(t, ktest.Fake(t))
	forbidden := b.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "dead", Err: kerr.TopicAuthorizationFailed, Count: -1})
	defer forbidden.Remove()
	records, sick := loud(5, 400, 10)
	reg := prometheus.NewRegistry()
	p := b.start(t, "a", machine.Shards, func(cfg *Config) {
		shouting(maxOutput + 1)(cfg)
		if cfg.Stage.Name == "ledger" {
			cfg.Metrics = reg
		}
	})
	b.send(t, records)
	ktest.Eventually(t, "the sick partition stops, the others reach their end", func() bool {
		lag, stopped := samples(t, reg, "lag_records"), samples(t, reg, "stopped")
		for p := range int32(partitions) {
			label := strconv.Itoa(int(p))
			if (p == sick) != (stopped[label] == 1) || p != sick && lag[label] != 0 {
				return false
			}
		}
		return len(lag) == partitions
	})
	p.stop(t)
	if reopened := samples(t, reg, "sessions_reopened_total"); reopened[""] != 0 {
		t.Errorf("%v sessions reopened", reopened[""])
	}
}

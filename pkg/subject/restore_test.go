package subject

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// A fold whose shards were saved at different positions, loaded into a new one
// and brought forward by a replay from the oldest, emits the same bytes from
// there on and ends in the same state.
func TestRestoreIsExact(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 2))
		log := randomFacts(t, rng, 50+rng.IntN(400))
		committed := 1 + rng.IntN(len(log))

		// The run that is never interrupted; shards are saved along the way.
		whole := New(Config{Partitions: 1})
		var states [machine.Shards][]byte
		at := make([]machine.Position, machine.Shards)
		from := committed
		var saves [machine.Shards]int
		for shard := range saves {
			saves[shard] = rng.IntN(committed + 1)
			from = min(from, saves[shard])
		}
		for n := 0; ; n++ {
			for shard, save := range saves {
				if save != n {
					continue
				}
				states[shard] = whole.AppendShard(nil, shard)
				if n > 0 {
					at[shard] = log[n-1].Position
				}
			}
			if n == committed {
				break
			}
			run(whole, log[n:n+1])
		}
		header := whole.AppendHeader(nil)
		want := run(whole, log[committed:])

		second := restore(t, states, header)
		w := New(Config{}).W()
		if from > 0 {
			w = log[from-1].Position.W
		}
		second.Rewind(w, at)
		silent := machine.Outputs{Silent: true}
		for i := range log[from:committed] {
			second.Step(&log[from+i], &silent)
		}
		if mid := second.AppendHeader(nil); !bytes.Equal(mid, header) {
			t.Fatalf("seed %d: the header moved during the replay", seed)
		}
		second.Resume()
		if got := run(second, log[committed:]); !slices.Equal(want, got) {
			t.Fatalf("seed %d: (-want +got)\n%s", seed, cmp.Diff(want, got))
		}
		if !bytes.Equal(second.AppendHeader(nil), whole.AppendHeader(nil)) {
			t.Fatalf("seed %d: the headers differ at the end", seed)
		}
		for shard := range machine.Shards {
			if !bytes.Equal(second.AppendShard(nil, shard), whole.AppendShard(nil, shard)) {
				t.Fatalf("seed %d: shard %d differs at the end", seed, shard)
			}
		}
	}
}

// restore loads a fold and checks that it is saved as it was loaded, twice over:
// loading replaces.
func restore(t *testing.T, states [machine.Shards][]byte, header []byte) *Fold {
	t.Helper()
	f := New(Config{Partitions: 1})
	if err := f.LoadHeader(header); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for shard, state := range states {
			if err := f.LoadShard(shard, state); err != nil {
				t.Fatal(err)
			}
		}
	}
	for shard, state := range states {
		if !bytes.Equal(f.AppendShard(nil, shard), state) {
			t.Fatalf("shard %d is saved differently than it was loaded", shard)
		}
	}
	return f
}

func TestLoadRejectsBrokenState(t *testing.T) {
	f := New(Config{Partitions: 1})
	key := "acme|p_a"
	home := machine.Shard([]byte(key))
	state := encode(t, &goodhartv1.SubjectShard{Subjects: []*goodhartv1.SubjectState{{
		Key: key, Panes: []*goodhartv1.SubjectPane{{StartMs: base, DueMs: base + mnt}},
	}}})
	if err := f.LoadShard(home, state); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"garbage":     f.LoadShard(home, []byte{0xff, 0xff}),
		"wrong shard": f.LoadShard((home+1)%machine.Shards, state),
		"header":      f.LoadHeader([]byte{0xff}),
	} {
		if err == nil {
			t.Errorf("%s: loaded without an error", name)
		}
	}
	if !bytes.Equal(f.AppendShard(nil, home), state) {
		t.Error("a state that could not be loaded changed the one that was")
	}
	if err := f.LoadShard(home, nil); err != nil || len(f.AppendShard(nil, home)) != 0 || f.Stats().OpenPanes != 0 {
		t.Errorf("the empty state: %v, %d bytes, %+v", err, len(f.AppendShard(nil, home)), f.Stats())
	}
}

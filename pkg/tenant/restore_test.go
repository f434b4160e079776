package tenant

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// A fold that is saved, loaded into a new one and brought forward by a replay
// from before the snapshot emits the same bytes from there on and ends in the
// same state.
func TestRestoreIsExact(t *testing.T) {
	for seed := range uint64(15) {
		rng := rand.New(rand.NewPCG(seed, 2))
		deeds := randomDeeds(rng, 20+rng.IntN(120))
		log := deedLog(t, deeds, deeds[len(deeds)-1].w+rng.Int64N(20*window.Day))
		saved := rng.IntN(len(log))                   // the snapshot covers log[:saved]
		committed := saved + rng.IntN(len(log)-saved) // outputs are out up to here
		from := rng.IntN(saved + 1)                   // the replay begins here

		whole := New(Default())
		run(whole, log[:committed])
		header := whole.AppendHeader(nil)
		want := run(whole, log[committed:])

		first := New(Default())
		run(first, log[:saved])
		state := first.AppendShard(nil, 0)

		second := New(Default())
		if err := second.LoadHeader(header); err != nil {
			t.Fatal(err)
		}
		if err := second.LoadShard(0, state); err != nil {
			t.Fatal(err)
		}
		if again := second.AppendShard(nil, 0); !bytes.Equal(again, state) {
			t.Fatalf("seed %d: a loaded state is saved differently", seed)
		}
		replay(second, log[from:committed], position(log, saved), startW(log, from))
		if got, want := second.W(), startW(log, committed); got != want {
			t.Fatalf("seed %d: W = %d after the replay, want %d", seed, got, want)
		}
		got := run(second, log[committed:])
		if !slices.Equal(want, got) {
			t.Fatalf("seed %d: (-want +got)\n%s", seed, cmp.Diff(want, got))
		}
		if !bytes.Equal(second.AppendShard(nil, 0), whole.AppendShard(nil, 0)) {
			t.Fatalf("seed %d: the states differ at the end", seed)
		}
		if a, b := second.AppendHeader(nil), whole.AppendHeader(nil); !bytes.Equal(a, b) {
			t.Fatalf("seed %d: the headers differ at the end", seed)
		}
	}
}

// replay folds records silently; the state stands at position at.
func replay(f *Fold, log []machine.Record, at machine.Position, w int64) {
	f.Rewind(w, []machine.Position{at})
	out := machine.Outputs{Silent: true}
	for i := range log {
		f.Step(&log[i], &out)
	}
	f.Resume()
}

// position is that of the last of the first n records.
func position(log []machine.Record, n int) machine.Position {
	if n == 0 {
		return machine.Position{}
	}
	return log[n-1].Position
}

// startW is the watermark before record n.
func startW(log []machine.Record, n int) int64 {
	if n == 0 {
		return New(Default()).W()
	}
	return log[n-1].Position.W
}

// How the log is cut into calls, and what came before in memory, is of no
// account: two folds of one log agree byte for byte, state included.
func TestFoldIsDeterministic(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	deeds := randomDeeds(rng, 300)
	log := deedLog(t, deeds, deeds[len(deeds)-1].w+10*window.Day)
	a, b := New(Default()), New(Default())
	if first, second := run(a, log), run(b, log); !slices.Equal(first, second) {
		t.Error("outputs differ between two runs")
	}
	if !bytes.Equal(a.AppendShard(nil, 0), b.AppendShard(nil, 0)) {
		t.Error("states differ between two runs")
	}
}

// What was active more than a year ago is forgotten: an idle fold ends in the empty state
// but for its schedules.
func TestStateIsBounded(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	deeds := randomDeeds(rng, 200)
	f := New(Default())
	run(f, deedLog(t, deeds, deeds[len(deeds)-1].w+window.Hour))
	busy := f.Stats()
	if busy.Scopes == 0 || busy.People == 0 || busy.Tenants == 0 {
		t.Fatalf("nothing is held: %+v", busy)
	}
	run(f, deedLog(t, deeds[:1], deeds[len(deeds)-1].w+62*window.Week))
	if idle := f.Stats(); idle.Scopes != 0 || idle.People != 0 || idle.Tenants != 0 {
		t.Errorf("after a year without activity: %d scopes, %d people, %d tenants", idle.Scopes, idle.People, idle.Tenants)
	}
	if n := len(f.AppendShard(nil, 0)); n > 256 {
		t.Errorf("an idle state takes %d bytes", n)
	}
}

// Within a day, too, stale minutes go.
func TestMinutesAreBounded(t *testing.T) {
	l := factLog{tb: t}
	for minute := range int64(20 * 60) {
		l.deed(act(minute*mnt, minute*mnt, 1))
	}
	f := New(Default())
	run(f, features(t, l.records))
	if n := f.tenants["acme"].whole.minutes.Len(); n < 120 || n > 181 {
		t.Errorf("%d minutes are held, want 2 hours and at most half as many again", n)
	}
}

func TestLoadRejectsBrokenState(t *testing.T) {
	f := New(Default())
	for name, err := range map[string]error{
		"garbage":       f.LoadShard(0, []byte{0xff, 0xff}),
		"shard":         f.LoadShard(1, nil),
		"header":        f.LoadHeader([]byte{0xff}),
		"unknown scope": f.LoadShard(0, brokenPerson(t)),
	} {
		if err == nil {
			t.Errorf("%s: loaded without an error", name)
		}
	}
	if err := f.LoadShard(0, nil); err != nil {
		t.Errorf("empty state: %v", err)
	}
}

// brokenPerson is a state in which a person belongs to a scope that is not there.
func brokenPerson(tb testing.TB) []byte {
	tb.Helper()
	return encode(tb, &goodhartv1.TenantFoldState{Tenants: []*goodhartv1.TenantState{{
		Tenant: "acme",
		People: []*goodhartv1.PersonState{{Subject: "p_1", Scopes: []*goodhartv1.PersonScope{{Scope: 3}}}},
	}}})
}

package habit

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Hours count as an array of all of them does, in whatever order they come and
// across snapshots.
func TestHoursInAnyOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 4))
	var got hourly
	var want [hours]uint32
	for hour := range 2_000 {
		if hour = hour / 10 % hours; rng.IntN(4) == 0 {
			hour = rng.IntN(hours)
		}
		got.add(hour)
		want[hour]++
		if all := got.all(); all != want {
			t.Fatalf("after hour %d: %v: want %v", hour, all, want)
		}
		if rng.IntN(50) == 0 {
			got = loadHourly(want[:])
		}
	}
}

// Octaves count as an array of all of them does, in whatever order they come, when
// they fade and across snapshots.
func TestOctavesInAnyOrder(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 5))
		var got octaves
		var want [maxOctave + 1]uint32
		for range 2 * fadeAt {
			n := rng.Int64() >> (8 + rng.IntN(56))
			got.add(n)
			want[octave(n)]++
			total := uint32(0)
			for _, c := range want {
				total += c
			}
			for i := range want {
				if total >= fadeAt {
					want[i] /= 2
				}
			}
			if rng.IntN(500) > 0 {
				continue
			}
			saved := got.save()
			if all := append(slices.Clone(saved), make([]uint32, len(want)-len(saved))...); !slices.Equal(all, want[:]) {
				t.Fatalf("seed %d: %v: want %v", seed, all, want)
			}
			p99, loaded := got.quantile(99), loadOctaves(saved)
			if loaded.quantile(99) != p99 || loaded.total != got.total || !slices.Equal(loaded.save(), saved) {
				t.Fatalf("seed %d: not the same after loading: %v: want %v", seed, loaded, got)
			}
			got = loaded
		}
	}
}

// A week that was stated takes no room until the next begins.
func TestStatedWeeksAreLetGo(t *testing.T) {
	var h Habit
	h.Use(&Use{TimeMs: monday, Request: true, Model: []byte("m")}, monday, 0, nil)
	weeks, _, _ := h.Fire(h.Next(), nil, nil)
	if len(weeks) != 1 || weeks[0].Model != "m" {
		t.Fatalf("stated %v: want a week of m", weeks)
	}
	h.Release()
	if h.own.sums != nil || h.own.own.Models != nil {
		t.Error("a week that was stated is still held")
	}
	h.Use(&Use{TimeMs: monday + 7*86_400_000, Request: true}, monday, 0, nil)
	h.Release()
	if h.Next() == 0 || h.own.sums == nil {
		t.Error("an open week was let go")
	}
}

// Sessions go on when others than they end.
func TestSessionsOutliveOthers(t *testing.T) {
	var h Habit
	use := func(at int64, session uint64) {
		h.Use(&Use{TimeMs: at, Request: true, Session: session, Child: true, Sequence: uint64(at - monday), Has: HasSequence}, at, 0, nil)
	}
	for session := range uint64(4) {
		use(monday+1, 1+session)
	}
	use(monday+idle, 2)
	use(monday+idle+1, 4)
	use(monday+idle+2, 2) // 1 and 3 end
	if n := len(h.sessions); n != 2 || &h.sessions[0] != &h.pair[0] {
		t.Fatalf("%d sessions go on, at hand %v: want 2 at hand", n, &h.sessions[0] == &h.pair[0])
	}
	if s := h.session(4, 0); s.turns != 2 || s.sequence != uint64(idle+1) {
		t.Errorf("session 4 has %d turns, the last of sequence %d: want 2, %d", s.turns, s.sequence, idle+1)
	}
	if n := h.own.own.ChildSessions; n != 2 {
		t.Errorf("%d sessions have ended: want 2", n)
	}
}

// The rarest of too many pairs that came again gives way, the first of several.
func TestRarestRepeatGivesWay(t *testing.T) {
	var k week
	for hash := range uint32(maxRepeats) {
		for range 1 + (hash+3)%4 {
			k.repeat(hash, int64(hash))
		}
	}
	k.repeat(100, 9)
	var got []uint32
	for _, r := range k.repeats.save() {
		got = append(got, r.Hash)
	}
	if want := []uint32{0, 100, 2, 3, 4, 5, 6, 7}; !slices.Equal(got, want) {
		t.Errorf("repeats %v: want %v", got, want)
	}
}

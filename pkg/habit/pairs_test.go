package habit

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// However little room the sets take, they remember what sets of pairWays places do,
// across snapshots too.
func TestPackedSetsRememberTheSame(t *testing.T) {
	for _, known := range []uint32{20, 150, 3000} {
		rng := rand.New(rand.NewPCG(uint64(known), 3))
		var packed pairs
		var wide [pairSets][]uint32 // hash and day of each, the newest first
		var seen [pairSets][]int64
		most, repeats := 0, 0
		at := monday
		for range 20_000 {
			at += rng.Int64N(8 * window.Minute)
			hash := uint32(1+rng.Uint64N(uint64(known))) * 0x9e3779b1
			i, day := hash%pairSets, window.Floor(at, window.Day)/window.Day
			want := false
			if j := slices.Index(wide[i], hash); j >= 0 {
				want = day-seen[i][j] <= repeatWithin
				wide[i], seen[i] = slices.Delete(wide[i], j, j+1), slices.Delete(seen[i], j, j+1)
			}
			wide[i], seen[i] = slices.Insert(wide[i], 0, hash), slices.Insert(seen[i], 0, day)
			wide[i], seen[i] = wide[i][:min(pairWays, len(wide[i]))], seen[i][:min(pairWays, len(seen[i]))]
			if got := packed.seen(hash, at); got != want {
				t.Fatalf("%d pairs: seen %v: want %v", known, got, want)
			}
			if want {
				repeats++
			}
			most = max(most, cap(packed.entries))
			if rng.IntN(500) == 0 {
				saved := packed.save()
				var loaded pairs
				loaded.load(saved)
				if !slices.Equal(loaded.save(), saved) || len(loaded.entries) != len(packed.entries) {
					t.Fatalf("%d pairs: %d remembered, %d after loading, or others", known, len(packed.entries), len(loaded.entries))
				}
				packed = loaded
			}
		}
		if room := min(pairSets*pairWays, int(known)+int(known)/4+16); most > room || repeats == 0 {
			t.Errorf("%d pairs: room for %d: want at most %d; %d repeats", known, most, room, repeats)
		}
	}
}

// What came more than a week ago is not seen again, and gone soon, also when the seven bits of its day have
// come round, and so is its room.
func TestPairsExpire(t *testing.T) {
	const many = 700
	fill := func() *pairs {
		p := new(pairs)
		for i := range uint64(many) {
			p.add(&week{sums: new(goodhartv1.Week)}, &Use{Pair: 1 + i*0x9e3779b1, TimeMs: monday + int64(i)})
		}
		return p
	}
	if full := fill(); len(full.entries) < many*9/10 {
		t.Fatalf("%d of %d pairs are remembered", len(full.entries), many)
	}
	for _, test := range []struct {
		days       int64
		kept, seen bool
	}{{1, true, true}, {7, true, true}, {8, true, false}, {11, false, false}, {100, false, false}, {128, false, false}, {130, false, false}, {256, false, false}} {
		p, later := fill(), monday+test.days*window.Day
		k := &week{sums: new(goodhartv1.Week)}
		p.add(k, &Use{Pair: 1 << 40, TimeMs: later})
		if left := len(p.entries); (left > many*9/10) != test.kept || !test.kept && (left != 1 || cap(p.entries) > 20) {
			t.Errorf("after %d days %d pairs in a room for %d", test.days, left, cap(p.entries))
		}
		p.add(k, &Use{Pair: 1 + (many-1)*0x9e3779b1, TimeMs: later + 1})
		if (k.sums.RepeatedRequests > 0) != test.seen {
			t.Errorf("after %d days: seen again %d times", test.days, k.sums.RepeatedRequests)
		}
		var loaded pairs
		if loaded.load(p.save()); !slices.Equal(loaded.entries, p.entries) || loaded.held != p.held {
			t.Errorf("after %d days: loaded %v of %v", test.days, loaded.entries, p.entries)
		}
	}
	// Day after day, around a late request.
	p := fill()
	for _, day := range []int64{5, 3, 4, 6} {
		p.add(&week{sums: new(goodhartv1.Week)}, &Use{Pair: 1<<50 + uint64(day), TimeMs: monday + day*window.Day})
	}
	if n := len(p.entries); n < many*9/10+4 {
		t.Errorf("%d pairs after a late request", n)
	}
}

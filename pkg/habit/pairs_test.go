package habit

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/window"
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

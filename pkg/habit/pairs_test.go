package habit

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/window"
)

// However few places the sets have, they remember what sets of pairWays places do,
// across snapshots too.
func TestNarrowSetsRememberTheSame(t *testing.T) {
	for _, known := range []uint32{20, 150, 3000} {
		rng := rand.New(rand.NewPCG(uint64(known), 3))
		var narrow pairs
		var wide [pairSets][]uint32 // hash and day of each, the newest first
		var seen [pairSets][]int64
		widest, repeats := 0, 0
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
			if got := narrow.seen(hash, at); got != want {
				t.Fatalf("%d pairs: seen %v: want %v", known, got, want)
			}
			if want {
				repeats++
			}
			widest = max(widest, narrow.ways)
			if rng.IntN(500) == 0 {
				saved := narrow.save()
				var loaded pairs
				loaded.load(saved)
				if !slices.Equal(loaded.save(), saved) || loaded.ways > narrow.ways {
					t.Fatalf("%d pairs: %d places, %d after loading, or others in them", known, narrow.ways, loaded.ways)
				}
				narrow = loaded
			}
		}
		if most := map[uint32]int{20: 4, 150: 8, 3000: pairWays}[known]; widest > most || repeats == 0 {
			t.Errorf("%d pairs: %d places: want at most %d; %d repeats", known, widest, most, repeats)
		}
	}
}

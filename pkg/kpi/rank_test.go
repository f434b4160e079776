package kpi

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/gonum/stat"
)

func TestRanks(t *testing.T) {
	f := func(values, want []float64) {
		t.Helper()
		if diff := cmp.Diff(want, ranks(values)); diff != "" {
			t.Errorf("%v: (-want +got)\n%s", values, diff)
		}
	}
	f([]float64{30, 10, 20}, []float64{3, 1, 2})
	f([]float64{5, 5, 1, 9}, []float64{2.5, 2.5, 1, 4})
	f([]float64{7, 7, 7}, []float64{2, 2, 2})
	f(nil, []float64{})
}

// Spearman's by 1 - 6 sum d^2 / (n (n^2-1)): ranks 1..5 against 2,1,4,3,5, d^2
// sums to 4, rho is 0.8.
func TestSpearmanByHand(t *testing.T) {
	got := stat.Correlation(ranks([]float64{10, 20, 30, 40, 50}), ranks([]float64{2, 1, 40, 39, 100}), nil)
	if !near(got, 0.8, 1e-12) {
		t.Errorf("rho = %v", got)
	}
}

// pairwise returns a panel of n persons whose outcomes per week follow their
// tokens by rank before the announcement, and as after says since.
func pairwise(n, announced, weeks int, after func(i int) int64) *Panel {
	p := &Panel{Start: monday, Units: make([]Unit, n)}
	for i := range p.Units {
		u := &p.Units[i]
		u.Team = string(rune('a' + i%26))
		for w := range weeks {
			k := Week{Known: true, OutcomesKnown: true, Tokens: int64(1000 * (i + 1)), Requests: 10, Outcomes: int64(1000 * (i/2 + 1))}
			if w >= announced {
				k.Outcomes = 1000 * after(i)
			}
			u.Weeks = append(u.Weeks, k)
		}
	}
	return p
}

func TestRankCorrelation(t *testing.T) {
	scrambled := func(i int) int64 { return int64(i*37%101 + 1) }
	f := rankCorrelation(newSample(&Input{Panel: pairwise(100, 8, 16, scrambled), Target: Target{Announced: 8}, Week: 15}))
	if !f.Alarm || f.N != 100 || f.Placebo < .99 || math.Abs(f.Value) > .3 || f.Lo > f.Value || f.Hi < f.Value {
		t.Errorf("scrambled outcomes: %+v", f)
	}
	se := math.Sqrt(1.06 / 97)
	if want := (math.Atanh(f.Value) - math.Atanh(f.Placebo)) / (se * math.Sqrt2); !near(f.Z, want, 1e-9) {
		t.Errorf("Z = %v, want %v", f.Z, want)
	}
	f = rankCorrelation(newSample(&Input{Panel: pairwise(100, 8, 16, func(i int) int64 { return int64(i/2 + 1) }), Target: Target{Announced: 8}, Week: 15}))
	if f.Alarm || !f.Known {
		t.Errorf("unchanged outcomes: %+v", f)
	}
	// Below 80 units the correlation is shown and never alarms.
	f = rankCorrelation(newSample(&Input{Panel: pairwise(79, 8, 16, scrambled), Target: Target{Announced: 8}, Week: 15}))
	if f.Alarm || !f.Known || f.Reason != ReasonUnits {
		t.Errorf("79 units: %+v", f)
	}
}

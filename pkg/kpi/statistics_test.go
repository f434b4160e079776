package kpi

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// near reports whether two numbers differ by at most tolerance.
func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }

// middle returns the median of values in any order.
func middle(values []float64) float64 {
	values = slices.Clone(values)
	slices.Sort(values)
	return median(values)
}

func TestFit(t *testing.T) {
	x, y := []float64{1, 2, 3, 4}, []float64{1, 3, 2, 5}
	l := fit(4, func(i int) (float64, float64, float64) { return x[i], y[i], 1 })
	// By hand: means 2.5 and 2.75, sums 5, 5.5 and 8.75.
	if !near(l.slope, 1.1, 1e-12) || !near(l.intercept, 0, 1e-12) || !near(l.residuals, 8.75-6.05, 1e-12) {
		t.Errorf("%+v", l)
	}
	// A point of weight 2 is two points.
	double := fit(4, func(i int) (float64, float64, float64) { return x[i], y[i], 1 + float64(i/3) })
	twice := fit(5, func(i int) (float64, float64, float64) { return x[min(i, 3)], y[min(i, 3)], 1 })
	if !near(double.slope, twice.slope, 1e-12) || !near(double.residuals, twice.residuals, 1e-12) {
		t.Errorf("weighted %+v, repeated %+v", double, twice)
	}
	if flat := fit(3, func(i int) (float64, float64, float64) { return 1, float64(i), 1 }); !math.IsNaN(flat.slope) {
		t.Errorf("a slope of %v over one x", flat.slope)
	}
}

// The bootstrap of a mean has the standard error of the mean.
func TestBootstrap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	values := make([]float64, 100)
	for i := range values {
		values[i] = rng.NormFloat64()
	}
	_, variance := meanVariance(values)
	spread := bootstrap(rng, len(values), func(times []float64) float64 {
		var sum, n float64
		for i, v := range values {
			sum += times[i] * v
			n += times[i]
		}
		if n != 100 {
			t.Fatalf("%v clusters drawn", n)
		}
		return sum / n
	})
	_, got := meanVariance(spread)
	if want := variance / 100; got < .75*want || got > 1.35*want {
		t.Errorf("variance %v, want about %v", got, want)
	}
	if none := bootstrap(rng, 3, func([]float64) float64 { return math.NaN() }); len(none) != 0 {
		t.Errorf("%d draws of no number", len(none))
	}
}

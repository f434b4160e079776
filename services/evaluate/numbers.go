package evaluate

import (
	"math"
	"math/rand/v2"
	"slices"
)

// quantile of sorted values by linear interpolation; NaN of none.
func quantile(sorted []float64, q float64) float64 {
	n := len(sorted)
	if n == 0 {
		return math.NaN()
	}
	at := q * float64(n-1)
	low := int(at)
	if low+1 >= n {
		return sorted[n-1]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

// median sorts values.
func median(values []float64) float64 {
	slices.Sort(values)
	return quantile(values, .5)
}

// medianMAD sorts values and returns their median and median absolute deviation.
func medianMAD(values []float64) (med, mad float64) {
	med = median(values)
	away := make([]float64, len(values))
	for i, v := range values {
		away[i] = math.Abs(v - med)
	}
	return med, median(away)
}

// part is what one cluster adds to a ratio of sums.
type part struct{ num, den float64 }

// estimate is a ratio of sums with its 5 to 95 % interval. It is not known where
// the whole is nothing.
type estimate struct {
	Value, Lo, Hi float64
	Num, Den      float64
	Known         bool
}

// draws of a bootstrap.
const draws = 400

// ratio is the sum of the numerators by that of the denominators, with the
// interval of a bootstrap over clusters.
func ratio(parts []part) estimate {
	var e estimate
	for _, p := range parts {
		e.Num += p.num
		e.Den += p.den
	}
	if e.Den == 0 {
		return e
	}
	e.Value, e.Known = e.Num/e.Den, true
	e.Lo, e.Hi = bootstrap(len(parts), func(times []float64) float64 {
		var num, den float64
		for i, p := range parts {
			num += times[i] * p.num
			den += times[i] * p.den
		}
		return num / den
	})
	return e
}

// contrast is a ratio of two ratios, of disjoint or overlapping clusters, with the
// interval of a bootstrap over clusters.
func contrast(a, b []part) estimate {
	of := func(times []float64) float64 {
		var x, y part
		for i := range a {
			x.num += times[i] * a[i].num
			x.den += times[i] * a[i].den
			y.num += times[i] * b[i].num
			y.den += times[i] * b[i].den
		}
		return (x.num / x.den) / (y.num / y.den)
	}
	return resampled(len(a), of)
}

// resampled is a figure of n clusters with the interval of a bootstrap over them;
// times is how often each counts. It is not known where it is no number.
func resampled(n int, of func(times []float64) float64) estimate {
	once := make([]float64, n)
	for i := range once {
		once[i] = 1
	}
	e := estimate{Value: of(once)}
	e.Known = !math.IsNaN(e.Value) && !math.IsInf(e.Value, 0)
	if e.Known {
		e.Lo, e.Hi = bootstrap(n, of)
	}
	return e
}

// bootstrap returns the 5 and 95 % quantiles of a figure over draws of n clusters
// with replacement; times is how often each was drawn. Draws in which the figure
// is no number are left out.
func bootstrap(n int, of func(times []float64) float64) (lo, hi float64) {
	rng := rand.New(rand.NewPCG(6, uint64(n)))
	times := make([]float64, n)
	values := make([]float64, 0, draws)
	for range draws {
		clear(times)
		for range n {
			times[rng.IntN(n)]++
		}
		if v := of(times); !math.IsNaN(v) && !math.IsInf(v, 0) {
			values = append(values, v)
		}
	}
	slices.Sort(values)
	return quantile(values, .05), quantile(values, .95)
}

// chances counts probabilities that honest weeks were given by how small they
// are: if they are right, one in ten is below .1.
type chances struct {
	N     int
	Below [len(chanceLevels)]int
	// Bins counts chances by their thousandth, upper bounds included.
	Bins [chanceBins]int
}

// chanceBins of [0, 1].
const chanceBins = 1000

// chanceLevels are the levels at which chances are counted.
var chanceLevels = [...]float64{.5, .1, .01, .001, .0001}

func (c *chances) add(p float64) {
	c.N++
	c.Bins[max(0, min(chanceBins-1, int(math.Ceil(p*chanceBins))-1))]++
	for i, level := range chanceLevels {
		if p <= level {
			c.Below[i]++
		}
	}
}

// merge adds the counts of another.
func (c *chances) merge(other *chances) {
	c.N += other.N
	for i, n := range other.Below {
		c.Below[i] += n
	}
	for i, n := range other.Bins {
		c.Bins[i] += n
	}
}

// distance is that of Kolmogorov and Smirnov between the chances and what is right,
// the uniform distribution, to a thousandth: how far at most the share of chances up
// to a level is above the level, and below it.
func (c *chances) distance() (above, below float64) {
	sum := 0
	for i, n := range c.Bins {
		sum += n
		d := float64(sum)/float64(c.N) - float64(i+1)/chanceBins
		above, below = max(above, d), max(below, -d)
	}
	return above, below
}

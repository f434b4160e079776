package score

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// Count is what a unit achieved beside what was expected of it, both divided by
// the dispersion: in outcomes that are worth as much as independent ones.
type Count struct{ Observed, Expected float64 }

// Shape is a possible shape α of the gamma distribution, of mean 1, that the
// efficiencies of peers follow, and how plausible it is. A large α means that
// peers hardly differ.
type Shape struct{ Alpha, Weight float64 }

// The shapes that are thought possible: the standard deviation of efficiency
// among peers lies between 1 and 0.18. Steps are of equal ratio.
const (
	leastShape = 1.0
	mostShape  = 32.0
	shapes     = 11
)

// Shapes returns how plausible each shape is after the counts, having been
// equally so before: the weights add up to 1. Counts without an expectation say
// nothing. The order of the counts matters to the last digits alone.
//
// One best shape, as a method of moments gives, is as if the spread of a few
// peers were known exactly: its intervals are too short. Keeping every shape at
// its weight is what makes a 90 % interval hold nine times in ten.
func Shapes(counts []Count) []Shape {
	out := make([]Shape, shapes)
	most := math.Inf(-1)
	for i := range out {
		alpha := leastShape * math.Pow(mostShape/leastShape, float64(i)/(shapes-1))
		out[i] = Shape{Alpha: alpha, Weight: logMarginal(counts, alpha)}
		most = max(most, out[i].Weight)
	}
	sum := 0.0
	for i := range out {
		out[i].Weight = math.Exp(out[i].Weight - most)
		sum += out[i].Weight
	}
	for i := range out {
		out[i].Weight /= sum
	}
	return out
}

// logMarginal is the log likelihood of a shape: a Poisson count whose rate is
// gamma distributed is negative binomial. Terms without the shape are left out.
func logMarginal(counts []Count, alpha float64) float64 {
	at0, _ := math.Lgamma(alpha)
	sum := 0.0
	for _, c := range counts {
		if c.Expected <= 0 {
			continue
		}
		at, _ := math.Lgamma(c.Observed + alpha)
		sum += at - at0 + float64(alpha*math.Log(alpha/(c.Expected+alpha))) - float64(c.Observed*math.Log(c.Expected+alpha))
	}
	return sum
}

// Posterior is what is known of the efficiency of one unit: the gamma
// distribution with this shape and rate. 1 is what peers achieve.
type Posterior struct{ Shape, Rate float64 }

// nodes are those of a normal distribution that give its moments up to the fifth.
var nodes = [3]struct{ at, weight float64 }{{-math.Sqrt(3), 1.0 / 6}, {0, 2.0 / 3}, {math.Sqrt(3), 1.0 / 6}}

// NewPosterior returns what is known after a count. If the expectation μ and the
// shape α of the peers were certain, it would be Gamma(observed + α, rate μ + α).
// Neither is: each shape has its weight, and ln μ the standard deviation sd. The
// result has the mean of the mixture over the shapes, which falls as μ rises
// whatever sd, and the relative variance of the mixture over both.
//
// The count itself does not bear on μ: an unusual unit is unusual, and no sign
// that the curve is wrong.
func NewPosterior(c Count, sd float64, shapes []Shape) Posterior {
	mean, mixed, square := 0.0, 0.0, 0.0
	for _, s := range shapes {
		shape := c.Observed + s.Alpha
		mean += float64(s.Weight * shape / (c.Expected + s.Alpha))
		for _, n := range nodes {
			rate := float64(c.Expected*math.Exp(float64(sd*n.at))) + s.Alpha
			mixed += float64(s.Weight * n.weight * shape / rate)
			square += float64(s.Weight * n.weight * shape * (shape + 1) / (rate * rate))
		}
	}
	gain := float64(mixed * mixed)
	shape := gain / (square - gain)
	return Posterior{Shape: shape, Rate: shape / mean}
}

// Mean is the expectation of the efficiency.
func (p Posterior) Mean() float64 { return p.Shape / p.Rate }

// valid reports whether there is such a distribution. gonum's functions never
// return if they are given NaN.
func (p Posterior) valid() bool {
	return p.Shape > 0 && p.Rate > 0 && p.Shape <= math.MaxFloat64 && p.Rate <= math.MaxFloat64
}

// Quantile is the efficiency below which lies the share q of the probability,
// 0 < q < 1; NaN if there is no such distribution.
func (p Posterior) Quantile(q float64) float64 {
	if !p.valid() {
		return math.NaN()
	}
	return mathext.GammaIncRegInv(p.Shape, q) / p.Rate
}

// Above is the probability that the efficiency of p exceeds that of o; NaN if
// there is no such distribution. It is exact: the share of the one in the sum of
// both, each at its own rate, is beta distributed.
func (p Posterior) Above(o Posterior) float64 {
	if !p.valid() || !o.valid() {
		return math.NaN()
	}
	return mathext.RegIncBeta(o.Shape, p.Shape, o.Rate/(p.Rate+o.Rate))
}

package signal

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/optimize"
)

// Adoption is how many more people had one or two requests in a week than those
// with more lead to expect.
type Adoption struct {
	Observed, Expected float64
	// Excess is (observed - expected)/expected, with at least one expected;
	// Variance is that of the excess, by the delta method.
	Excess, Variance float64
}

// AdoptionExcess fits a negative binomial to the counts of three and more and
// compares the ones and twos with it. It is unknown for fewer than 200 people, or
// if there is no fit.
func AdoptionExcess(counts []int64) (Adoption, bool) {
	if len(counts) < s13People {
		return Adoption{}, false
	}
	f := tail3{}
	var observed float64
	sorted := slices.Clone(counts)
	slices.Sort(sorted)
	for _, n := range sorted {
		switch {
		case n < 1:
		case n < 3:
			observed++
		case len(f.counts) > 0 && f.counts[len(f.counts)-1] == float64(n):
			f.times[len(f.times)-1]++
		default:
			f.counts, f.times = append(f.counts, float64(n)), append(f.times, 1)
		}
	}
	theta, ok := f.fit()
	if !ok {
		return Adoption{}, false
	}
	lnExpected := f.lnExpected(theta)
	expected := max(math.Exp(lnExpected), 1)
	ratio := observed / expected
	variance := ratio/expected + float64(ratio*ratio)*f.variance(theta)
	return Adoption{Observed: observed, Expected: expected, Excess: ratio - 1, Variance: max(variance, 1/(expected*expected))}, true
}

// tail3 is a sample of counts of three and more: distinct ones, and how often.
type tail3 struct{ counts, times []float64 }

// lnMass is the logarithm of the probability of x under a negative binomial with
// the mean exp(theta[0]) and the size exp(theta[1]).
func lnMass(theta []float64, x float64) float64 {
	mean, size := math.Exp(theta[0]), math.Exp(theta[1])
	a, _ := math.Lgamma(x + size)
	b, _ := math.Lgamma(size)
	c, _ := math.Lgamma(x + 1)
	return a - b - c + float64(size*math.Log(size/(size+mean))) + float64(x*math.Log(mean/(size+mean)))
}

// low are the probabilities of 1 or 2, and of 3 and more.
func low(theta []float64) (few, rest float64) {
	zero := math.Exp(lnMass(theta, 0))
	few = math.Exp(lnMass(theta, 1)) + math.Exp(lnMass(theta, 2))
	return few, max(1-zero-few, 1e-300)
}

// lnLikelihood is that of the sample, given that every count is at least three.
func (f *tail3) lnLikelihood(theta []float64) float64 {
	_, rest := low(theta)
	given := math.Log(rest)
	var sum float64
	for i, x := range f.counts {
		sum += float64(f.times[i] * (lnMass(theta, x) - given))
	}
	return sum
}

// lnExpected is the logarithm of how many people with 1 or 2 are expected beside
// the sample.
func (f *tail3) lnExpected(theta []float64) float64 {
	few, rest := low(theta)
	return math.Log(f.people()) + math.Log(few) - math.Log(rest)
}

func (f *tail3) people() float64 {
	var n float64
	for _, times := range f.times {
		n += times
	}
	return n
}

// fit is the maximum of the likelihood. The sizes are bounded: a smaller one is a
// spike at zero, a larger one a Poisson distribution.
func (f *tail3) fit() ([]float64, bool) {
	if len(f.counts) < 3 || f.people() < s13People/2 {
		return nil, false
	}
	var sum float64
	for i, x := range f.counts {
		sum += float64(f.times[i] * x)
	}
	problem := optimize.Problem{Func: func(theta []float64) float64 {
		if theta[0] < -3 || theta[0] > 20 || theta[1] < -5 || theta[1] > 8 {
			return math.Inf(1)
		}
		return -f.lnLikelihood(theta)
	}}
	start := []float64{math.Log(sum / f.people()), 0}
	settings := &optimize.Settings{FuncEvaluations: 2000}
	best, err := optimize.Minimize(problem, start, settings, &optimize.NelderMead{})
	if best == nil || err != nil && best.Status == optimize.Failure || math.IsInf(best.F, 0) || math.IsNaN(best.F) {
		return nil, false
	}
	return best.X, true
}

// variance is that of lnExpected, from the curvature of the likelihood.
func (f *tail3) variance(theta []float64) float64 {
	const h = 1e-3
	at := func(a, b float64, of func([]float64) float64) float64 {
		return of([]float64{theta[0] + a, theta[1] + b})
	}
	ll := f.lnLikelihood
	here := ll(theta)
	aa := (at(h, 0, ll) - 2*here + at(-h, 0, ll)) / (h * h)
	bb := (at(0, h, ll) - 2*here + at(0, -h, ll)) / (h * h)
	ab := (at(h, h, ll) - at(h, -h, ll) - at(-h, h, ll) + at(-h, -h, ll)) / (4 * h * h)
	determinant := float64(aa*bb) - float64(ab*ab)
	if aa >= 0 || determinant <= 0 {
		return 1 // flat: the expectation is known to a factor
	}
	da := (at(h, 0, f.lnExpected) - at(-h, 0, f.lnExpected)) / (2 * h)
	db := (at(0, h, f.lnExpected) - at(0, -h, f.lnExpected)) / (2 * h)
	// The covariance is the inverse of the negative curvature.
	return -(float64(bb*float64(da*da)) - 2*float64(ab*float64(da*db)) + float64(aa*float64(db*db))) / determinant
}

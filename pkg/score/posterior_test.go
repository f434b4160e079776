package score

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

// near reports whether a and b agree to a relative tolerance.
func near(a, b, tolerance float64) bool {
	return math.Abs(a-b) <= tolerance*max(math.Abs(a), math.Abs(b))
}

// Quantiles against the distribution of gonum, mean among them.
func TestPosteriorIsGamma(t *testing.T) {
	for shape := 0.3; shape < 1e7; shape *= 3 {
		p := Posterior{Shape: shape, Rate: 2.5}
		oracle := distuv.Gamma{Alpha: p.Shape, Beta: p.Rate}
		for _, q := range []float64{0.05, 0.5, 0.95} {
			if got := p.Quantile(q); !near(oracle.CDF(got), q, 1e-9) {
				t.Errorf("shape %v: below %v lies %v, want %v", shape, got, oracle.CDF(got), q)
			}
		}
		if !near(p.Mean(), oracle.Mean(), 1e-14) {
			t.Errorf("shape %v: mean %v, want %v", shape, p.Mean(), oracle.Mean())
		}
	}
}

// What is no distribution has no quantiles, and says so at once.
func TestNoDistribution(t *testing.T) {
	fine := Posterior{Shape: 2, Rate: 3}
	for _, bad := range []float64{math.NaN(), math.Inf(1), 0, -1} {
		for _, p := range []Posterior{{bad, 1}, {1, bad}} {
			if q, above, below := p.Quantile(0.05), p.Above(fine), fine.Above(p); !math.IsNaN(q) || !math.IsNaN(above) || !math.IsNaN(below) {
				t.Errorf("%+v: %v, %v, %v", p, q, above, below)
			}
		}
		for _, b := range []Beta{{bad, 1}, {1, bad}} {
			if q, above := b.Quantile(0.05), b.Above(0.5); !math.IsNaN(q) || !math.IsNaN(above) {
				t.Errorf("%+v: %v, %v", b, q, above)
			}
		}
	}
	if above := (Beta{1, 1}).Above(math.NaN()); !math.IsNaN(above) {
		t.Errorf("above nothing: %v", above)
	}
}

// The probability that one exceeds the other, against numerical integration.
func TestAbove(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		p := Posterior{Shape: 0.5 + 40*rng.Float64(), Rate: 1 + 30*rng.Float64()}
		o := Posterior{Shape: 0.5 + 40*rng.Float64(), Rate: 1 + 30*rng.Float64()}
		a, b := distuv.Gamma{Alpha: p.Shape, Beta: p.Rate}, distuv.Gamma{Alpha: o.Shape, Beta: o.Rate}
		const steps = 4_000
		want := 0.0
		for i := range steps { // over the quantiles of p
			want += b.CDF(a.Quantile((float64(i)+0.5)/steps)) / steps
		}
		if got := p.Above(o); math.Abs(got-want) > 2e-4 || math.Abs(got-1+o.Above(p)) > 1e-12 {
			t.Errorf("%+v above %+v: %v, want %v; the other way %v", p, o, got, want, o.Above(p))
		}
	}
	same := Posterior{Shape: 3, Rate: 4}
	if got := same.Above(same); !near(got, 0.5, 1e-12) {
		t.Errorf("above itself: %v", got)
	}
}

// With one shape and a certain expectation it is the conjugate posterior.
func TestPosteriorOfCertainExpectation(t *testing.T) {
	got := NewPosterior(Count{Observed: 7, Expected: 5}, 0, []Shape{{Alpha: 4, Weight: 1}})
	if !near(got.Shape, 11, 1e-12) || !near(got.Rate, 9, 1e-12) {
		t.Errorf("%+v, want shape 11 and rate 9", got)
	}
	shapes := []Shape{{1, 0.25}, {8, 0.75}}
	want := 0.25*8/6 + 0.75*15/13
	exact := NewPosterior(Count{Observed: 7, Expected: 5}, 0, shapes)
	vague := NewPosterior(Count{Observed: 7, Expected: 5}, 0.4, shapes)
	if !near(exact.Mean(), want, 1e-12) || !near(vague.Mean(), want, 1e-12) {
		t.Errorf("means %v and %v, want %v", exact.Mean(), vague.Mean(), want)
	}
	if vague.Shape >= exact.Shape {
		t.Errorf("an uncertain expectation makes the interval no wider: shapes %v, %v", vague.Shape, exact.Shape)
	}
}

// The mixture against draws from what it is a mixture of.
func TestPosteriorHasTheSpreadOfTheMixture(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 9))
	shapes := []Shape{{2, 0.5}, {16, 0.5}}
	c, sd := Count{Observed: 9, Expected: 12}, 0.3
	const draws = 400_000
	sum, square := 0.0, 0.0
	for range draws {
		s := shapes[rng.IntN(2)]
		x := distuv.Gamma{Alpha: c.Observed + s.Alpha, Beta: c.Expected*math.Exp(sd*rng.NormFloat64()) + s.Alpha, Src: rng}.Rand()
		sum, square = sum+x, square+x*x
	}
	mean := sum / draws
	want := mean * mean / (square/draws - mean*mean)
	if got := NewPosterior(c, sd, shapes).Shape; !near(got, want, 0.02) {
		t.Errorf("shape %v, by drawing %v", got, want)
	}
}

// The likelihood of a shape against numerical integration over the efficiencies.
func TestShapes(t *testing.T) {
	counts := []Count{{3, 5}, {12, 6}, {0, 4}, {7, 7}, {5, 0}}
	likelihood := func(alpha float64) float64 {
		sum := 0.0
		for _, c := range counts[:4] {
			const steps = 20_000
			p := 0.0
			prior := distuv.Gamma{Alpha: alpha, Beta: alpha}
			for i := range steps {
				e := 8 * (float64(i) + 0.5) / steps
				p += prior.Prob(e) * distuv.Poisson{Lambda: c.Expected * e}.Prob(c.Observed) * 8 / steps
			}
			sum += math.Log(p)
		}
		return sum
	}
	got := Shapes(counts)
	total := 0.0
	for i, s := range got {
		total += s.Weight
		if i > 0 {
			want := likelihood(s.Alpha) - likelihood(got[i-1].Alpha)
			if ratio := math.Log(s.Weight / got[i-1].Weight); math.Abs(ratio-want) > 1e-4 {
				t.Errorf("α %v: log ratio %v, want %v", s.Alpha, ratio, want)
			}
		}
	}
	if !near(total, 1, 1e-12) || !near(got[0].Alpha, 1, 1e-12) || !near(got[len(got)-1].Alpha, 32, 1e-12) {
		t.Errorf("%+v", got)
	}
}

// Nothing known leaves every shape as plausible as before; counts that are as
// even as can be make the largest the most plausible, scattered ones the least.
func TestShapesFollowTheSpread(t *testing.T) {
	for _, s := range Shapes(nil) {
		if !near(s.Weight, 1.0/shapes, 1e-12) {
			t.Errorf("unknown: %+v", s)
		}
	}
	even, wild := make([]Count, 30), make([]Count, 30)
	for i := range even {
		even[i] = Count{20, 20}
		wild[i] = Count{float64(i % 2 * 60), 20}
	}
	if s := Shapes(even); s[shapes-1].Weight < s[0].Weight {
		t.Errorf("even: %+v", s)
	}
	if s := Shapes(wild); s[0].Weight < 0.9 {
		t.Errorf("wild: %+v", s)
	}
}

func TestExpectedNeeded(t *testing.T) {
	f := func(ratio, want float64) {
		t.Helper()
		if got := ExpectedNeeded(ratio, 0.01, 0.8); math.Round(got) != want {
			t.Errorf("a shortfall by %v needs %v, want %v", ratio, got, want)
		}
	}
	f(1.25, 225)
	f(1.5, 75)
	f(2, 29)
	f(3, 14)
}

// What is said to be enough is: the share of drawn units whose shortfall is seen
// by a test of that size.
func TestExpectedNeededIsEnough(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for _, ratio := range []float64{1.25, 1.5, 2} {
		expected := ExpectedNeeded(ratio, 0.01, 0.8)
		threshold := math.Sqrt(expected) - distuv.UnitNormal.Quantile(0.99)/2
		seen, claimed := 0, 0
		const draws = 20_000
		for range draws {
			if math.Sqrt(distuv.Poisson{Lambda: expected / ratio, Src: rng}.Rand()) < threshold {
				seen++
			}
			if math.Sqrt(distuv.Poisson{Lambda: expected, Src: rng}.Rand()) < threshold {
				claimed++
			}
		}
		if power, size := float64(seen)/draws, float64(claimed)/draws; power < 0.74 || power > 0.88 || size > 0.02 {
			t.Errorf("ratio %v at %v: seen in %v, claimed wrongly in %v", ratio, expected, power, size)
		}
	}
}

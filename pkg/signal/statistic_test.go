package signal

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func near(t *testing.T, what string, got, want, relative float64) {
	t.Helper()
	if math.Abs(got-want) > relative*math.Abs(want) {
		t.Errorf("%s: %g, want %g", what, got, want)
	}
}

// The tails against sums of their terms.
func TestTails(t *testing.T) {
	for _, c := range []struct {
		n, k int64
		p    float64
	}{{30, 9, 0.01}, {50, 10, 0.05}, {300, 100, 0.1}, {20, 20, 0.5}, {10, 1, 0.001}} {
		var want float64
		for j := c.k; j <= c.n; j++ {
			a, _ := math.Lgamma(float64(c.n) + 1)
			b, _ := math.Lgamma(float64(j) + 1)
			d, _ := math.Lgamma(float64(c.n-j) + 1)
			want += math.Exp(a - b - d + float64(j)*math.Log(c.p) + float64(c.n-j)*math.Log(1-c.p))
		}
		near(t, "binomial", binomialTail(c.n, c.k, c.p), want, 1e-9)
		same := make([]float64, c.n)
		for i := range same {
			same[i] = c.p
		}
		if want > 1e-12 {
			near(t, "Poisson-binomial of equal chances", poissonBinomialTail(same, int(c.k)), want, 1e-6)
		}
	}
	if binomialTail(5, 0, 0.1) != 1 || binomialTail(5, 6, 0.1) != 0 || binomialTail(5, 2, 0) != 0 || binomialTail(5, 2, 1) != 1 {
		t.Error("binomial at its ends")
	}
	near(t, "Poisson-binomial", poissonBinomialTail([]float64{0.5, 0.1}, 1), 1-0.5*0.9, 1e-12)
	near(t, "normal", upperTail(3), 0.0013498980316, 1e-9)
	near(t, "beta", betaBelow(2, 3, 0.4), 0.5248, 1e-9)
	if betaBelow(2, 3, 1.2) != 1 || betaBelow(2, 3, -1) != 0 {
		t.Error("beta at its ends")
	}
	// Of three windows two are as unlikely as p.
	near(t, "persistent", persistent(0.1), 3*0.01*0.9+0.001, 1e-12)
}

func TestMedian(t *testing.T) {
	med, mad := medianMAD([]float64{5, 1, 3, 100})
	if med != 4 || mad != 2 {
		t.Errorf("median %g, MAD %g", med, mad)
	}
	if median(nil) != 0 {
		t.Error("of nothing")
	}
}

// Benjamini and Hochberg's own example accepts four.
func TestDiscoveries(t *testing.T) {
	f := func(p []float64, m int, want float64) {
		t.Helper()
		if got := discoveries(p, m); got != want {
			t.Errorf("%v of %d: %g, want %g", p, m, got, want)
		}
	}
	f([]float64{0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205}, 8, 0.074)
	f([]float64{0.02, 0.01}, 10, 0.02) // .02 <= .10*2/10
	f([]float64{0.021, 0.0101}, 10, -1)
	f([]float64{1e-4}, 1000, 1e-4)
	f([]float64{1.01e-4}, 1000, -1)
	f(nil, 1000, -1)
}

// Peers: the prior is theirs without the member's own rate, and twenty of them
// are needed.
func TestPeers(t *testing.T) {
	var g peerRates
	for i := range minimumPeers {
		g.add(int64(1+i%5), 20)
	}
	if _, _, known := g.notTwice(3, 20, true); known {
		t.Error("nineteen others are known")
	}
	p, mean, known := g.notTwice(20, 20, false)
	if !known || p > 1e-3 {
		t.Errorf("twenty of twenty: %g, known %v", p, known)
	}
	near(t, "mean", mean, 0.15, 1e-12)
	g.add(20, 20)
	own, mean, known := g.notTwice(20, 20, true)
	if !known {
		t.Error("twenty others are not known")
	}
	near(t, "without itself", own, p, 1e-9)
	near(t, "mean without itself", mean, 0.15, 1e-9)
	if p, _, _ := g.notTwice(3, 20, false); p < 0.5 {
		t.Errorf("an average member: %g", p)
	}
	// Twice more than half is impossible, so that nothing is said.
	var high peerRates
	for i := range 30 {
		high.add(int64(12+i%5), 20)
	}
	if p, _, _ := high.notTwice(20, 20, false); p != 1 {
		t.Errorf("peers above a half: %g", p)
	}
}

// negativeBinomial draws counts with a mean and a size, as a Poisson mixture.
func negativeBinomial(rng *rand.Rand, n int, mean float64) []int64 {
	counts := make([]int64, n)
	for i := range counts {
		// Size 2: the sum of two exponentials is the rate.
		rate := (rng.ExpFloat64() + rng.ExpFloat64()) / 2 * mean
		limit, product := math.Exp(-rate), rng.Float64()
		for product > limit {
			counts[i]++
			product *= rng.Float64()
		}
	}
	return counts
}

// The excess of a sample that is a negative binomial is nothing, and its standard
// error is what it varies by; people who do the minimum stand out.
func TestAdoptionExcess(t *testing.T) {
	var z []float64
	var extra []float64
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		counts := slices.DeleteFunc(negativeBinomial(rng, 800, 12), func(n int64) bool { return n == 0 })
		b, ok := AdoptionExcess(counts)
		if !ok {
			t.Fatal("no fit")
		}
		z = append(z, b.Excess/math.Sqrt(b.Variance))
		for range 60 {
			counts = append(counts, 1)
		}
		more, _ := AdoptionExcess(counts)
		extra = append(extra, more.Observed-more.Expected-(b.Observed-b.Expected))
	}
	med, mad := medianMAD(slices.Clone(z))
	if math.Abs(med) > 0.35 || mad*robust < 0.6 || mad*robust > 1.5 {
		t.Errorf("z has median %.2f, spread %.2f", med, mad*robust)
	}
	if slices.Min(extra) < 59.99 || slices.Max(extra) > 60.01 {
		t.Errorf("sixty more people are %.2f to %.2f more", slices.Min(extra), slices.Max(extra))
	}
	rng := rand.New(rand.NewPCG(1, 1))
	counts := negativeBinomial(rng, 400, 30)
	for i := range counts {
		counts[i] += 3
	}
	if _, ok := AdoptionExcess(counts[:s13People-1]); ok {
		t.Error("199 people suffice")
	}
	a, ok := AdoptionExcess(counts[:s13People])
	if !ok {
		t.Error("200 people do not suffice")
	}
	slices.Reverse(counts[:s13People])
	if b, _ := AdoptionExcess(counts[:s13People]); a != b {
		t.Error("the order of people matters")
	}
	same := make([]int64, 500)
	for i := range same {
		same[i] = 5
	}
	if _, ok := AdoptionExcess(same); ok {
		t.Error("a single count has a fit")
	}
}

// The chance of a z is that of Student's t, by its tables.
func TestOwnTail(t *testing.T) {
	for _, x := range []struct {
		z     float64
		weeks int64
		want  float64
	}{{5.841, 4, 0.005}, {3.250, 10, 0.005}, {2.262, 10, 0.025}, {0, 7, 0.5}, {-3.250, 10, 0.995}, {6.314, 2, 0.05}, {6.314, 0, 0.05}} {
		if got := ownTail(x.z, x.weeks); math.Abs(got-x.want) > 1e-5 {
			t.Errorf("z %g of %d weeks: %g, want %g", x.z, x.weeks, got, x.want)
		}
	}
}

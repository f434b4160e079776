package signal

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat/distuv"
)

// robust turns a median absolute deviation into a standard deviation.
const robust = 1.4826

// Floors of the spread of a subject: less is not believed.
const (
	floorLog   = 0.25 // nats
	floorShare = 0.05
	floorHours = 6.0
)

// baselineWeeks is how many active weeks a subject's own history needs.
const baselineWeeks = 4

// median returns the median, of two middle values the mean, and sorts values. It is 0 for none.
func median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	slices.Sort(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// medianMAD returns the median and the median absolute deviation; it sorts
// values.
func medianMAD(values []float64) (med, mad float64) {
	med = median(values)
	away := make([]float64, len(values))
	for i, v := range values {
		away[i] = math.Abs(v - med)
	}
	return med, median(away)
}

// spread is a standard deviation made of a MAD, at least floor.
func spread(mad, floor float64) float64 { return max(robust*mad, floor) }

// upperTail is the probability that a standard normal is above z.
func upperTail(z float64) float64 { return math.Erfc(z/math.Sqrt2) / 2 }

// ownTail is the probability that a week is z of the subject's own standard
// deviations above its usual, both of which are known from so many weeks: Student's.
func ownTail(z float64, weeks int64) float64 {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(max(weeks-1, 1))}.Survival(z)
}

// binomialTail is the probability of k or more of n with chance p.
func binomialTail(n, k int64, p float64) float64 {
	switch {
	case k <= 0:
		return 1
	case k > n || p <= 0:
		return 0
	case p >= 1:
		return 1
	}
	return mathext.RegIncBeta(float64(k), float64(n-k)+1, p)
}

// betaBelow is the probability that a rate with the posterior Beta(a, b) is at
// most x.
func betaBelow(a, b, x float64) float64 {
	if x >= 1 {
		return 1
	}
	return mathext.RegIncBeta(a, b, max(x, 0))
}

// poissonBinomialTail is the probability that k or more of independent trials
// with chances p succeed.
func poissonBinomialTail(p []float64, k int) float64 {
	mass := make([]float64, len(p)+1)
	mass[0] = 1
	for i, chance := range p {
		for j := i + 1; j > 0; j-- {
			mass[j] = float64(mass[j]*(1-chance)) + float64(mass[j-1]*chance)
		}
		mass[0] *= 1 - chance
	}
	var tail float64
	for j := len(p); j >= max(k, 0); j-- {
		tail += mass[j]
	}
	return min(tail, 1)
}

// logit of a share of n: half a unit is added on either side, so that it is
// finite.
func logit(part, whole float64) float64 {
	return math.Log((part + 0.5) / (whole - part + 0.5))
}

// persistent is the probability that two of three windows are each as unlikely
// as p, by chance.
func persistent(p float64) float64 {
	return float64(p*p) * (3 - float64(2*p))
}

// discoveryRate is the share of false discoveries that is accepted among the
// subjects of a signal in a week.
const discoveryRate = 0.10

// discoveries is the greatest p that Benjamini and Hochberg's procedure accepts
// among m hypotheses; p holds the candidates' and is sorted. It is negative if
// none is accepted.
func discoveries(p []float64, m int) float64 {
	slices.SortFunc(p, cmp.Compare[float64])
	for i := len(p) - 1; i >= 0; i-- {
		if p[i] <= float64(discoveryRate*float64(i+1))/float64(m) {
			return p[i]
		}
	}
	return -1
}

// peerRates are the rates of a group, of which one member is judged by the
// others.
type peerRates struct {
	n           int
	sum, square float64
}

func (g *peerRates) add(k, n int64) {
	rate := float64(k) / float64(n)
	g.n++
	g.sum += rate
	g.square += float64(rate * rate)
}

// minimumPeers is how many others make a peer group.
const minimumPeers = 20

// notTwice is the probability that a member with k of n has a rate of at most
// twice the others' mean, with their spread as the prior; it is unknown with fewer
// than minimumPeers others. own says whether the member is in the group.
func (g *peerRates) notTwice(k, n int64, own bool) (p, mean float64, known bool) {
	others, sum, square := g.n, g.sum, g.square
	if own {
		rate := float64(k) / float64(n)
		others, sum, square = others-1, sum-rate, square-float64(rate*rate)
	}
	if others < minimumPeers {
		return 1, 0, false
	}
	mean = min(max(sum/float64(others), 1e-6), 1-1e-6)
	variance := max(square/float64(others)-float64(mean*mean), 1e-9)
	// Beta-binomial by moments: the weight of the prior, in sessions.
	weight := min(max(float64(mean*(1-mean))/variance-1, 4), 40)
	return betaBelow(float64(mean*weight)+float64(k), float64((1-mean)*weight)+float64(n-k), 2*mean), mean, true
}

package score

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

// Trials is how many of N came out in one way, such as accepted edits of all, or
// abandoned sessions of all: 0 ≤ K ≤ N.
type Trials struct{ K, N int64 }

// Beta is what is known of a rate between 0 and 1: the beta distribution with
// parameters A and B, both positive.
type Beta struct{ A, B float64 }

// The weight of peers beside the trials of one unit, in trials.
const (
	leastPeerTrials = 4
	mostPeerTrials  = 40
)

// PeerRate returns how rates differ among peers, from the trials of each, and
// whether any are known. The mean is that of all trials together; the weight
// A + B follows by moments from the spread that chance does not explain, held
// between 4 and 40 trials. The order of the peers does not matter.
func PeerRate(peers []Trials) (Beta, bool) {
	peers = slices.Clone(peers)
	slices.SortFunc(peers, func(a, b Trials) int { return cmp.Or(cmp.Compare(a.N, b.N), cmp.Compare(a.K, b.K)) })
	var k, n int64
	units := 0
	for _, t := range peers {
		if t.N > 0 {
			k, n = k+t.K, n+t.N
			units++
		}
	}
	if n == 0 {
		return Beta{}, false
	}
	// Half a trial either way keeps the mean off 0 and 1, where no weight could
	// be told.
	m := (float64(k) + 0.5) / (float64(n) + 1)
	scatter := 0.0
	for _, t := range peers {
		if t.N > 0 {
			gap := float64(t.K)/float64(t.N) - m
			scatter += float64(float64(t.N) * gap * gap)
		}
	}
	spread := scatter/float64(n) - m*(1-m)*float64(units)/float64(n)
	weight := float64(mostPeerTrials)
	if spread > 0 {
		weight = max(leastPeerTrials, min(mostPeerTrials, m*(1-m)/spread-1))
	}
	return Beta{A: m * weight, B: (1 - m) * weight}, true
}

// After returns what is known after trials of one unit.
func (b Beta) After(t Trials) Beta {
	return Beta{A: b.A + float64(t.K), B: b.B + float64(t.N-t.K)}
}

// Mean is the expectation of the rate.
func (b Beta) Mean() float64 { return b.A / (b.A + b.B) }

// valid reports whether there is such a distribution. gonum's functions never
// return if they are given NaN.
func (b Beta) valid() bool {
	return b.A > 0 && b.B > 0 && b.A <= math.MaxFloat64 && b.B <= math.MaxFloat64
}

// Quantile is the rate below which lies the share q of the probability,
// 0 ≤ q ≤ 1; NaN if there is no such distribution.
func (b Beta) Quantile(q float64) float64 {
	if !b.valid() {
		return math.NaN()
	}
	return mathext.InvRegIncBeta(b.A, b.B, q)
}

// Above is the probability that the rate exceeds x; NaN if there is no such
// distribution or x is not a number.
func (b Beta) Above(x float64) float64 {
	switch {
	case !b.valid() || math.IsNaN(x):
		return math.NaN()
	case x <= 0:
		return 1
	case x >= 1:
		return 0
	}
	return mathext.RegIncBeta(b.B, b.A, 1-x)
}

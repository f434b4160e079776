package kpi

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// minRanked is how many units the rank check needs for an alarm: with fewer it
// would miss most of what happens.
const minRanked = 80

// rankWeeks is the length of its windows, rankGap how long after the
// announcement the second begins.
const rankWeeks, rankGap = 8, 2

func rankCheck() Check {
	return Check{
		Name: "rank_correlation", Title: "Rank correlation of outcomes and usage",
		Question: "Do those who use most still deliver most?",
		MinimumN: minRanked, Formula: "rank/1", assess: rankCorrelation,
	}
}

// rankCorrelation is Spearman's between units, in the weeks since the
// announcement beside (placebo) those before. It is a weak check: what sets
// people apart hides all but the grossest gaming.
func rankCorrelation(s *sample) Finding {
	since := s.Target.Announced + rankGap
	earlier := span{max(0, s.Target.Announced-rankWeeks), s.Target.Announced}
	later := span{max(since, s.Week+1-rankWeeks), s.Week + 1}
	switch {
	case earlier.weeks() < minActiveWeeks:
		return unknown(0, ReasonHistory)
	case later.weeks() < minActiveWeeks:
		return unknown(0, ReasonAfter)
	}
	rho0, n0 := s.spearman(earlier)
	rho, n := s.spearman(later)
	if min(n, n0) < minClusters {
		return unknown(min(n, n0), ReasonUnits)
	}
	if math.IsNaN(rho) || math.IsNaN(rho0) || math.Abs(rho) >= 1 || math.Abs(rho0) >= 1 {
		return unknown(n, ReasonVariance)
	}
	z, se, se0 := math.Atanh(rho), math.Sqrt(1.06/float64(n-3)), math.Sqrt(1.06/float64(n0-3))
	f := Finding{
		Value: rho, Lo: math.Tanh(z - float64(intervalZ*se)), Hi: math.Tanh(z + float64(intervalZ*se)), Known: true, Bounded: true, N: n,
		Placebo: rho0, PlaceboKnown: true, Z: (z - math.Atanh(rho0)) / math.Hypot(se, se0), ZKnown: true,
	}
	if min(n, n0) < minRanked {
		f.Reason = ReasonUnits
		return f
	}
	f.Alarm = f.Z < -alarmZ
	return f
}

// spearman returns the rank correlation of usage and outcomes per active week
// over the units that were active in the window, and how many those are.
func (s *sample) spearman(w span) (rho float64, n int) {
	var tokens, outcomes []float64
	for i, u := range s.units {
		if a := u.activity(w, s.usual[i]); a.weeks >= minActiveWeeks {
			tokens, outcomes = append(tokens, a.level), append(outcomes, a.outcomes)
		}
	}
	if len(tokens) < 2 {
		return math.NaN(), len(tokens)
	}
	return stat.Correlation(ranks(tokens), ranks(outcomes), nil), len(tokens)
}

// ranks returns the rank of each value from 1, equal values sharing their mean.
func ranks(values []float64) []float64 {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(values[a], values[b]) })
	out := make([]float64, len(values))
	for from := 0; from < len(order); {
		to := from + 1
		for to < len(order) && values[order[to]] == values[order[from]] {
			to++
		}
		for _, i := range order[from:to] {
			out[i] = float64(from+to+1) / 2
		}
		from = to
	}
	return out
}

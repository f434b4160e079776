package kpi

import (
	"cmp"
	"math"
	"slices"
)

func regressionalCheck() Check {
	return Check{
		Name: "regressional", Title: "Noise in a list of top users",
		Question: "Of the lead of the top tenth of users, how much is not found in next week's outcomes?",
		MinimumN: minPersons, Formula: "regressional/1", assess: regressional,
	}
}

func extremalCheck() Check {
	return Check{
		Name: "extremal", Title: "Returns among the heaviest users",
		Question: "Do outcomes rise with tokens among the heaviest users as they do below?",
		MinimumN: minPersons, Formula: "extremal/1", assess: extremal,
	}
}

// topTenth is the quantile of usage above which a user is a top user.
const topTenth = 0.9

// regressional is 1 - mean z(V) / mean z(U) of the units that are the top tenth
// by U, tokens of a week; V is outcomes of the next. z are standard scores of
// logarithms within a week. Half of a list of top users would be noise at 0.5. It
// is a property of the measure, and raises no alarm.
func regressional(s *sample) Finding {
	lead, follow := make([]float64, s.clusters), make([]float64, s.clusters)
	n := 0
	for w := max(0, s.Week+1-maxWindow); w < s.Week; w++ {
		pairs := s.pairs(w)
		if s.enough(len(pairs)) != "" {
			continue
		}
		for _, p := range pairs[int(float64(topTenth*float64(len(pairs)))):] {
			lead[p.cluster] += p.tokens
			follow[p.cluster] += p.outcomes
			n++
		}
	}
	if n == 0 {
		return unknown(n, ReasonUnits)
	}
	estimate := func(times []float64) float64 {
		var u, v float64
		for g, t := range times {
			u += float64(t * lead[g])
			v += float64(t * follow[g])
		}
		return 1 - v/u
	}
	return s.bootstrapped("regressional", n, estimate)
}

// pair is a unit's standard scores of tokens in a week and outcomes in the next.
type pair struct {
	cluster          int
	tokens, outcomes float64
}

// pairs returns the units active in a week whose next is known, by tokens.
func (s *sample) pairs(w int) []pair {
	var all []pair
	s.active(w, func(i int, tokens, _ float64) {
		if next := s.units[i].week(w + 1); next.Known && next.OutcomesKnown {
			all = append(all, pair{s.cluster[i], tokens, math.Log(max(0, float64(next.Outcomes)/1000) + 0.5)})
		}
	})
	standardise(all, func(p *pair) *float64 { return &p.tokens })
	standardise(all, func(p *pair) *float64 { return &p.outcomes })
	slices.SortStableFunc(all, func(a, b pair) int { return cmp.Compare(a.tokens, b.tokens) })
	return all
}

// standardise turns a field into standard scores, 0 if it does not vary.
func standardise(all []pair, field func(*pair) *float64) {
	values := make([]float64, len(all))
	for i := range all {
		values[i] = *field(&all[i])
	}
	mean, variance := meanVariance(values)
	for i := range all {
		if *field(&all[i]) -= mean; variance > 0 {
			*field(&all[i]) /= math.Sqrt(variance)
		}
	}
}

// extremal is the ratio of the elasticity of outcomes on tokens above the ninth
// decile of tokens to that below it, between units over the last window: below 1
// returns vanish in the tail. The tail is short and its slope uncertain; it
// raises no alarm.
func extremal(s *sample) Finding {
	in := span{max(0, s.Week+1-maxWindow), s.Week + 1}
	var all []pair
	var levels []float64
	for i, u := range s.units {
		if a := u.activity(in, s.usual[i]); a.weeks >= minActiveWeeks {
			all = append(all, pair{s.cluster[i], math.Log(a.level), math.Log(a.outcomes + noOutcome)})
			levels = append(levels, math.Log(a.level))
		}
	}
	if why := s.enough(len(all)); why != "" {
		return unknown(len(all), why)
	}
	slices.Sort(levels)
	cut := quantile(levels, topTenth)
	var lower, upper []pair
	for _, p := range all {
		if p.tokens >= cut {
			upper = append(upper, p)
		} else {
			lower = append(lower, p)
		}
	}
	elasticity := func(part []pair, times []float64) float64 {
		return fit(len(part), func(i int) (float64, float64, float64) {
			return part[i].tokens, part[i].outcomes, times[part[i].cluster]
		}).slope
	}
	return s.bootstrapped("extremal", len(all), func(times []float64) float64 {
		return elasticity(upper, times) / elasticity(lower, times)
	})
}

// bootstrapped is the finding of an estimate with its bootstrap interval.
func (s *sample) bootstrapped(check string, n int, estimate func(times []float64) float64) Finding {
	once := make([]float64, s.clusters)
	for g := range once {
		once[g] = 1
	}
	value := estimate(once)
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return unknown(n, ReasonVariance)
	}
	spread := bootstrap(s.rng(check), s.clusters, estimate)
	if len(spread) < draws*9/10 {
		return unknown(n, ReasonDegenerate)
	}
	return Finding{Value: value, Lo: quantile(spread, .05), Hi: quantile(spread, .95), Known: true, Bounded: true, N: n}
}

package kpi

import (
	"cmp"
	"math"
	"slices"
)

func concentrationCheck() Check {
	return Check{
		Name: "concentration", Title: "Concentration of tokens",
		Question: "Have fewer people come to use most of the tokens, or more?",
		MinimumN: minPersons, Formula: "concentration/1", assess: concentration,
	}
}

const (
	// concentrationWeeks is how many weeks say what concentration is usual.
	concentrationWeeks = 8
	// concentrationZ is the change in standard errors that raises an alarm.
	concentrationZ = 3
)

// concentration is the Gini coefficient of tokens between the persons who used
// any in the week, beside (placebo) the median of the 8 weeks before. Honest usage
// is concentrated too, so that only a change raises an alarm.
func concentration(s *sample) Finding {
	now := s.holdings(s.Week)
	if why := s.enough(len(now)); why != "" {
		return unknown(len(now), why)
	}
	var weeks [][]holding
	for w := max(0, s.Week-concentrationWeeks); w < s.Week; w++ {
		if h := s.holdings(w); len(h) >= len(now)/2 {
			weeks = append(weeks, h)
		}
	}
	once := make([]float64, s.clusters)
	for g := range once {
		once[g] = 1
	}
	value := gini(now, once)
	var own []float64
	rng := s.rng("concentration")
	usual := func(times []float64) float64 {
		all := make([]float64, len(weeks))
		for k := range weeks {
			all[k] = gini(weeks[k], times)
		}
		slices.Sort(all)
		return median(all)
	}
	apart := bootstrap(rng, s.clusters, func(times []float64) float64 {
		drawn := gini(now, times)
		own = append(own, drawn)
		return drawn - usual(times)
	})
	slices.Sort(own)
	f := Finding{Value: value, Lo: quantile(own, .05), Hi: quantile(own, .95), Known: true, Bounded: true, N: len(now)}
	if len(weeks) < concentrationWeeks {
		f.Reason = ReasonHistory
		return f
	}
	f.Placebo, f.PlaceboKnown = usual(once), true
	if _, variance := meanVariance(apart); variance > 0 {
		f.Z, f.ZKnown = (value-f.Placebo)/math.Sqrt(variance), true
	}
	f.Alarm = math.Abs(f.Z) > concentrationZ
	return f
}

// holding is what a unit used in a week.
type holding struct {
	cluster int
	tokens  float64
}

// holdings returns the usage of a week of those who used any, ascending.
func (s *sample) holdings(w int) []holding {
	var all []holding
	for i, u := range s.units {
		if k := u.week(w); k.Known && k.Tokens > 0 {
			all = append(all, holding{s.cluster[i], float64(k.Tokens)})
		}
	}
	slices.SortStableFunc(all, func(a, b holding) int { return cmp.Compare(a.tokens, b.tokens) })
	return all
}

// gini returns the Gini coefficient of ascending holdings, each counted as often
// as its cluster; NaN of nothing.
func gini(all []holding, times []float64) float64 {
	var n, sum, ranked float64
	for i := range all {
		t := times[all[i].cluster]
		// The t copies have the ranks n+1 to n+t.
		ranked += float64(t * all[i].tokens * (n + (t+1)/2))
		n += t
		sum += float64(t * all[i].tokens)
	}
	return 2*ranked/(n*sum) - (n+1)/n
}

// topShare returns the share of the greatest fraction of holdings, at least one.
func topShare(all []holding, fraction float64) float64 {
	top := max(1, int(fraction*float64(len(all))))
	var sum, topmost float64
	for i := range all {
		sum += all[i].tokens
		if i >= len(all)-top {
			topmost += all[i].tokens
		}
	}
	return topmost / sum
}

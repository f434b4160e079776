package kpi

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

func elasticityCheck() Check {
	return Check{
		Name: "elasticity", Title: "Elasticity of outcomes",
		Question: "Do people who use more than they used to also deliver more than they used to?",
		MinimumN: minPersons, Formula: "elasticity/1", assess: elasticity,
	}
}

// slope is an elasticity and how much each cluster moves it.
type slope struct {
	value float64
	// influence sums to the deviation of value from its expectation.
	influence []float64
}

// within returns the elasticity of outcomes on tokens over one or more sets of
// changes. Each set keeps its own mean: what is common to all, growth or a
// season, is no part of it. It is NaN if nothing varies.
func within(sets [][]change, clusters int) slope {
	var sxx, sxy float64
	mx, my := make([]float64, len(sets)), make([]float64, len(sets))
	for k, set := range sets {
		var weights float64
		for i := range set {
			weights += set[i].weight
			mx[k] += float64(set[i].weight * set[i].tokens)
			my[k] += float64(set[i].weight * set[i].outcomes)
		}
		mx[k], my[k] = mx[k]/weights, my[k]/weights
		for i := range set {
			d := set[i].tokens - mx[k]
			sxx += float64(set[i].weight * d * d)
			sxy += float64(set[i].weight * d * (set[i].outcomes - my[k]))
		}
	}
	s := slope{value: sxy / sxx, influence: make([]float64, clusters)}
	for k, set := range sets {
		for i := range set {
			d := set[i].tokens - mx[k]
			e := set[i].outcomes - my[k] - float64(s.value*d)
			s.influence[set[i].cluster] += float64(set[i].weight * d * e / sxx)
		}
	}
	return s
}

// standardError is that of the slope or, with another, of their difference. It
// is robust to whatever happens to a team as a whole, and to the window that both
// slopes share.
func (s slope) standardError(minus *slope) float64 {
	var sum float64
	n := float64(len(s.influence))
	for g, d := range s.influence {
		if minus != nil {
			d -= minus.influence[g]
		}
		sum += float64(d * d)
	}
	return math.Sqrt(sum * n / (n - 1))
}

// elasticity is the primary check: the elasticity of outcomes on tokens within
// units, across the announcement, beside the same between windows before it.
// Differences take out what sets people apart and hides gaming in a comparison
// between them.
func elasticity(s *sample) Finding {
	n := len(s.changed)
	if s.short != "" {
		return unknown(n, s.short)
	}
	if why := s.enough(min(n, len(s.placebos[0]))); why != "" {
		return unknown(n, why)
	}
	b, b0 := within([][]change{s.changed}, s.clusters), within(s.placebos, s.clusters)
	se, se0, apart := b.standardError(nil), b0.standardError(nil), b.standardError(&b0)
	if math.IsNaN(b.value) || math.IsNaN(b0.value) || apart <= 0 {
		return unknown(n, ReasonVariance)
	}
	f := Finding{
		Value: b.value, Lo: b.value - float64(intervalZ*se), Hi: b.value + float64(intervalZ*se), Known: true, Bounded: true, N: n,
		Placebo: b0.value, PlaceboKnown: true, Z: (b.value - b0.value) / apart, ZKnown: true,
	}
	if b0.value < float64(critical(s.clusters)*se0) {
		f.Reason = ReasonUnrelated // what was never there cannot be lost
		return f
	}
	f.Alarm = f.Z < -critical(s.clusters)
	return f
}

// critical returns the distance in standard errors that is exceeded by chance
// once in a hundred times, with a standard error from so many clusters.
func critical(clusters int) float64 {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(clusters - 1)}.Quantile(0.99)
}

// drawn returns the slope, to first order, if each cluster counted so often.
func (s slope) drawn(times []float64) float64 {
	v := s.value
	for g, d := range s.influence {
		v += float64((times[g] - 1) * d)
	}
	return v
}

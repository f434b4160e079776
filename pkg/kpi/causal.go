package kpi

import "math"

func causalCheck() Check {
	return Check{
		Name: "causal", Title: "Effect of pressed usage on outcomes",
		Question: "Where the target moved usage, did outcomes move with it?",
		MinimumN: minPersons, Formula: "causal/1", assess: causal,
	}
}

// firstStage is the F that the effect of the target on usage must exceed: below,
// a ratio to it means nothing.
const firstStage = 10

// causal is the elasticity of outcomes on those tokens that the target brought:
// the difference in differences of outcomes over that of tokens, between those
// the target is set for and those it is not. Its placebo is the elasticity within
// units before. Near 0 while the placebo is not, pushing usage moves nothing.
func causal(s *sample) Finding {
	n := len(s.changed)
	switch {
	case s.control == nil:
		return unknown(n, ReasonControl)
	case s.short != "":
		return unknown(n, s.short)
	}
	if why := s.enough(n); why != "" {
		return unknown(n, why)
	}
	if why := s.control.enough(len(s.control.changed)); why != "" {
		return unknown(n, why)
	}
	with, without := averages(s.changed, s.clusters), averages(s.control.changed, s.control.clusters)
	du, dv := with.tokens-without.tokens, with.outcomes-without.outcomes
	uu, uv, vv := with.uu+without.uu, with.uv+without.uv, with.vv+without.vv
	if !(uu > 0) {
		return unknown(n, ReasonVariance)
	}
	if du*du/uu <= firstStage {
		return unknown(n, ReasonFirstStage)
	}
	b := dv / du
	se := math.Sqrt(max(0, vv-float64(2*b*uv)+float64(b*b*uu))) / math.Abs(du)
	f := Finding{Value: b, Lo: b - float64(intervalZ*se), Hi: b + float64(intervalZ*se), Known: true, Bounded: true, N: n}
	if b0 := within(s.placebos, s.clusters); !math.IsNaN(b0.value) && se > 0 {
		f.Placebo, f.PlaceboKnown = b0.value, true
		f.Z, f.ZKnown = (b-b0.value)/math.Hypot(se, b0.standardError(nil)), true
	}
	f.Alarm = f.Z < -critical(min(s.clusters, s.control.clusters))
	return f
}

// average is the mean change of a group and its covariance, robust to clusters.
type average struct{ tokens, outcomes, uu, uv, vv float64 }

func averages(changes []change, clusters int) average {
	var a average
	n := float64(len(changes))
	for i := range changes {
		a.tokens += changes[i].tokens
		a.outcomes += changes[i].outcomes
	}
	a.tokens, a.outcomes = a.tokens/n, a.outcomes/n
	u, v := make([]float64, clusters), make([]float64, clusters)
	for i := range changes {
		c := &changes[i]
		u[c.cluster] += (c.tokens - a.tokens) / n
		v[c.cluster] += (c.outcomes - a.outcomes) / n
	}
	g := float64(clusters) / float64(clusters-1)
	for i := range u {
		a.uu += float64(g * u[i] * u[i])
		a.uv += float64(g * u[i] * v[i])
		a.vv += float64(g * v[i] * v[i])
	}
	return a
}

package signal

import "math"

// S8.
const (
	s8Minimum = 4
	s8Hits    = 3
	s8Above   = 1.1
	s8P       = 1e-3
	s8Last    = 0.35
)

func bunching() Definition {
	return Definition{
		Code: "S8", Title: "Just above a target", Kind: Mechanism, Label: PossibleGaming,
		ScopeKinds: []string{ScopeSelf, ScopeTeam, ScopeTool, ScopeModel},
		Needs:      []string{"a declared target per person", "amounts by day"},
		Statistic: "periods since the announcement whose amount lies between the target T and 1.1 T; their chance is Poisson-binomial, " +
			"each period's from the lognormal of the subject's own periods before, and before those that run late (S9)",
		MinimumN: s8Minimum, Sample: "periods",
		Thresholds: []Threshold{
			{"periods just above the target", s8Hits, "periods"},
			{"probability by chance, at most", s8P, "probability"},
			{"share in the last tenth of the working days", s8Last, "share"},
		},
		LookAlikes: []LookAlike{
			look("a budget", "who stays just below a limit saves, and is not counted", leftOut),
			look("a natural level near the target", "the chance is that of the subject's own spread", leftOut),
			look("a rhythm of the team", "the team's work ends there", together(sameTeam)),
		},
		Question: "Did the target decide how much was used?",
		Formula:  "bunching/2",
		self:     "Up to {week} {value} of your periods under the usage target ended just above it, after much of the amount had come at the very end.",
		shared:   "{scope}, {week}: {value} periods of people under the usage target ended just above it.",
		spans:    true,
		measure:  measureBunching,
		facts: func(_ *observation, r *Reading) []Fact {
			return []Fact{
				number("p", "probability of as many by chance", r.P, "probability", r.N).against(s8P),
				number("last_share", "share of the last period's amount in its last tenth", r.extra, "share", r.N).against(s8Last),
			}
		},
	}
}

func measureBunching(o *observation) (r Reading) {
	p := &o.state.Period
	if p.Target == "" || o.closed == 0 {
		return r
	}
	var chances []float64
	hits := 0
	for i := range p.Closed {
		c := &p.Closed[i]
		if !c.Counted {
			continue
		}
		chances = append(chances, c.P)
		if c.Hit {
			hits++
		}
	}
	n := int64(len(chances))
	if !r.sample(n, max(n, 1), int64(len(p.Closed)), s8Minimum) {
		return r
	}
	r.Value, r.Threshold = float64(hits), s8Hits
	r.Shift = share(int64(hits), n)
	r.P = poissonBinomialTail(chances, hits)
	r.extra = p.last().LastShare
	r.decide(hits >= s8Hits && r.P <= s8P && r.extra > s8Last)
	return r
}

// judgeBunching says whether a period ended just above the target, and the chance
// of that.
func judgeBunching(o *observation, p *PeriodState, c *ClosedPeriod) {
	t := o.target()
	usual, known := p.usuals()
	if t == nil || !known || c.Start < int64(t.AnnouncedAt) {
		return
	}
	target := float64(t.Threshold)
	low, high := math.Log(target), math.Log(s8Above*target)
	c.Counted = true
	c.Hit = float64(c.Amount) >= target && float64(c.Amount) < s8Above*target
	c.P = max(upperTail((low-usual.Amount)/usual.AmountSpread)-upperTail((high-usual.Amount)/usual.AmountSpread), 0)
}

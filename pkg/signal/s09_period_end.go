package signal

import (
	"math"

	"github.com/goodhartlabs/goodhart/pkg/policy"
)

// S9: honest people put up to 58 % of a month into its last fifth, so only what is
// new, and what outcomes do not follow, counts.
const (
	s9Minimum  = 20
	s9Late     = 0.45
	s9Z        = 3.0
	s9AmountZ  = 1.0
	s9Outcomes = 1.5
)

func periodEnd() Definition {
	return Definition{
		Code: "S9", Title: "Surge at the end of a period", Kind: Supporting, Label: PossibleGaming,
		Needs:     []string{"amounts by day", "outcomes by day"},
		Statistic: "share of a period's amount in its last fifth of working days: own z of its logit, and the logit less that of the outcomes; in two periods running",
		MinimumN:  s9Minimum, Sample: "requests",
		Thresholds: []Threshold{
			{"late share", s9Late, "share"},
			{"own z of its logit", s9Z, "standard deviations"},
			{"own z of ln amount", s9AmountZ, "standard deviations"},
			{"logit above that of the outcomes", s9Outcomes, "nats"},
		},
		LookAlikes: []LookAlike{
			look("the close of a sprint or quarter", "the team ends its work then", together(sameTeam)),
			look("a release", "it is declared", declared(policy.Release)),
			look("part-time work", "the pattern is as usual", leftOut),
			look("a vacation early in the period", "the share is taken again over the days worked", leftOut),
			look("a declared vacation", "the work of the period is left for its end", declared(policy.Vacation)),
		},
		Question: "What was the end of the period needed for?",
		Formula:  "late/1",
		self:     "Up to {week} {value} of your period's usage came in its last fifth, twice running and more than your outcomes.",
		spans:    true,
		measure:  measureSurge,
		facts: func(o *observation, r *Reading) []Fact {
			c := o.state.Period.last()
			if c == nil {
				return nil
			}
			return []Fact{
				number("late_worked", "late share, days away made up for", c.LateWorked, "share", r.N).against(s9Late),
				number("over_outcomes", "logit of the late share less that of the outcomes", c.LateLogit-c.LateOutcomeLogit, "nats", r.N).against(s9Outcomes),
			}
		},
	}
}

func measureSurge(o *observation) (r Reading) {
	p := &o.state.Period
	c := p.last()
	if c == nil || o.closed == 0 {
		return r
	}
	if !r.sample(c.Requests, c.Requests, c.Requests, s9Minimum) {
		return r
	}
	before := len(p.Closed) - 1
	if before < baselineWeeks {
		r.Measure = NoHistory
		return r
	}
	past := PeriodState{Closed: p.Closed[:before]}
	med, _, _ := past.usual(lateLogit)
	r.Value, r.Threshold = 1/(1+math.Exp(-c.LateLogit)), s9Late
	r.Shift = c.LateLogit - med
	twice := c.Surge && p.Closed[before-1].Surge
	r.P = 1
	if twice {
		chance := max(c.SurgeP, p.Closed[before-1].SurgeP)
		r.P = float64(chance * chance)
	}
	r.decide(twice)
	return r
}

// judgeSurge says whether much more of a period than usual came late, before it
// is taken into the history.
func judgeSurge(p *PeriodState, c *ClosedPeriod) {
	late, lateSpread, known := p.usual(lateLogit)
	if !known {
		return
	}
	amount, amountSpread, _ := p.usual(lnAmount)
	z := (c.LateLogit - late) / lateSpread
	c.SurgeP = upperTail(z)
	c.Surge = z >= s9Z && c.LateLogit >= shareLogit(s9Late) && c.LateWorked >= s9Late &&
		(c.LnAmount-amount)/amountSpread >= s9AmountZ &&
		c.LateLogit-c.LateOutcomeLogit >= s9Outcomes
}

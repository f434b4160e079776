package signal

import (
	"math"

	"github.com/goodhartlabs/goodhart/pkg/policy"
)

// S9: honest people put up to 58 % of a month into its last fifth, so only what is
// new, and what outcomes do not follow, counts. Two periods of which each is three
// standard deviations late are as unlikely as several that are less so: what counts is
// the sum of their z by the root of their number. They are compared with what was usual
// before the first of them, see PeriodUsual: else what goes on is soon its own history.
const (
	s9Minimum  = 20
	s9Late     = 0.45
	s9Z        = 4.24 // 3 √2
	s9Each     = 1.0
	s9AmountZ  = 1.0
	s9Outcomes = 1.5
	s9Least    = 2
	s9Most     = 4
)

func periodEnd() Definition {
	return Definition{
		Code: "S9", Title: "Surge at the end of a period", Kind: Mechanism, Label: PossibleGaming,
		ScopeKinds: []string{ScopeSelf, ScopeTeam, ScopeTool, ScopeModel},
		Needs:      []string{"amounts by day", "outcomes by day"},
		Statistic:  "share of a period's amount in its last fifth of working days: own z of its logit, and the logit less that of the outcomes; over the last two to four periods running, of weeks (or what a target counts) and of months",
		MinimumN:   s9Minimum, Sample: "requests",
		Thresholds: []Threshold{
			{"late share", s9Late, "share"},
			{"own z of its logit, in each", s9Each, "standard deviations"},
			{"their sum, by the root of their number", s9Z, "standard deviations"},
			{"own z of ln amount, mean", s9AmountZ, "standard deviations"},
			{"mean logit above that of all their outcomes", s9Outcomes, "nats"},
		},
		LookAlikes: []LookAlike{
			look("the close of a sprint or quarter", "the team ends its work then", together(sameTeam)),
			look("a release", "it is declared", declared(policy.Release)),
			look("part-time work", "the pattern is as usual", leftOut),
			look("a vacation early in the period", "the share is taken again over the days worked", leftOut),
			look("a declared vacation", "the work of the period is left for its end", declared(policy.Vacation)),
		},
		Question: "What was the end of the period needed for?",
		Formula:  "late/3",
		self:     "Up to {week} {value} of your period's usage came in its last fifth, not for the first time and more than your outcomes.",
		shared:   "{scope}, {week}: {value} of the usage of people's periods came in their last fifth, not for the first time.",
		spans:    true,
		measure:  measureSurge,
		release:  func(s *SubjectState) { s.Period.Held, s.Month.Held = PeriodUsual{}, PeriodUsual{} },
		facts: func(o *observation, r *Reading) []Fact {
			c := o.state.Period.last()
			if c == nil {
				return nil
			}
			return []Fact{
				number("late_worked", "late share, days away made up for", c.LateWorked, "share", r.N).against(s9Late),
				number("over_outcomes", "logit of the late shares less that of the outcomes", r.extra, "nats", r.N).against(s9Outcomes),
			}
		},
	}
}

func measureSurge(o *observation) (r Reading) {
	if o.closed > 0 {
		r = o.state.Period.surges()
	}
	if r.Measure == Fired || o.state.Period.Period == policy.Month {
		return r
	}
	if m := o.state.Month.surges(); m.Measure == Fired {
		if o.months == 0 {
			return Reading{} // it stands until the month has ended
		}
		return m
	}
	return r
}

// surges looks at the last periods that ran late.
func (p *PeriodState) surges() (r Reading) {
	c := p.last()
	if c == nil || !r.sample(c.Requests, c.Requests, c.Requests, s9Minimum) {
		return r
	}
	past := PeriodState{Closed: p.Closed[:len(p.Closed)-1], Held: p.Held}
	usual, known := past.usuals()
	if !known {
		r.Measure = NoHistory
		return r
	}
	r.Value, r.Threshold = 1/(1+math.Exp(-c.LateLogit)), s9Late
	r.Shift = c.LateLogit - usual.Late
	r.apart = c.Surge
	r.P, r.extra = 1, c.LateLogit-c.lateOutcomes()
	fired := false
	var run ClosedPeriod // the sum of periods
	for m := 1; m <= min(s9Most, len(p.Closed)); m++ {
		x := &p.Closed[len(p.Closed)-m]
		if !x.Surge {
			break
		}
		run.LateLogit += x.LateLogit
		run.LateZ += x.LateZ
		run.AmountZ += x.AmountZ
		run.Outcomes += x.Outcomes
		run.LateOutcomes += x.LateOutcomes
		n := float64(m)
		z, over := run.LateZ/math.Sqrt(n), run.LateLogit/n-run.lateOutcomes()
		if m >= s9Least && z >= s9Z && run.AmountZ >= s9AmountZ*n && over >= s9Outcomes {
			fired = true
			r.P, r.extra = min(r.P, upperTail(z)), over
		}
	}
	r.decide(fired)
	return r
}

// lateOutcomes is the logit of the late part of the outcomes.
func (c *ClosedPeriod) lateOutcomes() float64 {
	return logit(float64(c.LateOutcomes), float64(c.Outcomes))
}

// judgeSurge compares a period with what was usual, before it is taken into the
// history.
func judgeSurge(p *PeriodState, c *ClosedPeriod) {
	usual, known := p.usuals()
	if !known {
		return
	}
	c.LateZ, c.AmountZ = (c.LateLogit-usual.Late)/usual.LateSpread, (c.LnAmount-usual.Amount)/usual.AmountSpread
	c.Surge = c.LateLogit >= shareLogit(s9Late) && c.LateWorked >= s9Late && c.LateZ >= s9Each
	if c.Surge && p.Held.From == 0 {
		p.Held = usual
		p.Held.From = c.Start
	}
}

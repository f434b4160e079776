package kpi

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/goodhartlabs/goodhart/pkg/policy"
)

func deadlineCheck() Check {
	return Check{
		Name: "deadline_shift", Title: "Surge before the deadline",
		Question: "Does more of a period's use fall on its last working days than before the announcement?",
		MinimumN: minEarlier + minLater, Adversarial: true, Formula: "deadline/1", assess: deadlineShift,
	}
}

const (
	// minEarlier and minLater are how many whole periods there must be on each side
	// of the announcement.
	minEarlier, minLater = 3, 2
	// leastShift is the smallest shift that matters, in log odds; steadiest is the
	// least deviation between periods that is believed.
	leastShift, steadiest = 0.2, 0.05
)

// deadlineShift is the change of the log odds that use falls on the last fifth of
// the working days of a period. Of a target of weekly use it is the log odds that
// a person's only day of use in the week is one of those. Periods differ from
// each other for all people at once, so that periods are the sample.
func deadlineShift(s *sample) Finding {
	if s.Target.Metric == policy.Efficiency {
		return unknown(0, ReasonMetric) // a score has no days
	}
	announced := s.Target.Announced
	before := s.lateness(span{0, min(announced, s.Week+1)})
	after := s.lateness(span{max(0, announced), s.Week + 1})
	n := len(before) + len(after)
	if len(before) < minEarlier || len(after) < minLater {
		return unknown(n, ReasonPeriods)
	}
	mean0, variance := meanVariance(before)
	mean, _ := meanVariance(after)
	se := max(steadiest, math.Sqrt(variance)) * math.Sqrt(1/float64(len(before))+1/float64(len(after)))
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(len(before) - 1)}
	shift, bound := mean-mean0, float64(t.Quantile(0.95)*se)
	f := Finding{
		Value: shift, Lo: shift - bound, Hi: shift + bound, Known: true, Bounded: true, N: n,
		Z: -distuv.UnitNormal.Quantile(min(max(t.CDF(-shift/se), 1e-300), 1-1e-15)), ZKnown: true,
	}
	f.Alarm = f.Z > alarmZ && shift >= leastShift
	return f
}

// lateness returns the log odds of late use of each whole period with use.
func (s *sample) lateness(in span) []float64 {
	var all []float64
	for _, p := range s.periods(in) {
		var late, early float64
		from := lateFrom(p)
		for _, u := range s.units {
			l, e, ok := s.split(u, p, from)
			if !ok {
				continue
			}
			late += l
			early += e
		}
		if late > 0 && early > 0 {
			all = append(all, math.Log(late/early))
		}
	}
	return all
}

// split returns what of a unit's use in a period fell on the late days and what
// on the others; ok is false if part of the period is unknown.
func (s *sample) split(u *Unit, p days, from int) (late, early float64, ok bool) {
	e, ok := s.used(u, days{p.from, from})
	l, ok2 := s.used(u, days{from, p.to})
	if !ok || !ok2 {
		return 0, 0, false
	}
	if s.Target.Metric != policy.WeeklyUse {
		return float64(l), float64(e), true
	}
	switch {
	case e > 0:
		return 0, 1, true
	case l > 0:
		return 1, 0, true
	}
	return 0, 0, true
}

package signal

import (
	"math"
	"slices"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/window"
)

// Usage targets are counted over calendar periods, so the days of a subject are
// added up by period. The late part of a period is its last fifth of working
// days, Monday to Friday, and the weekends between and after them.

// periodsKept is how many closed periods are remembered.
const periodsKept = 10

// target is the first one by id that counts an amount per person and is set for
// the subject in the week; nil for none.
func (o *observation) target() *policy.Target {
	for _, t := range o.all.policy.TargetsAt(o.week.WeekStartMs) {
		perPerson := t.Metric != policy.WeeklyUse && t.Metric != policy.Efficiency
		if perPerson && t.SetFor(o.week.Team) {
			return t
		}
	}
	return nil
}

// addPeriods adds the days of the week to the subject's periods, and returns how
// many of each closed.
func (o *observation) addPeriods() (closed, months int) {
	p, m := &o.state.Period, &o.state.Month
	period, metric, target := policy.Week, policy.Tokens, ""
	if t := o.target(); t != nil {
		period, metric, target = t.Period, t.Metric, t.ID
	} else if p.Period != "" {
		period, metric = p.Period, p.Metric // a withdrawn target leaves its period
	}
	m.count(policy.Month, metric, o.week.WeekStartMs)
	if period == policy.Month && p.Period != period {
		*p = *m // which were counted before the target was announced
	}
	p.count(period, metric, o.week.WeekStartMs)
	p.Target = target
	return o.addPeriod(p), o.addPeriod(m)
}

// count begins anew if something else is to be counted.
func (p *PeriodState) count(period policy.Period, metric policy.Metric, at int64) {
	if p.Period != period || p.Metric != metric {
		*p = PeriodState{Period: period, Metric: metric, Start: periodStart(period, at)}
	}
}

// addPeriod adds the days of the week to a period and closes those that have
// ended. It returns how many did: at most seven.
func (o *observation) addPeriod(p *PeriodState) (closed int) {
	for day := range int64(7) {
		at := o.week.WeekStartMs + day*window.Day
		if start := periodStart(p.Period, at); start != p.Start {
			closed += o.closePeriod(p)
			p.begin(start)
		}
		o.addDay(p, at, int(day))
	}
	if end := o.week.WeekStartMs + window.Week; periodStart(p.Period, end) != p.Start {
		closed += o.closePeriod(p)
		p.begin(periodStart(p.Period, end))
	}
	return closed
}

// begin starts the next period.
func (p *PeriodState) begin(start int64) {
	*p = PeriodState{Target: p.Target, Period: p.Period, Metric: p.Metric, Start: start, Closed: p.Closed, Held: p.Held}
}

func (o *observation) addDay(p *PeriodState, at int64, day int) {
	w := o.week
	if day >= len(w.DayRequests) || day >= len(w.DayTokens) || day >= len(w.DayCostNanos) || day >= len(w.DayOutcomes) {
		return
	}
	amount := w.DayTokens[day]
	switch p.Metric {
	case policy.Requests:
		amount = w.DayRequests[day]
	case policy.Cost:
		amount = w.DayCostNanos[day]
	case policy.Tokens, policy.WeeklyUse, policy.Efficiency:
	}
	p.Amount += amount
	p.Requests += w.DayRequests[day]
	p.Outcomes += w.DayOutcomes[day]
	end := periodEndOf(p.Period, p.Start)
	if at >= lastWorkingDays(p.Start, end, 10) {
		p.Last += amount
	}
	late := at >= lastWorkingDays(p.Start, end, 5)
	if late {
		p.Late += amount
		p.LateOutcomes += w.DayOutcomes[day]
	}
	if w.DayRequests[day] > 0 && working(at) {
		if late {
			p.LateDays++
		} else {
			p.EarlyDays++
		}
	}
}

// closePeriod takes the current period into the history, if anything happened in
// it.
func (o *observation) closePeriod(p *PeriodState) int {
	if p.Requests == 0 {
		return 0
	}
	c := ClosedPeriod{
		Start: p.Start, Amount: p.Amount, Requests: p.Requests,
		LnAmount:  math.Log(float64(max(p.Amount, 0)) + 1),
		LateLogit: shareLogit(share(p.Late, p.Amount)),
		Outcomes:  max(p.Outcomes, p.LateOutcomes, 0), LateOutcomes: max(p.LateOutcomes, 0),
		LastShare:  share(p.Last, p.Amount),
		LateWorked: p.lateWorked(),
	}
	p.letGo(c.Start)
	judgeBunching(o, p, &c)
	judgeSurge(p, &c)
	if len(p.Closed) == periodsKept {
		p.Closed = p.Closed[1:]
	}
	p.Closed = append(p.Closed[:len(p.Closed):len(p.Closed)], c)
	return 1
}

// lateWorked is the late share if a fifth of the days worked had been late ones:
// who was away early in the period does most of it late. Late work of a weekend alone
// is that of one day.
func (p *PeriodState) lateWorked() float64 {
	if p.EarlyDays == 0 {
		return 0
	}
	late := 0.2 * float64(p.Late) / float64(max(p.LateDays, 1))
	early := 0.8 * float64(p.Amount-p.Late) / float64(p.EarlyDays)
	if late+early <= 0 {
		return 0
	}
	return late / (late + early)
}

// shareLogit is the logit of a share, which is kept off 0 and 1.
func shareLogit(x float64) float64 {
	x = min(max(x, 0.01), 0.99)
	return math.Log(x / (1 - x))
}

// usualAmount is median and spread of ln amount over the closed periods, and of
// the logit of their late part; known from baselineWeeks of them on.
func (p *PeriodState) usual(of func(*ClosedPeriod) float64) (med, spreads float64, known bool) {
	if len(p.Closed) < baselineWeeks {
		return 0, 0, false
	}
	values := make([]float64, len(p.Closed))
	for i := range p.Closed {
		values[i] = of(&p.Closed[i])
	}
	med, mad := medianMAD(values)
	return med, spread(mad, floorLog), true
}

// usuals is what the next period is compared with: what is held, or else what the
// closed ones say.
func (p *PeriodState) usuals() (u PeriodUsual, known bool) {
	if p.Held.From != 0 {
		return p.Held, true
	}
	u.Late, u.LateSpread, known = p.usual(lateLogit)
	u.Amount, u.AmountSpread, _ = p.usual(lnAmount)
	return u, known
}

// letGo ends what is held if the period that starts at start comes after calm ones, or
// long after it began: see heldWeeks.
func (p *PeriodState) letGo(start int64) {
	calm := !slices.ContainsFunc(p.Closed[max(0, len(p.Closed)-calmWindows):], func(c ClosedPeriod) bool { return c.Surge })
	if calm || start-p.Held.From >= heldWeeks*window.Week {
		p.Held = PeriodUsual{}
	}
}

func lnAmount(c *ClosedPeriod) float64  { return c.LnAmount }
func lateLogit(c *ClosedPeriod) float64 { return c.LateLogit }

// last is the newest closed period, nil if there is none.
func (p *PeriodState) last() *ClosedPeriod {
	if len(p.Closed) == 0 {
		return nil
	}
	return &p.Closed[len(p.Closed)-1]
}

// periodStart returns the start of the period that holds t.
func periodStart(p policy.Period, t int64) int64 {
	switch p {
	case policy.Month, policy.Quarter:
		y, m, _ := time.UnixMilli(t).UTC().Date()
		if p == policy.Quarter {
			m -= (m - 1) % 3
		}
		return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	case policy.Week:
		return window.WeekStart(t)
	default:
		return window.WeekStart(t)
	}
}

// periodEndOf returns the end of the period that starts at start.
func periodEndOf(p policy.Period, start int64) int64 {
	switch p {
	case policy.Month:
		return time.UnixMilli(start).UTC().AddDate(0, 1, 0).UnixMilli()
	case policy.Quarter:
		return time.UnixMilli(start).UTC().AddDate(0, 3, 0).UnixMilli()
	case policy.Week:
		return start + window.Week
	default:
		return start + window.Week
	}
}

// working reports whether t is a Monday to Friday.
func working(t int64) bool { return t-window.WeekStart(t) < 5*window.Day }

// lastWorkingDays returns the start of the last nth part of the working days
// from start to end, rounded up to whole days.
func lastWorkingDays(start, end int64, nth int) int64 {
	days := 0
	for t := start; t < end; t += window.Day {
		if working(t) {
			days++
		}
	}
	left := (days + nth - 1) / nth
	t := end
	for left > 0 && t > start {
		t -= window.Day
		if working(t) {
			left--
		}
	}
	return t
}

package signal

import (
	"math"
	"testing"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

func day(y int, m time.Month, d int) int64 {
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC).UnixMilli()
}

func TestPeriodBounds(t *testing.T) {
	f := func(p policy.Period, at, start, end, lastFifth, lastTenth int64) {
		t.Helper()
		got := periodStart(p, at)
		if got != start || periodEndOf(p, got) != end {
			t.Errorf("%s of %v: %v to %v", p, time.UnixMilli(at).UTC(), time.UnixMilli(got).UTC(), time.UnixMilli(periodEndOf(p, got)).UTC())
		}
		if late := lastWorkingDays(start, end, 5); late != lastFifth {
			t.Errorf("%s: the last fifth begins %v", p, time.UnixMilli(late).UTC())
		}
		if last := lastWorkingDays(start, end, 10); last != lastTenth {
			t.Errorf("%s: the last tenth begins %v", p, time.UnixMilli(last).UTC())
		}
	}
	// The week of Monday, 9 November 2026: Friday is its last fifth and tenth.
	f(policy.Week, day(2026, 11, 11), day(2026, 11, 9), day(2026, 11, 16), day(2026, 11, 13), day(2026, 11, 13))
	// November 2026 has 21 working days, the last on Monday, the 30th: five of them
	// from Tuesday, the 24th, three from Thursday, the 26th.
	f(policy.Month, day(2026, 11, 30), day(2026, 11, 1), day(2026, 12, 1), day(2026, 11, 24), day(2026, 11, 26))
	// The fourth quarter has 66: 14 from Monday, 14 December, 7 from the 23rd.
	f(policy.Quarter, day(2026, 12, 31), day(2026, 10, 1), day(2027, 1, 1), day(2026, 12, 14), day(2026, 12, 23))
}

// Days are added up by month, whatever weeks they lie in.
func TestMonths(t *testing.T) {
	c := newCompany(t)
	c.week = day(2026, 3, 30) // a Monday; April ends on Thursday
	c.declares.Targets = []policy.Target{{ID: "M", Metric: policy.Requests, Threshold: 1, Period: policy.Month, Scope: policy.ScopeTenant, AnnouncedAt: policy.Day(day(2020, 1, 1))}}
	c.run(5)
	p := c.observed().state.Period
	if len(p.Closed) != 2 || p.Closed[0].Start != day(2026, 3, 1) || p.Closed[0].Amount != 160 {
		t.Fatalf("%+v", p.Closed)
	}
	// April 2026 has 22 working days of 80 requests; May has begun with a Friday.
	if april := p.Closed[1]; april.Amount != 22*80 || april.Requests != 22*80 || p.Amount != 80 || p.Start != day(2026, 5, 1) {
		t.Errorf("%+v, then %d", april, p.Amount)
	}
	if got := p.Closed[1].LastShare; math.Abs(got-3.0/22) > 1e-9 {
		t.Errorf("share of the last tenth %g", got)
	}
	if got := p.Closed[1].LateWorked; math.Abs(got-0.2) > 1e-9 {
		t.Errorf("late share of days worked %g", got)
	}
}

// A target of another period or metric begins anew; periods without a request are
// none.
func TestPeriodChanges(t *testing.T) {
	c := newCompany(t)
	c.declares.Targets = []policy.Target{{
		ID: "A", Metric: policy.Tokens, Threshold: 1, Period: policy.Week, Scope: policy.ScopeTenant,
		AnnouncedAt: policy.Day(firstWeek), WithdrawnAt: policy.Day(firstWeek + 2*window.Week),
	}}
	c.run(4)
	if p := c.observed().state.Period; len(p.Closed) != 4 || p.Target != "" || p.Period != policy.Week {
		t.Errorf("%+v", p)
	}
	c.declares.Targets = []policy.Target{
		{ID: "A", Metric: policy.Efficiency, Threshold: 120_000, Period: policy.Week, Scope: policy.ScopeTenant, AnnouncedAt: policy.Day(firstWeek)},
		{ID: "B", Metric: policy.Cost, Threshold: 1, Period: policy.Week, AnnouncedAt: policy.Day(firstWeek), Scope: policy.ScopeTeam, Teams: []string{"t0"}},
		{ID: "U", Metric: policy.WeeklyUse, Threshold: 800, Period: policy.Week, Scope: policy.ScopeTenant, AnnouncedAt: policy.Day(firstWeek)},
	}
	c.run(1)
	if p := c.observed().state.Period; len(p.Closed) != 1 || p.Target != "B" || p.Metric != policy.Cost {
		t.Errorf("%+v", p)
	}
	c.change = func(_ int, w *goodhartv1.Week) { clear(w.DayRequests); clear(w.DayTokens); clear(w.DayCostNanos) }
	c.run(2)
	if p := c.observed().state.Period; len(p.Closed) != 1 {
		t.Errorf("%+v", p)
	}
	c.change = func(_ int, w *goodhartv1.Week) { w.DayRequests = nil }
	c.run(1) // a week that does not say its days
}

// A period is only counted for a target after the announcement and with a
// history; S8 needs four of them.
func TestBunchingSample(t *testing.T) {
	f := func(history, weeks int, want Measure) {
		t.Helper()
		c := newCompany(t)
		announced := firstWeek + int64(history)*window.Week
		c.declares.Targets = []policy.Target{
			{ID: "T", Metric: policy.Tokens, Threshold: 40e6, Period: policy.Week, Scope: policy.ScopeTenant, AnnouncedAt: policy.Day(announced)},
		}
		// Without a target the history is counted by the week.
		c.state.Subjects = nil
		k := 0
		c.change = func(i int, w *goodhartv1.Week) {
			if i == 0 && c.week >= announced {
				bunched(w, 0)
			}
		}
		for range history + weeks {
			c.run(1)
			k++
		}
		if got := c.observed().of("S8"); got.Measure != want {
			t.Errorf("%d weeks before, %d since: %v, %d periods", history, weeks, got.Measure, got.N)
		}
	}
	f(6, 1, TooFew)
	f(4, 3, TooFew)
	f(4, 4, Fired)
}

// Just above the target is a question only where it is unlikely, and where much
// of it came at the end.
func TestBunchingRules(t *testing.T) {
	f := func(name string, target int64, want Measure, fire func(w *goodhartv1.Week, k int)) {
		t.Helper()
		c := newCompany(t)
		c.declares.Targets = []policy.Target{{ID: "T", Metric: policy.Tokens, Threshold: target, Period: policy.Week, Scope: policy.ScopeTenant, AnnouncedAt: policy.Day(firstWeek)}}
		c.run(5)
		for k := range 5 {
			c.change = func(i int, w *goodhartv1.Week) {
				if i == 0 {
					fire(w, k)
				}
			}
			c.run(1)
		}
		if got := c.observed().of("S8"); got.Measure != want {
			t.Errorf("%s: %v, %g hits, p %g", name, got.Measure, got.Value, got.P)
		}
	}
	f("far from usual", 40e6, Fired, bunched)
	f("near the usual", 20e6, Quiet, natural)
	f("evenly over the week", 40e6, Quiet, func(w *goodhartv1.Week, k int) {
		bunched(w, k)
		for day := range 5 {
			w.DayTokens[day] = w.DayTokens[4] * 2 / 5
		}
	})
	// A period that began before the announcement does not count.
	o := &observation{week: honestWeek(0, firstWeek), all: &population{policy: inForce(t, policy.Policy{Targets: []policy.Target{
		{ID: "M", Metric: policy.Tokens, Threshold: 9, Period: policy.Month, Scope: policy.ScopeTenant, AnnouncedAt: policy.Day(firstWeek - window.Day)},
	}})}}
	p := &PeriodState{Closed: make([]ClosedPeriod, 4)}
	for start, want := range map[int64]bool{firstWeek - 2*window.Day: false, firstWeek - window.Day: true} {
		c := ClosedPeriod{Start: start, Amount: 9}
		if judgeBunching(o, p, &c); c.Counted != want {
			t.Errorf("a period from %d: counted %v", start, c.Counted)
		}
	}
}

// S9 wants two periods running.
func TestSurgeTwice(t *testing.T) {
	c := newCompany(t)
	c.declares.Targets = weeklyTarget()
	c.run(6)
	for k, late := range []bool{true, false, true, true} {
		c.change = func(i int, w *goodhartv1.Week) {
			if i == 0 && late {
				fireLate(w, 0)
			}
		}
		c.run(1)
		if got := c.observed().of("S9").Measure == Fired; got != (k == 3) {
			t.Errorf("period %d: fired %v", k, got)
		}
	}
	// Outcomes that come late too are work.
	c.change = func(i int, w *goodhartv1.Week) {
		if i == 0 {
			fireLate(w, 0)
			copy(w.DayOutcomes, []int64{0, 0, 0, 0, 6})
		}
	}
	c.run(2)
	if got := c.observed().of("S9").Measure; got != Quiet {
		t.Errorf("with outcomes: %v", got)
	}
}

package signal

import (
	"math"
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// absorbed runs weeks of four times the context, whose baseline takes them up after
// absorb of them, as that of ten weeks does, and returns in which of them S1 fired.
func absorbed(t *testing.T, weeks, absorb int, change func(c *company, w *goodhartv1.Week, k int)) (c *company, fired []bool) {
	t.Helper()
	c = newCompany(t)
	c.run(1)
	for k := range weeks {
		c.change = func(i int, w *goodhartv1.Week) {
			if i != 0 {
				return
			}
			fireContext(w, k)
			if k >= absorb {
				setUsual(w, goodhartv1.Statistic_STATISTIC_CONTEXT, 3+math.Log(4))
				setUsual(w, goodhartv1.Statistic_STATISTIC_TOKENS, math.Log(80_000_000))
			}
			if change != nil {
				change(c, w, k)
			}
		}
		c.run(1)
		fired = append(fired, c.observed().of("S1").Measure == Fired)
	}
	return c, fired
}

// What goes on is compared with what was usual before it began, though the last
// weeks have become like it; after heldWeeks it is what is usual.
func TestUsualIsHeld(t *testing.T) {
	c, fired := absorbed(t, heldWeeks+3, 5, nil)
	for k, is := range fired {
		if is != (k <= heldWeeks) {
			t.Errorf("week %d: fired %v", k, is)
		}
	}
	if f := c.observed().state.find("S1"); f != nil && f.Held != 0 {
		t.Errorf("%d statistics are held still", len(f.Usual))
	}
	if got := c.about("S1", ScopeSelf); len(got) == 0 || got[len(got)-1].Status != Resolved {
		t.Errorf("a change that lasts is asked about still: %+v", got)
	}
}

// Who has been back for some windows has the usual of then.
func TestUsualIsLetGoWhenCalm(t *testing.T) {
	_, fired := absorbed(t, 10, 2, func(_ *company, w *goodhartv1.Week, k int) {
		if k >= 3 && k < 3+calmWindows {
			w.ContextLnSum = int64(400e6 * 3)
		}
	})
	for k, is := range fired {
		if is != (k < 3) {
			t.Errorf("week %d: fired %v", k, is)
		}
	}
}

// What has an innocent explanation is usual at once.
func TestUsualIsNotHeldIfExplained(t *testing.T) {
	c, fired := absorbed(t, 8, 5, func(_ *company, w *goodhartv1.Week, k int) { w.ModelChanged = k == 0 })
	for k, is := range fired {
		if is != (k < 5) {
			t.Errorf("week %d: fired %v", k, is)
		}
	}
	if got := c.about("S1", ScopeSelf); len(got) != 0 {
		t.Errorf("a new model is asked about: %s", got[0].Question)
	}
}

// Who goes on when the others beside have stopped is asked.
func TestUsualIsHeldWhileOthersMove(t *testing.T) {
	c := newCompany(t)
	c.run(1)
	for k := range 9 {
		c.change = func(i int, w *goodhartv1.Week) {
			if i == 0 || k < 6 && teamOf(i) == teamOf(0) {
				fireContext(w, k)
				if k >= 5 {
					setUsual(w, goodhartv1.Statistic_STATISTIC_CONTEXT, 3+math.Log(4))
				}
			}
		}
		c.run(1)
		if got := c.about("S1", ScopeSelf); (len(got) > 0) != (k >= 7) {
			t.Errorf("week %d: %d questions", k, len(got))
		}
	}
}

// Until a statistic fires the person may be far from what is usual: it is held from
// the week in which it left.
func TestUsualIsHeldFromTheFirstWeekApart(t *testing.T) {
	_, fired := absorbed(t, 9, 3, func(_ *company, w *goodhartv1.Week, k int) {
		if k < 6 {
			w.Requests *= 4 // no more in each of them
		}
	})
	for k, is := range fired {
		if is != (k >= 6) {
			t.Errorf("week %d: fired %v", k, is)
		}
	}
}

// A surge at the end of the months is seen while a target counts weeks.
func TestMonthsSurge(t *testing.T) {
	c := newCompany(t)
	c.week = day(2025, 12, 1)
	c.declares.Targets = []policy.Target{{
		ID: "T", Metric: policy.Tokens, Threshold: 1e12, Period: policy.Week, Scope: policy.ScopeTenant, AnnouncedAt: policy.Day(day(2026, 4, 20)),
	}}
	for c.week < day(2026, 7, 6) { // two weeks without it would be over
		c.change = func(i int, w *goodhartv1.Week) {
			if i != 0 || c.week < day(2026, 4, 20) {
				return
			}
			for d := range int64(7) {
				at := c.week + d*window.Day
				if end := periodEndOf(policy.Month, periodStart(policy.Month, at)); at >= lastWorkingDays(periodStart(policy.Month, at), end, 5) {
					w.DayTokens[d] = 100e6
				}
			}
		}
		c.run(1)
		if got := c.about("S9", ScopeSelf); (len(got) > 0) != (c.week >= day(2026, 6, 1)) {
			t.Fatalf("before %d: %d questions", c.week, len(got))
		} else if len(got) > 0 && got[len(got)-1].Status == Resolved {
			t.Fatalf("before %d: it is over, and the month is not", c.week)
		}
	}
}

// Months count for a target that counts them, though it was announced later.
func TestMonthsBeforeATarget(t *testing.T) {
	c := newCompany(t)
	c.week = day(2025, 12, 1)
	c.run(20)
	c.declares.Targets = []policy.Target{{
		ID: "T", Metric: policy.Tokens, Threshold: 1, Period: policy.Month, Scope: policy.ScopeTenant, AnnouncedAt: policy.Day(c.week),
	}}
	c.run(1)
	p := c.observed().state.Period
	if len(p.Closed) != 4 || p.Closed[0].Start != day(2025, 12, 1) || p.Target != "T" || p.Period != policy.Month {
		t.Errorf("%d months before the target, %+v", len(p.Closed), p)
	}
	if m := c.observed().state.Month; m.Amount != p.Amount {
		t.Errorf("%d counted for the target, %d in the month", p.Amount, m.Amount)
	}
}

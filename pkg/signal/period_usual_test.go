package signal

import (
	"math"
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// surge runs weeks after six usual ones; late says which of them end in a surge.
// after is called behind each of them.
func (c *company) surge(weeks int, late func(k int) bool, after func(k int)) {
	c.declares.Targets = weeklyTarget()
	c.run(6)
	for k := range weeks {
		c.change = func(i int, w *goodhartv1.Week) {
			if i == 0 && late(k) {
				fireLate(w, k)
			}
		}
		c.run(1)
		after(k)
	}
}

func always(int) bool { return true }

// A surge that goes on is compared with the periods before it, though the last ten are
// all like it by then; after heldWeeks it is what is usual.
func TestPeriodUsualIsHeld(t *testing.T) {
	c := newCompany(t)
	c.surge(heldWeeks+3, always, func(k int) {
		r := c.observed().of("S9")
		if got := r.Measure == Fired; got != (k >= 1 && k < heldWeeks) {
			t.Errorf("period %d: fired %v, z %g", k, got, c.observed().state.Period.last().LateZ)
		}
		// A fifth was usual and four are late: so far others have to move for it to be theirs.
		if want := 2 * math.Log(4); r.Measure == Fired && math.Abs(r.Shift-want) > 1e-9 {
			t.Errorf("period %d: shift %g, want %g", k, r.Shift, want)
		}
	})
	if from := c.observed().state.Period.Held.From; from != 0 {
		t.Errorf("held since %d still", from)
	}
	if got := c.about("S9", ScopeSelf); len(got) == 0 || got[len(got)-1].Status != Resolved {
		t.Errorf("a rhythm that lasts is asked about still: %+v", got)
	}
}

// After some calm periods the next surge is compared with those before it.
func TestPeriodUsualIsLetGoWhenCalm(t *testing.T) {
	f := func(calm int, letGo bool) {
		t.Helper()
		var first int64
		c := newCompany(t)
		c.surge(2+calm+1, func(k int) bool { return k < 2 || k == 2+calm }, func(k int) {
			if k == 0 {
				first = c.week - window.Week
			}
		})
		want := first
		if letGo {
			want = c.week - window.Week
		}
		if got := c.observed().state.Period.Held.From; got != want {
			t.Errorf("%d calm periods: held from %d, want %d", calm, got, want)
		}
	}
	f(calmWindows-1, false)
	f(calmWindows, true)
}

// What has an innocent explanation is usual at once.
func TestPeriodUsualIsNotHeldIfExplained(t *testing.T) {
	c := newCompany(t)
	event(policy.Release)(&c.declares, c.week+6*window.Week)
	c.surge(4, always, func(k int) {
		if held := c.observed().state.Period.Held; held != (PeriodUsual{}) {
			t.Errorf("period %d: %+v is held", k, held)
		}
	})
}

// Who works from Monday to Thursday and burns on Sunday was late on one day.
func TestLateOnAWeekendAlone(t *testing.T) {
	for late, want := range map[int64]float64{800: 0.8, 0: 0} {
		p := PeriodState{Amount: late + 200, Late: late, EarlyDays: 4}
		if got := p.lateWorked(); math.Abs(got-want) > 1e-9 {
			t.Errorf("%d of %d late: %g, want %g", late, p.Amount, got, want)
		}
	}
	c := newCompany(t)
	c.declares.Targets = weeklyTarget()
	c.change = func(i int, w *goodhartv1.Week) {
		if i == 0 {
			w.DayTokens[4], w.DayRequests[4] = 0, 0
			if c.week >= firstWeek+6*window.Week {
				w.DayTokens[6], w.DayRequests[6] = 50e6, 50
			} else {
				w.DayTokens[5], w.DayRequests[5] = 2e6, 5 // some of it was late before
			}
		}
	}
	c.run(8)
	if got := c.observed().of("S9").Measure; got != Fired {
		t.Errorf("%v: %+v", got, *c.observed().state.Period.last())
	}
}

// The cheap share is held from the week in which it leaves what is usual, whatever the
// tokens of the weeks since: else a loop has become usual before it burns enough.
func TestCheapShareIsHeldFromTheFirstWeekApart(t *testing.T) {
	c := newCompany(t)
	c.run(5)
	for k := range 10 {
		c.change = func(i int, w *goodhartv1.Week) {
			if i == 0 {
				fireCheap(w, k)
				if k < 8 {
					multiply(w, 0.25, 1)
				}
			}
		}
		c.run(1)
		if got := c.observed().of("S11"); (got.Measure == Fired) != (k >= 8) {
			t.Errorf("week %d: %v, rise %g", k, got.Measure, got.Shift)
		}
	}
}

// A blob that doubles the tokens of a request multiplies the context of small ones by
// far more.
func TestBlobInSmallRequests(t *testing.T) {
	f := func(tokens float64, want Measure) {
		t.Helper()
		c := newCompany(t)
		c.run(1)
		c.change = func(i int, w *goodhartv1.Week) {
			if i == 0 {
				w.ContextLnSum += int64(float64(w.ContextRequests) * 1e6 * math.Log(9))
				multiply(w, tokens, tokens)
			}
		}
		c.run(1)
		if got := c.observed().of("S1"); got.Measure != want {
			t.Errorf("%g times the tokens: %v", tokens, got.Measure)
		}
	}
	f(2.6, Fired) // honest weeks vary by a fifth
	f(1.6, Quiet)
}

// Whoever tops up to the target at the end of every period is not taken to have been near
// it for long.
func TestBunchingIsComparedWithBefore(t *testing.T) {
	c := newCompany(t)
	c.declares.Targets = weeklyTarget()
	c.run(6)
	c.change = func(i int, w *goodhartv1.Week) {
		if i == 0 {
			bunched(w, 0)
		}
	}
	c.run(8)
	closed := c.observed().state.Period.Closed
	for i := 3; i < len(closed); i++ {
		if p := &closed[i]; !p.Counted || !p.Hit || p.P != closed[2].P {
			t.Errorf("period %d: counted %v, hit %v, by chance %g, before %g", i, p.Counted, p.Hit, p.P, closed[2].P)
		}
	}
}

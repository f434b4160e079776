package signal

import (
	"math"
	"strings"
	"testing"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Round the clock is new or it is none; a rhythm counts by itself.
func TestRoundTheClock(t *testing.T) {
	f := func(name string, want Measure, change func(w *goodhartv1.Week)) {
		t.Helper()
		c := newCompany(t)
		c.change = func(i int, w *goodhartv1.Week) {
			if i == 0 {
				change(w)
			}
		}
		c.run(1)
		if got := c.observed().of("S5"); got.Measure != want {
			t.Errorf("%s: %v, p %g", name, got.Measure, got.P)
		}
	}
	f("99 hours", Quiet, func(w *goodhartv1.Week) { w.Hours = hoursBitmap(99) })
	f("100 hours", Fired, func(w *goodhartv1.Week) { w.Hours = hoursBitmap(100) })
	f("89 were usual", Fired, func(w *goodhartv1.Week) {
		w.Hours = hoursBitmap(168)
		setUsual(w, goodhartv1.Statistic_STATISTIC_HOURS, 89)
	})
	f("90 were usual", Quiet, func(w *goodhartv1.Week) {
		w.Hours = hoursBitmap(168)
		setUsual(w, goodhartv1.Statistic_STATISTIC_HOURS, 90)
	})
	f("gaps of .30", Quiet, func(w *goodhartv1.Week) { w.GapCv = 300_000 })
	f("gaps below .30", Fired, func(w *goodhartv1.Week) { w.GapCv = 299_999 })
	f("no day of twenty requests", Quiet, func(w *goodhartv1.Week) { w.TimedDays, w.GapCv = 0, 0 })
	// 6 exp(-45 R²) is 1e-6 at R = .589.
	f("a period", Fired, func(w *goodhartv1.Week) { w.PeriodResultant = 590_000 })
	f("hardly a period", Quiet, func(w *goodhartv1.Week) { w.PeriodResultant = 588_000 })
	f("a period of two hours", Quiet, func(w *goodhartv1.Week) {
		w.PeriodResultant, w.Hours = 990_000, hoursBitmap(2)
	})
}

// What is said of a rhythm is its evenness, not the hours.
func TestRhythmIsStated(t *testing.T) {
	f := func(change func(w *goodhartv1.Week), unit string, threshold float64) {
		t.Helper()
		c := newCompany(t)
		c.change = func(i int, w *goodhartv1.Week) {
			if i == 0 {
				change(w)
				w.SinklessCostNanos = w.SessionCostNanos
			}
		}
		c.run(2)
		asked := c.about("S5", ScopeSelf)
		if len(asked) != 1 {
			t.Fatalf("%d signals", len(asked))
		}
		if h := asked[0].Evidence[0]; h.Unit != unit || math.Abs(h.Threshold-threshold) > 1e-3 || !strings.Contains(asked[0].Question, "rhythm") {
			t.Errorf("%+v: %s", h, asked[0].Question)
		}
	}
	f(func(w *goodhartv1.Week) { w.TimedDays, w.GapCv = 1, 50_000 }, "coefficient of variation", 0.3)
	f(func(w *goodhartv1.Week) { w.PeriodResultant = 900_000 }, "resultant", 0.589)
}

// Thirty pairs suffice where repeats are rare, fifty are needed where they are
// common.
func TestCommonRepeats(t *testing.T) {
	f := func(repeats, pairs int64, want Measure) {
		t.Helper()
		c := newCompany(t)
		c.change = func(_ int, w *goodhartv1.Week) { w.RepeatedRequests = repeats }
		c.run(3)
		c.change = func(i int, w *goodhartv1.Week) {
			w.RepeatedRequests = repeats
			if i == 0 {
				fireRepeats(w, 0)
				resample(pairs, &w.PairRequests, &w.RepeatedRequests, &w.RepeatedTokens, &w.PairTokens)
			}
		}
		c.run(1)
		if got := c.observed().of("S2"); got.Measure != want {
			t.Errorf("%d repeats of 300 are usual, %d pairs: %v", repeats, pairs, got.Measure)
		}
	}
	f(2, 30, Fired)
	f(12, 49, TooFew) // .04
	f(12, 50, Fired)
}

// The trailing rate of repeats is kept between its bounds.
func TestRepeatRate(t *testing.T) {
	for rate, want := range map[int64]float64{0: 0.01, 50: 0.05, 500: 0.10} {
		s := State{Repeats: []RepeatWeek{{Repeated: rate, Pairs: 1000}}}
		if got := s.repeatRate(); got != want {
			t.Errorf("%d of 1,000: %g", rate, got)
		}
	}
	if (&State{}).repeatRate() != 0.01 {
		t.Error("nothing known")
	}
}

// The team's own rate of repeats is no person's question, moved or not.
func TestTeamHabit(t *testing.T) {
	c := newCompany(t)
	c.change = func(i int, w *goodhartv1.Week) {
		if teamOf(i) != 0 {
			return
		}
		w.RepeatedRequests, w.RepeatedTokens = 100, 5_250_000 // .35, as ever
		if i == 0 {
			fireRepeats(w, 0) // .50
		} else {
			setUsual(w, goodhartv1.Statistic_STATISTIC_REPEATED, 0.35)
		}
	}
	c.run(3)
	if len(c.all) != 0 {
		t.Errorf("%s", c.all[0].Question)
	}
	if got := c.observed().of("S2"); got.Measure != Fired {
		t.Errorf("%v", got.Measure)
	}
}

// Without side effects S3 cannot know whether the answers were of use.
func TestAbandonmentUnknown(t *testing.T) {
	for sessions, want := range map[int64]Measure{0: Unknown, s3Sessions - 1: TooFew, s3Sessions: Fired} {
		c := newCompany(t)
		c.change = func(i int, w *goodhartv1.Week) {
			if i == 0 {
				firePrompts(w, 0)
				w.Sessions, w.AbandonedSessions = sessions, sessions*9/10
			}
		}
		c.run(1)
		if got := c.observed().of("S3").Measure; got != want {
			t.Errorf("%d sessions: %v", sessions, got)
		}
	}
}

package kpi

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The slope and its standard error against the sums written out.
func TestWithinByHand(t *testing.T) {
	// Two sets with means of their own: (x, y) about (1, 5) and about (10, 7).
	sets := [][]change{
		{{cluster: 0, tokens: 0, outcomes: 4, weight: 1}, {cluster: 1, tokens: 2, outcomes: 6, weight: 1}},
		{{cluster: 0, tokens: 9, outcomes: 8, weight: 1}, {cluster: 2, tokens: 11, outcomes: 6, weight: 1}},
	}
	// Deviations (-1,-1), (1,1), (-1,1), (1,-1): they cancel.
	s := within(sets, 3)
	if s.value != 0 {
		t.Errorf("slope %v, want 0", s.value)
	}
	// Sum of squares 4; residuals are the deviations: influences d e / 4 are 1/4,
	// 1/4 and -1/4, -1/4, of clusters 0, 1, 0, 2.
	if diff := cmp.Diff([]float64{0, .25, -.25}, s.influence); diff != "" {
		t.Errorf("influence (-want +got)\n%s", diff)
	}
	if want := math.Sqrt(.125 * 3 / 2); !near(s.standardError(nil), want, 1e-12) {
		t.Errorf("standard error %v, want %v", s.standardError(nil), want)
	}
	if got := s.standardError(&s); got != 0 {
		t.Errorf("a slope differs from itself by %v", got)
	}
	if one := within(sets[:1], 3); one.value != 1 || one.drawn([]float64{1, 1, 1}) != 1 {
		t.Errorf("slope of the first set %v, want 1", one.value)
	}
	if nothing := within([][]change{{}, {{tokens: 1, weight: 1}}}, 3); !math.IsNaN(nothing.value) {
		t.Errorf("slope of one point %v", nothing.value)
	}
}

// Windows before the announcement are the longest that fit twice.
func TestWindows(t *testing.T) {
	f := func(announced, week int, before, after span, placebos int, short string) {
		t.Helper()
		s := newSample(&Input{Panel: &Panel{}, Target: Target{Announced: announced}, Week: week})
		got := []any{s.before.from, s.before.to, s.after.from, s.after.to, len(s.placebos), s.short}
		if diff := cmp.Diff([]any{before.from, before.to, after.from, after.to, placebos, short}, got); diff != "" {
			t.Errorf("announced %d, week %d (-want +got)\n%s", announced, week, diff)
		}
	}
	f(16, 25, span{9, 16}, span{16, 26}, 1, "")  // half of what was before, less two weeks
	f(16, 39, span{9, 16}, span{26, 40}, 1, "")  // since then, twice as long at most
	f(16, 20, span{9, 16}, span{16, 21}, 1, "")  // and five weeks at least
	f(41, 50, span{28, 41}, span{41, 51}, 2, "") // a quarter at most; another placebo fits
	f(40, 50, span{27, 40}, span{40, 51}, 1, "") // not quite
	f(12, 16, span{7, 12}, span{12, 17}, 1, "")  // the shortest
	f(11, 30, span{}, span{}, 0, ReasonHistory)
	f(16, 19, span{}, span{}, 0, ReasonAfter)
	f(16, 10, span{}, span{}, 0, ReasonAfter) // not yet announced
	f(0, 30, span{}, span{}, 0, ReasonHistory)
	f(-5, 30, span{}, span{}, 0, ReasonHistory)
}

// Weeks off on both sides have neither tokens nor outcomes. Counted, they would
// let outcomes follow tokens where they do not.
func TestIdleWeeksSayNothing(t *testing.T) {
	c := usual()
	c.elasticity, c.idle = 0, .3
	p, _ := c.simulate(3)
	f := elasticity(newSample(&Input{Panel: p, Target: c.target(), Week: 25}))
	if !f.Known || !near(f.Value, 0, .05) || f.Reason != ReasonUnrelated || f.Alarm {
		t.Errorf("%+v", f)
	}
	if n := f.N; n > 995 || n < 500 {
		t.Errorf("%d of 1,000 persons have 4 active weeks of 7 on both sides", n)
	}
}

// Unknown weeks are no zeros: who joined late or has no outcomes is not counted.
func TestUnknownWeeksDoNotCount(t *testing.T) {
	c := usual()
	p, _ := c.simulate(3)
	all := elasticity(newSample(&Input{Panel: p, Target: c.target(), Week: 25}))
	for i := range 300 {
		for w := range 7 {
			p.Units[i].Weeks[w] = Week{}
		}
	}
	for i := 300; i < 500; i++ {
		for w := range p.Units[i].Weeks {
			p.Units[i].Weeks[w].OutcomesKnown = false
		}
	}
	p.Units[999].Weeks = p.Units[999].Weeks[:12] // nobody knows what came then
	some := elasticity(newSample(&Input{Panel: p, Target: c.target(), Week: 25}))
	// The first 300 still have the window before the announcement, not its placebo.
	if want := all.N - 201; some.N < want-5 || some.N > want+5 {
		t.Errorf("N = %d, want about %d", some.N, want)
	}
	if !near(some.Value, all.Value, .05) || !near(some.Placebo, all.Placebo, .05) {
		t.Errorf("elasticity %v, was %v; placebo %v, was %v", some.Value, all.Value, some.Placebo, all.Placebo)
	}
}

package kpi

import (
	"math"
	"testing"
)

// Weeks that are not known count nothing, whatever stands in them; idle weeks
// count as spending alone; a week's effort is that of the weeks its outcomes come
// of.
func TestActivityByHand(t *testing.T) {
	u := Unit{}
	for w, tokens := range []int64{1000, 1000, 2000, 50, 4000, 500, 3000} {
		u.Weeks = append(u.Weeks, Week{
			Known: w != 5, OutcomesKnown: true, CostKnown: w != 4, Tokens: tokens, CostNanos: 3 * tokens, Outcomes: int64(1500 * w),
		})
	}
	p := func(tokens float64) float64 { return math.Pow(tokens, .3) }
	got := u.activity(span{2, 7}, 1000)
	second := (.46*p(2000) + .41*p(1000) + .10*p(1000)) / .97
	fourth := (.46*p(4000) + .10*p(2000)) / .56 // the third was idle
	level := math.Pow((second+fourth)/2, 1/.3)
	if got.weeks != 2 || !near(got.level, level, 1e-6) || got.outcomes != 4.5 || got.points != 9 {
		t.Errorf("%+v, want two weeks of %v", got, level)
	}
	if got.spent != 9050 || got.cost != 15150 || !got.priced {
		t.Errorf("spent %v, cost %v", got.spent, got.cost)
	}
	if first := u.activity(span{0, 2}, 1000); first.weeks != 0 || first.spent != 2000 {
		t.Errorf("weeks whose past is not known: %+v", first)
	}
	for w := range u.Weeks {
		u.Weeks[w].Outcomes = -1000 // more was reverted than verified
	}
	if lost := u.activity(span{2, 7}, 1000); lost.points != 0 || lost.outcomes != 0 || lost.weeks != 2 {
		t.Errorf("%+v", lost)
	}
}

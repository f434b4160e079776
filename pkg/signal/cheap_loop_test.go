package signal

import (
	"math"
	"testing"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// The users of the cheap model are those who chose it: that they all moved to it says
// nothing of the others.
func TestUsersOfTheCheapModelAreNoCohort(t *testing.T) {
	c := newCompany(t)
	c.run(5)
	c.change = func(i int, w *goodhartv1.Week) {
		if i < 10 { // of the fifteen on the subject's model, and of all sixty
			fireCheap(w, 0)
		}
	}
	c.run(2)
	o := c.observed()
	if got := o.of("S11").together[sameModel]; got != (cohortShare{others: headcount - 1, moved: 9}) {
		t.Errorf("%+v of those beside", got)
	}
	if !c.stands("S11") || len(c.about("S11", ScopeSelf)) == 0 {
		t.Error("the person is not asked")
	}
}

// That tokens rise and cost does not is as unlikely as the less likely of its parts.
func TestCheapChance(t *testing.T) {
	f := func(cost, want float64, change func(w *goodhartv1.Week)) {
		t.Helper()
		c := newCompany(t)
		c.run(5)
		c.change = func(i int, w *goodhartv1.Week) {
			if i == 0 {
				fireCheap(w, 0)
				w.InputUncachedTokens, w.CacheReadTokens, w.CostNanos = 36e6, 0, int64(cost)
				if change != nil {
					change(w)
				}
			}
		}
		c.run(1)
		if got := c.observed().of("S11"); got.Measure != Fired || math.Abs(got.P/want-1) > 1e-4 {
			t.Errorf("%v, by chance %g, want %g", got.Measure, got.P, want)
		}
	}
	// ln 1.8 above the usual, at the floor of a quarter of a nat; the price ln 1.8 and
	// ln 7.2 below it.
	tokens, price := ownTail(4*math.Log(1.8), 10), ownTail(4*math.Log(7.2), 10)
	f(40e9, tokens, nil)
	f(10e9, price, nil)
	f(10e9, tokens, func(w *goodhartv1.Week) { w.UnpricedRequests = 1 })
}

package evaluate

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// invented is a run of ten weeks and five people made by hand: 0 and 1 game naively, 2
// adaptively, 3 and 4 are honest.
func invented() *run {
	people := make([]person, 5)
	for i, honest := range []int{6, 7, 5, 10, 10} {
		people[i] = person{Role: []string{"engineer", "analyst"}[i%2], Size: 5, Honest: honest, Looks: make([]int, 19)}
	}
	return &run{
		Scenario: "signals", Weeks: 10, Announced: 4, People: people,
		Episodes: []episode{
			{Person: 0, Tactic: "duplicates", Intensity: 3, From: 5, To: 8, Wasted: []float64{10, 10, 10, 10}},
			{Person: 1, Tactic: "busywork", Intensity: 2, From: 4, To: 6, Wasted: []float64{5, 5, 5}},
			{Person: 2, Tactic: "adaptive", Adaptive: true, Intensity: 4, From: 4, To: 8, Wasted: []float64{1, 1, 1, 1, 1}},
		},
		Alerts: map[string][]alert{ruleOurs: {
			{Person: 0, Code: "S2", From: 6}, // true, after a week
			{Person: 0, Code: "S6", From: 9}, // true: one week after the end
			{Person: 0, Code: "S2", From: 4}, // false: a week too early
			{Person: 1, Code: "S9", From: 8}, // false: two weeks after the end
			{Person: 3, Code: "S1", From: 2, Looks: 1},
		}},
	}
}

var near = cmpopts.EquateApprox(0, 1e-12)

func TestAlertsAreJudgedByEpisode(t *testing.T) {
	r := invented()
	o := judge(r, r.Alerts[ruleOurs], (*episode).hits)
	if diff := cmp.Diff([]int{2, 0, 0, 0, 0}, o.right); diff != "" {
		t.Errorf("true alerts by person: %s", diff)
	}
	if diff := cmp.Diff([]int{1, 1, 0, 1, 0}, o.wrong); diff != "" {
		t.Errorf("false alarms by person: %s", diff)
	}
	if diff := cmp.Diff([]int{6, -1, -1}, o.first); diff != "" {
		t.Errorf("first true alert by episode: %s", diff)
	}
}

func TestAlertsThatGoOnTouchEpisodes(t *testing.T) {
	e := &episode{Person: 1, From: 5, To: 8}
	f := func(want bool, a alert) {
		t.Helper()
		if got := e.touches(&a); got != want {
			t.Errorf("%+v: %v, want %v", a, got, want)
		}
	}
	f(true, alert{Person: 1, From: 2, To: 5})
	f(false, alert{Person: 1, From: 2, To: 4})
	f(true, alert{Person: 1, From: 9, To: 9})
	f(false, alert{Person: 1, From: 10, To: 12})
	f(false, alert{Person: 2, From: 5, To: 8})
}

func TestFiguresOfARule(t *testing.T) {
	r := invented()
	o := []*outcome{judge(r, r.Alerts[ruleOurs], (*episode).hits)}
	f := func(name string, got estimate, num, den float64) {
		t.Helper()
		if diff := cmp.Diff([]float64{num, den, num / den}, []float64{got.Num, got.Den, got.Value}, near); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if got.Known && !(got.Lo <= got.Value && got.Value <= got.Hi) {
			t.Errorf("%s: %v outside of %v to %v", name, got.Value, got.Lo, got.Hi)
		}
	}
	f("precision", precision(o), 2, 5)
	f("false alarms per 1,000", falseAlarms(o), 3000, 38)
	f("recall of naive episodes", recall(o, naive(0, false)), 1, 2)
	f("recall above twice", recall(o, naive(2.5, false)), 1, 1)
	f("recall of what a mechanism sees", recall(o, naive(0, true)), 1, 1)
	f("recall of adaptive episodes", recall(o, adaptive), 0, 1)
	if e := recall(o, naive(10, false)); e.Known {
		t.Errorf("recall of no episode is known: %v", e)
	}
	weeks, gone := delays(o, naive(0, false))
	// Published in week 7: two whole weeks and three sevenths of the third of four.
	if diff := cmp.Diff([][]float64{{1}, {(20 + 30.0/7) / 40}}, [][]float64{weeks, gone}, near); diff != "" {
		t.Errorf("delays: %s", diff)
	}
}

func TestGroupsAreComparedWithAllOthers(t *testing.T) {
	r := invented()
	o := []*outcome{judge(r, r.Alerts[ruleOurs], (*episode).hits)}
	engineers := func(p *person) bool { return p.Role == "engineer" }
	mine, rest := falseParts(o, engineers), falseParts(o, func(p *person) bool { return !engineers(p) })
	// 1 in 6+5+10 weeks against 2 in 7+10.
	if got, want := contrast(mine, rest).Value, (1.0/21)/(2.0/17); math.Abs(got-want) > 1e-12 {
		t.Errorf("ratio %v, want %v", got, want)
	}
	if e := contrast(mine, make([]part, len(mine))); e.Known {
		t.Errorf("a ratio to nothing is known: %v", e)
	}
}

func TestBootstrapIsThatOfClusters(t *testing.T) {
	// A hundred clusters of which 30 have all: sd of the share is .0458.
	parts := make([]part, 100)
	for i := range parts {
		parts[i] = part{num: 0, den: 10}
		if i < 30 {
			parts[i].num = 10
		}
	}
	e := ratio(parts)
	if e.Value != .3 || math.Abs(e.Lo-(.3-1.645*.0458)) > .02 || math.Abs(e.Hi-(.3+1.645*.0458)) > .02 {
		t.Errorf("%+v", e)
	}
	if again := ratio(parts); again != e {
		t.Errorf("%+v, then %+v", e, again)
	}
}

func TestQuantiles(t *testing.T) {
	f := func(values []float64, q, want float64) {
		t.Helper()
		if got := quantile(values, q); math.Abs(got-want) > 1e-12 {
			t.Errorf("quantile %v of %v: %v, want %v", q, values, got, want)
		}
	}
	f([]float64{1, 2, 3, 4}, .5, 2.5)
	f([]float64{1, 2, 3, 4}, 1, 4)
	f([]float64{7}, .05, 7)
	if !math.IsNaN(quantile(nil, .5)) {
		t.Error("a quantile of nothing")
	}
	if med, mad := medianMAD([]float64{9, 1, 2, 3, 100}); med != 3 || mad != 2 {
		t.Errorf("median %v, MAD %v: want 3 and 2", med, mad)
	}
}

func TestOwnZ(t *testing.T) {
	e := math.E
	tokens := []float64{e, 0, e * e, e, e * e, math.Exp(4), 0}
	if got := selfZ(tokens, 4); got != 0 {
		t.Errorf("after three active weeks: %v", got)
	}
	// ln of the active weeks before: 1 2 1 2, median 1.5, MAD .5.
	if got, want := selfZ(tokens, 5), 2.5/(1.4826*.5); math.Abs(got-want) > 1e-12 {
		t.Errorf("z %v, want %v", got, want)
	}
	if got := selfZ(tokens, 6); got != 0 {
		t.Errorf("of an idle week: %v", got)
	}
}

func TestChances(t *testing.T) {
	var c chances
	for _, p := range []float64{.6, .5, .05, .0005} {
		c.add(p)
	}
	if diff := cmp.Diff(chances{N: 4, Below: [5]int{3, 2, 1, 1, 0}, Bins: [chanceBins]int{0: 1, 49: 1, 499: 1, 599: 1}}, c); diff != "" {
		t.Error(diff)
	}
}

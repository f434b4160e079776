package evaluate

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// carded is a run with cards of the token target in its last three weeks.
func carded(verdicts ...string) *run {
	r := invented()
	for i, v := range verdicts {
		r.Cards = append(r.Cards,
			card{
				Target: targetTokens, Verdict: v, Week: 7 + i, Decoupled: v == "losing meaning" || v == "watch", Known: true, Bounded: true,
				Share: .3, Lo: .1, Hi: .5, True: .2, Cost: 60, TrueCost: 50, Placebo: .01,
			},
			card{Target: targetAdoption, Verdict: "healthy", Week: 7 + i})
	}
	return r
}

func TestVerdictsAreCounted(t *testing.T) {
	runs := []*run{
		carded("watch", "losing meaning", "losing meaning"), carded("losing meaning", "healthy", "healthy"),
		carded("insufficient data", "insufficient data", "watch"), carded("healthy", "healthy", "healthy"),
	}
	row := verdictsOf(runs, targetTokens, .2)
	got := []float64{row.Losing.Value, row.Ever.Value, row.Watch.Value, row.Healthy.Value, row.Insufficient.Value, row.Decoupled.Value, row.DecoupledEver.Value}
	if diff := cmp.Diff([]float64{.25, .5, .25, .5, 0, .5, .75}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]float64{3, 4}, row.Weeks); diff != "" {
		t.Errorf("weeks from the announcement: %s", diff)
	}
	if healthy := verdictsOf(runs, targetAdoption, .2).Healthy; healthy.Value != 1 {
		t.Errorf("the other target: %+v", healthy)
	}
}

func TestExcessIsComparedWithTheTruth(t *testing.T) {
	above, below, unknown := carded("watch"), carded("watch"), carded("watch")
	below.Cards[0].True, below.Cards[0].Lo = .6, -.1
	unknown.Cards[0].Known = false
	row := excessOf([]*run{above, below, unknown}, .08)
	if row.Seeds != 2 || row.Covered.Value != .5 || row.Above.Value != .5 {
		t.Errorf("%+v", row)
	}
	if diff := cmp.Diff([]float64{.2, .4, .3, .5}, []float64{row.Error, row.Truth, row.Estimate, row.Width}, near); diff != "" {
		t.Error(diff) // the errors are .1 and .3, the widths .4 and .6
	}
	if diff := cmp.Diff(.2, row.CostError, near); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsSaved(t *testing.T) {
	r := carded("losing meaning") // in week 7: gone from week 9 on
	s := savedBy([]*run{r})
	// Of 60 tokens, those of person 0 after the middle of week 7.
	if diff := cmp.Diff((10*4/7.0+10)/60, s.Detecting.Value, near); diff != "" {
		t.Errorf("detecting: %s", diff)
	}
	if s.Removing.Value != 0 {
		t.Errorf("removing a target after all has ended saves %v", s.Removing.Value)
	}
	r.Cards[0].Week = 5 // gone in week 6, but for three sevenths of week 7
	s = savedBy([]*run{r})
	if diff := cmp.Diff((10*4/7.0+10+4/7.0+1)/60, s.Removing.Value, near); diff != "" {
		t.Errorf("removing: %s", diff)
	}
	if s.Both.Value < s.Removing.Value || s.Both.Value < s.Detecting.Value {
		t.Errorf("both save less than one: %+v", s)
	}
}

func TestRankCorrelation(t *testing.T) {
	if got := tau([]efficiency{{Score: 1, True: 1}, {Score: 2, True: 3}, {Score: 3, True: 2}}); got != 1.0/3 {
		t.Errorf("tau %v, want 1/3", got)
	}
}

// Scores are compared with the truth as it is, whichever teams have one, the last
// revision of each alone and no window that reaches beyond the period.
func TestScoresBesideTheTruth(t *testing.T) {
	r := &run{Weeks: 10, Scores: []efficiency{
		{Team: 0, Week: 10, Window: "7d", Score: 300, Lo: 290, Hi: 310, True: 40}, // revised below
		{Team: 0, Week: 10, Window: "7d", Score: 80, Lo: 60, Hi: 100, True: 70, TrueOfPersons: 50, Peers: 3, Told: 1},
		{Team: 1, Week: 10, Window: "7d", Score: 130, Lo: 125, Hi: 140, True: 120, TrueOfPersons: 130, Peers: 3},
		{Team: 1, Week: 11, Window: "7d", Score: 500, Lo: 500, Hi: 500, True: 100},
		{Team: 1, Week: 10, Window: "28d", Score: 1, Lo: 1, Hi: 1, True: 60},
	}}
	rows := scoresOf([]*run{r})
	if len(rows) != 2 || rows[1].Window != "7d" || rows[1].N != 2 {
		t.Fatalf("%+v", rows)
	}
	for _, it := range []struct {
		name string
		got  accuracy
		want []float64
	}{
		{"peers", rows[1].Peers, []float64{.5, 100, 10, 1}},
		{"persons", rows[1].Persons, []float64{.5, 450, 15, 1}},
	} {
		if diff := cmp.Diff(it.want, []float64{it.got.Covered.Value, it.got.Error * it.got.Error, it.got.Bias, it.got.Tau}, near); diff != "" {
			t.Errorf("%s: %s", it.name, diff)
		}
	}
	if diff := cmp.Diff(5.0/6, rows[1].Same.Value, near); diff != "" {
		t.Errorf("pairs that cannot be told apart: %s", diff)
	}
}

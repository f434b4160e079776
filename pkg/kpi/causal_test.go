package kpi

import (
	"testing"
)

// pressed is a company that grows, half of whose teams are under a target that adds
// tokens, and the outcomes that tokens of the elasticity bring.
func pressed(press, elasticity float64, seed uint64) Finding {
	c := usual()
	c.growth = .4
	honest, _ := c.simulate(seed)
	c.growth += press
	c.learning = (elasticity - .3) * press
	moved, _ := c.simulate(seed)
	target := c.target()
	for i := range honest.Units {
		if i%c.teams < c.teams/2 {
			honest.Units[i] = moved.Units[i]
		}
	}
	for g := range c.teams / 2 {
		target.Teams = append(target.Teams, honest.Units[g].Team)
	}
	return causal(newSample(&Input{Panel: honest, Target: target, Week: 25}))
}

func TestCausal(t *testing.T) {
	nothing := pressed(.8, 0, 1)
	if !nothing.Alarm || !near(nothing.Value, 0, .06) || !near(nothing.Placebo, .3, .06) || nothing.Lo > nothing.Value || nothing.Hi < nothing.Value {
		t.Errorf("pressed tokens bring nothing: %+v", nothing)
	}
	usual := pressed(.8, .3, 1)
	if usual.Alarm || !near(usual.Value, .3, .06) || usual.N > 500 {
		t.Errorf("pressed tokens bring as much as others: %+v", usual)
	}
	if still := pressed(0, .3, 1); still.Known || still.Reason != ReasonFirstStage {
		t.Errorf("the target moved nothing: %+v", still)
	}
	c := company{people: 300, teams: 10, weeks: 26, announced: 16, sdHi: 1}
	p, _ := c.simulate(1)
	if alone := causal(newSample(&Input{Panel: p, Target: c.target(), Week: 25})); alone.Known || alone.Reason != ReasonControl {
		t.Errorf("no control group: %+v", alone)
	}
}

// The delta method by hand: group means and their variances over clusters.
func TestAveragesByHand(t *testing.T) {
	a := averages([]change{
		{cluster: 0, tokens: 1, outcomes: 0}, {cluster: 0, tokens: 3, outcomes: 2}, {cluster: 1, tokens: 2, outcomes: 4},
	}, 2)
	// Means 2 and 2; by cluster the deviations of tokens sum to 0 and 0, of outcomes
	// to -2 and 2, each over 3 units.
	want := average{tokens: 2, outcomes: 2, vv: 2 * 2 * 4.0 / 9}
	if !near(a.tokens, want.tokens, 1e-12) || !near(a.outcomes, want.outcomes, 1e-12) || !near(a.uu, 0, 1e-12) || !near(a.uv, 0, 1e-12) || !near(a.vv, want.vv, 1e-12) {
		t.Errorf("%+v, want %+v", a, want)
	}
}

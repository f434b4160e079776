package kpi

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Seven sums give what a weighted regression over all observations gives.
func TestDecayedIsARegression(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	var d Decayed
	var x, y, weight []float64
	for range 30 {
		d.Age()
		for i := range weight {
			weight[i] *= math.Exp2(-7.0 / 28)
		}
		for range 5 {
			u := 17 + rng.NormFloat64()
			v := .3*u + .2*rng.NormFloat64()
			d.Add(u, v)
			x, y, weight = append(x, u), append(y, v), append(weight, 1)
		}
	}
	l := fit(len(x), func(i int) (float64, float64, float64) { return x[i], y[i], weight[i] })
	var w, ww float64
	for _, v := range weight {
		w += v
		ww += v * v
	}
	n := d.EffectiveN()
	if !near(n, w*w/ww, 1e-9) {
		t.Errorf("n = %v, want %v", n, w*w/ww)
	}
	b, se, ok := d.Slope(n)
	if !ok || !near(b, l.slope, 1e-9) {
		t.Errorf("slope %v, %v, want %v", b, ok, l.slope)
	}
	if se <= 0 || math.Abs(b-.3) > 4*se {
		t.Errorf("%v ± %v is far from 0.3", b, se)
	}
	if _, _, ok := (&Decayed{}).Slope(10); ok {
		t.Error("a slope of nothing")
	}
	var flat Decayed
	flat.Add(3, 1)
	flat.Add(3, 2)
	if _, _, ok := flat.Slope(10); ok {
		t.Error("a slope over one x")
	}
}

func TestDecayedElasticity(t *testing.T) {
	c := usual()
	p, _ := c.simulate(1)
	f := decayedElasticity(newSample(&Input{Panel: p, Target: c.target(), Week: 25}))
	if !f.Known || f.Alarm || !near(f.Value, .28, .05) || !near(f.Placebo, .28, .05) {
		t.Errorf("honest: %+v", f)
	}
	// Outcomes stop to follow tokens.
	for i := range p.Units {
		for w := c.announced; w < c.weeks; w++ {
			p.Units[i].Weeks[w].Outcomes = 3000
		}
	}
	f = decayedElasticity(newSample(&Input{Panel: p, Target: c.target(), Week: 25}))
	if !f.Alarm || !near(f.Value, 0, .01) {
		t.Errorf("constant outcomes: %+v", f)
	}
}

// Teams that differ in both tokens and outcomes say nothing: within them there is
// no relation.
func TestDecayedIsWithinTeams(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	p := &Panel{Start: monday, Units: make([]Unit, 400)}
	for i := range p.Units {
		team := i % 10
		p.Units[i].Team = string(rune('a' + team))
		for range 12 {
			p.Units[i].Weeks = append(p.Units[i].Weeks, Week{
				Known: true, OutcomesKnown: true, Outcomes: int64(1000 * (1 + team)),
				Tokens: int64(1e6 * math.Exp(float64(team)+.1*rng.NormFloat64())),
			})
		}
	}
	f := decayedElasticity(newSample(&Input{Panel: p, Target: Target{Announced: 6}, Week: 11}))
	if !f.Known || !near(f.Value, 0, .02) {
		t.Errorf("%+v", f)
	}
}

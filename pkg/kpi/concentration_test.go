package kpi

import "testing"

func TestGini(t *testing.T) {
	f := func(want float64, times []float64, tokens ...float64) {
		t.Helper()
		var h []holding
		for i, v := range tokens {
			h = append(h, holding{min(i, len(times)-1), v})
		}
		if got := gini(h, times); !near(got, want, 1e-12) {
			t.Errorf("%v, %v times: %v, want %v", tokens, times, got, want)
		}
	}
	one := []float64{1}
	f(0, one, 5, 5, 5, 5)
	f(.75, one, 0, 0, 0, 1)
	f(.25, one, 1, 2, 3, 4) // mean difference 1.25 over twice the mean 2.5
	f(.25, []float64{1, 1, 1, 1}, 1, 2, 3, 4)
	f(.75, []float64{3, 1}, 0, 1) // three copies of nothing
	f(0, []float64{0, 2}, 3, 7)   // only the second, twice
}

func TestTopShare(t *testing.T) {
	h := []holding{{0, 1}, {0, 2}, {0, 3}, {0, 4}}
	if got := topShare(h, .25); got != .4 {
		t.Errorf("top quarter %v, want 0.4", got)
	}
	if got := topShare(h, .01); got != .4 { // at least one
		t.Errorf("top hundredth %v, want 0.4", got)
	}
}

func TestConcentration(t *testing.T) {
	c := usual()
	alarms := 0
	for seed := range uint64(15) {
		p, _ := c.simulate(seed)
		f := concentration(newSample(&Input{Panel: p, Target: c.target(), Week: 25}))
		if !f.Known || !f.PlaceboKnown || !near(f.Value, .71, .1) || f.Lo > f.Value || f.Hi < f.Value {
			t.Errorf("seed %d: %+v", seed, f)
		}
		if f.Alarm {
			alarms++
		}
	}
	if alarms > 1 {
		t.Errorf("%d false alarms of 15", alarms)
	}
	p, _ := c.simulate(1)
	in := &Input{Panel: p, Target: c.target(), Week: 25}
	for i := range 50 { // a twentieth uses fifty times as much
		p.Units[i].Weeks[25].Tokens *= 50
	}
	if f := concentration(newSample(in)); !f.Alarm || f.Z < 3 {
		t.Errorf("a twentieth uses fifty times as much: %+v", f)
	}
	for i := range p.Units { // everybody uses the same
		p.Units[i].Weeks[25].Tokens = 7
	}
	if f := concentration(newSample(in)); !f.Alarm || f.Z > -3 || !near(f.Value, 0, 1e-9) {
		t.Errorf("everybody the same: %+v", f)
	}
	in.Week = 3
	if f := concentration(newSample(in)); !f.Known || f.Alarm || f.Reason != ReasonHistory {
		t.Errorf("the fourth week: %+v", f)
	}
}

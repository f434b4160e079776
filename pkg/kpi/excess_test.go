package kpi

import (
	"fmt"
	"math"
	"testing"
)

// Without noise only the shape of the bend is between the estimate and the truth:
// two of five units burn, while everybody's outcomes rise by a tenth.
func TestExcessWithoutNoise(t *testing.T) {
	const b, level = .3, .1
	placebo := make([]change, 400)
	changes := make([]change, 400)
	var want, spent float64
	for i := range changes {
		g := float64(i%40)/40 - .5 // honest growth of usage, evenly spread
		placebo[i] = change{cluster: i % 10, tokens: g, outcomes: b * g, weight: 1, spent: 1}
		c := change{cluster: i % 10, tokens: g, outcomes: level + b*g, weight: 1, spent: 100, cost: 3, priced: true}
		if i%5 < 2 {
			c.tokens += 2 // far from all who do not
			want += c.spent * (1 - math.Exp(-2))
		}
		spent += c.spent
		changes[i] = c
	}
	once := make([]float64, 10)
	for g := range once {
		once[g] = 1
	}
	x := newExchange(changes, placebo)
	share, nanos := x.excess(b, once)
	if !near(share, want/spent, .05) || !near(nanos, share*3*400, 1e-6) {
		t.Errorf("share %v, want %v; cost %v", share, want/spent, nanos)
	}
	if got := x.level(b, once); !near(got, level, .03) {
		t.Errorf("outcomes of all rose by %v, want %v", got, level)
	}
	none, _ := newExchange(placebo, placebo).excess(b, once)
	if !near(none, 0, 1e-9) {
		t.Errorf("share without excess %v", none)
	}
}

// What the two estimates that matter most find of people who leave no trace but
// in outcomes: how often the elasticity raises an alarm, how far the excess share
// is from the truth, how often its interval covers it, and how often it claims an
// excess where there is none.
func TestAgainstTheTruth(t *testing.T) {
	if testing.Short() {
		t.Skip("many companies, one after the other")
	}
	const seeds = 30
	f := func(name string, c company, gamers, furthest float64, least, most int) {
		t.Helper()
		c.gamers = gamers
		name = fmt.Sprintf("%s, %.0f %% burn", name, 100*gamers)
		var off []float64
		alarms, covered, claimed := 0, 0, 0
		for seed := range uint64(seeds) {
			p, burnt := c.simulate(seed)
			s := newSample(&Input{Panel: p, Target: c.target(), Week: c.weeks - 1})
			found, truth := excess(s), excessOf(p, burnt, s.after)
			if !found.Known || !found.CostKnown || !found.PlaceboKnown {
				t.Fatalf("%s: %+v", name, found)
			}
			off = append(off, math.Abs(found.Value-truth))
			if found.Lo <= truth && truth <= found.Hi {
				covered++
			}
			if found.Lo > 0 {
				claimed++
			}
			if elasticity(s).Alarm {
				alarms++
			}
		}
		t.Logf("%s: %d alarms of %d; median error %.3f, covers %d, above 0 in %d", name, alarms, seeds, middle(off), covered, claimed)
		if alarms < least || alarms > most {
			t.Errorf("%s: %d alarms in %d seeds, want %d to %d", name, alarms, seeds, least, most)
		}
		if m := middle(off); m > furthest {
			t.Errorf("%s: median error %.3f", name, m)
		}
		if covered < seeds*85/100 {
			t.Errorf("%s: the interval covers the truth in %d of %d", name, covered, seeds)
		}
		if gamers == 0 && claimed > 2 {
			t.Errorf("%s: an excess where there is none in %d of %d", name, claimed, seeds)
		}
	}
	long := usual()
	f("10 weeks since", long, 0, .06, 0, 1)
	f("10 weeks since", long, .08, .06, 12, 30)
	f("10 weeks since", long, .2, .06, 29, 30)
	f("10 weeks since", long, .4, .06, 30, 30)
	short := long
	short.weeks = 21
	f("5 weeks since", short, 0, .08, 0, 1)
	f("5 weeks since", short, .2, .08, 24, 30)
	honest := long // all grow, unequally, and learn; teams have weeks of their own
	honest.growth, honest.spread, honest.learning, honest.shock = .3, .4, .1, .15
	f("honest adoption", honest, 0, .06, 0, 1)
	f("honest adoption", honest, .2, .06, 25, 30)
}

// The cost is that of what has a price, and unknown where nothing has.
func TestExcessCost(t *testing.T) {
	c := usual()
	c.gamers = .2
	p, _ := c.simulate(1)
	in := &Input{Panel: p, Target: c.target(), Week: 25}
	priced := excess(newSample(in))
	s := newSample(in)
	var cost float64
	for i := range s.changed {
		cost += s.changed[i].cost
	}
	// All tokens cost the same here.
	if got := float64(priced.CostNanos) / cost; !near(got, priced.Value, .001) {
		t.Errorf("%v of the cost, %v of the tokens", got, priced.Value)
	}
	for i := range p.Units {
		for w := range p.Units[i].Weeks {
			p.Units[i].Weeks[w].CostKnown = false
		}
	}
	if f := excess(newSample(in)); f.CostKnown || f.Value != priced.Value {
		t.Errorf("without prices: %+v", f)
	}
}

package kpi

import (
	"fmt"
	"math"
	"testing"
)

// Without noise nothing is between the estimate and the truth: two of five units
// burn, while everybody's outcomes rise by a tenth.
func TestExcessWithoutNoise(t *testing.T) {
	const b, level = .3, .1
	changes, honest := make([]change, 400), make([]change, 400)
	var want, spent float64
	for i := range changes {
		g := float64(i%40)/40 - .5 // honest growth of usage, evenly spread
		honest[i] = change{cluster: i % 10, tokens: g, outcomes: level + b*g, weight: 1, spent: 1}
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
	x := newExchange(changes, 0)
	found := x.excess(b, once)
	for k := range len(parts) { // that some burn three fifths up shows in these at once
		if !near(found.share[k], want/spent, 1e-9) || !near(found.nanos[k], found.share[k]*3*400, 1e-6) {
			t.Errorf("share %v, want %v; cost %v", found.share[k], want/spent, found.nanos[k])
		}
	}
	same := newExchange(honest, 0).excess(b, once)
	if none, _ := same.mean(); !near(none, 0, 1e-9) {
		t.Errorf("share without excess %v", none)
	}
	// It is the same if every cluster counts twice, and the cost twice as much.
	for g := range once {
		once[g] = 2
	}
	twice := x.excess(b, once)
	for k := range twice.share {
		if !near(twice.share[k], found.share[k], 1e-9) || !near(twice.nanos[k], 2*found.nanos[k], 1e-6) {
			t.Errorf("share %v, cost %v; of twice as many %v, %v", found.share[k], found.nanos[k], twice.share[k], twice.nanos[k])
		}
	}
}

// Where some of those burn whose usage grew least, the estimate is too small, and
// less so the fewer are taken for honest.
func TestExcessOfThoseWhoGrewLeast(t *testing.T) {
	const b = .3
	changes := make([]change, 400)
	var truth, spent float64
	for i := range changes {
		c := change{cluster: i % 10, tokens: float64(i) / 100, weight: 1, spent: 100}
		c.outcomes = b * c.tokens
		if i >= 130 { // past a third
			c.outcomes -= b
			truth += c.spent * (1 - math.Exp(-1))
		}
		spent += c.spent
		changes[i] = c
	}
	once := make([]float64, 10)
	for g := range once {
		once[g] = 1
	}
	found := newExchange(changes, 0).excess(b, once)
	for k, part := range parts {
		switch share := found.share[k]; {
		case part < .33 && !near(share, truth/spent, .01): // a bin holds some of both
			t.Errorf("of %v: %v, want %v", part, share, truth/spent)
		case part > .33 && share >= found.share[k-1]:
			t.Errorf("of %v: %v, of fewer %v", part, share, found.share[k-1])
		}
	}
}

// A bent line finds what happened to all where excess grows from a knee on, and where
// the knee is.
func TestExcessBeyondAKnee(t *testing.T) {
	const b, level = .3, .1
	changes := make([]change, 400)
	for i := range changes {
		g := float64(i)/100 - 2
		changes[i] = change{cluster: i % 10, tokens: g, outcomes: level + b*g, weight: 1, spent: 1}
		if past := i - 160; past > 0 { // from the second fifth on
			changes[i].outcomes -= b * float64(past) / 200
		}
	}
	once := make([]float64, 10)
	for g := range once {
		once[g] = 1
	}
	x := newExchange(changes, 0)
	found := x.excess(b, once)
	levels, weights := x.levels(400)
	const right = len(parts) + 2
	if !near(levels[right], level, 1e-9) || !near(weights[right], .5, 1e-6) {
		t.Errorf("levels %v, want %v; weights %v", levels, level, weights)
	}
	if share, _ := found.mean(); !near(share, found.share[right]/2+(found.share[0]+found.share[1]+found.share[2]+found.share[3])/8, 1e-6) {
		t.Errorf("%v of %+v", share, found)
	}
	for u, want := range map[float64]float64{0: found.share[0], .13: found.share[1], .49: found.share[3], .51: found.share[right], .999: found.share[right]} {
		if got := found.drawn(u); got != want {
			t.Errorf("at %v: %v, want %v", u, got, want)
		}
	}
}

// Growth past a knee that is blurred is what a normal deviate around it has above 0.
func TestBend(t *testing.T) {
	for _, c := range []struct{ growth, blur, want float64 }{
		{2, 0, 2}, {-2, 0, 0}, {0, 1, 0.398942}, {0, .5, 0.199471}, {1, 1, 1.083315}, {-1, 1, 0.083315}, {9, 1, 9},
	} {
		if got := bend(c.growth, c.blur); !near(got, c.want, 1e-6) {
			t.Errorf("%v blurred by %v: %v, want %v", c.growth, c.blur, got, c.want)
		}
	}
}

// steady is a company whose people use the same in every week and twice as much from the
// announcement in week 16 on; since is how many weeks ago that is.
func steady(since int) *sample {
	p := &Panel{Start: monday}
	for i := range 40 {
		u := Unit{Team: fmt.Sprint("team-", i%10)}
		for w := range 16 + since {
			k := Week{Known: true, OutcomesKnown: true, CostKnown: true, Tokens: 1_000_000, CostNanos: 3, Outcomes: 4000}
			if w >= 16 {
				k.Tokens, k.CostNanos = 2_000_000, 6
			}
			u.Weeks = append(u.Weeks, k)
		}
		p.Units = append(p.Units, u)
	}
	return newSample(&Input{Panel: p, Target: usual().target(), Week: 15 + since})
}

// The tokens before the announcement, of which outcomes in the first weeks since come,
// do not hide how much more is used since; the tokens of those weeks count all the same.
func TestExcessOfTheFirstWeeks(t *testing.T) {
	for since, want := range map[int]float64{7: math.Ln2, 10: math.Ln2, 40: math.Ln2, 6: .624, 5: .61} {
		s := steady(since)
		counted := float64(min(since, 2*s.before.weeks()))
		for _, c := range s.inflated() {
			if !near(c.tokens, want, .005) || c.spent != 2e6*counted || c.cost != 6*counted || !c.priced {
				t.Fatalf("%d weeks since: %+v, want %.3f nats in %v weeks", since, c, want, counted)
			}
		}
	}
}

// What is usual between two windows is less the longer they are.
func TestBlur(t *testing.T) {
	s := &sample{before: span{8, 16}, placebos: [][]change{{{tokens: -1}, {tokens: 0}, {tokens: 1}}}}
	if short, long := s.blur(8, 8), s.blur(16, 16); !near(short, 1, 1e-9) || !near(long, math.Sqrt(.5), 1e-9) {
		t.Errorf("%v and %v", short, long)
	}
}

// Both rates are the elasticity that the company has, and the one of many short
// windows says it more precisely.
func TestRates(t *testing.T) {
	c := usual()
	c.weeks, c.announced = 36, 26
	p, _ := c.simulate(3)
	s := newSample(&Input{Panel: p, Target: c.target(), Week: 35})
	rates := s.rates()
	short, long := rates[0].standardError(nil), rates[1].standardError(nil)
	for _, b := range rates {
		if !near(b.value, c.elasticity, 3*long) {
			t.Errorf("%v, want %v", b.value, c.elasticity)
		}
	}
	if short > .85*long {
		t.Errorf("standard errors %.4f and %.4f", short, long)
	}
}

func TestExpandedPercentiles(t *testing.T) {
	// Student's 5 % quantile with 39 degrees of freedom is -1.6849, with 7 -1.8946.
	for clusters, want := range map[int]float64{40: 0.0440, 8: 0.0214, 100000: 0.05} {
		if got := expanded(.05, clusters); !near(got, want, 1e-4) {
			t.Errorf("%d clusters: %v, want %v", clusters, got, want)
		}
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

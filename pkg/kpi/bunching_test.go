package kpi

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/goodhartlabs/goodhart/pkg/policy"
)

// flat is an edge over rings of 10 with so many beside the threshold, each of an
// owner of its own.
func flat(above, below int) edge {
	var e edge
	for ring := ringFrom; ring <= ringTo; ring++ {
		e.above[ring], e.below[ring] = 10, 10
	}
	for range above {
		e.near = append(e.near, [2]float64{})
		e.add(0)
	}
	for range below {
		e.near = append(e.near, [2]float64{})
		e.add(-1)
	}
	return e
}

// P(X >= 15) of 20 fair coins is 21,700 / 2^20, of 10 of 10 it is 2^-10.
func TestBunchingIsBinomial(t *testing.T) {
	f := func(above, below int, p, excess float64) {
		t.Helper()
		e := flat(above, below)
		b := e.test(ringTo, steepest)
		if !near(b.p, p, 1e-9) || !near(b.excess, excess, 1e-9) || b.local != above+below {
			t.Errorf("%d above, %d below: %+v, want p %v and excess %v", above, below, b, p, excess)
		}
	}
	f(15, 5, 21_700.0/(1<<20), 15/10.5-1)
	f(10, 0, 1.0/1024, 10/10.5-1)
	f(0, 10, 1, -1)
}

// Counts that rise by a fifth per bin rise so across the threshold too.
func TestBunchingFollowsTheSlope(t *testing.T) {
	var e edge
	for ring := 1; ring <= ringTo; ring++ {
		e.above[ring] = 1000 * math.Pow(1.2, float64(ring-1))
		e.below[ring] = 1000 * math.Pow(1.2, float64(-ring))
	}
	if b := e.test(ringTo, steepest); !near(b.excess, 0, .01) || b.p < .3 {
		t.Errorf("%+v", b)
	}
}

// One person's twenty weeks above are one observation, not twenty.
func TestBunchingClusters(t *testing.T) {
	one := flat(0, 10)
	one.near = append(one.near, [2]float64{})
	for range 20 {
		one.add(0)
	}
	many := flat(20, 10)
	if p, q := one.test(ringTo, steepest).p, many.test(ringTo, steepest).p; p < .3 || q > .06 {
		t.Errorf("p of one person %v, of twenty %v", p, q)
	}
}

// crowd returns a panel of one week before and one since the announcement, log-
// normal about the threshold of 1e6; since then a share of those within 30 %
// below it moves just above.
func crowd(n int, movers float64, seed uint64) *Panel {
	rng := rand.New(rand.NewPCG(seed, 7))
	p := &Panel{Start: monday, Units: make([]Unit, n)}
	for i := range p.Units {
		p.Units[i].Team = fmt.Sprint(i % 20)
		for w := range 2 {
			v := 1e6 * math.Exp(1.22*rng.NormFloat64())
			if w == 1 && v < 1e6 && v > .7e6 && rng.Float64() < movers {
				v = 1e6 * (1 + .05*rng.Float64())
			}
			k := Week{Known: true, Tokens: int64(v), Requests: 1}
			k.DayTokens[2] = k.Tokens
			p.Units[i].Weeks = append(p.Units[i].Weeks, k)
		}
	}
	return p
}

// Size at 1 % and power against the movers of a thousand.
func TestBunchingSizeAndPower(t *testing.T) {
	f := func(n int, movers float64, seeds, least, most int) {
		t.Helper()
		alarms := 0
		for seed := range seeds {
			in := &Input{Panel: crowd(n, movers, uint64(seed)), Target: Target{Threshold: 1e6, Announced: 1}, Week: 1}
			if bunching(newSample(in)).Z > alarmZ {
				alarms++
			}
		}
		t.Logf("n %d, movers %v: %d of %d", n, movers, alarms, seeds)
		if alarms < least || alarms > most {
			t.Errorf("n %d, movers %v: %d of %d, want %d to %d", n, movers, alarms, seeds, least, most)
		}
	}
	f(1000, 0, 200, 0, 5)
	f(3000, 0, 100, 0, 3)
	f(1000, .2, 100, 60, 97)
	f(3000, .2, 30, 29, 30)
	f(200, .2, 200, 0, 40) // so few are hopeless
}

// What bunched before the announcement, or at other thresholds, is no effect of it.
func TestBunchingPlacebos(t *testing.T) {
	p := crowd(3000, .4, 1)
	in := &Input{Panel: p, Target: Target{Threshold: 1e6, Announced: 1}, Week: 1}
	f := bunching(newSample(in))
	if !f.Alarm || f.Value < .5 || f.Lo > f.Value || f.Hi < f.Value || !f.PlaceboKnown {
		t.Fatalf("movers: %+v", f)
	}
	for i := range p.Units { // an old habit
		p.Units[i].Weeks[0] = p.Units[i].Weeks[1]
	}
	if old := bunching(newSample(in)); old.Alarm || old.Z != f.Z || old.Placebo != old.Value {
		t.Errorf("an old habit: %+v", old)
	}
	in.Target.Threshold = 10e6
	if few := bunching(newSample(&Input{Panel: crowd(200, 0, 1), Target: in.Target, Week: 1})); few.Known || few.Reason != ReasonLocal {
		t.Errorf("nobody near: %+v", few)
	}
}

// Teams just reach 80 % of their people more often than they just miss it.
func TestBunchingOfTeams(t *testing.T) {
	teams := func(aim bool, seed uint64) Finding {
		rng := rand.New(rand.NewPCG(seed, 9))
		p := &Panel{Start: monday}
		sizes := make(map[string]int)
		for team := range 40 {
			name, size := fmt.Sprint("team-", team), 8+team%12
			sizes[name] = size
			first := len(p.Units)
			for range size {
				p.Units = append(p.Units, Unit{Team: name, Weeks: make([]Week, 24)})
			}
			for w := range 24 {
				used := int(distuv.Binomial{N: float64(size), P: .6 + .35*rng.Float64(), Src: rng}.Rand())
				needed := (size*4 + 4) / 5
				if aim && w >= 12 && used < needed && used >= needed-2 && rng.Float64() < .7 {
					used = needed
				}
				for i := range size {
					k := &p.Units[first+i].Weeks[w]
					k.Known = true
					if i < used {
						k.Requests = 1
					}
				}
			}
		}
		target := Target{Metric: policy.WeeklyUse, Threshold: 800, Announced: 12, TeamSizes: sizes}
		return bunching(newSample(&Input{Panel: p, Target: target, Week: 23}))
	}
	alarms := 0
	for seed := range 100 {
		if f := teams(false, uint64(seed)); f.Alarm {
			alarms++
		}
	}
	if alarms > 3 {
		t.Errorf("%d false alarms of 100", alarms)
	}
	for seed := range 10 {
		if f := teams(true, uint64(seed)); !f.Alarm {
			t.Errorf("seed %d: %+v", seed, f)
		}
	}
}

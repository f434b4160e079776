package kpi

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// With U and V of next week jointly normal, what is lost of the lead of the top
// is 1 - rho.
func TestRegressionalIsOneMinusRho(t *testing.T) {
	for _, rho := range []float64{0, .5, .9} {
		rng := rand.New(rand.NewPCG(8, 8))
		p := &Panel{Start: monday, Units: make([]Unit, 1000)}
		for i := range p.Units {
			p.Units[i].Team = fmt.Sprint(i % 30)
			u := rng.NormFloat64()
			for range 8 {
				v := rho*u + math.Sqrt(1-rho*rho)*rng.NormFloat64()
				u = rng.NormFloat64()
				p.Units[i].Weeks = append(p.Units[i].Weeks, Week{
					Known: true, OutcomesKnown: true, Tokens: int64(1e9 * math.Exp(.5*u)), Outcomes: int64(1e6 * math.Exp(.5*v)),
				})
			}
		}
		f := regressional(newSample(&Input{Panel: p, Target: Target{}, Week: 7}))
		if !near(f.Value, 1-rho, .05) || f.Lo > f.Value || f.Hi < f.Value || f.N < 600 || f.Alarm {
			t.Errorf("rho %v: %+v", rho, f)
		}
	}
}

// Outcomes that rise with an exponent of 0.4 below the ninth decile and 0.1 above
// it have a quarter of the returns there.
func TestExtremal(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	p := &Panel{Start: monday, Units: make([]Unit, 2000)}
	for i := range p.Units {
		p.Units[i].Team = fmt.Sprint(i % 30)
		u := 1.22 * rng.NormFloat64()
		cut := 1.2816 * 1.22
		v := .4*min(u, cut) + .1*max(0, u-cut) + .02*rng.NormFloat64()
		for range 6 {
			p.Units[i].Weeks = append(p.Units[i].Weeks, Week{
				Known: true, OutcomesKnown: true, Tokens: int64(1e9 * math.Exp(u)), Outcomes: int64(1e8 * math.Exp(v)),
			})
		}
	}
	f := extremal(newSample(&Input{Panel: p, Target: Target{}, Week: 5}))
	if !near(f.Value, .25, .05) || f.Lo > .25 || f.Hi < .25 || f.Alarm {
		t.Errorf("%+v", f)
	}
	p.Units = p.Units[:150]
	if f := extremal(newSample(&Input{Panel: p, Target: Target{}, Week: 5})); f.Known || f.Reason != ReasonUnits {
		t.Errorf("150 units: %+v", f)
	}
}

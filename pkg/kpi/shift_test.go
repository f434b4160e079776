package kpi

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Run lengths of normal observations without a shift are Siegmund's, and 8.4, 10.4
// and 12.4 after a shift of 1. Winsorising at 4 does not touch normal
// observations, and brings those of a heavy tail nearer to them.
func TestCUSUMRunLengths(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	runLength := func(runs int, h float64, draw func() float64) float64 {
		total := 0
		for range runs {
			c := NewCUSUM()
			c.H = h
			for n := 1; ; n++ {
				if c.Add(draw()) {
					total += n
					break
				}
			}
		}
		return float64(total) / float64(runs)
	}
	normal := rng.NormFloat64
	f := func(name string, got, want, tolerance float64) {
		t.Helper()
		t.Logf("%s: %.1f, want %.1f", name, got, want)
		if math.Abs(got/want-1) > tolerance {
			t.Errorf("%s: %.1f, want %.1f", name, got, want)
		}
	}
	siegmund := func(h float64) float64 { // k is one half, 2k is 1
		b := h + 1.166
		return (math.Exp(b) - b - 1) * 2
	}
	f("H 4", runLength(2000, 4, normal), 338, .08)
	f("H 5", runLength(2000, 5, normal), 938, .08)
	f("H 6", runLength(1000, 6, normal), 2573, .15)
	f("Siegmund, H 5", siegmund(5), 938, .01)
	shifted := func() float64 { return 1 + normal() }
	f("H 4 after a shift of 1", runLength(4000, 4, shifted), 8.4, .08)
	f("H 5 after a shift of 1", runLength(4000, 5, shifted), 10.4, .08)
	f("H 6 after a shift of 1", runLength(4000, 6, shifted), 12.4, .08)
	heavy := func() float64 { // Student's t with 5 degrees, of variance 1
		var chi float64
		for range 5 {
			x := normal()
			chi += x * x
		}
		return normal() / math.Sqrt(chi/5) / math.Sqrt(5.0/3)
	}
	once := NewCUSUM()
	if once.Add(100); once.S != 3.5 {
		t.Errorf("one observation far out: S = %v, want 4 less 0.5", once.S)
	}
	if got := runLength(1000, 6, heavy); got < 1057 {
		t.Errorf("heavy tails: %.0f, unwinsorised they would have 1,057", got)
	}
}

// Without a shift it takes A observations or more, whatever their distribution;
// a steady share far above its mean is found within days.
func TestEDetector(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for name, draw := range map[string]func() float64{
		"all or nothing": func() float64 {
			if rng.Float64() < .1 {
				return 1
			}
			return 0
		},
		"even": func() float64 { return .2 * rng.Float64() },
		"less": func() float64 { return .1 * rng.Float64() },
	} {
		total := 0
		const runs, a, limit = 300, 200, 20_000
		for range runs {
			d := EDetector{Mean: .1, Bet: 5, A: a}
			n := 1
			for ; n < limit && !d.Add(draw()); n++ {
			}
			total += n
		}
		if mean := float64(total) / runs; mean < a {
			t.Errorf("%s: a false alarm after %.0f observations, promised %d", name, mean, a)
		}
	}
	d := EDetector{Mean: .1, Bet: 5, A: 5000}
	days := 1
	for ; !d.Add(.6); days++ { // (M + 1) 3.5: 3.5, 15.75, 58.6, 208.7, 733.8, 2571.9, 9005
	}
	if days != 7 {
		t.Errorf("found after %d days, want 7", days)
	}
}

func TestStandardScore(t *testing.T) {
	f := func(want float64, value float64, earlier ...float64) {
		t.Helper()
		if z := standardScore(earlier, value, .25); !near(z, want, 1e-12) {
			t.Errorf("%v after %v: z = %v, want %v", value, earlier, z, want)
		}
	}
	f(4, 3, 2, 2, 2)                             // nothing varied: the floor
	f(3/math.Sqrt(2.5), 6, 1, 2, 3, 4, 5)        // the plain deviation, 1.58, exceeds the robust 1.48
	f(1/1.4826, 4, 2, 2, 3, 4, 4)                // the robust one, 1.48, exceeds the plain 1
	f(-4/math.Sqrt(1902.5), -1, 1, 2, 3, 4, 100) // an outlier widens it
}

func TestShift(t *testing.T) {
	c := usual()
	c.weeks, c.announced = 40, 100 // not yet announced
	for _, people := range []int{300, 1000} {
		few := c
		few.people = people
		alarms := 0
		for seed := range uint64(30) {
			p, _ := few.simulate(seed)
			f := shift(newSample(&Input{Panel: p, Target: c.target(), Week: 39}))
			if !f.Known {
				t.Fatalf("%d people: %+v", people, f)
			}
			if f.Alarm {
				alarms++
			}
		}
		if alarms > 1 {
			t.Errorf("%d people: %d false alarms of 30", people, alarms)
		}
	}
	p, _ := c.simulate(1)
	for i := range p.Units {
		for w := 30; w < 40; w++ {
			p.Units[i].Weeks[w].Tokens *= 4
		}
	}
	in := &Input{Panel: p, Target: c.target(), Week: 39}
	if f := shift(newSample(in)); !f.Alarm || f.Value <= 6 || f.Reason != "median" {
		t.Errorf("four times as much: %+v", f)
	}
	// The same is no news where it was announced.
	in.Target.Announced = 30
	if f := shift(newSample(in)); f.Alarm || f.N != 10 {
		t.Errorf("announced: %+v", f)
	}
	in.Week = 35
	if f := shift(newSample(in)); f.Known || f.Reason != ReasonHistory {
		t.Errorf("six weeks since: %+v", f)
	}
}

// Units gather just above the threshold long before the target is announced.
func TestShiftAboveTheThreshold(t *testing.T) {
	c := usual()
	c.weeks, c.announced = 40, 100
	p, _ := c.simulate(1)
	for i := range p.Units {
		for w := 20; w < 40; w++ {
			if i%4 == 0 {
				k := &p.Units[i].Weeks[w]
				k.DayTokens = [7]int64{0: c.threshold + c.threshold/20}
			}
		}
	}
	f := shift(newSample(&Input{Panel: p, Target: c.target(), Week: 39}))
	if !f.Alarm || f.Reason != "just above the threshold" {
		t.Errorf("%+v", f)
	}
}

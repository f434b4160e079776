package kpi

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/goodhartlabs/goodhart/pkg/policy"
)

// A negative binomial is found from its weeks of 3 to 40 requests, and so are the
// weeks of one or two that it lacks or has too many of.
func TestMinimumEffortRecoversTheDistribution(t *testing.T) {
	for _, c := range []struct{ r, q float64 }{{.7, .9}, {1.5, .8}, {3, .7}} {
		w := weights(c.r, c.q)
		for k := range w {
			w[k] *= 10_000
		}
		r, q := w.fit()
		if !near(r, c.r, .01*c.r) || !near(q, c.q, .01) {
			t.Errorf("fitted r %v and q %v, want %v and %v", r, q, c.r, c.q)
		}
		if got := w.excess(); !near(got, 1, .01) {
			t.Errorf("r %v: %v of what is expected", c.r, got)
		}
		w[1] *= 3
		want := (w[1] + w[2]) / (w[1]/3 + w[2])
		if got := w.excess(); !near(got, want, .02*want) {
			t.Errorf("r %v: %v of what is expected, want %v", c.r, got, want)
		}
	}
	// P(k+1)/P(k) = q (k+r)/(k+1).
	if w := weights(2, .5); !near(w[4]/w[3], .5*5/4, 1e-12) {
		t.Errorf("P(4)/P(3) = %v", w[4]/w[3])
	}
}

// The fit of counts that no negative binomial gave is the most likely one.
func TestMinimumEffortIsMostLikely(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	counts := weights(1.5, .9)
	for k := range counts {
		counts[k] *= 500 * rng.Float64()
	}
	likelihood := func(r, q float64) (sum float64) {
		w := weights(r, q)
		var all float64
		for k := fewest; k <= most; k++ {
			all += w[k]
		}
		for k := fewest; k <= most; k++ {
			sum += counts[k] * math.Log(w[k]/all)
		}
		return sum
	}
	r, q := counts.fit()
	best := likelihood(r, q)
	for _, by := range []float64{.9999, 1.0001} {
		if l := likelihood(r*by, q); l > best {
			t.Errorf("r %v is less likely than %v", r, r*by)
		}
		if l := likelihood(r, q*by); l > best {
			t.Errorf("q %v is less likely than %v", q, q*by)
		}
	}
}

// office returns a panel of person-weeks of requests; from a week on some of the
// idle ones make one request.
func office(people, token, from int, seed uint64) *Panel {
	rng := rand.New(rand.NewPCG(seed, 13))
	p := &Panel{Start: monday, Units: make([]Unit, people)}
	for i := range p.Units {
		p.Units[i].Team = fmt.Sprint(i % 20)
		mean := 12 * distuv.Gamma{Alpha: 1.2, Beta: 1.2, Src: rng}.Rand()
		for w := range 20 {
			k := Week{Known: true, Requests: int64(distuv.Poisson{Lambda: mean * distuv.Gamma{Alpha: 3, Beta: 3, Src: rng}.Rand(), Src: rng}.Rand())}
			if rng.Float64() < .15 {
				k.Requests = 0
			}
			if w >= from && k.Requests == 0 && i%100 < token {
				k.Requests = 1
			}
			p.Units[i].Weeks = append(p.Units[i].Weeks, k)
		}
	}
	return p
}

func TestMinimumEffort(t *testing.T) {
	target := Target{ID: "use", Metric: policy.WeeklyUse, Threshold: 800, Announced: 10}
	f := func(people, token, week int, seed uint64) Finding {
		return minimumEffort(newSample(&Input{Panel: office(people, token, 10, seed), Target: target, Week: week}))
	}
	alarms := 0
	for seed := range uint64(20) {
		if f(600, 0, 19, seed).Alarm {
			alarms++
		}
	}
	if alarms > 2 {
		t.Errorf("%d false alarms of 20", alarms)
	}
	for seed := range uint64(5) {
		got := f(600, 60, 19, seed)
		if !got.Alarm || !got.PlaceboKnown || got.Value < got.Placebo+.4 || got.Lo > got.Value || got.Hi < got.Value {
			t.Errorf("seed %d: one request for the count: %+v", seed, got)
		}
	}
	in := &Input{Panel: office(600, 60, 0, 1), Target: target, Week: 19}
	if old := minimumEffort(newSample(in)); old.Alarm || old.Value < .3 {
		t.Errorf("an old habit: %+v", old)
	}
	if got := f(150, 60, 19, 1); got.Known || got.Reason != ReasonHistory {
		t.Errorf("150 people: %+v", got)
	}
	if got := f(600, 60, 9, 1); got.Known || got.Reason != ReasonFewUsers {
		t.Errorf("the week before the announcement: %+v", got)
	}
	target.Metric = policy.Tokens
	if got := f(600, 60, 19, 1); got.Known || got.Reason != ReasonMetric {
		t.Errorf("a target of tokens: %+v", got)
	}
}

package kpi

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/goodhartlabs/goodhart/pkg/policy"
)

// company is a simulated organisation: log-normal between persons (the top tenth
// uses ten times the median), autoregressive within, outcomes that follow useful
// tokens with a constant elasticity. Some burn tokens from the announcement on
// in ways that nothing but their outcomes shows.
type company struct {
	people, teams, weeks, announced int
	elasticity                      float64
	// gamers is the share of persons who burn 1.2 to 5.6 times what they need;
	// stop is how often they end a week just above the threshold that they would
	// have missed and meant to pass.
	gamers, stop float64
	threshold    int64
	// sdLo, sdHi bound the standard deviation within a person, nats.
	sdLo, sdHi float64
	// idle is the probability of a week without usage or outcomes.
	idle float64
	// growth and learning are shifts of all useful tokens and all outcomes at the
	// announcement, nats; spread is the deviation of growth between persons.
	growth, learning, spread float64
	// lag is the mean delay of an outcome, days, exponentially distributed.
	lag float64
	// shock is the deviation of a team's week, nats.
	shock float64
}

// usual is a company of a thousand with 16 weeks before the announcement.
func usual() company {
	return company{
		people: 1000, teams: 40, weeks: 26, announced: 16, elasticity: .3, sdLo: .5, sdHi: 1.2, idle: .06,
		threshold: 64e6, stop: .5, lag: 5,
	}
}

func (c company) target() Target {
	return Target{ID: "tokens", Metric: policy.Tokens, Period: policy.Week, Threshold: c.threshold, Announced: c.announced}
}

// monday is 5 January 2026.
const monday = 1_767_571_200_000

// simulate returns the panel and the tokens burnt by unit and week.
func (c company) simulate(seed uint64) (*Panel, [][]float64) {
	rng := rand.New(rand.NewPCG(seed, 0x6b7069))
	p := &Panel{Start: monday, Units: make([]Unit, c.people)}
	burnt := make([][]float64, c.people)
	const early = 3 // weeks ahead of the panel, whose outcomes come late
	shocks := make([]float64, c.teams*(c.weeks+early))
	for i := range shocks {
		shocks[i] = c.shock * rng.NormFloat64()
	}
	for i := range p.Units {
		u := &p.Units[i]
		team := i % c.teams
		u.Team, u.Weeks, burnt[i] = fmt.Sprint("team-", team), make([]Week, c.weeks), make([]float64, c.weeks)
		level := math.Log(32e6) + 1.22*rng.NormFloat64()
		rate := math.Log(distuv.Gamma{Alpha: 4, Beta: 4 / (2 + 3*rng.Float64()), Src: rng}.Rand())
		sd := c.sdLo + (c.sdHi-c.sdLo)*rng.Float64()
		growth := c.growth + c.spread*rng.NormFloat64()
		burn := 1.0
		if rng.Float64() < c.gamers {
			burn = 1.2 + 4.4*rng.Float64()
		}
		x := rng.NormFloat64()
		delivered := make([]int64, c.weeks+early)
		for w := -early; w < c.weeks; w++ {
			x = .5*x + math.Sqrt(.75)*rng.NormFloat64()
			if rng.Float64() < c.idle {
				continue
			}
			useful, outcomes := level+sd*x+shocks[team*(c.weeks+early)+w+early], rate
			if w >= c.announced {
				useful += growth
				outcomes += c.learning
			}
			outcomes += c.elasticity * (useful - math.Log(32e6))
			for range int(distuv.Poisson{Lambda: math.Exp(outcomes), Src: rng}.Rand()) {
				if at := w + early + int(rng.Float64()+c.lag/7*rng.ExpFloat64()); at < len(delivered) {
					delivered[at]++
				}
			}
			if w < 0 {
				continue
			}
			need := math.Exp(useful)
			tokens := need
			if w >= c.announced && burn > 1 {
				tokens *= max(1, burn*math.Exp(.2*rng.NormFloat64()))
				if t := float64(c.threshold); need < t && t < tokens && rng.Float64() < c.stop {
					tokens = t * (1 + .06*rng.Float64())
				}
				burnt[i][w] = tokens - need
			}
			fill(&u.Weeks[w], tokens, rng)
		}
		for w := range u.Weeks {
			k := &u.Weeks[w]
			k.Known, k.OutcomesKnown, k.CostKnown = true, true, true
			k.Outcomes = 1000 * delivered[w+early]
		}
	}
	return p, burnt
}

// fill spreads tokens over the days of a week.
func fill(k *Week, tokens float64, rng *rand.Rand) {
	shares := [7]float64{1, 1, 1, 1, 1, .1, .1}
	var sum float64
	for d := range shares {
		shares[d] *= .5 + rng.Float64()
		sum += shares[d]
	}
	for d := range shares {
		k.DayTokens[d] = int64(tokens * shares[d] / sum)
		k.DayRequests[d] = 1 + k.DayTokens[d]/50_000
		k.DayCostNanos[d] = 2000 * k.DayTokens[d]
		k.Tokens += k.DayTokens[d]
		k.Requests += k.DayRequests[d]
		k.CostNanos += k.DayCostNanos[d]
	}
}

// excess returns the share of the tokens of a window that was burnt.
func excessOf(p *Panel, burnt [][]float64, in span) float64 {
	var wasted, spent float64
	for i := range p.Units {
		for w := in.from; w < in.to; w++ {
			wasted += burnt[i][w]
			spent += float64(p.Units[i].Weeks[w].Tokens)
		}
	}
	return wasted / spent
}

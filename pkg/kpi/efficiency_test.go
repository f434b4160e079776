package kpi

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/goodhartlabs/goodhart/pkg/policy"
)

// teamsOfTen draws the weekly scores of teams and what of their outcomes survives.
// From the announcement on a share of them splits outcomes: more are credited, no
// more survive, and half of the scores that this lifts over 120 stop there. The last
// two weeks have not settled.
func teamsOfTen(seed uint64, teams int, splitters float64) *Input {
	const (
		weeks, announced = 30, 18
		expected         = 10.0
		alike            = 8.0 // as much as a score is drawn towards 100
		threshold        = 120
	)
	rng := rand.New(rand.NewPCG(seed, 3))
	index := func(credited, mu float64) float64 { return 100 * (credited + alike) / (mu + alike) }
	p := &Panel{Start: monday, TeamUnits: true}
	for i := range teams {
		u := Unit{Team: fmt.Sprint("team-", i)}
		efficiency, mu, well := .3*rng.NormFloat64(), expected*(.6+.8*rng.Float64()), 0.0
		splits, pieces := rng.Float64() < splitters, 1.3+.7*rng.Float64()
		for w := range weeks {
			well = .7*well + .25*rng.NormFloat64()
			merged := distuv.Poisson{Lambda: mu * math.Exp(efficiency+well), Src: rng}.Rand()
			survived := distuv.Binomial{N: merged, P: .93, Src: rng}.Rand()
			credited := merged
			if splits && w >= announced {
				credited = math.Round(merged * pieces)
				if index(merged, mu) < threshold && index(credited, mu) > threshold && rng.IntN(2) == 0 {
					credited = math.Ceil(threshold/100.*(mu+alike) - alike)
				}
			}
			k := Week{Known: true, OutcomesKnown: w < weeks-2, Tokens: int64(1000 * index(credited, mu)), Outcomes: int64(1000 * survived)}
			k.DayTokens[0] = k.Tokens
			u.Weeks = append(u.Weeks, k)
		}
		p.Units = append(p.Units, u)
	}
	return &Input{Panel: p, Week: weeks - 1, Signalled: 1, SignalledOf: 2, Target: Target{
		ID: "score", Metric: policy.Efficiency, Period: policy.Week, Threshold: 1000 * threshold, Announced: announced,
	}}
}

// A target on our own score loses its meaning as any other: if teams split
// outcomes it rises, and what survives does not.
func TestEfficiencyAsATarget(t *testing.T) {
	const seeds = 20
	scarce := 0
	verdicts := func(teams int, splitters float64) map[Verdict]int {
		got := map[Verdict]int{}
		for seed := range uint64(seeds) {
			c := Assess(teamsOfTen(seed, teams, splitters))
			got[c.Verdict]++
			if b := c.Result("bunching"); b.N < minLocalTeams {
				scarce++
				if b.Known || b.Reason != ReasonLocal {
					t.Errorf("of %d weeks of teams: %+v", b.N, b.Finding)
				}
			}
			for _, name := range []string{"excess_share", "deadline_shift", "minimum_effort", "signalled_share"} {
				if r := c.Result(name); r.Known || r.Alarm || r.Reason != ReasonMetric {
					t.Errorf("%s: %+v", name, r.Finding)
				}
			}
		}
		return got
	}
	if got := verdicts(100, .4); got[LosingMeaning] < seeds/2 || got[LosingMeaning]+got[Watch] < seeds {
		t.Errorf("four of ten teams split: %v", got)
	}
	if got := verdicts(100, 0); got[Healthy] < seeds*3/4 || got[LosingMeaning] > 0 {
		t.Errorf("nobody splits: %v", got)
	}
	if got := verdicts(20, 0); got[InsufficientData] < seeds || scarce == 0 {
		t.Errorf("few teams: %v, near the threshold too few in %d", got, scarce)
	}
}

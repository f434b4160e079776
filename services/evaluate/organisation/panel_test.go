package organisation

import (
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat"
)

// newOrganisation decides an organisation on the committed configuration, as edit
// changes it.
func newOrganisation(t *testing.T, seed uint64, edit func(*Config)) *Organisation {
	t.Helper()
	c := Default()
	if edit != nil {
		edit(&c)
	}
	o, err := New(seed, c)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// gamers sets who games.
func gamers(prevalence, adaptive float64) func(*Config) {
	return func(c *Config) { c.Gamers.Prevalence, c.Gamers.Adaptive = prevalence, adaptive }
}

// within fails unless low <= got <= high.
func within(t *testing.T, what string, got, low, high float64) {
	t.Helper()
	t.Logf("%-46s %8.4f in %g to %g", what, got, low, high)
	if !(got >= low && got <= high) {
		t.Errorf("%s: %.4f: want %g to %g", what, got, low, high)
	}
}

// quantile of values, which it sorts.
func quantile(values []float64, q float64) float64 {
	slices.Sort(values)
	return stat.Quantile(q, stat.Empirical, values, nil)
}

// gini of non-negative values.
func gini(values []float64) float64 {
	slices.Sort(values)
	var sum, ranked float64
	for i, v := range values {
		sum += v
		ranked += float64(i+1) * v
	}
	n := float64(len(values))
	return 2*ranked/(n*sum) - (n+1)/n
}

// delivered counts the outcomes of each person by the week in which they were
// done, person by person.
func delivered(o *Organisation) []float64 {
	out := make([]float64, len(o.Plans))
	for i := range o.Plans {
		plan := &o.Plans[i]
		for _, d := range o.Deliveries(plan) {
			if week := int((d.DoneMs - o.start) / weekMs); week >= 0 && week < o.Config.Weeks {
				out[plan.Person*o.Config.Weeks+week]++
			}
		}
	}
	return out
}

// slope is the within-person elasticity of outcomes on tokens between two
// ranges of weeks, over active weeks alone.
func slope(o *Organisation, outcomes []float64, before, after span) float64 {
	var dU, dV []float64
	for _, p := range o.People {
		row := o.Plans[p.Index*o.Config.Weeks : (p.Index+1)*o.Config.Weeks]
		var levels []float64
		for i := range row {
			if row[i].Tokens() > 0 {
				levels = append(levels, row[i].Tokens())
			}
		}
		if len(levels) == 0 {
			continue
		}
		least := .1 * quantile(levels, .5)
		mean := func(s span) (u, v float64, n int) {
			for week := s.from; week < s.to; week++ {
				if row[week].Tokens() > least {
					u += row[week].Tokens()
					v += outcomes[p.Index*o.Config.Weeks+week]
					n++
				}
			}
			return u / float64(n), v / float64(n), n
		}
		u0, v0, n0 := mean(before)
		u1, v1, n1 := mean(after)
		if n0 < 4 || n1 < 4 {
			continue
		}
		dU = append(dU, math.Log(u1/u0))
		dV = append(dV, math.Log((v1+.1)/(v0+.1)))
	}
	_, b := stat.LinearRegression(dU, dV, nil, false)
	return b
}

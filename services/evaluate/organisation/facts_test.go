package organisation

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/stat"
)

// What is known of how people use these tools must hold of the plans.
func TestTokensVaryAsTheyDoAmongPeople(t *testing.T) {
	o := newOrganisation(t, 1, gamers(0, 0))
	level := o.Config.Tokens.Median
	var people, spreads, weeks, totals, carried []float64
	worked, active := 0, 0
	for _, p := range o.People {
		var ln []float64
		var total, last float64
		for week := range o.Config.Weeks {
			plan := o.Plan(p.Index, week)
			if plan.left > 0 {
				worked++
			}
			if plan.Useful == 0 || plan.left < 1 {
				last = 0
				continue
			}
			active++
			x := math.Log(plan.Useful)
			ln = append(ln, x)
			weeks = append(weeks, plan.Useful)
			total += plan.Useful
			// Only those to whom nothing happens: what is left is the autoregression.
			if p.Looks()&^(HeavyUser|PartTime|Vacation) == 0 && last != 0 {
				carried = append(carried, (x-p.mu)/p.sd, (last-p.mu)/p.sd)
			}
			last = x
		}
		mean, sd := stat.MeanStdDev(ln, nil)
		people, spreads, totals = append(people, mean), append(spreads, sd), append(totals, total)
	}
	_, between := stat.MeanStdDev(people, nil)
	within(t, "median of weekly tokens / 32 M", math.Exp(quantile(people, .5))/level, .9, 1.15)
	within(t, "between people, sd of ln tokens", between, 1.15, 1.35)
	within(t, "within people, smallest sd but 5 %", quantile(spreads, .05), .4, .6)
	within(t, "within people, median sd", quantile(spreads, .5), .55, .85)
	within(t, "within people, largest sd but 1 %", quantile(spreads, .99), 1.4, 1.9)
	within(t, "Gini of person-weeks", gini(weeks), .65, .9)
	within(t, "Gini of people", gini(totals), .55, .85)
	within(t, "share of worked weeks with use", float64(active)/float64(worked), .75, .95)
	var now, before []float64
	for i := 0; i < len(carried); i += 2 {
		now, before = append(now, carried[i]), append(before, carried[i+1])
	}
	within(t, "autoregression", stat.Correlation(now, before, nil), .42, .6)
}

// Honest outcomes pay the elasticity, whoever the person is: Poisson regression
// with a factor for each person, which for one covariate is a root of one equation.
func TestOutcomesFollowUsefulTokens(t *testing.T) {
	var got float64
	const seeds = 3
	for seed := range uint64(seeds) {
		o := newOrganisation(t, seed, gamers(.4, 1))
		low, high := -1.0, 2.0
		for range 50 {
			b := (low + high) / 2
			if score(o, b) > 0 {
				low = b
			} else {
				high = b
			}
		}
		got += low / seeds
	}
	within(t, "elasticity of outcomes on useful tokens", got, .285, .315)
}

// People of a role differ by the Gamma distribution, and outcomes come after an
// exponential time.
func TestOutcomesDifferByPersonAndLag(t *testing.T) {
	o := newOrganisation(t, 11, func(c *Config) { c.People = 2000 })
	relative, byRole := []float64{}, map[string][]float64{}
	for _, p := range o.People {
		relative = append(relative, p.lambda/p.role.OutcomesPerWeek)
		byRole[p.Role] = append(byRole[p.Role], p.lambda)
	}
	within(t, "lambda / the role's mean, mean", stat.Mean(relative, nil), .97, 1.03)
	within(t, "lambda / the role's mean, sd", stat.StdDev(relative, nil), .47, .53)
	for _, r := range o.Config.Roles {
		within(t, "lambda of "+r.Name, stat.Mean(byRole[r.Name], nil), .85*r.OutcomesPerWeek, 1.15*r.OutcomesPerWeek)
	}
	var rates, lambdas []float64
	for _, p := range o.People {
		var got, reach float64
		for week := range o.Config.Weeks {
			plan := o.Plan(p.Index, week)
			got += float64(plan.Outcomes)
			reach += o.Teams[plan.Team].Factor * math.Pow(plan.Useful/o.Config.Tokens.Median, o.Config.Outcomes.Elasticity)
		}
		if reach > 10 {
			rates, lambdas = append(rates, got/reach), append(lambdas, p.lambda)
		}
	}
	within(t, "delivery rate and lambda, correlation", stat.Correlation(rates, lambdas, nil), .97, 1)
	within(t, "delivery rate / lambda", stat.Mean(rates, nil)/stat.Mean(lambdas, nil), .98, 1.02)
	var lags []float64
	reverted := 0
	for i := range o.Plans {
		for _, d := range o.Deliveries(&o.Plans[i]) {
			lags = append(lags, float64(d.DoneMs-d.BegunMs)/float64(dayMs))
			if d.RevertedMs > 0 {
				reverted++
			}
		}
	}
	mean, sd := stat.MeanStdDev(lags, nil)
	within(t, "days to an outcome, mean", mean, 4.9, 5.1)
	within(t, "days to an outcome, sd", sd, 4.9, 5.1)
	within(t, "outcomes taken back", float64(reverted)/float64(len(lags)), .045, .055)
}

// score is the derivative of the conditional log likelihood of an elasticity.
func score(o *Organisation, b float64) float64 {
	var sum float64
	for _, p := range o.People {
		var x, w []float64
		var n, xy float64
		for week := range o.Config.Weeks {
			plan := o.Plan(p.Index, week)
			if plan.Useful == 0 {
				continue
			}
			l := math.Log(plan.Useful / o.Config.Tokens.Median)
			x, w = append(x, l), append(w, math.Pow(plan.Useful/o.Config.Tokens.Median, b)*o.Teams[plan.Team].Factor)
			n += float64(plan.Outcomes)
			xy += float64(plan.Outcomes) * l
		}
		if len(x) > 0 {
			sum += xy - n*stat.Mean(x, w)
		}
	}
	return sum
}

// The elasticity that the pipeline measures falls as gamers burn tokens, as it
// was measured to fall: by a fifth to a half.
func TestGamingDecouplesOutcomesFromTokens(t *testing.T) {
	if testing.Short() {
		t.Skip("a whole company, one event after the other")
	}
	measure := func(prevalence float64) (before, after, excess, bunching float64) {
		const seeds = 6
		for seed := range uint64(seeds) {
			o := newOrganisation(t, seed, gamers(prevalence, 1))
			outcomes, t0 := delivered(o), o.Config.AnnouncedWeek
			before += slope(o, outcomes, span{t0 - 16, t0 - 8}, span{t0 - 8, t0}) / seeds
			after += slope(o, outcomes, span{t0 - 8, t0}, span{t0 + 1, t0 + 11}) / seeds
			excess += o.PlannedExcess(t0, o.Config.Weeks) / seeds
			bunching += heap(o, span{t0 + 2, t0 + 16}) / seeds
		}
		return before, after, excess, bunching
	}
	for _, c := range []struct{ prevalence, fallLow, fallHigh, excessLow, excessHigh, bunchLow, bunchHigh float64 }{
		{0, -.1, .1, 0, 0, -1.5, 1.5},
		{.08, .1, .25, .1, .18, .5, 3.5},
		{.20, .22, .4, .22, .36, 2.5, 7},
		{.40, .35, .55, .38, .52, 5, 12},
	} {
		before, after, excess, bunching := measure(c.prevalence)
		t.Logf("prevalence %.2f", c.prevalence)
		within(t, "elasticity before", before, .22, .34)
		within(t, "its fall", 1-after/before, c.fallLow, c.fallHigh)
		within(t, "excess share", excess, c.excessLow, c.excessHigh)
		within(t, "weeks above the target, z", bunching, c.bunchLow, c.bunchHigh)
	}
}

// heap is how many more weeks end just above the target than just below it, in
// standard deviations.
func heap(o *Organisation, weeks span) float64 {
	var above, below float64
	for i := range o.Plans {
		if p := &o.Plans[i]; weeks.has(p.Week) && p.Tokens() > 0 {
			switch r := p.Tokens() / o.Config.Target.WeeklyTokens; {
			case r >= 1 && r < 1.05:
				above++
			case r >= 1/1.05 && r < 1:
				below++
			}
		}
	}
	return (above - below) / math.Sqrt(above+below)
}

// What nothing happens to, but for what happens to everybody.
const ordinary = AgentOperator | OnCall | Launch | Hackathon | RetryStorm | Codemod | LongContext | ReportCron

func TestRequestsLookLikePeoples(t *testing.T) {
	if testing.Short() {
		t.Skip("a whole company, one event after the other")
	}
	o := newOrganisation(t, 2, func(c *Config) {
		gamers(0, 0)(c)
		c.People, c.Weeks = 200, 26
	})
	d := read(o, nil)
	var distinct, cvs, counts, warm, cold []float64
	var pairs, repeats float64
	spreads, correlations := map[string][]float64{}, map[string][]float64{}
	d.each(ordinary, func(p *Person, plan *Plan, requests []sent) {
		distinct, counts = append(distinct, hours(requests)), append(counts, float64(len(requests)))
		cvs = append(cvs, gapCVs(requests)...)
		var ratios, contexts, outputs []float64
		seen := map[[2]uint64]bool{}
		for _, r := range requests {
			ratios = append(ratios, math.Log((r.context+1)/(r.output+1)))
			contexts, outputs = append(contexts, r.context), append(outputs, r.output)
			if r.known {
				pairs++
				if seen[[2]uint64{r.hash, r.target}] {
					repeats++
				}
				seen[[2]uint64{r.hash, r.target}] = true
			}
			switch {
			case plan.Looks.Has(CacheLoss):
			case r.warm:
				warm = append(warm, r.cached)
			default:
				cold = append(cold, r.cached)
			}
		}
		if len(requests) >= 50 {
			spreads[p.role.Tool] = append(spreads[p.role.Tool], stat.StdDev(ratios, nil))
			correlations[p.role.Tool] = append(correlations[p.role.Tool], spearman(contexts, outputs))
		}
	})
	within(t, "requests a week, median", quantile(counts, .5), 40, 120)
	within(t, "distinct hours, median", quantile(distinct, .5), 17, 25)
	within(t, "distinct hours, p99", quantile(distinct, .99), 55, 90)
	within(t, "distinct hours, most", quantile(distinct, 1), 60, 99)
	within(t, "gap CV of days, p1", quantile(cvs, .01), .6, 1.4)
	within(t, "gap CV of days, least", quantile(cvs, 0), .3, 1)
	within(t, "exact repeats", repeats/pairs, .008, .013)
	within(t, "sd of ln(context/output), code", stat.Mean(spreads[toolCode], nil), 1.55, 1.67)
	within(t, "sd of ln(context/output), chat", stat.Mean(spreads[toolChat], nil), 1.19, 1.31)
	within(t, "context and output, code", stat.Mean(correlations[toolCode], nil), -.06, .02)
	within(t, "context and output, chat", stat.Mean(correlations[toolChat], nil), .02, .12)
	within(t, "cached share of warm turns, median", quantile(warm, .5), .55, .9)
	within(t, "cached share of first turns, median", quantile(cold, .5), .1, .3)
	var late []float64
	for p := range d.late {
		for m, month := range d.month[p] {
			if month > 0 {
				late = append(late, d.late[p][m]/month)
			}
		}
	}
	within(t, "cost in the last fifth of the month, median", quantile(late, .5), .05, .2)
	within(t, "cost in the last fifth of the month, p95", quantile(late, .95), .45, .7)
}

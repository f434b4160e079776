package kpi

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/goodhartlabs/goodhart/pkg/policy"
)

func excessCheck() Check {
	return Check{
		Name: "excess_share", Title: "Excess share of tokens",
		Question: "Of the tokens since the announcement, what share bought nothing at the exchange rate of before?",
		MinimumN: minPersons, Formula: "excess/2", assess: excess,
	}
}

// excessBins groups units by how much their usage changed; in a group the noise of
// outcomes averages out before it is turned into tokens.
const excessBins = 10

// parts are the shares of units, of those whose usage grew least, that may be honest.
// Which is right is not known: more are less noisy, fewer hold fewer who inflate.
var parts = [...]float64{0.2, 0.3, 0.4, 0.5}

// honest counts the ways to tell what happened to the outcomes of those who did not
// inflate: two for each of parts.
const honest = 2 * len(parts)

// exchange estimates what tokens bought between two windows. Before, outcomes
// followed tokens with elasticity b; now
//
//	outcomes = c + b (tokens - x),
//
// all logarithms of changes, with c what happened to everybody's outcomes and x
// the excess of a unit, in nats. c is what those say who did not inflate, and they are
// not known. There are two ways to tell, and half of the weight is on each:
//   - They are the part of the units whose usage grew least, and c is the mean of
//     outcomes - b tokens among them. It is too small where some of those inflate.
//   - Past a knee in growth outcomes - b tokens falls with growth, before it there is
//     nothing but c: a bent line (Chappell 1989), bent as softly as growth is blurred
//     by what is usual, the places of whose knee weigh as much as they are likely. It
//     is too large where excess sets in slowly.
//
// With c, the excess of a bin of units of like growth is
// x = tokens - (outcomes - c)/b of their means, and exp(-x) the share of their
// tokens that bought something. It is not clipped at 0, which would bias the sum
// upwards.
type exchange struct {
	// changes are in order of growth.
	changes []change
	// least is how many are in each of parts, rise how far each has grown past the
	// knee there.
	least [len(parts)]int
	rise  [len(parts)][]float64
	// rest and weight are outcomes - b tokens and the weight of each, as of the last
	// call.
	rest, weight []float64
}

// newExchange lays out changes; blur is the usual deviation of growth, nats.
func newExchange(changes []change, blur float64) *exchange {
	n := len(changes)
	x := &exchange{changes: slices.Clone(changes), rest: make([]float64, n), weight: make([]float64, n)}
	slices.SortStableFunc(x.changes, func(a, b change) int { return cmp.Compare(a.tokens, b.tokens) })
	for k, part := range parts {
		x.least[k], x.rise[k] = int(float64(part*float64(n))), make([]float64, n)
		for i := range x.changes {
			x.rise[k][i] = bend(x.changes[i].tokens-x.changes[x.least[k]].tokens, blur)
		}
	}
	return x
}

// bend returns how far a growth lies past a knee: the mean of what of it is above 0 if
// it is off by so much, normally distributed.
func bend(growth, blur float64) float64 {
	if blur == 0 {
		return max(0, growth)
	}
	z := growth / blur
	return float64(growth*distuv.UnitNormal.CDF(z)) + float64(blur*distuv.UnitNormal.Prob(z))
}

// blur returns the deviation of growth between windows of so many weeks that is usual
// for units: as it was between the windows of the placebo, whose weeks are fewer.
func (s *sample) blur(before, after int) float64 {
	usual := make([]float64, len(s.placebos[0]))
	for i := range usual {
		usual[i] = s.placebos[0][i].tokens
	}
	_, variance := meanVariance(usual)
	length := float64(s.before.weeks())
	return math.Sqrt(variance * (1/float64(before) + 1/float64(after)) * length / 2)
}

// models are the estimates by the ways to tell who is honest; weight sums to 1.
type models struct{ share, nanos, weight [honest]float64 }

// mean returns the estimates by all ways together.
func (m *models) mean() (share, nanos float64) {
	for k, w := range m.weight {
		share += float64(w * m.share[k])
		nanos += float64(w * m.nanos[k])
	}
	return share, nanos
}

// drawn returns the share by one of the ways: u is uniform between 0 and 1.
func (m *models) drawn(u float64) float64 {
	for k, w := range m.weight {
		if u -= w; u < 0 {
			return m.share[k]
		}
	}
	return m.share[honest-1]
}

// excess returns the share and the cost of what bought nothing, at elasticity b;
// times is how often each cluster counts.
func (x *exchange) excess(b float64, times []float64) models {
	var units, spent float64
	var bins [excessBins]struct{ weight, sum, spent, cost float64 }
	for i := range x.changes {
		c, n := &x.changes[i], &bins[i*excessBins/len(x.changes)]
		t := times[c.cluster]
		x.rest[i], x.weight[i] = c.outcomes-float64(b*c.tokens), float64(t*c.weight)
		units += t
		spent += float64(t * c.spent)
		n.weight += x.weight[i]
		n.sum += float64(x.weight[i] * x.rest[i])
		n.spent += float64(t * c.spent)
		n.cost += float64(t * c.cost)
	}
	var m models
	levels, weights := x.levels(units)
	m.weight = weights
	for k, level := range levels {
		for _, n := range bins {
			if n.weight == 0 {
				continue
			}
			useless := 1 - math.Exp((n.sum/n.weight-level)/b)
			m.share[k] += float64(n.spent*useless) / spent
			m.nanos[k] += float64(n.cost * useless)
		}
	}
	return m
}

// levels returns c by each way, and how much it weighs.
func (x *exchange) levels(units float64) (level, weight [honest]float64) {
	var bent [len(parts)]line
	tightest := math.Inf(1)
	for k := range parts {
		var sum, weights float64
		for i := range x.least[k] {
			sum += float64(x.weight[i] * x.rest[i])
			weights += x.weight[i]
		}
		level[k], weight[k] = sum/weights, 1/float64(honest)
		rise := x.rise[k]
		bent[k] = fit(len(rise), func(i int) (float64, float64, float64) { return rise[i], x.rest[i], x.weight[i] })
		tightest = min(tightest, bent[k].residuals)
	}
	tightest = max(tightest, 1e-9) // a perfect fit has no noise to weigh by
	var likelihoods float64
	for k := range bent {
		level[len(parts)+k] = bent[k].intercept
		weight[len(parts)+k] = math.Exp(min(0, tightest-bent[k].residuals) * units / (2 * tightest))
		likelihoods += weight[len(parts)+k]
	}
	for k := range bent {
		weight[len(parts)+k] /= 2 * likelihoods
	}
	return level, weight
}

// priced reports whether any of the tokens has a price.
func (x *exchange) priced() bool {
	return slices.ContainsFunc(x.changes, func(c change) bool { return c.priced })
}

// rates are the elasticities of outcomes on tokens within units before the
// announcement, in two ways, for whether people get the same for a change that lasts as
// for one that does not is not known: between all neighbouring windows of the least
// length, and between those of the placebos. The first overlap, and say it half again
// as precisely; that their changes do is no harm, for what comes of one team is one
// cluster (overlapping observations, as Hansen and Hodrick 1980 use them).
func (s *sample) rates() [2]slope {
	var sets [][]change
	for to := s.history.to; to-2*minWindow >= s.history.from; to-- {
		middle := to - minWindow
		sets = append(sets, s.changes(span{middle - minWindow, middle}, span{middle, to}))
	}
	return [2]slope{within(sets, s.clusters), within(s.placebos, s.clusters)}
}

// inflated returns what changed between all the history that windows rest on, for twice
// the weeks halve the noise, and the last window. Outcomes of the first weeks under
// the target come in part of the tokens before it, which nobody inflated: if enough
// weeks are left these are not compared, but their tokens are counted.
func (s *sample) inflated() []change {
	settled := s.after
	if from := s.Target.Announced + len(lags) - 1; settled.to-from >= minWindow {
		settled.from = max(settled.from, from)
	}
	changes := s.changes(s.history, settled)
	if settled != s.after {
		for i := range changes {
			c := &changes[i]
			all := s.units[c.unit].activity(s.after, s.usual[c.unit])
			c.spent, c.cost, c.priced = all.spent, all.cost, all.priced
		}
	}
	return changes
}

// excess is what the target costs: the share of the tokens in the last window that
// bought nothing, and its cost. The placebo is the same between two windows before the
// announcement. It assumes that what moved the exchange rate since then moved it for
// all alike: new tools that serve some alone look like excess.
//
// The estimate is the mean over both rates and all ways to tell who is honest. The
// interval is a bootstrap over teams (cluster bootstrap of pairs; Cameron, Gelbach and
// Miller 2008), in which every draw also takes another rate and way, so that not
// knowing them widens it (a bootstrap with model selection; Buckland, Burnham and
// Augustin 1997). Its quantiles are moved outwards as far as Student's distribution is
// wider than the normal one with so many teams (expanded percentiles; Hesterberg 2015).
func excess(s *sample) Finding {
	if s.Target.Metric == policy.Efficiency {
		return unknown(len(s.changed), ReasonMetric) // it is defined on tokens
	}
	if s.short != "" {
		return unknown(len(s.changed), s.short)
	}
	changes := s.inflated()
	n := len(changes)
	if why := s.enough(min(n, len(s.placebos[0]))); why != "" {
		return unknown(n, why)
	}
	rates := s.rates()
	for _, b := range rates {
		switch {
		case math.IsNaN(b.value):
			return unknown(n, ReasonVariance)
		case b.value < float64(critical(s.clusters)*b.standardError(nil)):
			return unknown(n, ReasonUnrelated)
		}
	}
	once := make([]float64, s.clusters)
	for g := range once {
		once[g] = 1
	}
	x := newExchange(changes, s.blur(s.history.weeks(), s.after.weeks()))
	placebo := newExchange(s.placebos[0], s.blur(s.before.weeks(), s.before.weeks()))
	f := Finding{N: n, CostKnown: x.priced()}
	var nanos float64
	for _, b := range rates {
		found, none := x.excess(b.value, once), placebo.excess(b.value, once)
		share, cost := found.mean()
		f.Value += share / float64(len(rates))
		nanos += cost / float64(len(rates))
		share, _ = none.mean()
		f.Placebo += share / float64(len(rates))
	}
	rng := s.rng("excess")
	spread := bootstrap(rng, s.clusters, func(times []float64) float64 {
		drawn := x.excess(rates[rng.IntN(len(rates))].drawn(times), times)
		return drawn.drawn(rng.Float64())
	})
	if math.IsNaN(f.Value) || len(spread) < draws*9/10 {
		return unknown(n, ReasonDegenerate)
	}
	tail := expanded(0.05, s.clusters)
	f.Lo, f.Hi = quantile(spread, tail), quantile(spread, 1-tail)
	f.Known, f.Bounded, f.PlaceboKnown = true, true, !math.IsNaN(f.Placebo)
	f.CostNanos = int64(math.Round(nanos))
	f.Alarm = f.Lo > 0 && (!f.PlaceboKnown || f.Lo > f.Placebo)
	return f
}

// expanded returns the tail of a bootstrap over so many clusters that stands for a
// tail of the distribution.
func expanded(tail float64, clusters int) float64 {
	n := float64(clusters)
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile(tail)
	return distuv.UnitNormal.CDF(t * math.Sqrt(n/(n-1)))
}

package kpi

import (
	"cmp"
	"math"
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/policy"
)

func excessCheck() Check {
	return Check{
		Name: "excess_share", Title: "Excess share of tokens",
		Question: "Of the tokens since the announcement, what share bought nothing at the exchange rate of before?",
		MinimumN: minPersons, Formula: "excess/1", assess: excess,
	}
}

const (
	// excessBins groups units by how much their usage changed; in a group the
	// noise of outcomes averages out before it is turned into tokens.
	excessBins = 10
	// knees is how many places are tried where excess may set in.
	knees = 9
	// bend is the width of a knee in deviations of growth before the announcement.
	// At 0.5 the estimate is 0.05 too small where many burn, at 0.8 0.03 too large
	// where few do.
	bend = 0.65
	// stretch moves the bounds away from the estimate: the bins stay where they
	// are in every draw, and in simulations the plain quantiles covered the truth
	// as rarely as .67 times where usage is most uneven and many burn, these .82.
	stretch = 1.25
)

// exchange estimates what tokens bought between two windows. Before, outcomes
// followed tokens with elasticity b; now
//
//	outcomes = c + b (tokens - x),
//
// all logarithms of changes, with c what happened to everybody's outcomes and x
// the excess of a unit, in nats. c is what those say who did not inflate, and
// they are not known. But x can only set in from some growth of usage on, so that
//
//	outcomes - b tokens = c - t softplus((tokens - k) / h)
//
// is fitted for knees k at the deciles of growth, h a part of the usual deviation
// of growth, and c averaged over the knees by their likelihood. Taking c from the
// half of units that grew least instead calls part of the burning usual once many
// burn, and then finds too little.
//
// With c, the excess of a bin of units of like growth is
// x = tokens - (outcomes - c)/b of their means, and exp(-x) the share of their
// tokens that bought something. It is not clipped at 0, which would bias the sum
// upwards.
type exchange struct {
	changes []change
	bin     []int
	// rise is the softplus of each change at each knee.
	rise [knees][]float64
}

func newExchange(changes, placebo []change) *exchange {
	x := &exchange{changes: changes, bin: make([]int, len(changes))}
	order := make([]int, len(changes))
	growth := make([]float64, len(changes))
	for i := range changes {
		order[i], growth[i] = i, changes[i].tokens
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(growth[a], growth[b]) })
	for rank, i := range order {
		x.bin[i] = rank * excessBins / len(order)
	}
	usual := make([]float64, len(placebo))
	for i := range placebo {
		usual[i] = placebo[i].tokens
	}
	_, variance := meanVariance(usual)
	h := float64(bend * math.Sqrt(variance))
	for k := range x.rise {
		knee := growth[order[(k+1)*len(order)/(knees+1)]]
		x.rise[k] = make([]float64, len(changes))
		for i := range changes {
			x.rise[k][i] = softplus((growth[i] - knee) / h)
		}
	}
	return x
}

func softplus(x float64) float64 {
	if x > 30 {
		return x
	}
	return math.Log1p(math.Exp(x))
}

// level returns c at elasticity b; times is how often each cluster counts.
func (x *exchange) level(b float64, times []float64) float64 {
	var units, sum, weights float64
	rest, weight := make([]float64, len(x.changes)), make([]float64, len(x.changes))
	for i := range x.changes {
		c := &x.changes[i]
		rest[i], weight[i] = c.outcomes-float64(b*c.tokens), float64(c.weight*times[c.cluster])
		units += times[c.cluster]
	}
	var lines [knees]line
	least := math.Inf(1)
	for k := range lines {
		rise := x.rise[k]
		lines[k] = fit(len(rest), func(i int) (float64, float64, float64) { return rise[i], rest[i], weight[i] })
		least = min(least, lines[k].residuals)
	}
	least = max(least, 1e-9) // a perfect fit has no noise to weigh by
	for k := range lines {
		likelihood := math.Exp(min(0, least-lines[k].residuals) * units / (2 * least))
		sum += float64(likelihood * lines[k].intercept)
		weights += likelihood
	}
	return sum / weights
}

// excess returns the share and the cost of what bought nothing, at elasticity b;
// times is how often each cluster counts.
func (x *exchange) excess(b float64, times []float64) (share, nanos float64) {
	level := x.level(b, times)
	var bins [excessBins]struct{ weight, sum, spent, cost float64 }
	for i := range x.changes {
		c, n := &x.changes[i], &bins[x.bin[i]]
		t := times[c.cluster]
		n.weight += float64(t * c.weight)
		n.sum += float64(t * c.weight * (c.tokens - (c.outcomes-level)/b))
		n.spent += float64(t * c.spent)
		n.cost += float64(t * c.cost)
	}
	var wasted, spent float64
	for k := range bins {
		n := &bins[k]
		spent += n.spent
		if n.weight == 0 {
			continue
		}
		share := 1 - math.Exp(-n.sum/n.weight)
		wasted += float64(n.spent * share)
		nanos += float64(n.cost * share)
	}
	return wasted / spent, nanos
}

// priced reports whether any of the tokens has a price.
func (x *exchange) priced() bool {
	return slices.ContainsFunc(x.changes, func(c change) bool { return c.priced })
}

// excess is what the target costs: the share of the tokens in the last window
// that bought nothing, and its cost. The placebo is the same between two windows
// before the announcement. It assumes that what moved the exchange rate since
// then moved it for all alike: new tools that serve some alone look like excess.
func excess(s *sample) Finding {
	n := len(s.changed)
	if s.Target.Metric == policy.Efficiency {
		return unknown(n, ReasonMetric) // it is defined on tokens
	}
	if s.short != "" {
		return unknown(n, s.short)
	}
	if why := s.enough(min(n, len(s.placebos[0]))); why != "" {
		return unknown(n, why)
	}
	b := within(s.placebos, s.clusters)
	if math.IsNaN(b.value) {
		return unknown(n, ReasonVariance)
	}
	if b.value < float64(critical(s.clusters)*b.standardError(nil)) {
		return unknown(n, ReasonUnrelated)
	}
	once := make([]float64, s.clusters)
	for g := range once {
		once[g] = 1
	}
	x := newExchange(s.changed, s.placebos[0])
	share, nanos := x.excess(b.value, once)
	spread := bootstrap(s.rng("excess"), s.clusters, func(times []float64) float64 {
		drawn, _ := x.excess(b.drawn(times), times)
		return drawn
	})
	if math.IsNaN(share) || len(spread) < draws*9/10 {
		return unknown(n, ReasonDegenerate)
	}
	f := Finding{
		Value: share, Known: true, Bounded: true, N: n,
		Lo: share + float64(stretch*(quantile(spread, .05)-share)), Hi: share + float64(stretch*(quantile(spread, .95)-share)),
		CostNanos: int64(math.Round(nanos)), CostKnown: x.priced(),
	}
	f.Placebo, _ = newExchange(s.placebos[0], s.placebos[0]).excess(b.value, once)
	f.PlaceboKnown = !math.IsNaN(f.Placebo)
	f.Alarm = f.Lo > 0 && (!f.PlaceboKnown || f.Lo > f.Placebo)
	return f
}

package score

import (
	"math"
	"slices"
)

// What is known of the exponent b before any data: ten times the spend buys about
// twice the outcomes. The exponent is sought between the bounds, so that more
// spend is always expected to bring more, and each further dollar less.
const (
	exponentMean  = 0.30
	exponentSD    = 0.15
	leastExponent = 0.05
	mostExponent  = 0.95
)

// Row is a block of the past as the curve sees it.
type Row struct {
	Block Block
	// Outcomes is the credit, in outcomes of mean worth.
	Outcomes float64
	// Due is the share of the credit that could have been given by now.
	Due float64
	// Weight is 2^(−age ÷ 28 d).
	Weight float64
}

// Curve says how many outcomes people of a role achieve in a week at a spend:
//
//	people × (Base + Slope × (aligned cost ÷ people ÷ Reference)^Exponent)
//
// in outcomes of mean worth. It compares and explains nothing: it does not say
// that the spend has caused them.
type Curve struct {
	// Role it was fitted to, or all roles together if Pooled.
	Role   string
	Pooled bool
	// LinkedOnly: it is of outcomes that are linked to usage, so Base is 0.
	LinkedOnly bool
	// Base, the a of the formula, is outcomes of a person and week at no spend;
	// Slope, its A, what the Reference spend adds.
	Base, Slope float64
	// Reference is nano-USD of a person and week: the median of the rows that
	// have spent, 0 if none has.
	Reference float64
	// Exponent is the b of the formula, Share the part of the outcomes that the
	// fit puts down to spend.
	Exponent, Share float64
	// Rows it rests on, of so many Units.
	Rows, Units int
	// Outcomes are those of the rows, weighted.
	Outcomes float64
	// Dispersion is by how much the totals of the units scatter about a first fit,
	// as a multiple of what chance does. The likelihood is divided by it, because
	// the weeks of a unit repeat each other.
	Dispersion float64
	// How well the curve is known: the variance of the logarithm of its scale,
	// which is independent of the rest; the variances of Share and Exponent and
	// their covariance; and the mean of ln(cost ÷ Reference), by spend, about
	// which the Exponent turns the curve.
	ScaleVar, ShareVar, ExponentVar, Covariance float64
	Pivot                                       float64
}

// Gradient is how an expectation changes with the scale, the Share and the
// Exponent of its curve; the first is the expectation itself.
type Gradient struct{ Scale, Share, Exponent float64 }

// Add adds o.
func (g *Gradient) Add(o Gradient) {
	g.Scale += o.Scale
	g.Share += o.Share
	g.Exponent += o.Exponent
}

// Expected returns the outcomes that are expected of people in a week, given the
// cost that counts towards it in nano-USD, and how that depends on the curve.
func (c *Curve) Expected(people, alignedNanos int64) (float64, Gradient) {
	heads := float64(people)
	base, bought, turn := float64(heads*c.Base), 0.0, 0.0
	if alignedNanos > 0 && c.Reference > 0 {
		ratio := float64(alignedNanos) / heads / c.Reference
		bought = heads * c.Slope * math.Pow(ratio, c.Exponent)
		turn = math.Log(ratio) - c.Pivot
	}
	g := Gradient{Scale: base + bought, Exponent: bought * turn}
	if c.Share > 0 && c.Share < 1 {
		g.Share = bought/c.Share - base/(1-c.Share)
	}
	return g.Scale, g
}

// Variance is that of a sum of expectations, given the sum of their gradients.
func (c *Curve) Variance(g Gradient) float64 {
	return float64(c.ScaleVar*g.Scale*g.Scale) + float64(c.ShareVar*g.Share*g.Share) +
		float64(c.ExponentVar*g.Exponent*g.Exponent) + float64(2*c.Covariance*g.Share*g.Exponent)
}

// fit is the rows of a role while a curve is sought. All slices run parallel.
type fit struct {
	// outcomes are weighted; base and spend are what a row has of the two parts
	// of the curve, each summing to 1 over the rows by weight.
	outcomes, base, spend []float64
	heads                 []float64
	logCost               []float64 // ln of the spend by the reference; −Inf for none
	weight                []float64
	spendSum              float64
	linked                bool
	dispersion            float64
}

// FitCurve returns the curve of largest posterior probability for rows in the
// order of unit and start, alike in LinkedOnly, each with people and, if linked,
// spend. ok is false if the rows have no outcomes: then nothing can be expected.
//
// For a given Exponent and Share the scale follows: as many outcomes are expected
// of all rows as there were. Given the Exponent, the likelihood is concave in
// Share, so that bisection finds it; the Exponent is found by a grid and a
// golden-section search. No step depends on where it begins.
//
// Share has the prior Beta(2, 2), as if one outcome had been seen of either
// part: neither is ever nothing, so waste always raises what is expected, and
// spending nothing never brings the expectation to zero.
func FitCurve(rows []Row) (c Curve, ok bool) {
	f, reference := newFit(rows)
	total := sum(f.outcomes)
	if total <= 0 {
		return Curve{}, false
	}
	// The likelihood is divided by the dispersion that a first fit shows.
	first := f.curve(total, reference)
	var units int
	f.dispersion, units = first.scatter(rows)
	c = f.curve(total, reference)
	c.Rows, c.Units, c.Outcomes, c.LinkedOnly, c.Dispersion = len(rows), units, total, f.linked, f.dispersion
	f.uncertainty(&c)
	return c, true
}

func newFit(rows []Row) (f *fit, reference float64) {
	f = &fit{linked: len(rows) > 0 && rows[0].Block.LinkedOnly, dispersion: 1}
	var spends []float64
	for i := range rows {
		r := &rows[i]
		if r.Block.AlignedNanos > 0 {
			spends = append(spends, float64(r.Block.AlignedNanos)/float64(r.Block.People))
		}
		f.outcomes = append(f.outcomes, float64(r.Weight*r.Outcomes))
		f.heads = append(f.heads, float64(r.Due*float64(r.Block.People)))
		f.weight = append(f.weight, r.Weight)
	}
	slices.Sort(spends)
	if len(spends) > 0 {
		reference = spends[(len(spends)-1)/2]
	}
	for i := range rows {
		r := &rows[i]
		at := math.Inf(-1)
		if r.Block.AlignedNanos > 0 {
			at = math.Log(float64(r.Block.AlignedNanos) / float64(r.Block.People) / reference)
		}
		f.logCost = append(f.logCost, at)
	}
	f.base = slices.Clone(f.heads)
	heads := sumProduct(f.weight, f.heads)
	for i := range f.base {
		f.base[i] /= heads
	}
	f.spend = make([]float64, len(rows))
	return f, reference
}

// curve is the one of largest posterior probability at the dispersion.
func (f *fit) curve(outcomes, reference float64) Curve {
	c := f.search()
	c.Reference = reference
	c.Base = outcomes * (1 - c.Share) / sumProduct(f.weight, f.heads)
	if c.Share > 0 {
		c.Slope = outcomes * c.Share / f.spendSum
	}
	return c
}

// search returns the Exponent and the Share of largest posterior probability, and
// leaves the rows' parts at them.
func (f *fit) search() Curve {
	const step = 0.05
	best, at := math.Inf(-1), exponentMean
	for i := range 19 {
		b := leastExponent + float64(step*float64(i))
		if p := f.profile(b); p > best {
			best, at = p, b
		}
	}
	const golden = 0.6180339887498949
	lo, hi := max(leastExponent, at-step), min(mostExponent, at+step)
	left, right := hi-float64(golden*(hi-lo)), lo+float64(golden*(hi-lo))
	atLeft, atRight := f.profile(left), f.profile(right)
	for range 24 { // to a millionth
		if atLeft >= atRight {
			hi, right, atRight = right, left, atLeft
			left = hi - float64(golden*(hi-lo))
			atLeft = f.profile(left)
		} else {
			lo, left, atLeft = left, right, atRight
			right = lo + float64(golden*(hi-lo))
			atRight = f.profile(right)
		}
	}
	b := lo + (hi-lo)/2
	f.raise(b)
	return Curve{Exponent: b, Share: f.share()}
}

// profile is the log posterior of an Exponent at the best Share for it.
func (f *fit) profile(b float64) float64 {
	f.raise(b)
	t := f.share()
	loss := (b - exponentMean) / exponentSD
	return f.objective(t) - float64(loss*loss)/2
}

// raise sets what the rows spend to the power of b.
func (f *fit) raise(b float64) {
	f.spendSum = 0
	for i := range f.spend {
		f.spend[i] = float64(f.heads[i] * math.Exp(float64(b*f.logCost[i])))
		f.spendSum += float64(f.weight[i] * f.spend[i])
	}
	if f.spendSum == 0 {
		return
	}
	for i := range f.spend {
		f.spend[i] /= f.spendSum
	}
}

// objective is the log posterior of a Share, but for terms without it. The scale
// has been put where it is best.
func (f *fit) objective(t float64) float64 {
	sum := 0.0
	for i, y := range f.outcomes {
		if y != 0 {
			sum += float64(y * math.Log(float64((1-t)*f.base[i])+float64(t*f.spend[i])))
		}
	}
	sum /= f.dispersion
	if t > 0 && t < 1 {
		sum += math.Log(t) + math.Log(1-t)
	}
	return sum
}

// share returns the Share of largest posterior probability. The slope of the
// objective falls throughout, from +∞ at 0 to −∞ at 1: Newton's steps are taken
// where they stay between the bounds, else the interval is halved.
func (f *fit) share() float64 {
	switch {
	case f.linked:
		return 1
	case f.spendSum == 0:
		return 0
	}
	lo, hi, t := 0.0, 1.0, 0.5
	for range 60 {
		slope, bend := f.slope(t)
		if slope > 0 {
			lo = t
		} else {
			hi = t
		}
		next := t - slope/bend
		if next <= lo || next >= hi {
			next = lo + (hi-lo)/2
		}
		if math.Abs(next-t) < 1e-12 {
			return next
		}
		t = next
	}
	return t
}

// slope returns the first and second derivative of the objective.
func (f *fit) slope(t float64) (slope, bend float64) {
	for i, y := range f.outcomes {
		if y != 0 {
			d := (f.spend[i] - f.base[i]) / (float64((1-t)*f.base[i]) + float64(t*f.spend[i]))
			slope += float64(y * d)
			bend -= float64(y * d * d)
		}
	}
	rest := 1 - t
	return slope/f.dispersion + 1/t - 1/rest, bend/f.dispersion - 1/float64(t*t) - 1/float64(rest*rest)
}

// uncertainty sets how well the curve is known: by the expected curvature of the
// objective where it is largest. The scale is independent of the rest, because
// the expectations of all rows together are the same whatever the rest.
func (f *fit) uncertainty(c *Curve) {
	c.ScaleVar = f.dispersion / c.Outcomes
	if f.spendSum == 0 {
		return
	}
	for i, s := range f.spend {
		if s > 0 {
			c.Pivot += float64(f.weight[i] * s * f.logCost[i])
		}
	}
	t := c.Share
	tt, bb, tb := 0.0, 1/(exponentSD*exponentSD), 0.0
	if !f.linked {
		tt = 1/float64(t*t) + 1/float64((1-t)*(1-t))
	}
	for i, s := range f.spend {
		p := float64((1-t)*f.base[i]) + float64(t*s)
		turn := 0.0
		if s > 0 {
			turn = t * s * (f.logCost[i] - c.Pivot) / p
		}
		part := 0.0
		if !f.linked {
			part = (s - f.base[i]) / p
		}
		information := float64(f.weight[i]*c.Outcomes*p) / f.dispersion
		tt += float64(information * part * part)
		bb += float64(information * turn * turn)
		tb += float64(information * part * turn)
	}
	if f.linked {
		c.ExponentVar = 1 / bb
		return
	}
	det := float64(tt*bb) - float64(tb*tb)
	c.ShareVar, c.ExponentVar, c.Covariance = bb/det, tt/det, -tb/det
}

// scatter compares the totals of the units with the curve; at least 1.
func (c *Curve) scatter(rows []Row) (phi float64, units int) {
	parameters := 3
	if rows[0].Block.LinkedOnly {
		parameters = 2
	}
	chi := 0.0
	for at := 0; at < len(rows); units++ {
		unit := rows[at].Block.Unit
		gap, variance := 0.0, 0.0
		for ; at < len(rows) && rows[at].Block.Unit == unit; at++ {
			r := &rows[at]
			due, _ := c.Expected(r.Block.People, r.Block.AlignedNanos)
			due *= r.Due
			gap += float64(r.Weight * (r.Outcomes - due))
			variance += float64(r.Weight * due)
		}
		if variance > 0 {
			chi += float64(gap*gap) / variance
		}
	}
	return max(1, chi/float64(max(1, units-parameters))), units
}

func sum(values []float64) float64 {
	total := 0.0
	for _, v := range values {
		total += v
	}
	return total
}

func sumProduct(a, b []float64) float64 {
	total := 0.0
	for i := range a {
		total += float64(a[i] * b[i])
	}
	return total
}

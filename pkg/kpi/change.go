package kpi

import "math"

const (
	// returns is the exponent by which weeks of usage are averaged: the elasticity
	// of outcomes that is expected before any data. Outcomes follow
	// tokens^returns week by week, so this mean is what they add up to: a burst
	// counts as little for it as for them, and the elasticity comes out the same
	// whatever the length of the window and however uneven a person's weeks are.
	// By the arithmetic mean it falls with both, and windows of different length
	// raise false alarms.
	returns = 0.30
	// minActiveWeeks is how many active weeks a unit must have in a window to count.
	minActiveWeeks = 4
	// activeShare is how much of its own median a unit uses in an active week.
	// Weeks below are left out on both sides of a comparison: a vacation has
	// neither usage nor outcomes and would make any elasticity look like 1.
	activeShare = 0.10
	// noOutcome is added to outcomes per week, in points, before their logarithm.
	noOutcome = 0.1
)

// lags is how much of the outcomes of a week come of the tokens of that week, of
// the one before and of the one before that: of a delay of 5 days in the mean,
// exponentially distributed. Unaligned, what crosses the bounds of a window
// blurs the elasticity, and more so between adjacent and short windows.
var lags = [...]float64{0.46, 0.41, 0.10}

// change is what changed for a unit between two windows.
type change struct {
	// unit is its number in the sample, cluster its team.
	unit, cluster int
	// tokens and outcomes are logarithms of the ratio later to earlier.
	tokens, outcomes float64
	// weight is the precision of outcomes: the inverse of its Poisson variance,
	// with a floor for what differs between persons besides. It rests on the sum
	// of both windows, which says nothing of the direction.
	weight float64
	// spent and cost are all tokens and nano-USD of the later window.
	spent, cost float64
	// priced: some of the later window has a price.
	priced bool
}

// activity is what a unit did in a window.
type activity struct {
	weeks           int
	level, outcomes float64 // per active week: the power mean of tokens, points
	points          float64 // over the active weeks
	spent, cost     float64
	priced          bool
}

// activity sums the known weeks of a window; usual is the unit's median.
func (u *Unit) activity(s span, usual float64) activity {
	var a activity
	var powers float64
	for w := s.from; w < s.to; w++ {
		k := u.week(w)
		if !k.Known {
			continue
		}
		a.spent += float64(k.Tokens)
		if k.CostKnown {
			a.cost += float64(k.CostNanos)
			a.priced = true
		}
		if !k.OutcomesKnown || float64(k.Tokens) <= float64(activeShare*usual) {
			continue
		}
		effort, ok := u.effort(w, usual)
		if !ok {
			continue
		}
		a.weeks++
		powers += effort
		a.points += float64(k.Outcomes) / 1000
	}
	a.points = max(0, a.points)
	if a.weeks > 0 {
		a.level = math.Pow(powers/float64(a.weeks), 1/returns)
		a.outcomes = a.points / float64(a.weeks)
	}
	return a
}

// effort returns tokens^returns of the weeks that the outcomes of a week come of,
// weighted by how much; weeks that are not active are left out. ok is false if one
// of them is not known.
func (u *Unit) effort(w int, usual float64) (mean float64, ok bool) {
	var sum, weights float64
	for lag, weight := range lags {
		k := u.week(w - lag)
		if !k.Known {
			return 0, false
		}
		if float64(k.Tokens) > float64(activeShare*usual) {
			sum += float64(weight * math.Pow(float64(k.Tokens), returns))
			weights += weight
		}
	}
	return sum / weights, weights > 0
}

// changes returns the change of every unit that was active in both windows.
func (s *sample) changes(before, after span) []change {
	var all []change
	for i, u := range s.units {
		a, b := u.activity(before, s.usual[i]), u.activity(after, s.usual[i])
		if a.weeks < minActiveWeeks || b.weeks < minActiveWeeks {
			continue
		}
		all = append(all, change{
			unit: i, cluster: s.cluster[i],
			tokens:   math.Log(b.level / a.level),
			outcomes: math.Log((b.outcomes + noOutcome) / (a.outcomes + noOutcome)),
			weight:   1 / (4/(a.points+b.points+1) + 0.1),
			spent:    b.spent, cost: b.cost, priced: b.priced,
		})
	}
	return all
}

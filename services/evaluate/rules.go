package evaluate

import (
	"cmp"
	"math"
	"slices"
)

// The rules that raise alerts: ours, the guards that page at once, and the cheap
// ones that people would otherwise use, on the same weeks.
const (
	ruleOurs     = "ours"
	ruleGuards   = "guards"
	ruleP95      = "static p95"
	ruleP99      = "static p99"
	ruleLeaders  = "leaderboard"
	ruleSelfZ    = "self z"
	rulePeerZ    = "peer z"
	ruleUngated  = "mechanism"
	leaderboard  = 25
	selfZAbove   = 3
	peerZAbove   = 3.5
	ringWeeks    = 10
	ringLeast    = 4
	floorLog     = .25
	minimumPeers = 20
)

// baselines judge the weeks of people by their tokens, and by the readings of
// single weeks. Each rule has a statistic and fires above a threshold.
type baselines struct {
	tokens [][]float64 // counted, by person and week
	roles  []string    // by person
	// Before the week announced people did not know of the target.
	announced int
	leaders   int
	// fired are the weeks of people in which a mechanism crossed its thresholds,
	// whatever explained it, with the greatest suspicion.
	fired map[[2]int]float64
}

// suspicion orders chances, the smallest highest; it is above 0.
func suspicion(chance float64) float64 {
	return 1 - math.Log10(max(chance, math.SmallestNonzeroFloat64))
}

// cheap are the rules in the order of the report.
func (b *baselines) cheap(rule func(name string, statistic func(person, week int) float64, above float64)) {
	var before []float64
	weeks := 0
	for _, mine := range b.tokens {
		weeks = len(mine)
		for _, u := range mine[:b.announced] {
			if u > 0 {
				before = append(before, u)
			}
		}
	}
	slices.Sort(before)
	tokens := func(i, w int) float64 { return b.tokens[i][w] }
	rule(ruleP95, tokens, quantile(before, .95))
	rule(ruleP99, tokens, quantile(before, .99))
	rule(ruleSelfZ, func(i, w int) float64 { return selfZ(b.tokens[i], w) }, selfZAbove)
	places, apart := make([][]float64, weeks), make([][]float64, weeks)
	for w := range weeks {
		places[w], apart[w] = b.places(w), b.apart(w)
	}
	rule(ruleLeaders, func(i, w int) float64 { return places[w][i] }, float64(-b.leaders))
	rule(rulePeerZ, func(i, w int) float64 { return apart[w][i] }, peerZAbove)
	rule(ruleUngated, func(i, w int) float64 { return b.fired[[2]int{i, w}] }, 0)
}

// join makes an alert of each stretch of weeks in which a rule fires.
func (r *run) join(rule string, people int, fires func(person, week int) bool, raise func(person, week int) alert) {
	for i := range people {
		open := false
		for w := range r.Weeks {
			yes := fires(i, w)
			switch {
			case yes && open:
				r.Alerts[rule][len(r.Alerts[rule])-1].To = w
			case yes:
				r.Alerts[rule] = append(r.Alerts[rule], raise(i, w))
			}
			open = yes
		}
	}
}

// places are the places of people by their tokens of a week, the first being 0 and
// all others less; who did nothing has none.
func (b *baselines) places(week int) []float64 {
	order := make([]int, len(b.tokens))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(b.tokens[y][week], b.tokens[x][week]) })
	places := make([]float64, len(order))
	for place, i := range order {
		places[i] = float64(-place)
		if b.tokens[i][week] == 0 {
			places[i] = math.Inf(-1)
		}
	}
	return places
}

// apart is how far people are above others of their role, in robust standard
// deviations; 0 where that is not known.
func (b *baselines) apart(week int) []float64 {
	roles := map[string][]float64{}
	for i, role := range b.roles {
		if u := b.tokens[i][week]; u > 0 {
			roles[role] = append(roles[role], math.Log(u))
		}
	}
	type usual struct{ median, spread float64 }
	usuals := map[string]usual{}
	for role, ln := range roles {
		if len(ln) >= minimumPeers {
			median, mad := medianMAD(ln)
			usuals[role] = usual{median, max(1.4826*mad, floorLog)}
		}
	}
	z := make([]float64, len(b.roles))
	for i, role := range b.roles {
		if u, ok := usuals[role]; ok && b.tokens[i][week] > 0 {
			z[i] = (math.Log(b.tokens[i][week]) - u.median) / u.spread
		}
	}
	return z
}

// selfZ is how far a week's ln tokens lie above the median of the last active
// weeks, in robust standard deviations; 0 where too few are known.
func selfZ(tokens []float64, week int) float64 {
	var ring []float64
	for w := week - 1; w >= 0 && len(ring) < ringWeeks; w-- {
		if tokens[w] > 0 {
			ring = append(ring, math.Log(tokens[w]))
		}
	}
	if tokens[week] <= 0 || len(ring) < ringLeast {
		return 0
	}
	median, mad := medianMAD(ring)
	return (math.Log(tokens[week]) - median) / max(1.4826*mad, floorLog)
}

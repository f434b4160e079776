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

// cheapRules lets the baselines judge the same weeks. They see the tokens that
// were counted, and each joins neighbouring weeks to one alert.
func (p *player) cheapRules() {
	o, weeks := p.o, p.run.Weeks
	tokens := make([][]float64, len(o.People))
	for i := range o.Truth() {
		row := &o.Truth()[i]
		tokens[row.Person] = append(tokens[row.Person], float64(row.Tokens))
	}
	var before []float64
	for _, mine := range tokens {
		for _, u := range mine[:p.run.Announced] {
			if u > 0 {
				before = append(before, u)
			}
		}
	}
	slices.Sort(before)
	p95, p99 := quantile(before, .95), quantile(before, .99)
	p.join(ruleP95, func(i, w int) bool { return tokens[i][w] > p95 })
	p.join(ruleP99, func(i, w int) bool { return tokens[i][w] > p99 })
	p.join(ruleSelfZ, func(i, w int) bool { return selfZ(tokens[i], w) > selfZAbove })
	leads, apart := make([]map[int]bool, weeks), make([]map[int]bool, weeks)
	for w := range weeks {
		leads[w], apart[w] = p.leaders(tokens, w), p.apart(tokens, w)
	}
	p.join(ruleLeaders, func(i, w int) bool { return leads[w][i] })
	p.join(rulePeerZ, func(i, w int) bool { return apart[w][i] })
	p.join(ruleUngated, func(i, w int) bool { return p.fired[[2]int{i, w}] })
}

// join makes an alert of each stretch of weeks in which a rule fires.
func (p *player) join(rule string, fires func(person, week int) bool) {
	for i := range p.o.People {
		open := false
		for w := range p.run.Weeks {
			yes := fires(i, w)
			switch {
			case yes && open:
				p.run.Alerts[rule][len(p.run.Alerts[rule])-1].To = w
			case yes:
				p.alert(rule, i, w, "")
			}
			open = yes
		}
	}
}

// leaders are the people with most tokens in a week.
func (p *player) leaders(tokens [][]float64, week int) map[int]bool {
	order := make([]int, len(tokens))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(tokens[b][week], tokens[a][week]) })
	lead := map[int]bool{}
	for _, i := range order[:min(leaderboard, len(order))] {
		if tokens[i][week] > 0 {
			lead[i] = true
		}
	}
	return lead
}

// apart are the people far above others of their role.
func (p *player) apart(tokens [][]float64, week int) map[int]bool {
	roles := map[string][]float64{}
	for i, who := range p.o.People {
		if u := tokens[i][week]; u > 0 {
			roles[who.Role] = append(roles[who.Role], math.Log(u))
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
	out := map[int]bool{}
	for i, who := range p.o.People {
		if u, ok := usuals[who.Role]; ok && tokens[i][week] > 0 && (math.Log(tokens[i][week])-u.median)/u.spread > peerZAbove {
			out[i] = true
		}
	}
	return out
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

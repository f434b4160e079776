package organisation

import (
	"math"
	"slices"
	"testing"
)

// alert is one person's stretch of weeks on which a rule fires.
type alert struct{ person, from, to int }

// alerts joins neighbouring weeks on which fires says so.
func alerts(o *Organisation, fires func(person, week int) bool) []alert {
	var out []alert
	for _, p := range o.People {
		open := false
		for week := range o.Config.Weeks {
			yes := fires(p.Index, week)
			switch {
			case yes && open:
				out[len(out)-1].to = week
			case yes:
				out = append(out, alert{p.Index, week, week})
			}
			open = yes
		}
	}
	return out
}

// judge compares alerts with the episodes: an alert is true from the start of
// an episode to one week after its end. False alarms are per 1,000 honest
// person-weeks in which somebody worked.
func judge(o *Organisation, alerts []alert) (precision, recall, falsePerThousand float64) {
	episodes := map[int]Episode{}
	honest := 0
	for _, e := range o.Episodes() {
		episodes[e.Person] = e
	}
	for i := range o.Plans {
		if o.Plans[i].Useful > 0 && o.Plans[i].Wasted == 0 {
			honest++
		}
	}
	right, hit := 0, map[int]bool{}
	for _, a := range alerts {
		if e, ok := episodes[a.person]; ok && a.to >= e.From && a.from <= e.To+1 {
			right++
			hit[a.person] = true
		}
	}
	return float64(right) / float64(len(alerts)), float64(len(hit)) / float64(len(episodes)),
		1000 * float64(len(alerts)-right) / float64(honest)
}

// selfZ is the distance of a week's ln tokens from the median of up to ten active
// weeks before, in robust standard deviations; it needs four.
func selfZ(o *Organisation, person, week int) float64 {
	x := o.Plan(person, week).Tokens()
	var ring []float64
	for w := week - 1; w >= 0 && len(ring) < 10; w-- {
		if u := o.Plan(person, w).Tokens(); u > 0 {
			ring = append(ring, math.Log(u))
		}
	}
	if x == 0 || len(ring) < 4 {
		return 0
	}
	median := middle(ring)
	for i := range ring {
		ring[i] = math.Abs(ring[i] - median)
	}
	return (math.Log(x) - median) / max(1.4826*middle(ring), .25)
}

// middle is the median of values, which it sorts.
func middle(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// The two cheap rules must be as bad here as they are known to be, or the
// organisation is too easy.
func TestCheapRulesLandInTheirBands(t *testing.T) {
	for seed := range uint64(3) {
		o := newOrganisation(t, seed, gamers(.08, 0))
		var before []float64
		for i := range o.Plans {
			if p := &o.Plans[i]; p.Week < o.Config.AnnouncedWeek && p.Useful > 0 {
				before = append(before, p.Tokens())
			}
		}
		p95 := quantile(before, .95)
		precision, recall, falseAlarms := judge(o, alerts(o, func(person, week int) bool { return o.Plan(person, week).Tokens() > p95 }))
		t.Logf("seed %d: p95 %.0f M tokens: precision %.3f recall %.2f false alarms %.1f", seed, p95/1e6, precision, recall, falseAlarms)
		within(t, "static p95: precision", precision, .05, .15)
		precision, recall, falseAlarms = judge(o, alerts(o, func(person, week int) bool { return selfZ(o, person, week) > 3 }))
		t.Logf("seed %d: self z > 3: precision %.3f recall %.2f", seed, precision, recall)
		within(t, "self z > 3: false alarms per 1,000", falseAlarms, 15, 45)
	}
}

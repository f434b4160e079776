package evaluate

import (
	"fmt"
	"math"
	"slices"
)

// judge says which of the aims were met.
func (r *report) judge() {
	aim := func(what, want, got string, met bool) {
		r.Targets = append(r.Targets, targetRow{What: what, Want: want, Got: got, Met: met})
	}
	if ours := r.rule(ruleOurs); ours != nil {
		aim("false alarms per 1,000 honest person-weeks", "≤ 1", est(ours.FalseAlarms, 2), ours.FalseAlarms.Value <= 1)
		aim("recall of naive episodes at twice the tokens or more, all tactics", "≥ .70", est(ours.RecallTwice, 2), ours.RecallTwice.Value >= .70)
		aim("the same among tactics that a mechanism is for", "≥ .70", est(ours.RecallSeen, 2), ours.RecallSeen.Value >= .70)
		worst := slices.MaxFunc(r.Looks, func(a, b lookRow) int { return compare(a.Ours, b.Ours) })
		aim("the worst look-alike class, false alarms per 1,000: "+worst.Look, "≤ 3", est(worst.Ours, 2), worst.Ours.Value <= 3)
		for _, g := range []struct {
			what string
			rows []groupRow
		}{{"role", r.Roles}, {"team size", r.Sizes}} {
			unfair := slices.MaxFunc(g.rows, func(a, b groupRow) int { return compareLo(a.Ratio, b.Ratio) })
			aim("false alarms of a "+g.what+" by those of all others, lower bound of the worst: "+unfair.Name, "≤ 1.25", number(unfair.Ratio.Lo, 2),
				unfair.Ratio.Lo <= 1.25)
		}
	}
	for _, v := range r.Tokens {
		switch v.Prevalence {
		case 0:
			aim("`losing meaning` without gamers, last card", "≤ 3 %", percents(v.Losing), v.Losing.Value <= .03)
		case .20:
			aim("`losing meaning` at 20 % adaptive gamers, last card", "≥ 90 %", percents(v.Losing), v.Losing.Value >= .90)
		}
	}
	for _, e := range r.Excess {
		at := fmt.Sprintf(" at %.0f %% adaptive gamers", 100*e.Prevalence)
		aim("excess share, median absolute error"+at, "≤ .06", number(e.Error, 3), e.Error <= .06)
		aim("excess share, coverage of the 90 % interval"+at, "≥ 85 %", percents(e.Covered), e.Covered.Value >= .85)
		if e.Prevalence == 0 {
			aim("excess share, lower bound above 0"+at, "≤ 5 %", percents(e.Above), e.Above.Value <= .05)
		}
	}
	if r.Runaways != "" {
		aim("an agent that runs away is told, event time, median over companies", "≤ 300 s", number(r.RunawaySeconds, 0)+" s", r.RunawaySeconds <= 300)
	}
	for _, s := range r.Scores {
		aim("coverage of the 90 % interval of final scores beside peers, "+s.Window, ".85–.95", est(s.Peers.Covered, 3), s.Peers.Covered.Value >= .85 && s.Peers.Covered.Value <= .95)
	}
}

// bands compares the cheap rules with what is known of them, as it was published:
// an alert is true if it goes on into an episode.
func (r *report) bands(p95, self estimate) {
	const tooEasy, harder = "**no: too easy, do not trust this page**", "no: harder"
	row := func(what string, low, high float64, got estimate, decimals int, below, above string) {
		b := bandRow{What: what, Known: fmt.Sprintf("%v–%v", low, high), Got: est(got, decimals), In: "yes"}
		switch {
		case got.Value < low:
			b.In = below
		case got.Value > high:
			b.In = above
		}
		r.Bands = append(r.Bands, b)
	}
	row("tokens above p95: precision", .05, .15, p95, 3, harder, tooEasy)
	row("own z > 3: false alarms per 1,000", 15, 45, self, 1, tooEasy, harder)
}

func (r *report) rule(key string) *ruleRow {
	for i := range r.Rules {
		if r.Rules[i].Key == key {
			return &r.Rules[i]
		}
	}
	return nil
}

func compare(a, b estimate) int {
	return order(a.Known, b.Known, a.Value, b.Value)
}

func compareLo(a, b estimate) int { return order(a.Known, b.Known, a.Lo, b.Lo) }

// order puts what is unknown first.
func order(aKnown, bKnown bool, a, b float64) int {
	switch {
	case aKnown != bKnown && bKnown:
		return -1
	case aKnown != bKnown:
		return 1
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// percents writes a share of seeds with its count.
func percents(e estimate) string {
	if !e.Known || math.IsNaN(e.Value) {
		return unknown
	}
	return fmt.Sprintf("%.0f %% (%.0f of %.0f)", 100*e.Value, e.Num, e.Den)
}

package evaluate

import (
	"math"
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/kpi"
)

// cardsOf are the cards of a target, by week.
func (r *run) cardsOf(target string) []card {
	var out []card
	for _, c := range r.Cards {
		if c.Target == target {
			out = append(out, c)
		}
	}
	return out
}

// last is the newest card of a target, nil if there is none.
func (r *run) last(target string) *card {
	cards := r.cardsOf(target)
	if len(cards) == 0 {
		return nil
	}
	return &cards[len(cards)-1]
}

// share counts how many of the runs something is true of.
func share(runs []*run, of func(*run) bool) estimate {
	parts := make([]part, len(runs))
	for i, r := range runs {
		parts[i].den = 1
		if of(r) {
			parts[i].num = 1
		}
	}
	return ratio(parts)
}

// verdictRow is what the cards of a target came to at one prevalence.
type verdictRow struct {
	Prevalence float64
	Seeds      int
	// Losing, Watch, Healthy and Insufficient are the verdicts of the last week;
	// Ever: losing meaning in any week.
	Losing, Ever, Watch, Healthy, Insufficient estimate
	// Decoupled and DecoupledEver: the elasticity alone.
	Decoupled, DecoupledEver estimate
	// Weeks from the announcement to the first week that is losing meaning.
	Weeks []float64
}

func verdictsOf(runs []*run, target string, prevalence float64) verdictRow {
	at := func(v kpi.Verdict) estimate {
		return share(runs, func(r *run) bool { c := r.last(target); return c != nil && c.Verdict == string(v) })
	}
	row := verdictRow{
		Prevalence: prevalence, Seeds: len(runs),
		Losing: at(kpi.LosingMeaning), Watch: at(kpi.Watch), Healthy: at(kpi.Healthy), Insufficient: at(kpi.InsufficientData),
	}
	row.Ever = share(runs, func(r *run) bool { return r.losing(target) >= 0 })
	row.Decoupled = share(runs, func(r *run) bool { c := r.last(target); return c != nil && c.Decoupled })
	row.DecoupledEver = share(runs, func(r *run) bool {
		return slices.ContainsFunc(r.cardsOf(target), func(c card) bool { return c.Decoupled })
	})
	for _, r := range runs {
		if week := r.losing(target); week >= 0 {
			row.Weeks = append(row.Weeks, float64(week-r.Announced))
		}
	}
	slices.Sort(row.Weeks)
	return row
}

// losing is the first week whose card says that the target is losing its meaning,
// -1 for none.
func (r *run) losing(target string) int {
	for _, c := range r.cardsOf(target) {
		if c.Verdict == string(kpi.LosingMeaning) {
			return c.Week
		}
	}
	return -1
}

// excessRow is how the excess share of the last card compares with the truth.
type excessRow struct {
	Prevalence float64
	Seeds      int
	// Truth, Estimate and Placebo are medians over seeds.
	Truth, Estimate, Placebo float64
	Error, CostError         float64
	Covered, Above           estimate
	Width                    float64
}

func excessOf(runs []*run, prevalence float64) excessRow {
	row := excessRow{Prevalence: prevalence}
	var truths, shares, placebos, errors, costs, widths []float64
	var bounded []*run
	for _, r := range runs {
		c := r.last(targetTokens)
		if c == nil || !c.Known || !c.Bounded {
			continue
		}
		bounded = append(bounded, r)
		truths, shares, placebos = append(truths, c.True), append(shares, c.Share), append(placebos, c.Placebo)
		errors, widths = append(errors, math.Abs(c.Share-c.True)), append(widths, c.Hi-c.Lo)
		if c.TrueCost > 0 {
			costs = append(costs, math.Abs(c.Cost/c.TrueCost-1))
		}
	}
	row.Seeds = len(bounded)
	row.Truth, row.Estimate, row.Placebo = median(truths), median(shares), median(placebos)
	row.Error, row.CostError, row.Width = median(errors), median(costs), median(widths)
	row.Covered = share(bounded, func(r *run) bool { c := r.last(targetTokens); return c.Lo <= c.True && c.True <= c.Hi })
	row.Above = share(bounded, func(r *run) bool { return r.last(targetTokens).Lo > 0 })
	return row
}

// saved compares what detecting people saves with what taking the target away
// saves, as shares of all that was wasted: everybody stops where an alert is
// published, or a week after the card said that the target is losing its meaning.
type saved struct{ Detecting, Removing, Both estimate }

func savedBy(runs []*run) saved {
	var detecting, removing, both []part
	for _, r := range runs {
		ours := judge(r, r.Alerts[ruleOurs], (*episode).hits)
		stop := math.MaxInt / 2
		if week := r.losing(targetTokens); week >= 0 {
			stop = week + 1
		}
		var all, one, other, together float64
		for i := range r.Episodes {
			e := &r.Episodes[i]
			all += e.waste()
			a, b := 0.0, e.waste()-e.wastedUntil(stop)
			if o := ours.first[i]; o >= 0 {
				a = e.waste() - e.wastedUntil(o)
			}
			one, other, together = one+a, other+b, together+max(a, b)
		}
		detecting, removing, both = append(detecting, part{one, all}), append(removing, part{other, all}), append(both, part{together, all})
	}
	return saved{ratio(detecting), ratio(removing), ratio(both)}
}

// checkRow is how often a check raises an alarm by itself on the last card of a
// target, by prevalence.
type checkRow struct {
	Check  string
	Alarms []estimate
}

// checksOf are the checks of a target, in the order of the catalogue, by groups of
// runs of one prevalence.
func checksOf(groups [][]*run, target string) []checkRow {
	var rows []checkRow
	for _, check := range kpi.Catalogue() {
		row := checkRow{Check: check.Name}
		alarms := 0.0
		for _, runs := range groups {
			e := share(runs, func(r *run) bool { c := r.last(target); return c != nil && slices.Contains(c.Alarms, check.Name) })
			row.Alarms = append(row.Alarms, e)
			alarms += e.Num
		}
		if alarms > 0 {
			rows = append(rows, row)
		}
	}
	return rows
}

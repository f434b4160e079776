package organisation

import (
	"cmp"
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/kpi"
	"github.com/goodhartlabs/goodhart/pkg/window"
)

// Panel is what the tenant fold comes to keep of the organisation up to a week,
// exclusive, if every outcome is worth a point: the data of a health card. It makes
// the same requests and outcomes as [Organisation.Records], and the same truth, but
// neither events nor folds, which take twenty times as long. Call one of the two.
func (o *Organisation) Panel(until int) *kpi.Panel {
	o.begin()
	panel, w := &kpi.Panel{Start: o.start}, &week{}
	bySubject := slices.SortedFunc(slices.Values(o.People), func(a, b *Person) int { return cmp.Compare(a.Subject, b.Subject) })
	connected := map[string]bool{}
	for _, p := range bySubject {
		u := o.unit(w, p, until)
		if len(u.Weeks) == 0 {
			continue
		}
		connected[u.Team] = connected[u.Team] || slices.ContainsFunc(u.Weeks, func(k kpi.Week) bool { return k.Outcomes != 0 })
		panel.Units = append(panel.Units, u)
	}
	for i := range panel.Units {
		u := &panel.Units[i]
		for n := range u.Weeks {
			u.Weeks[n].OutcomesKnown = u.Weeks[n].Known && connected[u.Team]
		}
	}
	return panel
}

// unit is a person up to a week: known from the first week in which anything
// happened to the last.
func (o *Organisation) unit(w *week, p *Person, until int) kpi.Unit {
	weeks := make([]kpi.Week, o.Config.Weeks)
	first, last := until, -1
	happened := func(n int) *kpi.Week {
		first, last = min(first, n), max(last, n)
		return &weeks[n]
	}
	var zones []zone
	end := o.weekStart(o.Config.Weeks)
	credit := func(at, outcomes int64) {
		if n := o.localWeek(at, zones); n < until {
			happened(n).Outcomes += outcomes
		}
	}
	for n := range o.Config.Weeks {
		o.draw(w, p, o.Plan(p.Index, n))
		offset := int64(o.offset(p, n)) * minute
		for i := range w.requests {
			q := &w.requests[i]
			at := o.weekStart(n) + q.at - offset
			if i == 0 {
				zones = append(zones, zone{at, offset})
			}
			actual := w.actual(q)
			model, _ := o.prices.Canonical(w.model(q))
			cost := o.cost(model, actual, at)
			w.account(q, actual, model, at, cost)
			if n >= until {
				continue
			}
			k, day := happened(n), q.at/dayMs
			k.Requests++
			k.DayRequests[day]++
			if q.failed {
				continue
			}
			k.Tokens += actual.total()
			k.DayTokens[day] += actual.total()
			k.CostNanos += cost
			k.DayCostNanos[day] += cost
		}
	}
	for n := range o.Config.Weeks {
		row := o.row(o.Plan(p.Index, n))
		for _, d := range o.Deliveries(row.Plan) {
			if d.DoneMs >= end {
				continue
			}
			row.Delivered++
			credit(d.DoneMs, 1000)
			if d.RevertedMs > 0 && d.RevertedMs < end {
				row.Reverted++
				credit(d.RevertedMs, -1000)
			}
			if final := d.DoneMs + survival; d.RevertedMs == 0 || d.RevertedMs >= final {
				credit(final, 0) // which makes the week a known one
			}
		}
	}
	if last < 0 {
		return kpi.Unit{}
	}
	for n := first; n <= last; n++ {
		weeks[n].Known, weeks[n].CostKnown = true, true
	}
	return kpi.Unit{Team: o.Teams[p.Team(last)].Name, Weeks: weeks[:last+1]}
}

// survival is how long after it is done an outcome becomes final.
const survival = 14 * dayMs

// zone is the offset from UTC, ms, that somebody's requests show from a time on.
type zone struct{ from, offset int64 }

// localWeek is the week of a time where somebody was last seen.
func (o *Organisation) localWeek(at int64, zones []zone) int {
	var offset int64
	for _, z := range zones {
		if z.from <= at {
			offset = z.offset
		}
	}
	return int((window.WeekStart(at+offset) - o.start) / weekMs)
}

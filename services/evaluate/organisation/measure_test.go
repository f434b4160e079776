package organisation

import (
	"cmp"
	"math"
	"slices"
	"time"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// sent is what the events of a request say, in the local time of the week.
type sent struct {
	at             int64
	context        float64
	output, tokens float64
	cost           float64
	hash, target   uint64
	known          bool
	warm           bool
	cached         float64
	fresh          float64
	effects        bool
	model          string
}

// diary is what the events say about everybody.
type diary struct {
	o     *Organisation
	weeks [][][]sent // by person and week
	late  [][12]float64
	month [][12]float64
}

// read reads all events of an organisation.
func read(o *Organisation, also func(*Record)) *diary {
	d := &diary{o: o}
	index := map[string]int{}
	for _, p := range o.People {
		index[p.Subject] = p.Index
		d.weeks = append(d.weeks, make([][]sent, o.Config.Weeks))
	}
	d.late, d.month = make([][12]float64, len(o.People)), make([][12]float64, len(o.People))
	for r := range o.Records() {
		if also != nil {
			also(r)
		}
		u := r.Event.Usage
		p, human := index[r.Event.Subject]
		if u == nil || !human || u.Status != goodhartv1.Status_STATUS_OK {
			continue
		}
		local := r.Event.TimeMs + int64(r.Event.GetTzOffsetMin())*minute
		week := int((local - o.start) / weekMs)
		context := float64(u.GetInputUncachedTokens() + u.GetCacheReadTokens() + u.GetCacheWriteTokens())
		s := sent{
			at: local - o.weekStart(week), context: context, output: float64(u.GetOutputTokens()),
			tokens: context + float64(u.GetOutputTokens()), cost: float64(u.GetCostNanos()),
			hash: u.GetH64(), target: u.GetTargetH64(), known: u.H64 != nil,
			warm: u.GetTurn() > 1, cached: float64(u.GetCacheReadTokens()) / context,
			fresh: float64(u.GetNewTurnTokens()), effects: u.GetSideEffects() > 0, model: u.Model,
		}
		d.weeks[p][week] = append(d.weeks[p][week], s)
		when := time.UnixMilli(local).UTC()
		d.month[p][when.Month()-1] += s.cost
		if lateInMonth(when) {
			d.late[p][when.Month()-1] += s.cost
		}
	}
	return d
}

// each calls f for every person-week with requests whose plan has none of the looks
// and no gaming.
func (d *diary) each(without Look, f func(p *Person, plan *Plan, requests []sent)) {
	for _, p := range d.o.People {
		for week, requests := range d.weeks[p.Index] {
			plan := d.o.Plan(p.Index, week)
			if len(requests) > 0 && plan.Looks&without == 0 && plan.Wasted == 0 {
				f(p, plan, requests)
			}
		}
	}
}

// mean of f over requests.
func mean(requests []sent, f func(*sent) float64) float64 {
	var sum float64
	for i := range requests {
		sum += f(&requests[i])
	}
	return sum / float64(len(requests))
}

// repeated is the share of requests whose prompt and target were there before.
func repeated(requests []sent) float64 {
	seen := map[[2]uint64]bool{}
	return mean(requests, func(s *sent) float64 {
		pair := [2]uint64{s.hash, s.target}
		again := seen[pair] && s.known
		seen[pair] = true
		return indicator(again)
	})
}

func indicator(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// resultant is the length of the mean direction of requests on a clock of some
// minutes.
func resultant(requests []sent, period int) float64 {
	var x, y float64
	for i := range requests {
		a := 2 * math.Pi * float64(requests[i].at) / float64(int64(period)*minute)
		x += math.Cos(a)
		y += math.Sin(a)
	}
	return math.Hypot(x, y) / float64(len(requests))
}

// share of the tokens for which yes holds.
func share(requests []sent, yes func(*sent) bool) float64 {
	var part, all float64
	for i := range requests {
		all += requests[i].tokens
		if yes(&requests[i]) {
			part += requests[i].tokens
		}
	}
	return part / all
}

// hours counts the distinct hours of a week.
func hours(requests []sent) float64 {
	seen := map[int64]bool{}
	for i := range requests {
		seen[requests[i].at/hour] = true
	}
	return float64(len(seen))
}

// gapCVs are the coefficients of variation of the gaps between the requests of
// days with at least twenty.
func gapCVs(requests []sent) []float64 {
	var out []float64
	var days [7][]float64
	for i := range requests {
		d := requests[i].at / dayMs
		days[d] = append(days[d], float64(requests[i].at))
	}
	for _, times := range days {
		if len(times) < 20 {
			continue
		}
		slices.Sort(times)
		var sum, square float64
		for i := range times[1:] {
			gap := times[i+1] - times[i]
			sum += gap
			square += gap * gap
		}
		n := float64(len(times) - 1)
		out = append(out, math.Sqrt(square/n-sum/n*sum/n)/(sum/n))
	}
	return out
}

// spearman is the rank correlation of two series.
func spearman(x, y []float64) float64 {
	a, b := ranks(x), ranks(y)
	n := float64(len(x))
	var sum float64
	for i := range a {
		sum += (a[i] - b[i]) * (a[i] - b[i])
	}
	return 1 - 6*sum/(n*(n*n-1))
}

func ranks(x []float64) []float64 {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(x[a], x[b]) })
	out := make([]float64, len(x))
	for rank, i := range order {
		out[i] = float64(rank)
	}
	return out
}

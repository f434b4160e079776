package organisation

import (
	"cmp"
	"iter"
	"math"
	"slices"
)

// slack is how far the local weeks of the earth reach around that of UTC.
const slack = 14 * hour

// Records yields everything the organisation announces in order of event time.
// A record is valid until the next one is asked for. It holds the events of about
// one week, whatever the length of the period. Records may be called once; it is
// complete when it was read to its end.
func (o *Organisation) Records() iter.Seq[*Record] {
	return func(yield func(*Record) bool) {
		o.begin()
		w := &week{}
		for number := range o.Config.Weeks {
			for _, p := range o.People {
				plan := o.Plan(p.Index, number)
				o.play(w, p, plan)
				o.outcomes(plan)
			}
			for i, s := range o.services {
				o.serve(s, i, number)
			}
			until := o.weekStart(number+1) - slack
			if number == o.Config.Weeks-1 {
				until = math.MaxInt64
			}
			if !o.flush(until, yield) {
				return
			}
		}
	}
}

// begin makes room for the truth.
func (o *Organisation) begin() {
	if o.begun {
		panic("organisation: its records are made once")
	}
	o.begun = true
	o.rows = make([]PersonWeek, len(o.Plans))
	for i := range o.Plans {
		o.rows[i].Plan = &o.Plans[i]
	}
}

// flush yields what is pending before a time.
func (o *Organisation) flush(until int64, yield func(*Record) bool) bool {
	slices.SortFunc(o.pending, func(a, b waiting) int {
		if a.at != b.at {
			return cmp.Compare(a.at, b.at)
		}
		return cmp.Compare(a.order, b.order)
	})
	n, _ := slices.BinarySearchFunc(o.pending, until, func(r waiting, t int64) int { return cmp.Compare(r.at, t) })
	for _, r := range o.pending[:n] {
		if !yield(&r.Record) {
			return false
		}
		o.takeBack(r.record)
	}
	o.pending = slices.Delete(o.pending, 0, n)
	return true
}

package kpi

import (
	"math"
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/policy"
)

func TestDeadlineShift(t *testing.T) {
	c := usual()
	p, _ := c.simulate(1)
	in := &Input{Panel: p, Target: c.target(), Week: 25}
	if f := deadlineShift(newSample(in)); !f.Known || f.Alarm || math.Abs(f.Value) > .1 || f.N != 26 {
		t.Errorf("no surge: %+v", f)
	}
	// One in ten doubles the week on its Friday.
	for i := range 100 {
		for w := c.announced; w < c.weeks; w++ {
			k := &p.Units[i].Weeks[w]
			k.DayTokens[4] += 2 * k.Tokens
		}
	}
	f := deadlineShift(newSample(in))
	if !f.Alarm || f.Value < leastShift || f.Lo > f.Value || f.Hi < f.Value {
		t.Errorf("surge: %+v", f)
	}
	in.Target.Announced = 2
	if f := deadlineShift(newSample(in)); f.Known || f.Reason != ReasonPeriods {
		t.Errorf("two weeks before: %+v", f)
	}
	in.Target.Announced = 25
	if f := deadlineShift(newSample(in)); f.Known || f.Reason != ReasonPeriods {
		t.Errorf("one week since: %+v", f)
	}
	// Unknown weeks hold neither early nor late tokens.
	in.Target.Announced = 16
	for i := range p.Units {
		p.Units[i].Weeks[20] = Week{}
	}
	if f := deadlineShift(newSample(in)); f.N != 25 {
		t.Errorf("N = %d with one week unknown", f.N)
	}
}

// Of weekly use, late is who came on Friday alone; how much they used is nothing
// to it.
func TestDeadlineOfWeeklyUse(t *testing.T) {
	p := &Panel{Start: monday, Units: make([]Unit, 200)}
	for i := range p.Units {
		for w := range 12 {
			k := Week{Known: true}
			switch {
			case i%20 == w%20, w >= 8 && i%4 == 0:
				k.DayRequests[4] = 1
			default:
				k.DayRequests[1], k.DayRequests[4] = 1, 100
			}
			p.Units[i].Weeks = append(p.Units[i].Weeks, k)
		}
	}
	f := deadlineShift(newSample(&Input{Panel: p, Target: Target{Metric: policy.WeeklyUse, Announced: 8}, Week: 11}))
	if want := math.Log(.25/.75) - math.Log(.05/.95); !f.Alarm || !near(f.Value, want, .3) {
		t.Errorf("%+v, want a shift of about %v", f, want)
	}
}

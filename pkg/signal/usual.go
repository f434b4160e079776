package signal

import (
	"cmp"
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// What is usual for a subject is that of its last ten active weeks, into which
// a change is taken up within five of them. So from the week in which a statistic
// leaves what is usual, and nothing explains it, the subject is compared with what
// was usual then: until it has been back there for calmWindows, or else for
// heldWeeks. A change that lasts is what is usual from then on, and one that has an
// explanation at once.
const heldWeeks = 13

// compare makes what the subject is compared with in a signal that which it is to
// be compared with.
func (o *observation) compare(code string) {
	o.held = nil
	if f := o.state.find(code); f != nil {
		o.held = f.Usual
	}
}

// find returns the history of a signal, nil if there is none.
func (s *SubjectState) find(code string) *Family {
	at, ok := slices.BinarySearchFunc(s.Families, code, func(f Family, code string) int { return cmp.Compare(f.Code, code) })
	if !ok {
		return nil
	}
	return &s.Families[at]
}

// hold keeps what is usual, unless it is kept already.
func (f *Family) hold(o *observation) {
	if f.Held != 0 {
		return
	}
	f.Held = o.week.WeekStartMs
	for s, b := range o.usuals {
		if b != nil {
			f.Usual = append(f.Usual, Usual{goodhartv1.Statistic(s), b.Median, b.Mad, b.Weeks})
		}
	}
}

// release lets go of it.
func (f *Family) release() { f.Held, f.Usual = 0, nil }

// expire lets go of it if it has been held for long. Calm windows end the family.
func (f *Family) expire(week int64) {
	if week-f.Held >= heldWeeks*window.Week {
		f.release()
	}
}

package subject

import (
	"cmp"
	"math"
	"slices"
)

// queue holds the panes that wait, by the full minute at which they are due.
// The zero value is empty.
type queue struct {
	// minutes is sorted by due, the earliest last, so that popping is cheap.
	minutes []minute
}

// minute is what is due at one time.
type minute struct {
	due   int64
	panes []*pane
}

// push adds a pane.
func (q *queue) push(p *pane) {
	at, found := slices.BinarySearchFunc(q.minutes, p.due, func(m minute, due int64) int {
		return cmp.Compare(due, m.due)
	})
	if !found {
		q.minutes = slices.Insert(q.minutes, at, minute{due: p.due})
	}
	m := &q.minutes[at]
	m.panes = append(m.panes, p)
}

// next is the earliest due time, math.MaxInt64 if nothing waits.
func (q *queue) next() int64 {
	if len(q.minutes) == 0 {
		return math.MaxInt64
	}
	return q.minutes[len(q.minutes)-1].due
}

// pop removes what is due next and returns it in the order of emission. The
// queue must not be empty.
func (q *queue) pop() []*pane {
	n := len(q.minutes) - 1
	panes := q.minutes[n].panes
	q.minutes[n] = minute{}
	q.minutes = q.minutes[:n]
	slices.SortFunc(panes, compareFired)
	return panes
}

// remove takes out the panes of a shard that is to be replaced.
func (q *queue) remove(shard int) {
	for i := range q.minutes {
		m := &q.minutes[i]
		m.panes = slices.DeleteFunc(m.panes, func(p *pane) bool { return p.subject.shard == shard })
	}
	q.minutes = slices.DeleteFunc(q.minutes, func(m minute) bool { return len(m.panes) == 0 })
}

package subject

import (
	"cmp"
	"math"
	"slices"
)

// queue holds what waits, by the time at which it is due. The zero value is
// empty.
type queue[T any] struct {
	// times is sorted by due, the earliest last, so that popping is cheap.
	times []instant[T]
}

// instant is what is due at one time.
type instant[T any] struct {
	due     int64
	waiting []T
}

// push adds what is due at a time.
func (q *queue[T]) push(due int64, what T) {
	at, found := slices.BinarySearchFunc(q.times, due, func(t instant[T], due int64) int {
		return cmp.Compare(due, t.due)
	})
	if !found {
		q.times = slices.Insert(q.times, at, instant[T]{due: due})
	}
	t := &q.times[at]
	t.waiting = append(t.waiting, what)
}

// next is the earliest due time, math.MaxInt64 if nothing waits.
func (q *queue[T]) next() int64 {
	if len(q.times) == 0 {
		return math.MaxInt64
	}
	return q.times[len(q.times)-1].due
}

// pop removes what is due next and returns it in the given order. The queue must
// not be empty.
func (q *queue[T]) pop(compare func(a, b T) int) []T {
	n := len(q.times) - 1
	waiting := q.times[n].waiting
	q.times[n] = instant[T]{}
	q.times = q.times[:n]
	slices.SortFunc(waiting, compare)
	return waiting
}

// remove takes out what drop says.
func (q *queue[T]) remove(drop func(T) bool) {
	for i := range q.times {
		t := &q.times[i]
		t.waiting = slices.DeleteFunc(t.waiting, drop)
	}
	q.times = slices.DeleteFunc(q.times, func(t instant[T]) bool { return len(t.waiting) == 0 })
}

package ledger

import "cmp"

// timer is due at a watermark. A timer whose owner has another due time, or is
// gone, is stale and does nothing.
type timer struct {
	due   int64
	key   uint64 // of the conversation or object
	shard uint8
	kind  timerKind
}

type timerKind uint8

const (
	timerHold timerKind = iota
	timerObject
)

// compare orders timers by due time; the rest only makes the order total.
func (a timer) compare(b timer) int {
	return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.shard, b.shard),
		cmp.Compare(a.kind, b.kind), cmp.Compare(a.key, b.key))
}

// timers is a binary heap.
type timers []timer

func (h *timers) push(t timer) {
	*h = append(*h, t)
	s := *h
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if s[up].compare(s[i]) <= 0 {
			return
		}
		s[up], s[i] = s[i], s[up]
		i = up
	}
}

// pop removes and returns the first timer; the heap must not be empty.
func (h *timers) pop() timer {
	s := *h
	first := s[0]
	last := len(s) - 1
	s[0] = s[last]
	s = s[:last]
	*h = s
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if s[child].compare(s[least]) < 0 {
				least = child
			}
		}
		if least == i {
			return first
		}
		s[least], s[i] = s[i], s[least]
		i = least
	}
}

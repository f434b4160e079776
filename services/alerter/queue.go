package alerter

import (
	"container/heap"
	"slices"
	"time"
)

// notice is a revision on its way to a receiver.
type notice struct {
	from   *partition
	offset int64
	at     time.Time // of the record
	key    []byte
	value  []byte
	// sig is nil if the record is no signal; why says then, and of a refused one,
	// what is wrong.
	sig *signal
	why error
	// due is when it may go; held is when the quiet hours end that hold it, zero
	// if none do.
	due, held time.Time
	// former is what the receiver was last told of the signal, where it matters.
	former *signal
}

// noticeOverhead is what a notice takes beside its record, roughly: the value is
// there twice, as bytes and decoded.
const noticeOverhead = 1 << 10

func (n *notice) size() int64 { return int64(2*len(n.value)+len(n.key)) + noticeOverhead }

// group is what goes to a receiver together.
type group struct {
	key     groupKeys
	due     time.Time
	seq     uint64
	index   int // in the heap
	notices []*notice
}

// groupKeys are what the notices of a group have in common.
type groupKeys struct {
	tenant, team, code string
	held               int64
}

// queue holds the notices that wait, in groups. The revisions of a signal leave
// it in the order in which they came. Not safe for concurrent use.
type queue struct {
	// most is how many notices a group holds.
	most int

	seq  uint64
	due  byDue
	open map[groupKeys]*group // the newest of each key
	// signals has the groups with a revision of a signal, in order.
	signals map[string][]*group
}

func newQueue(most int) *queue {
	return &queue{most: most, open: map[groupKeys]*group{}, signals: map[string][]*group{}}
}

// push puts a notice in a group that waits, or begins one. A revision that is due
// earlier takes the older ones of its signal along.
func (q *queue) push(n *notice) {
	if n.sig == nil {
		q.begin(n, groupKeys{})
		return
	}
	key := groupKeys{n.sig.Tenant, n.sig.Team, n.sig.Code, n.held.Unix()}
	into, older := q.open[key], q.signals[n.sig.ID]
	for _, g := range older {
		into = g
		q.hurry(g, n.due)
	}
	if into == nil || len(into.notices) >= q.most {
		into = q.begin(n, key)
		q.open[key] = into
	} else {
		into.notices = append(into.notices, n)
	}
	if len(older) == 0 || older[len(older)-1] != into {
		q.signals[n.sig.ID] = append(older, into)
	}
}

func (q *queue) begin(n *notice, key groupKeys) *group {
	q.seq++
	g := &group{key: key, due: n.due, seq: q.seq, notices: []*notice{n}}
	heap.Push(&q.due, g)
	return g
}

// hurry makes a group due no later than at a time. What is not in a hurry itself
// joins it no more.
func (q *queue) hurry(g *group, at time.Time) {
	if !at.Before(g.due) {
		return
	}
	g.due = at
	heap.Fix(&q.due, g.index)
	if q.open[g.key] == g {
		delete(q.open, g.key)
	}
}

// next returns when the next group is due; it reports whether there is one.
func (q *queue) next() (time.Time, bool) {
	if len(q.due) == 0 {
		return time.Time{}, false
	}
	return q.due[0].due, true
}

// take removes and returns the next group, due or not; nil if there is none.
func (q *queue) take() *group {
	if len(q.due) == 0 {
		return nil
	}
	g := heap.Pop(&q.due).(*group)
	q.forget(g)
	return g
}

// drop removes the notices of a partition.
func (q *queue) drop(p *partition) (dropped []*notice) {
	for _, g := range slices.Clone(q.due) {
		kept := g.notices[:0:0]
		for _, n := range g.notices {
			if n.from == p {
				dropped = append(dropped, n)
			} else {
				kept = append(kept, n)
			}
		}
		if len(kept) == 0 {
			heap.Remove(&q.due, g.index)
			q.forget(g)
		}
		g.notices = kept
	}
	for _, n := range dropped { // all revisions of a signal lie in one partition
		if n.sig != nil {
			delete(q.signals, n.sig.ID)
		}
	}
	return dropped
}

// forget ends a group: what comes now goes into another.
func (q *queue) forget(g *group) {
	if q.open[g.key] == g {
		delete(q.open, g.key)
	}
	for _, n := range g.notices {
		if n.sig == nil {
			continue
		}
		id := n.sig.ID
		if left := slices.DeleteFunc(q.signals[id], func(of *group) bool { return of == g }); len(left) > 0 {
			q.signals[id] = left
		} else {
			delete(q.signals, id)
		}
	}
}

// byDue is a heap of groups.
type byDue []*group

func (h byDue) Len() int { return len(h) }

func (h byDue) Less(i, j int) bool {
	if h[i].due.Equal(h[j].due) {
		return h[i].seq < h[j].seq
	}
	return h[i].due.Before(h[j].due)
}

func (h byDue) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *byDue) Push(x any) {
	g := x.(*group)
	g.index = len(*h)
	*h = append(*h, g)
}

// Pop implements heap.Interface.
func (h *byDue) Pop() any {
	last := len(*h) - 1
	g := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return g
}

package ledger

import (
	"slices"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Where the credit of an object stands.
const (
	creditNone        = goodhartv1.CreditState_CREDIT_STATE_UNSPECIFIED
	creditProvisional = goodhartv1.CreditState_CREDIT_STATE_PROVISIONAL
	creditFinal       = goodhartv1.CreditState_CREDIT_STATE_FINAL
	creditReverted    = goodhartv1.CreditState_CREDIT_STATE_REVERTED
	creditBarred      = goodhartv1.CreditState_CREDIT_STATE_BARRED
)

// object is an outcome object (a pull request, a ticket, a deployment, a commit)
// or what is known of one before its own event arrives: that something reverts
// it, or that it reverts something.
//
// Objects that revert others form a graph. An object is undone while one that
// reverts it is not undone itself, so a revert of a revert restores, to any
// depth.
type object struct {
	id    uint64
	names []uint64

	state           goodhartv1.CreditState
	outcome         goodhartv1.OutcomeKind
	tenant, object  string
	subject         string
	team, role      string
	repository      string
	repositoryClass string
	source          string
	identity        goodhartv1.IdentityType
	value           *int64
	ticket          string
	linked          *bool
	unreviewed      bool
	day             int64
	finalisesAt     int64
	survive         int64
	transitions     uint32

	// Event times of the last success and failure of its own, 0: none.
	succeeded, failed int64
	// sealed: undone for good.
	sealed bool
	// undone, and since which event time.
	undone   bool
	undoneAt int64
	// Names of the objects that revert it, and of those that it reverts.
	reverters, targets []uint64

	keepUntil, due int64
	visit          uint64
}

// cancelled reports whether the object has no credit to keep: it is undone, or
// it is a revert, whose author earns nothing.
func (o *object) cancelled() bool { return o.undone || len(o.targets) > 0 }

// credited reports whether the object's credit was decided.
func (o *object) credited() bool { return o.state != creditNone }

// naming finds the object that one of the names belongs to, or makes one, and
// gives it all of them. Two objects that turn out to be one are joined, unless
// both were credited.
func (f *Fold) naming(s *shard, names ...uint64) *object {
	var o *object
	for _, name := range names {
		got := s.objects[name]
		switch {
		case got == nil || got == o:
		case o == nil:
			o = got
		case !got.credited():
			o = s.join(o, got)
		case !o.credited():
			o = s.join(got, o)
		}
	}
	if o == nil {
		o = &object{id: names[0]}
	}
	for _, name := range names {
		if s.objects[name] == nil {
			s.objects[name] = o
			o.names = append(o.names, name)
		}
	}
	f.keep(s, o)
	return o
}

// join moves what is known of b to a.
func (s *shard) join(a, b *object) *object {
	for _, name := range b.names {
		s.objects[name] = a
	}
	a.names = append(a.names, b.names...)
	a.reverters = append(a.reverters, b.reverters...)
	a.targets = append(a.targets, b.targets...)
	a.succeeded, a.failed = max(a.succeeded, b.succeeded), max(a.failed, b.failed)
	a.sealed = a.sealed || b.sealed
	a.keepUntil = max(a.keepUntil, b.keepUntil)
	if b.undone && !a.undone {
		a.undoneAt = b.undoneAt
	}
	return a
}

// link records that o reverts target.
func (s *shard) link(o, target *object) {
	for _, name := range target.reverters {
		if s.objects[name] == o {
			return
		}
	}
	target.reverters = append(target.reverters, o.id)
	o.targets = append(o.targets, target.id)
}

// undone computes whether o is undone now.
func (s *shard) undone(o *object) bool {
	if o.sealed || o.failed != 0 && o.failed >= o.succeeded {
		return true
	}
	for _, name := range o.reverters {
		if by := s.objects[name]; by != nil && by != o && !by.undone {
			return true
		}
	}
	return false
}

// keep extends the life of an object that was named, and sets its timer.
func (f *Fold) keep(s *shard, o *object) {
	o.keepUntil = max(o.keepUntil, f.w+f.objectTTL)
	f.arm(s, o)
}

// arm sets the object's timer. A timer that is already due earlier stays: it
// finds out what is next when it fires.
func (f *Fold) arm(s *shard, o *object) {
	next := o.keepUntil
	if o.state == creditProvisional {
		next = o.finalisesAt // never after keepUntil
	}
	next = max(next, f.w+1)
	if o.due != 0 && o.due > f.w && o.due <= next {
		return
	}
	o.due = next
	f.timers.push(timer{due: next, key: o.id, shard: uint8(s.index), kind: timerObject})
}

// expire forgets an object. What it reverted stays reverted, what it no longer
// reverted is free of it.
func (s *shard) expire(o *object) {
	for _, name := range o.targets {
		t := s.objects[name]
		if t == nil || t == o {
			continue
		}
		t.reverters = slices.DeleteFunc(t.reverters, func(by uint64) bool { return s.objects[by] == o })
		t.sealed = t.sealed || !o.undone
	}
	for _, name := range o.names {
		delete(s.objects, name)
	}
}

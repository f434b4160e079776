package habit

import (
	"iter"

	"github.com/cespare/xxhash/v2"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// maxNames is how many names a tally knows; who uses more has no favourite among
// the rest.
const maxNames = 8

// tally counts requests by name, and what they used. A subject has one name of
// each kind most of the time: it lies in the tally, and is told by its hash, for
// an addition waits for memory more than for anything else.
type tally struct {
	first share
	rest  []share
}

// share is what one name makes up.
type share struct {
	name                       string
	hash                       uint64
	requests, tokens, costNano int64
}

// of returns the share of a name, nil for no name and for one too many.
func (t *tally) of(name []byte) *share {
	if len(name) == 0 {
		return nil
	}
	hash := xxhash.Sum64(name)
	if t.first.hash == hash {
		return &t.first
	}
	if t.first.name == "" {
		t.first = share{name: string(name), hash: hash}
		return &t.first
	}
	for i := range t.rest {
		if t.rest[i].hash == hash {
			return &t.rest[i]
		}
	}
	if 1+len(t.rest) == maxNames {
		return nil
	}
	t.rest = append(t.rest, share{name: string(name), hash: hash})
	return &t.rest[len(t.rest)-1]
}

// add counts a request.
func (t *tally) add(name []byte) {
	if s := t.of(name); s != nil {
		s.requests++
	}
}

// all yields the shares of all names in order of first appearance.
func (t *tally) all() iter.Seq[*share] {
	return func(yield func(*share) bool) {
		if t.first.name == "" || !yield(&t.first) {
			return
		}
		for i := range t.rest {
			if !yield(&t.rest[i]) {
				return
			}
		}
	}
}

// most is the name with most requests, the first in byte order of several; empty
// if there is none.
func (t *tally) most() string {
	best := ""
	var requests int64
	for s := range t.all() {
		if n := s.requests; n > requests || n == requests && n > 0 && s.name < best {
			best, requests = s.name, n
		}
	}
	return best
}

func (t *tally) save() []*goodhartv1.HabitCount {
	var saved []*goodhartv1.HabitCount
	for s := range t.all() {
		saved = append(saved, &goodhartv1.HabitCount{Name: s.name, Requests: s.requests, Tokens: s.tokens, CostNanos: s.costNano})
	}
	return saved
}

func loadTally(saved []*goodhartv1.HabitCount) (t tally) {
	for _, c := range saved {
		if s := t.of([]byte(c.Name)); s != nil {
			s.requests, s.tokens, s.costNano = c.Requests, c.Tokens, c.CostNanos
		}
	}
	return t
}

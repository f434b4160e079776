package habit

import (
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
	// names of first and rest, in order.
	names []string
}

// share is what one name makes up.
type share struct {
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
	for i := range t.rest {
		if t.rest[i].hash == hash {
			return &t.rest[i]
		}
	}
	if len(t.names) == maxNames {
		return nil
	}
	t.names = append(t.names, string(name))
	if len(t.names) == 1 {
		t.first.hash = hash
		return &t.first
	}
	t.rest = append(t.rest, share{hash: hash})
	return &t.rest[len(t.rest)-1]
}

// add counts a request.
func (t *tally) add(name []byte) {
	if s := t.of(name); s != nil {
		s.requests++
	}
}

// at is the share of the i-th name.
func (t *tally) at(i int) *share {
	if i == 0 {
		return &t.first
	}
	return &t.rest[i-1]
}

// most is the name with most requests, the first in byte order of several; empty
// if there is none.
func (t *tally) most() string {
	best := ""
	var requests int64
	for i, name := range t.names {
		if n := t.at(i).requests; n > requests || n == requests && n > 0 && name < best {
			best, requests = name, n
		}
	}
	return best
}

func (t *tally) save() []*goodhartv1.HabitCount {
	var saved []*goodhartv1.HabitCount
	for i, name := range t.names {
		s := t.at(i)
		saved = append(saved, &goodhartv1.HabitCount{Name: name, Requests: s.requests, Tokens: s.tokens, CostNanos: s.costNano})
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

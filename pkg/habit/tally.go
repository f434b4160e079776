package habit

import goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"

// maxNames is how many names a tally knows; who uses more has no favourite among
// the rest.
const maxNames = 8

// tally counts requests by name.
type tally []count

type count struct {
	name string
	n    int64
}

// add counts a request; no name is none.
func (t *tally) add(name []byte) {
	if len(name) == 0 {
		return
	}
	for i := range *t {
		if (*t)[i].name == string(name) {
			(*t)[i].n++
			return
		}
	}
	if len(*t) < maxNames {
		*t = append(*t, count{string(name), 1})
	}
}

// most is the name with most requests, the first in byte order of several; empty
// if there is none.
func (t tally) most() string {
	var best count
	for _, c := range t {
		if c.n > best.n || c.n == best.n && c.name < best.name {
			best = c
		}
	}
	return best.name
}

func (t tally) save() []*goodhartv1.HabitCount {
	var saved []*goodhartv1.HabitCount
	for _, c := range t {
		saved = append(saved, &goodhartv1.HabitCount{Name: c.name, Requests: c.n})
	}
	return saved
}

func loadTally(saved []*goodhartv1.HabitCount) tally {
	var t tally
	for _, c := range saved {
		t = append(t, count{c.Name, c.Requests})
	}
	return t
}

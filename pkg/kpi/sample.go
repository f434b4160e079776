package kpi

import (
	"hash/fnv"
	"math/rand/v2"
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/window"
)

const (
	// minWindow and maxWindow bound the length of the windows, weeks.
	minWindow, maxWindow = 5, 13
	// minPersons and minTeams are how many units a comparison needs.
	minPersons, minTeams = 200, 40
	// minClusters is how many teams a standard error needs.
	minClusters = 8
)

// Input is all that a card is computed from.
type Input struct {
	Panel  *Panel
	Target Target
	// Week is the week of the panel that the card is for; later weeks are not
	// looked at.
	Week int
	// Signalled of SignalledOf tokens of the week were spent in sessions that a
	// signal speaks of; unknown where SignalledOf is 0.
	Signalled, SignalledOf int64
}

// sample is what the checks share: the units that the target is set for and the
// windows that are compared.
//
// Windows are as long as the history allows. L, from 5 to 13 weeks, is the longest
// for which there are L weeks before the announcement (before), another L weeks
// before those (a placebo) and the two weeks ahead of them whose tokens their
// outcomes come of too. after is all weeks since the announcement, from 5 on and
// at most the last 2 L. Where there is history for more, every two neighbouring
// windows of it are one more placebo.
type sample struct {
	*Input
	units []*Unit
	// cluster is the team of a unit by number: what happens to a team happens to
	// its people together, so that teams are what is drawn.
	cluster  []int
	clusters int
	// usual is the median of each unit's tokens.
	usual []float64
	// control holds the units that the target is not set for.
	control *sample

	before, after span
	// history is before and its placebo together.
	history span
	// changed is around the announcement, placebos before it, the latest first.
	changed  []change
	placebos [][]change
	// short is why there are no windows, empty if there are.
	short string
}

func newSample(in *Input) *sample {
	s, control := &sample{Input: in}, &sample{Input: in}
	for i := range in.Panel.Units {
		u := &in.Panel.Units[i]
		if len(in.Target.Teams) == 0 || slices.Contains(in.Target.Teams, u.Team) {
			s.units = append(s.units, u)
		} else {
			control.units = append(control.units, u)
		}
	}
	s.measure()
	if len(control.units) > 0 {
		control.measure()
		s.control = control
	}
	return s
}

// measure numbers the clusters, lays the windows and compares them.
func (s *sample) measure() {
	number := make(map[string]int)
	for i, u := range s.units {
		s.usual = append(s.usual, u.usual(s.Week))
		if s.Panel.TeamUnits {
			s.cluster = append(s.cluster, i)
			continue
		}
		n, ok := number[u.Team]
		if !ok {
			n = len(number)
			number[u.Team] = n
		}
		s.cluster = append(s.cluster, n)
	}
	s.clusters = len(number)
	if s.Panel.TeamUnits {
		s.clusters = len(s.units)
	}

	announced, since := s.Target.Announced, s.Week-s.Target.Announced+1
	first := len(lags) - 1
	earlier := (announced - first) / 2
	length := min(earlier, maxWindow)
	switch {
	case earlier < minWindow:
		s.short = ReasonHistory
		return
	case since < minWindow:
		s.short = ReasonAfter
		return
	}
	s.before, s.after = span{announced - length, announced}, span{max(announced, s.Week+1-2*length), s.Week + 1}
	s.history = span{announced - 2*length, announced}
	s.changed = s.changes(s.before, s.after)
	for to := announced - length; to-length >= first; to -= length {
		s.placebos = append(s.placebos, s.changes(span{to - length, to}, span{to, to + length}))
	}
}

// enough returns why n units are too few for a comparison, empty if they are
// enough.
func (s *sample) enough(n int) string {
	least := minPersons
	if s.Panel.TeamUnits {
		least = minTeams
	}
	switch {
	case n < least:
		return ReasonUnits
	case s.clusters < minClusters:
		return ReasonClusters
	}
	return ""
}

// rng returns the generator of a check: its seed is the target, the week and the
// check, so that a card is the same whenever and wherever it is computed.
func (s *sample) rng(check string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s.Target.ID + "\x00" + check)) // a hash never fails
	return rand.New(rand.NewPCG(h.Sum64(), uint64(s.weekStart(s.Week))))
}

// weekStart returns the Monday of a week of the panel, ms.
func (s *sample) weekStart(week int) int64 { return s.Panel.Start + int64(week)*window.Week }

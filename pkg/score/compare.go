package score

import (
	"cmp"
	"slices"
	"strings"
)

// Distinct is the probability that one efficiency exceeds another from which on
// the two are told apart. Overlapping intervals are no ranking.
const Distinct = 0.95

// maxCompared is the most units that are compared each with each.
const maxCompared = 512

// scored returns the scores that have one, best first.
func (a *Assessment) scored() []*Score {
	var scored []*Score
	for i := range a.Scores {
		if a.Scores[i].Reason == "" {
			scored = append(scored, &a.Scores[i])
		}
	}
	slices.SortFunc(scored, func(a, b *Score) int {
		return cmp.Or(cmp.Compare(b.Index, a.Index), strings.Compare(a.Unit, b.Unit))
	})
	return scored
}

// compare counts the peers that each unit can be told from.
func (a *Assessment) compare() {
	scored := a.scored()
	if len(scored) > maxCompared {
		return
	}
	for i, s := range scored {
		s.Peers, s.PeersKnown = len(scored)-1, true
		for _, o := range scored[i+1:] {
			if s.Posterior.Above(o.Posterior) >= Distinct {
				s.Below++
				o.Above++
			}
		}
	}
}

// Groups returns the largest groups of units, best first, of which no two can be
// told apart. A unit may be in several, and a group of one stands for itself. It
// is nil for too many units.
func (a *Assessment) Groups() [][]string {
	scored := a.scored()
	if len(scored) > maxCompared {
		return nil
	}
	var groups [][]string
	end := 0
	for i := range scored {
		to := i + 1
		for to < len(scored) && alike(scored[i:to], scored[to]) {
			to++
		}
		if to == end {
			continue // all of it is in the group before
		}
		end = to
		var names []string
		for _, s := range scored[i:to] {
			names = append(names, s.Unit)
		}
		groups = append(groups, names)
	}
	return groups
}

// alike reports whether o cannot be told from any of the scores, which are better.
func alike(scores []*Score, o *Score) bool {
	for _, s := range scores {
		if s.Posterior.Above(o.Posterior) >= Distinct {
			return false
		}
	}
	return true
}

package signal

import "slices"

// The common-cause gate: if this share of those beside a subject moved at least
// half as far in the same week, with at least so many others to compare with,
// the question is not the subject's.
const (
	gateShare  = 0.30
	gateOthers = 5
	gateShift  = 0.5
)

// cohort is who stands beside a subject.
type cohort uint8

// The cohorts, in the order in which they take a question over: what a client or
// a model does to everyone explains a team too.
const (
	sameVersion cohort = iota
	sameModel
	sameTeam
	sameRepository
	cohorts
)

// String names the cohort.
func (c cohort) String() string {
	return [...]string{"client version", "model", "team", "repository"}[c]
}

// key is what the members have in common; empty for none.
func (c cohort) key(o *observation) string {
	w := o.week
	switch c {
	case sameVersion:
		if w.ToolVersion == "" {
			return ""
		}
		return w.Tool + " " + w.ToolVersion
	case sameModel:
		return w.Model
	case sameTeam:
		return w.Team
	case sameRepository:
		return w.Repository
	default:
		return ""
	}
}

// scope is what the question goes to. A repository is no scope of its own: those
// who work in it are asked through their team.
func (c cohort) scope(o *observation) (kind, scope string) {
	switch c {
	case sameVersion:
		return ScopeTool, o.week.Tool
	case sameModel:
		return ScopeModel, o.week.Model
	case sameTeam, sameRepository:
		return ScopeTeam, o.week.Team
	default:
		return "", ""
	}
}

// cohortShare is how many of the others in a cohort moved.
type cohortShare struct{ others, moved int64 }

func (s cohortShare) share() float64 { return share(s.moved, s.others) }

func (s cohortShare) finding() Finding {
	switch {
	case s.others < gateOthers:
		return Unseen
	case s.share() >= gateShare:
		return Together
	}
	return NotFound
}

// diverted returns the cohort that takes a question over, if there is one whose
// scope has a name.
func (r *Reading) diverted(o *observation) (cohort, bool) {
	for c := range cohorts {
		if _, scope := c.scope(o); scope != "" && r.together[c].finding() == Together {
			return c, true
		}
	}
	return 0, false
}

// shiftKey names the shifts of a cohort in a signal.
type shiftKey struct {
	cohort cohort
	key    string
	signal int
}

// shifts of everyone in a cohort who was measured, ascending.
func (p *population) shifts(k shiftKey) []float64 {
	if sorted, ok := p.sorted[k]; ok {
		return sorted
	}
	var shifts []float64
	for _, o := range p.members[k.cohort][k.key] {
		if r := &o.readings[k.signal]; r.Measure.measured() {
			shifts = append(shifts, r.Shift)
		}
	}
	slices.Sort(shifts)
	p.sorted[k] = shifts
	return shifts
}

// anyModel is the key of those who use any model.
const anyModel = "*"

// gate counts those beside a subject who moved with it in signal i, which is d. Where
// the statistic is the choice of models, those who share a model now are who chose it:
// there everyone stands beside a subject.
func (p *population) gate(o *observation, d *Definition, i int) {
	r := &o.readings[i]
	half := gateShift * r.Shift
	for c := range cohorts {
		key := c.key(o)
		if key == "" {
			continue
		}
		if c == sameModel && d.chooses {
			key = anyModel
		}
		shifts := p.shifts(shiftKey{c, key, i})
		at, _ := slices.BinarySearch(shifts, half)
		r.together[c] = cohortShare{others: int64(len(shifts) - 1), moved: int64(len(shifts) - at)}
		if r.Shift >= half {
			r.together[c].moved-- // the subject itself
		}
	}
}

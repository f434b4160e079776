package explain

import (
	"slices"
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/signal"
	"github.com/goodhartlabs/goodhart/pkg/tenant"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// weeksShown is as many weeks of a subject as its usual rests on, and the one that
// is judged.
const weeksShown = 11

// inputs is everything between a statement and the log. What speaks of a subject
// is of the one that the record is about; of a group there are sums alone.
type inputs struct {
	said *said
	// minimumGroup is k of the rules.
	minimumGroup int
	// weeks of the subject, oldest first.
	weeks []*goodhartv1.Week
	// before is what was remembered when the week was judged.
	before remembered
	// crossings of the signal, the last one being this revision.
	crossings []guardCrossing

	judged *judgement
	score  *scored
}

// remembered is the part of a signals' state that a question rests on.
type remembered struct {
	Standing  *signal.Standing
	Subject   *signal.SubjectState
	Group     *signal.GroupState
	Repeats   []signal.RepeatWeek
	Adoption  []signal.AdoptionState
	MutedTill []int64
}

// judgement is what a week came to.
type judgement struct {
	Week     string
	At       int64
	Before   remembered
	After    remembered
	Coverage signal.Coverage
	// Compared is how many subjects were judged together, People how many of them
	// are people, InScope how many of the people belong to the scope; 0 where the
	// record is about one subject.
	Compared, People, InScope int
	MinimumGroup              int
}

// guardCrossing is a rate guard that was crossed, or fell back.
type guardCrossing struct {
	Rev     uint32
	At      int64
	Status  signal.Status
	Version uint64
	Guard   *goodhartv1.Guard
}

func newInputs(s *said, minimumGroup int) *inputs {
	return &inputs{said: s, minimumGroup: minimumGroup}
}

func (in *inputs) observer() tenant.Observer {
	return tenant.Observer{Week: in.week, Crossing: in.crossing, Efficiency: in.efficiency}
}

// subject is the one that the record is about; empty for a group.
func (in *inputs) subject() string {
	switch {
	case in.said.Kind == signal.KindSelf:
		return in.said.Subject
	case in.said.ScopeKind == signal.ScopeService:
		return in.said.Scope
	default:
		return ""
	}
}

func (in *inputs) week(of *signal.Input, state *signal.State, result *signal.Result) {
	if of.Tenant != in.said.Tenant || in.judged != nil {
		return
	}
	if result == nil {
		in.before = in.remember(state)
		in.note(of)
		return
	}
	if !slices.ContainsFunc(result.Signals, func(s signal.Signal) bool { return s.ID == in.said.ID && int64(s.Rev) == in.said.Rev }) {
		return
	}
	j := &judgement{
		Week: window.WeekName(of.WeekStart), At: of.At, Before: in.before, After: in.remember(state),
		MinimumGroup: of.MinimumGroup, Compared: len(of.Subjects),
	}
	for _, c := range result.Coverage {
		if c.Code == in.said.Code {
			j.Coverage = c
		}
	}
	for i := range of.Subjects {
		if s := &of.Subjects[i]; strings.HasPrefix(s.ID, "p_") || strings.HasPrefix(s.ID, "a_") {
			j.People++
			if in.contains(s) {
				j.InScope++
			}
		}
	}
	in.judged = j
}

// note keeps the week of the subject that the record is about.
func (in *inputs) note(of *signal.Input) {
	for i := range of.Subjects {
		if s := &of.Subjects[i]; s.ID == in.subject() {
			in.weeks = append(in.weeks, s.Week)
			if len(in.weeks) > weeksShown {
				in.weeks = in.weeks[1:]
			}
			return
		}
	}
}

// contains reports whether a person belongs to the scope of the record.
func (in *inputs) contains(s *signal.Subject) bool {
	switch in.said.ScopeKind {
	case signal.ScopeTenant, signal.ScopeMetric:
		return true
	case signal.ScopeTeam:
		return s.Week.Team == in.said.Scope
	case signal.ScopeTool:
		return s.Week.Tool == in.said.Scope
	case signal.ScopeModel:
		return s.Week.Model == in.said.Scope
	default:
		return false
	}
}

// remember copies what the state holds about the question: the fold goes on with
// it.
func (in *inputs) remember(state *signal.State) remembered {
	var r remembered
	for _, s := range state.Signals {
		if s.ID == in.said.ID {
			r.Standing = &s
		}
	}
	kind, scope := in.said.ScopeKind, in.said.Scope
	if subject := in.subject(); subject != "" {
		kind, scope = signal.ScopeSelf, subject
		if in.said.ScopeKind == signal.ScopeService {
			kind = signal.ScopeService
		}
		for _, s := range state.Subjects {
			if s.Subject == subject {
				s.Families, s.Cheap = slices.Clone(s.Families), slices.Clone(s.Cheap)
				for i := range s.Families {
					s.Families[i].Windows = slices.Clone(s.Families[i].Windows)
				}
				s.Period.Closed, s.Month.Closed = slices.Clone(s.Period.Closed), slices.Clone(s.Month.Closed)
				r.Subject = &s
			}
		}
	}
	for _, g := range state.Groups {
		if g.Code == in.said.Code && g.Kind == kind && g.Scope == scope {
			g.Windows = slices.Clone(g.Windows)
			r.Group = &g
		}
	}
	for _, m := range state.Mutes {
		if m.Code == in.said.Code && m.Kind == kind && m.Scope == scope {
			r.MutedTill = append(r.MutedTill, m.Until)
		}
	}
	r.Repeats = slices.Clone(state.Repeats)
	for _, a := range state.Adoption {
		if a.Target == scope {
			a.Weeks = slices.Clone(a.Weeks)
			r.Adoption = append(r.Adoption, a)
		}
	}
	return r
}

func (in *inputs) crossing(c *signal.Crossing, s *signal.Signal) {
	if s.ID != in.said.ID || s.Tenant != in.said.Tenant || int64(s.Rev) > in.said.Rev {
		return
	}
	in.crossings = append(in.crossings, guardCrossing{Rev: s.Rev, At: c.At, Status: s.Status, Version: s.ConfigVersion, Guard: c.Guard})
}

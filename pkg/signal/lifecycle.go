package signal

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/window"
)

// A weekly signal opens when its condition holds, is updated whenever it fires
// again, and resolves after two windows running in which it did not, or when
// nothing has been measured for five weeks.
const (
	quietWindows = 2
	absentWeeks  = 5
	// closedKept is how long a resolved signal can still be disputed.
	closedKept = 13 * window.Week
)

// standingKey is what a signal is about.
type standingKey struct{ code, kind, scope string }

// indexStanding finds the open signal of each question.
func (e *evaluation) indexStanding() {
	e.standing = map[standingKey]int{}
	for i := range e.s.Signals {
		if st := &e.s.Signals[i]; st.open() {
			e.standing[standingKey{st.Code, st.Kind, st.Scope}] = i
		}
	}
}

func (e *evaluation) open(code, kind, scope string) *Standing {
	if i, ok := e.standing[standingKey{code, kind, scope}]; ok {
		return &e.s.Signals[i]
	}
	return nil
}

// muted reports whether a closed dispute silences a question at a time.
func (s *State) muted(code, kind, scope string, at int64) bool {
	return slices.ContainsFunc(s.Mutes, func(m Mute) bool {
		return m.Code == code && m.Kind == kind && m.Scope == scope && at < m.Until
	})
}

// scopeOf is where the questions about a subject go.
func scopeOf(s *Subject) (kind, scope string) {
	if isService(s.ID, s.Type) {
		return ScopeService, s.ID
	}
	return ScopeSelf, s.ID
}

// raiseSubjects opens, updates and resolves what concerns one subject.
func (e *evaluation) raiseSubjects() {
	for _, o := range e.p.observed {
		kind, scope := scopeOf(o.subject)
		for i := range e.catalogue {
			d := &e.catalogue[i]
			r := &o.readings[i]
			if d.Kind != Mechanism || !r.Measure.measured() {
				continue
			}
			st := e.open(d.Code, kind, scope)
			firing := o.state.firedIn(d.Code, e.in.WeekStart)
			switch {
			case st == nil && e.active[o][i] && !e.s.muted(d.Code, kind, scope, e.in.At):
				e.openSubject(o, i)
			case st == nil || r.Measure == Fired && coveredBy(o):
			case firing:
				e.updateSubject(st, o, i)
			default:
				e.quiet(st, func() []Fact { return e.evidence(o, i) })
			}
		}
	}
}

// firedIn reports whether a family's newest window is the week and fired.
func (s *SubjectState) firedIn(code string, week int64) bool {
	at, ok := slices.BinarySearchFunc(s.Families, code, func(f Family, code string) int { return cmp.Compare(f.Code, code) })
	if !ok || len(s.Families[at].Windows) == 0 {
		return false
	}
	last := s.Families[at].Windows[len(s.Families[at].Windows)-1]
	return last.Fired && last.Week == week
}

func (e *evaluation) openSubject(o *observation, i int) {
	d := &e.catalogue[i]
	kind, scope := scopeOf(o.subject)
	st := e.begin(Standing{Code: d.Code, Kind: kind, Scope: scope, Team: o.week.Team})
	e.tellSubject(st, o, i)
}

func (e *evaluation) updateSubject(st *Standing, o *observation, i int) {
	if st.Status == Disputed {
		return
	}
	st.revise(Updated, e.in.At)
	e.tellSubject(st, o, i)
}

// tellSubject states a signal about a subject.
func (e *evaluation) tellSubject(st *Standing, o *observation, i int) {
	d, r := &e.catalogue[i], &o.readings[i]
	confidence := e.confidence(o)
	st.SeenAt, st.Quiet = e.in.WeekStart, 0
	st.CostNanos, st.CostKnown = r.CostNanos, r.CostKnown
	st.Label, st.Severity = d.Label, Info
	if confidence >= 2 {
		st.Severity = Warning
	}
	if e.runsAway(st) {
		st.Label = Runaway
	}
	seen, name := d.self, ""
	if r.other {
		seen = d.other
	}
	if st.Kind == ScopeService {
		seen, name = d.shared, scopeName(st.Kind, st.Scope)
	}
	question := d.question(seen, r, r.findings, "{week}", window.WeekName(e.in.WeekStart), "{scope}", name)
	e.emit(st, d, question, e.evidence(o, i))
}

// runsAway reports whether a guard of the same scope is above its threshold too.
func (e *evaluation) runsAway(st *Standing) bool {
	return e.open(codeRate, st.Kind, st.Scope) != nil || e.open(codeSpend, st.Kind, st.Scope) != nil
}

// begin adds a signal that opens.
func (e *evaluation) begin(st Standing) *Standing {
	st.OpenedAt, st.UpdatedAt, st.Status = e.in.At, e.in.At, Opened
	st.ID = identify(e.in.Tenant, st.Code, st.Kind, st.Scope, e.in.WeekStart)
	if i := slices.IndexFunc(e.s.Signals, func(s Standing) bool { return s.ID == st.ID }); i >= 0 {
		// It resolved in the evaluation of the same week: it goes on.
		e.standing[standingKey{st.Code, st.Kind, st.Scope}] = i
		e.s.Signals[i].ResolvedAt = 0
		e.s.Signals[i].revise(Opened, e.in.At)
		return &e.s.Signals[i]
	}
	e.standing[standingKey{st.Code, st.Kind, st.Scope}] = len(e.s.Signals)
	e.s.Signals = append(e.s.Signals, st)
	return &e.s.Signals[len(e.s.Signals)-1]
}

// revise makes the next revision.
func (s *Standing) revise(status Status, at int64) {
	s.Status, s.UpdatedAt = status, at
	s.Rev++
	if status == Resolved {
		s.ResolvedAt = at
	}
}

// quiet counts a window without it, and resolves the signal after enough of them.
func (e *evaluation) quiet(st *Standing, facts func() []Fact) {
	if st.Status == Disputed {
		return
	}
	if st.Quiet++; st.Quiet < quietWindows {
		return
	}
	e.resolve(st, facts())
}

// resolve ends a signal.
func (e *evaluation) resolve(st *Standing, facts []Fact) {
	d := &e.catalogue[e.p.index[st.Code]]
	st.revise(Resolved, e.in.At)
	facts = append(facts, quietFact(st))
	delete(e.standing, standingKey{st.Code, st.Kind, st.Scope})
	e.emit(st, d, over.fill("{title}", d.Title, "{quiet}", strconv.Itoa(int(st.Quiet))), facts)
}

// quietFact says for how long a signal did not fire.
func quietFact(st *Standing) Fact {
	return count("quiet", "windows running in which it did not fire", int64(st.Quiet), "windows", int64(st.Quiet)).against(quietWindows)
}

// over is what a resolved signal says.
const over template = "{title}: this is over ({quiet} windows without it). What was it in the end?"

// emit states a revision.
func (e *evaluation) emit(st *Standing, d *Definition, question string, facts []Fact) {
	week := window.WeekName(e.in.WeekStart)
	for i := range facts {
		if facts[i].Window == "" {
			facts[i].Window = week
		}
	}
	e.result.Signals = append(e.result.Signals, Signal{
		Tenant: e.in.Tenant, Standing: *st, W: e.in.At, Title: d.Title, Question: question,
		Evidence: facts, Formula: d.Formula, ConfigVersion: e.in.ConfigVersion,
	})
}

// fade resolves what was not measured for long, and forgets what was resolved
// long ago.
func (e *evaluation) fade() {
	for i := range e.s.Signals {
		st := &e.s.Signals[i]
		weekly := e.catalogue[e.p.index[st.Code]].Kind != Immediate
		if weekly && st.open() && st.Status != Disputed && e.in.WeekStart-st.SeenAt > absentWeeks*window.Week {
			e.resolve(st, nil)
		}
	}
	e.s.Signals = slices.DeleteFunc(e.s.Signals, func(s Standing) bool { return !s.open() && e.in.At-s.ResolvedAt > closedKept })
	e.s.Mutes = slices.DeleteFunc(e.s.Mutes, func(m Mute) bool { return e.in.At >= m.Until })
	slices.SortFunc(e.s.Signals, func(a, b Standing) int { return strings.Compare(a.ID, b.ID) })
}

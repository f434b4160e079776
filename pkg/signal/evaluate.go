package signal

import (
	"cmp"
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Input is what is evaluated: the weeks of a tenant's subjects that have the same
// name.
type Input struct {
	Tenant string
	// WeekStart is the Monday 00:00 UTC that names the week.
	WeekStart int64
	// At is when it is evaluated, ms: the times of what opens, and of its records.
	At int64
	// Subjects in any order; of one that is there twice the first counts.
	Subjects []Subject
	// Policy that is in force, in its version; 0 for policy.Default.
	Policy        *policy.Policy
	ConfigVersion uint64
	// MinimumGroup is k: a question to a tool or a model concerns at least as many
	// people. Publishable says which teams may be shown in this week.
	MinimumGroup int
	Publishable  map[string]bool
	// Observe, if there is one, is told of every reading before anything explains
	// it: of the subject with an id, the signal with a code. The reading holds during
	// the call.
	Observe func(subject, code string, r *Reading)
}

// Result is what an evaluation comes to.
type Result struct {
	// Signals are the records to be published, in order.
	Signals []Signal
	// Coverage by code, in the order of the catalogue.
	Coverage []Coverage
	// Usage of people by team, sorted by team.
	Usage []TeamUsage
}

// Coverage says what became of one signal in a week.
type Coverage struct {
	Code string
	// Subjects that it is meant for; those whose figures were known, and who had
	// a sample and a history.
	Subjects, Known, Measured int64
	// Records of the subjects, and those that it could be measured on.
	Records, KnownRecords int64
	// Fired crossed the thresholds. Of them: Explained by a look-alike or a declared
	// event, Diverted to a tool or a team, Persistent and below the false discovery
	// rate.
	Fired, Explained, Diverted, Persistent int64
	// Suppressed questions concerned a group too small to be shown.
	Suppressed int64
}

// TeamUsage is what the people of a team used in the week, and how much of it is
// in what a persistent mechanism counts.
type TeamUsage struct {
	Team                      string
	Tokens, Signalled         int64
	CostNanos, SignalledNanos int64
	People, SignalledPeople   int64
}

// evaluation is one call of Evaluate.
type evaluation struct {
	in        *Input
	s         *State
	p         *population
	catalogue []Definition
	// active families of each subject, by index: set where persistent.
	active   map[*observation][]bool
	chance   []float64 // accepted by the false discovery rate, by code
	groups   []group
	standing map[standingKey]int
	result   Result
}

// Evaluate judges a week of a tenant and updates its state.
func Evaluate(in *Input, s *State) Result { return evaluate(in, s).result }

func evaluate(in *Input, s *State) *evaluation {
	e := &evaluation{in: in, s: s, catalogue: Catalogue(), active: map[*observation][]bool{}}
	e.p = newPopulation(in, s, e.catalogue)
	e.result.Signals = s.Settle(in.Tenant, in.At, in.Policy, in.ConfigVersion)
	e.indexStanding()
	e.recall()
	e.measure()
	for i := range e.catalogue {
		if e.catalogue[i].measure != nil {
			e.judge(i)
		}
	}
	e.judgeAdoption()
	e.discover()
	e.raiseSubjects()
	e.raiseGroups()
	e.fade()
	e.remember()
	slices.SortStableFunc(e.result.Signals, func(a, b Signal) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Scope, b.Scope), cmp.Compare(a.Code, b.Code))
	})
	return e
}

// recall finds the state of each subject, which it creates if it is absent, and
// notes what changed.
func (e *evaluation) recall() {
	merged := make([]SubjectState, 0, len(e.s.Subjects)+len(e.p.observed))
	old := e.s.Subjects
	for _, o := range e.p.observed {
		for len(old) > 0 && old[0].Subject < o.subject.ID {
			merged, old = append(merged, old[0]), old[1:]
		}
		if len(old) > 0 && old[0].Subject == o.subject.ID {
			merged, old = append(merged, old[0]), old[1:]
			continue
		}
		merged = append(merged, SubjectState{Subject: o.subject.ID})
	}
	e.s.Subjects = append(merged, old...)
	at := 0
	for _, o := range e.p.observed {
		for e.s.Subjects[at].Subject != o.subject.ID {
			at++
		}
		o.state = &e.s.Subjects[at]
		o.state.note(o.week)
		o.closed, o.months = o.addPeriods()
	}
}

// note remembers what changed with a week.
func (s *SubjectState) note(w *goodhartv1.Week) {
	week := w.WeekStartMs
	if w.ModelChanged {
		s.ModelChanged = week
	}
	if w.ToolVersionChanged {
		s.VersionChanged = week
	}
	if w.RepositoryChanged {
		s.RepositoryChanged = week
	}
	if s.Week != 0 && s.TzOffsetMin != w.TzOffsetMin {
		s.TzChanged = week
	}
	s.Week, s.TzOffsetMin = week, w.TzOffsetMin
}

// measure takes every statistic of every subject.
func (e *evaluation) measure() {
	for _, o := range e.p.observed {
		service := isService(o.subject.ID, o.subject.Type)
		for i := range e.catalogue {
			if d := &e.catalogue[i]; d.measure != nil && (!service || d.services) {
				o.compare(d.Code)
				o.readings[i] = d.measure(o)
			}
		}
		for i := range e.catalogue {
			if d := &e.catalogue[i]; d.given != nil && o.readings[i].Measure == Fired && !d.given(o) {
				o.readings[i].Measure = Quiet
			}
		}
		if e.in.Observe == nil {
			continue
		}
		for i := range e.catalogue {
			e.in.Observe(o.subject.ID, e.catalogue[i].Code, &o.readings[i])
		}
	}
}

// judge looks for other explanations of what fired in signal i, and adds the week
// to the histories.
func (e *evaluation) judge(i int) {
	d := &e.catalogue[i]
	coverage := Coverage{Code: d.Code}
	for _, o := range e.p.observed {
		if isService(o.subject.ID, o.subject.Type) && !d.services {
			continue
		}
		o.compare(d.Code)
		r := &o.readings[i]
		coverage.add(r)
		if !r.Measure.measured() {
			continue
		}
		family := o.state.family(d.Code, e.in.WeekStart, r.apart)
		if family == nil {
			continue // quiet, as ever
		}
		r.onset = family.Onset
		next := Window{Week: e.in.WeekStart, P: 1}
		if r.apart {
			e.p.gate(o, d, i)
			r.findings = d.check(o, r)
			c, diverted := r.diverted(o)
			explained := slices.ContainsFunc(r.findings, Finding.explains)
			if explained && !diverted {
				family.release()
				if d.release != nil {
					d.release(o.state)
				}
			} else {
				family.hold(o)
			}
			switch {
			case r.Measure != Fired:
			case coveredBy(o):
				coverage.Explained++
				continue // such a week says nothing
			case diverted && !slices.Contains(r.findings, Found):
				coverage.Diverted++
				e.divert(i, o, c)
			case explained:
				coverage.Explained++
			default:
				next.Fired, next.P = true, r.P
			}
		}
		family.expire(e.in.WeekStart)
		family.push(next)
	}
	e.result.Coverage = append(e.result.Coverage, coverage)
}

func (c *Coverage) add(r *Reading) {
	c.Subjects++
	c.Records += r.Of
	c.KnownRecords += r.Known
	if r.Measure != Unknown {
		c.Known++
	}
	if r.Measure.measured() {
		c.Measured++
	}
	if r.Measure == Fired {
		c.Fired++
	}
}

// coveredBy reports whether something was declared that explains anything of the
// week. A change of models explains only what says so.
func coveredBy(o *observation) bool {
	return o.declared(policy.Migration, policy.OnCall, policy.Vacation, policy.Incident, policy.Release)
}

// check looks for every look-alike.
func (d *Definition) check(o *observation, r *Reading) []Finding {
	findings := make([]Finding, len(d.LookAlikes))
	for i, l := range d.LookAlikes {
		findings[i] = l.check(o, r)
	}
	return findings
}

// The history of a family: how many windows, in how many of them it must have
// fired, and after how many calm ones it begins anew.
const (
	windowsKept = 3
	windowsHit  = 2
	calmWindows = 3
)

// family returns the history of a signal, which is created when it fires; nil if
// there is none. It notes when the thresholds began to be crossed.
func (s *SubjectState) family(code string, week int64, fired bool) *Family {
	at, ok := slices.BinarySearchFunc(s.Families, code, func(f Family, code string) int { return cmp.Compare(f.Code, code) })
	if !ok {
		if !fired {
			return nil
		}
		s.Families = slices.Insert(s.Families, at, Family{Code: code, Onset: week})
		return &s.Families[at]
	}
	f := &s.Families[at]
	switch {
	case !fired:
		f.Calm++
	case f.Calm >= calmWindows:
		f.Onset, f.Calm = week, 0
	default:
		f.Calm = 0
	}
	return f
}

// push adds a window.
func (f *Family) push(w Window) { f.Windows = push(f.Windows, w) }

func push(windows []Window, w Window) []Window {
	windows = append(slices.Clip(windows), w)
	if len(windows) > windowsKept {
		windows = windows[1:]
	}
	for len(windows) > 0 && !windows[0].Fired {
		windows = windows[1:]
	}
	return windows
}

// hits is in how many of the windows a signal fired, and the probability of that
// by chance: that two of three are as unlikely as the second smallest.
func hits(windows []Window, spans bool) (n int, p float64) {
	first, second := 1.0, 1.0
	for _, w := range windows {
		if !w.Fired {
			continue
		}
		n++
		if w.P < first {
			first, second = w.P, first
		} else {
			second = min(second, w.P)
		}
	}
	if spans {
		return n, first
	}
	return n, persistent(second)
}

// needed is in how many windows a signal must have fired.
func (d *Definition) needed() int {
	if d.spans {
		return 1
	}
	return windowsHit
}

// supportWeeks is how long a statistic that spans periods stands after its last
// one.
const supportWeeks = 5

// discover decides which persistent families stand, at the false discovery rate
// of each signal over its subjects.
func (e *evaluation) discover() {
	e.chance = make([]float64, len(e.catalogue))
	for _, o := range e.p.observed {
		e.active[o] = make([]bool, len(e.catalogue))
	}
	for i := range e.catalogue {
		d := &e.catalogue[i]
		if d.measure == nil {
			continue
		}
		var chances []float64
		measured := 0
		for _, o := range e.p.observed {
			if o.readings[i].Measure.measured() {
				measured++
			}
			if p, ok := e.candidate(o, d); ok {
				chances = append(chances, p)
			}
		}
		e.chance[i] = discoveries(chances, max(measured, len(chances)))
		for _, o := range e.p.observed {
			if p, ok := e.candidate(o, d); ok && p <= e.chance[i] {
				e.active[o][i] = true
				e.result.Coverage[e.coverageOf(d.Code)].Persistent++
			}
		}
	}
}

func (e *evaluation) coverageOf(code string) int {
	return slices.IndexFunc(e.result.Coverage, func(c Coverage) bool { return c.Code == code })
}

// candidate reports whether a family has fired often enough, the last time now.
func (e *evaluation) candidate(o *observation, d *Definition) (p float64, ok bool) {
	at, found := slices.BinarySearchFunc(o.state.Families, d.Code, func(f Family, code string) int { return cmp.Compare(f.Code, code) })
	if !found {
		return 1, false
	}
	windows := o.state.Families[at].Windows
	n, p := hits(windows, d.spans)
	if n < d.needed() {
		return 1, false
	}
	last := windows[len(windows)-1]
	if d.spans {
		return p, last.Fired && e.in.WeekStart-last.Week < supportWeeks*window.Week
	}
	return p, last.Fired && last.Week == e.in.WeekStart
}

// confidence is how many independent families stand against a subject. One that
// is only asked beside others adds nothing to them.
func (e *evaluation) confidence(o *observation) int64 {
	var n int64
	for i, is := range e.active[o] {
		if is && e.catalogue[i].given == nil {
			n++
		}
	}
	return max(n, 1)
}

// remember takes the week into what is usual, and forgets what is old.
func (e *evaluation) remember() {
	for _, o := range e.p.observed {
		if f := o.state.find("S11"); f == nil || f.Held == 0 {
			o.noteCheap()
		}
	}
	e.s.noteRepeats(e.p)
	const forget = 13 * window.Week
	e.s.Subjects = slices.DeleteFunc(e.s.Subjects, func(s SubjectState) bool { return e.in.WeekStart-s.Week > forget })
	for i := range e.s.Subjects {
		s := &e.s.Subjects[i]
		s.Families = slices.DeleteFunc(s.Families, func(f Family) bool { return len(f.Windows) == 0 && f.Calm >= calmWindows })
	}
	e.usage()
}

// usage adds up what people used, and how much of it is in what a persistent
// mechanism counts.
func (e *evaluation) usage() {
	for _, o := range e.p.observed {
		if !o.subject.isPerson() {
			continue
		}
		var tokens, cost int64
		for i, is := range e.active[o] {
			if is && e.catalogue[i].Kind == Mechanism {
				tokens = max(tokens, o.readings[i].Tokens)
				cost = max(cost, o.readings[i].CostNanos)
			}
		}
		at, ok := slices.BinarySearchFunc(e.result.Usage, o.week.Team, func(u TeamUsage, team string) int { return cmp.Compare(u.Team, team) })
		if !ok {
			e.result.Usage = slices.Insert(e.result.Usage, at, TeamUsage{Team: o.week.Team})
		}
		u := &e.result.Usage[at]
		u.People++
		u.Tokens += o.tokens()
		u.CostNanos += o.week.CostNanos
		u.Signalled += min(tokens, o.tokens())
		u.SignalledNanos += min(cost, o.week.CostNanos)
		if tokens > 0 || cost > 0 {
			u.SignalledPeople++
		}
	}
}

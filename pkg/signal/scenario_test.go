package signal

import (
	"slices"
	"strings"
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// scenario is what every weekly signal is tested with. A new signal adds one to
// scenarios and has all of the tests.
type scenario struct {
	code string
	// history is how many honest weeks come first, weeks how many fire.
	history, weeks int
	// fire makes a week fire; k counts the firing weeks.
	fire func(w *goodhartv1.Week, k int)
	// targets that the signal needs.
	targets []policy.Target
	// sample sets the sample of a week, keeping all else.
	sample func(w *goodhartv1.Week, n int64)
	// needsHistory: without what is usual for the subject it says nothing.
	needsHistory bool
	// below keeps one threshold from being crossed, by the threshold's name.
	below map[string]innocent
	// lookAlikes by name.
	lookAlikes map[string]innocent
}

// innocent is how a look-alike comes about.
type innocent struct {
	// others move with the subject; scope is then what is asked.
	others func(i int) bool
	scope  string
	// week changes the subject's firing weeks, declares the policy.
	week     func(w *goodhartv1.Week, k int)
	declares func(p *policy.Policy, week int64)
	// rest changes the weeks of all others, before what the subject had been.
	rest   func(w *goodhartv1.Week)
	before func(*SubjectState)
	// service: the subject is one.
	service bool
	// asks: nothing can tell, so that the subject is asked, and told so.
	asks bool
}

func (s *scenario) company(t *testing.T) *company {
	t.Helper()
	c := newCompany(t)
	c.declares.Targets = slices.Clone(s.targets)
	c.run(s.history)
	return c
}

// fired runs the firing weeks, changed by how.
func (s *scenario) fired(c *company, how innocent) {
	if how.declares != nil {
		how.declares(&c.declares, c.week)
	}
	if how.before != nil {
		how.before(&c.state.Subjects[0])
	}
	if how.service {
		c.adjust = func(in *Input) { in.Subjects[0].Type = goodhartv1.IdentityType_IDENTITY_TYPE_SERVICE }
	}
	k := 0
	c.change = func(i int, w *goodhartv1.Week) {
		if i != 0 && how.rest != nil {
			how.rest(w)
		}
		if i != 0 && (how.others == nil || !how.others(i)) {
			return
		}
		s.fire(w, k)
		if i == 0 && how.week != nil {
			how.week(w, k)
		}
	}
	for k = range s.weeks {
		c.run(1)
	}
}

// trial is one test of one signal.
type trial struct {
	*testing.T
	s *scenario
	d *Definition
}

func TestSignals(t *testing.T) {
	for _, s := range scenarios() {
		t.Run(s.code, func(t *testing.T) {
			d, ok := Lookup(s.code)
			if !ok {
				t.Fatal("not in the catalogue")
			}
			t.Run("fires", func(t *testing.T) { trial{t, &s, &d}.fires() })
			t.Run("minimum sample", func(t *testing.T) { trial{t, &s, &d}.sample() })
			t.Run("unknown", func(t *testing.T) { trial{t, &s, &d}.unknown() })
			t.Run("no history", func(t *testing.T) { trial{t, &s, &d}.noHistory() })
			t.Run("gate", func(t *testing.T) { trial{t, &s, &d}.gate() })
			t.Run("declared", func(t *testing.T) { trial{t, &s, &d}.declared() })
			for _, threshold := range d.Thresholds {
				t.Run("below "+threshold.Name, func(t *testing.T) { trial{t, &s, &d}.threshold(threshold.Name) })
			}
			for _, l := range d.LookAlikes {
				t.Run(l.Name, func(t *testing.T) { trial{t, &s, &d}.lookAlike(l.Name) })
			}
			if len(s.lookAlikes) != len(d.LookAlikes) {
				t.Errorf("%d look-alikes have a case, the catalogue has %d", len(s.lookAlikes), len(d.LookAlikes))
			}
		})
	}
}

// Every weekly signal of subjects has a scenario.
func TestEverySignalHasAScenario(t *testing.T) {
	have := map[string]bool{}
	for _, s := range scenarios() {
		have[s.code] = true
	}
	for _, d := range Catalogue() {
		if d.measure != nil && !have[d.Code] {
			t.Errorf("%s has no scenario", d.Code)
		}
	}
}

// A mechanism opens a question to the person and to nobody else; what supports
// opens nothing.
func (t trial) fires() {
	s, d := t.s, t.d
	c := s.company(t.T)
	s.fired(c, innocent{})
	if !c.stands(s.code) {
		t.Fatalf("does not stand: %+v, families %+v", *c.observed().of(s.code), c.observed().state.Families)
	}
	if s.code != "S7" && s.code != "S11" { // those come beside another
		for _, x := range c.all {
			if x.Code != s.code {
				t.Errorf("%s opened too: %s", x.Code, x.Question)
			}
		}
	}
	opened := c.about(s.code, ScopeSelf)
	if d.Kind != Mechanism {
		if len(opened) != 0 {
			t.Errorf("a supporting signal opened: %s", opened[0].Question)
		}
		return
	}
	if len(opened) == 0 || opened[0].Scope != subject || opened[0].Status != Opened || opened[0].Rev != 0 || !opened[0].Private() {
		t.Fatalf("opened: %+v", opened)
	}
	if opened[0].Label != d.Label || opened[0].ConfigVersion != 7 {
		t.Errorf("label %s, configuration %d", opened[0].Label, opened[0].ConfigVersion)
	}
	for _, name := range []string{"headline", "coverage", "persistence", "confidence", "team_share", "chance_of_it"} {
		if !hasFact(&opened[0], name) {
			t.Errorf("no fact %s", name)
		}
	}
}

func hasFact(s *Signal, name string) bool {
	for i := range s.Evidence {
		if s.Evidence[i].Name == name {
			return true
		}
	}
	return false
}

// One below the minimum says nothing, the minimum itself does.
func (t trial) sample() {
	s, d := t.s, t.d
	run := func(n int64) Measure {
		c := s.company(t.T)
		s.fired(c, innocent{week: func(w *goodhartv1.Week, _ int) { s.sample(w, n) }})
		return c.observed().of(s.code).Measure
	}
	if s.sample == nil {
		return // its sample is periods: see TestPeriods
	}
	if got := run(d.MinimumN - 1); got != TooFew {
		t.Errorf("with %d: %v", d.MinimumN-1, got)
	}
	if got := run(d.MinimumN); got != Fired {
		t.Errorf("with %d: %v", d.MinimumN, got)
	}
}

// Without a known record there is no signal, and the coverage says so.
func (t trial) unknown() {
	s := t.s
	if s.sample == nil {
		return
	}
	c := s.company(t.T)
	s.fired(c, innocent{week: func(w *goodhartv1.Week, _ int) { s.sample(w, 0) }})
	if got := c.observed().of(s.code); got.Measure != Unknown || c.stands(s.code) || len(c.about(s.code, ScopeSelf)) != 0 {
		t.Errorf("%+v", got)
	}
	coverage := c.last.result.Coverage[c.last.coverageOf(s.code)]
	if coverage.Known != coverage.Subjects-1 || coverage.KnownRecords > coverage.Records {
		t.Errorf("coverage %+v", coverage)
	}
}

func (t trial) noHistory() {
	s := t.s
	if !s.needsHistory {
		return
	}
	c := s.company(t.T)
	s.fired(c, innocent{week: func(w *goodhartv1.Week, _ int) { forget(w) }})
	if got := c.observed().of(s.code); got.Measure != NoHistory || len(c.about(s.code, ScopeSelf)) != 0 {
		t.Errorf("%v", got.Measure)
	}
}

// If the team moves together, the person is not asked; of a mechanism the team is.
func (t trial) gate() {
	s, d := t.s, t.d
	c := s.company(t.T)
	s.fired(c, innocent{others: beside(teamOf)})
	if c.stands(s.code) || len(c.about(s.code, ScopeSelf)) != 0 {
		t.Error("the person is asked")
	}
	asked := c.about(s.code, ScopeTeam)
	if (d.Kind == Mechanism) != (len(asked) > 0) {
		t.Errorf("%d questions to the team", len(asked))
	}
	for _, a := range asked {
		if a.Scope != "t0" || a.Team != "t0" || strings.Contains(string(a.AppendJSON(nil)), "p_") {
			t.Errorf("%s", a.AppendJSON(nil))
		}
	}
}

// A declared on-call duty covers a person's week.
func (t trial) declared() {
	s := t.s
	c := s.company(t.T)
	s.fired(c, innocent{declares: event(policy.OnCall)})
	if c.stands(s.code) || len(c.about(s.code, ScopeSelf)) != 0 {
		t.Error("the person is asked")
	}
}

// One threshold that is not crossed keeps all from firing.
func (t trial) threshold(name string) {
	how, ok := t.s.below[name]
	if !ok {
		t.Fatal("has no case")
	}
	c := t.s.company(t.T)
	t.s.fired(c, how)
	r := c.observed().of(t.s.code)
	explained := slices.ContainsFunc(r.findings, Finding.explains)
	if r.Measure == Fired && !explained || c.stands(t.s.code) || len(c.about(t.s.code, ScopeSelf)) != 0 {
		t.Errorf("%+v", *r)
	}
}

func (t trial) lookAlike(name string) {
	s, d := t.s, t.d
	how, ok := s.lookAlikes[name]
	if !ok {
		t.Fatal("has no case")
	}
	c := s.company(t.T)
	s.fired(c, how)
	asked := c.about(s.code, ScopeSelf)
	if how.asks {
		if !c.stands(s.code) {
			t.Fatal("nothing tells it apart, yet it does not stand")
		}
		if d.Kind == Mechanism && !slices.Contains(asked[0].Evidence[0].LookAlikes, name+": cannot be seen here") {
			t.Errorf("the person is not told: %s", asked[0].Question)
		}
		return
	}
	if c.stands(s.code) || len(asked) != 0 {
		t.Fatalf("the person is asked: %+v", *c.observed().of(s.code))
	}
	if how.scope != "" && len(c.about(s.code, how.scope)) == 0 {
		t.Errorf("the question does not go to the %s", how.scope)
	}
	if how.scope == "" {
		for _, kind := range []string{ScopeTeam, ScopeTool, ScopeModel, ScopeService} {
			if len(c.about(s.code, kind)) != 0 {
				t.Errorf("the question goes to the %s", kind)
			}
		}
	}
}

// event declares something about the subject for the firing weeks.
func event(kind policy.ContextKind) func(*policy.Policy, int64) {
	return func(p *policy.Policy, week int64) {
		p.Context = append(p.Context, policy.Context{
			Kind: kind, Scope: policy.ScopeSubject, Name: subject, From: policy.Day(week), To: policy.Day(week + 30*window.Week),
		})
	}
}

// onset applies a change to the first firing week.
func onset(change func(*goodhartv1.Week)) func(*goodhartv1.Week, int) {
	return func(w *goodhartv1.Week, k int) {
		if k == 0 {
			change(w)
		}
	}
}

// The look-alikes that several signals have.
var (
	team    = innocent{others: beside(teamOf), scope: ScopeTeam}
	version = innocent{others: beside(versionOf), scope: ScopeTool}
	model   = innocent{others: beside(modelOf), scope: ScopeModel}
	// elsewhere is almost half of the company, and nobody who is beside the subject in
	// any way but for the model.
	elsewhere = innocent{scope: ScopeModel, others: func(i int) bool {
		return !beside(teamOf)(i) && !beside(versionOf)(i) && !beside(repositoryOf)(i)
	}}
	asks = innocent{asks: true}
)

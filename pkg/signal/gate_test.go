package signal

import (
	"fmt"
	"math"
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// The gate opens at 30 % of the others, from five others on, at half the shift.
func TestGateShares(t *testing.T) {
	f := func(others, moved int64, want Finding) {
		t.Helper()
		if got := (cohortShare{others, moved}).finding(); got != want {
			t.Errorf("%d of %d: %v", moved, others, got)
		}
	}
	f(4, 4, Unseen)
	f(5, 2, Together)
	f(5, 1, NotFound)
	f(10, 3, Together)
	f(100, 29, NotFound)
	f(100, 30, Together)
}

// moving fires S12 for p_00, and a smaller drop for some of the team.
func moving(c *company, others int, drop float64) {
	c.change = func(i int, w *goodhartv1.Week) {
		if i == 0 {
			fireCache(w, 0)
		}
		if teamOf(i) == 0 && i > 0 && i/5 <= others {
			w.CacheTurnReadTokens = int64((0.8 - drop) * float64(w.CacheTurnInputTokens))
		}
	}
}

func TestGateShift(t *testing.T) {
	// The subject's own drop is .60; four of eleven others are 36 %.
	f := func(others int, drop float64, toTeam bool) {
		t.Helper()
		c := newCompany(t)
		moving(c, others, drop)
		c.run(3)
		if self := len(c.about("S12", ScopeSelf)) > 0; self == toTeam {
			t.Errorf("%d others, drop %.2f: asks the person: %v", others, drop, self)
		}
		if team := len(c.about("S12", ScopeTeam)) > 0; team != toTeam {
			t.Errorf("%d others, drop %.2f: asks the team: %v", others, drop, team)
		}
	}
	f(4, 0.31, true)
	f(4, 0.29, false)
	f(3, 0.31, false) // 27 %
}

// A team that may not be shown, or a tool of fewer than k people, is not asked;
// the person is not asked instead.
func TestSmallGroups(t *testing.T) {
	for name, adjust := range map[string]func(*Input){
		"not publishable": func(in *Input) { in.Publishable["t0"] = false },
		"unknown":         func(in *Input) { in.Publishable = nil },
	} {
		c := newCompany(t)
		moving(c, 11, 0.6)
		c.adjust = adjust
		c.run(3)
		if len(c.all) != 0 {
			t.Errorf("%s: %s", name, c.all[0].Question)
		}
		if got := c.last.result.Coverage[c.last.coverageOf("S12")]; got.Suppressed != 1 || got.Diverted == 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	s := scenarios()[0]
	for k, want := range map[int]bool{20: true, 21: false} {
		c := s.company(t)
		c.adjust = func(in *Input) { in.MinimumGroup = k }
		s.fired(c, version)
		if got := len(c.about("S1", ScopeTool)) > 0; got != want {
			t.Errorf("k = %d, twenty people with the version: asked %v", k, got)
		}
	}
}

// Those who work in a repository are asked through their team.
func TestRepositoryGoesToTheTeam(t *testing.T) {
	s := scenarios()[0]
	c := s.company(t)
	s.fired(c, innocent{others: beside(repositoryOf)})
	asked := c.about("S1", ScopeTeam)
	if len(c.about("S1", ScopeSelf)) != 0 || len(asked) == 0 {
		t.Fatalf("%d questions to teams", len(asked))
	}
	teams := map[string]bool{}
	for _, a := range asked {
		teams[a.Scope] = true
	}
	if len(teams) != 5 { // p_00, p_01, p_12 ... are of all five
		t.Errorf("teams %v", teams)
	}
}

// The cost of a shared question is not told if it is one person's.
func TestDominance(t *testing.T) {
	f := func(want bool, parts ...int64) {
		t.Helper()
		if dominated(parts) != want {
			t.Errorf("%v: %v", parts, !want)
		}
	}
	f(false, 10, 10, 10, 10)
	f(true, 31, 10, 10, 10)
	f(false, 30, 10, 10, 10, 3)
	f(true, 40, 40, 10, 10)
	f(true, 1)
	f(false)
}

// Where a cohort is too small to tell, the subject's own update of the client
// explains; where it can tell, it does not.
func TestUpdatedAlone(t *testing.T) {
	f := func(versionMates int, want bool) {
		t.Helper()
		c := newCompany(t)
		k := 0
		c.change = func(i int, w *goodhartv1.Week) {
			w.ToolVersion = "old"
			if i <= versionMates {
				w.ToolVersion = "new"
			}
			if i == 0 {
				fireCache(w, 0)
				w.ToolVersionChanged = k == 0
			}
		}
		for k = range 3 {
			c.run(1)
		}
		if got := len(c.about("S12", ScopeSelf)) > 0; got != want {
			t.Errorf("%d others with the version: asked %v", versionMates, got)
		}
	}
	f(4, false)
	f(5, true)
}

// A change explains what began with it, not what had begun before.
func TestOnset(t *testing.T) {
	f := func(at int, want bool) {
		t.Helper()
		c := newCompany(t)
		c.run(4)
		k := 0
		c.change = func(i int, w *goodhartv1.Week) {
			if i != 0 {
				return
			}
			w.ModelChanged = k-2 == at
			if k >= 2 {
				fireCache(w, 0)
			}
		}
		for k = range 6 {
			c.run(1)
		}
		if got := len(c.about("S12", ScopeSelf)) > 0; got != want {
			t.Errorf("change %d weeks after the onset: asked %v", at, got)
		}
	}
	f(-2, true)
	f(-1, false)
	f(0, false)
	f(1, true)
}

// It takes three calm windows for a signal to begin anew: until then what began it
// explains it.
func TestOnsetLasts(t *testing.T) {
	f := func(pattern string, want bool) {
		t.Helper()
		c := newCompany(t)
		for k, what := range pattern {
			c.change = func(i int, w *goodhartv1.Week) {
				if i == 0 && what == 'x' {
					fireCache(w, 0)
					w.ModelChanged = k == 0
				}
			}
			c.run(1)
		}
		if got := len(c.all) > 0; got != want {
			t.Errorf("%s: asked %v", pattern, got)
		}
	}
	f("x..xx", false)
	f("x...xx", true)
}

// A shared question takes two windows, as any other, and tells no cost that is
// mostly one person's.
func TestSharedPersistence(t *testing.T) {
	run := func(weeks int, change func(i int, w *goodhartv1.Week)) *company {
		c := newCompany(t)
		c.change = func(i int, w *goodhartv1.Week) {
			if teamOf(i) == 0 {
				fireContext(w, 0)
				if change != nil {
					change(i, w)
				}
			}
		}
		c.run(weeks)
		return c
	}
	if c := run(1, nil); len(c.all) != 0 {
		t.Errorf("after one window: %s", c.all[0].Question)
	}
	c := run(2, nil)
	if len(c.all) != 1 || c.all[0].Kind != ScopeTeam || !c.all[0].CostKnown || c.all[0].CostNanos == 0 {
		t.Fatalf("%+v", c.all)
	}
	c = run(2, func(i int, w *goodhartv1.Week) {
		if i == 0 {
			w.CostNanos *= 100
		}
	})
	if len(c.all) != 1 || c.all[0].CostKnown {
		t.Errorf("%+v", c.all)
	}
}

// A subject's own history counts from four weeks on; the spread of it is made of
// the MAD, and has a floor.
func TestOwnHistory(t *testing.T) {
	const s = goodhartv1.Statistic_STATISTIC_CONTEXT
	f := func(weeks int32, mad int64, want float64, known bool) {
		t.Helper()
		w := &goodhartv1.Week{Baselines: []*goodhartv1.Baseline{{Statistic: s, Median: 2_000_000, Mad: mad, Weeks: weeks}, {Statistic: 99, Weeks: 9}}}
		o := newObservation(&Subject{ID: subject, Week: w}, nil, 0)
		z, ok := o.z(s, 3, floorLog)
		if ok != known || ok && math.Abs(z-want) > 1e-9 {
			t.Errorf("%d weeks: z %g, known %v", weeks, z, ok)
		}
	}
	f(3, 500_000, 0, false)
	f(4, 500_000, 1/(1.4826*0.5), true)
	f(10, 1_000, 4, true)
}

// People without a role are nobody's peers, so that what needs peers is unknown.
func TestNoRole(t *testing.T) {
	c := newCompany(t)
	c.change = func(i int, w *goodhartv1.Week) {
		if i == 0 {
			firePrompts(w, 0)
		}
	}
	c.adjust = func(in *Input) {
		for i := range in.Subjects {
			in.Subjects[i].Role = ""
		}
	}
	c.run(1)
	if got := c.observed().of("S3").Measure; got != NoHistory {
		t.Errorf("%v", got)
	}
}

// A service is spoken of in public, in what is measured on services.
func TestServices(t *testing.T) {
	c := newCompany(t)
	c.adjust = func(in *Input) {
		in.Subjects[0].ID, in.Subjects[0].Type = "s_nightly", goodhartv1.IdentityType_IDENTITY_TYPE_SERVICE
		fireCache(in.Subjects[0].Week, 0)
		fireRepeats(in.Subjects[0].Week, 0)
		fireClock(in.Subjects[0].Week, 0)
	}
	c.run(3)
	if len(c.all) == 0 {
		t.Fatal("nothing raised")
	}
	for _, s := range c.all {
		if s.Code != "S12" || s.Kind != ScopeService || s.Scope != "s_nightly" || s.Private() {
			t.Errorf("%s about %s %s", s.Code, s.Kind, s.Scope)
		}
	}
	for _, id := range []string{"k_key", "a_account"} {
		c := newCompany(t)
		c.adjust = func(in *Input) {
			in.Subjects[0].ID, in.Subjects[0].Type = id, goodhartv1.IdentityType_IDENTITY_TYPE_UNSPECIFIED
			fireCache(in.Subjects[0].Week, 0)
		}
		c.run(3)
		if len(c.all) == 0 || !c.all[0].Private() {
			t.Errorf("%s is not told in private", id)
		}
	}
}

// Two windows of the last three, whatever lies between; a week that a declared
// event covers is no window, and neither is one that could not be measured.
func TestPersistence(t *testing.T) {
	f := func(pattern string, want int) {
		t.Helper()
		c := newCompany(t)
		at := -1
		for k, what := range pattern {
			c.change = func(i int, w *goodhartv1.Week) {
				switch {
				case i != 0:
				case what == 'x' || what == 'v':
					fireCache(w, 0)
				case what == '?':
					w.CacheTurns = 0
				}
			}
			c.declares.Context = nil
			if what == 'v' {
				c.declares.Context = []policy.Context{{
					Kind: policy.Incident, Scope: policy.ScopeTenant, From: policy.Day(c.week), To: policy.Day(c.week + window.Week),
				}}
			}
			c.run(1)
			if len(c.all) > 0 && at < 0 {
				at = k
			}
		}
		if at != want {
			t.Errorf("%s: opened at %d, want %d", pattern, at, want)
		}
	}
	f("xx", 1)
	f("x.x", 2)
	f("x..x", -1)
	f("x??x", 3)
	f("xvvx", 3)
	f("vvv", -1)
	f(".x.x", 3)
	f("x...xx", 5)
}

// Those whom the declared event does not cover are asked.
func TestEventsCover(t *testing.T) {
	day := func(k int64) policy.Day { return policy.Day(firstWeek + k*window.Day) }
	o := newObservation(&Subject{ID: subject, Week: honestWeek(0, firstWeek)}, &population{}, 0)
	f := func(kind policy.ContextKind, scope policy.Scope, name string, from, to int64, want bool) {
		t.Helper()
		e := policy.Context{Kind: kind, Scope: scope, Name: name, From: day(from), To: day(to)}
		o.all.policy = inForce(t, policy.Policy{Teams: []policy.Team{{ID: "t0", Size: 9}, {ID: "t1", Size: 9}}, Context: []policy.Context{e}})
		if got := o.declared(kind); got != want {
			t.Errorf("%+v: %v", e, got)
		}
	}
	f(policy.Migration, policy.ScopeTenant, "", 0, 7, true)
	f(policy.Migration, policy.ScopeTeam, "t0", 0, 7, true)
	f(policy.Migration, policy.ScopeTeam, "t1", 0, 7, false)
	f(policy.Migration, policy.ScopeTool, "claude-code", 0, 7, true)
	f(policy.Migration, policy.ScopeTool, "codex", 0, 7, false)
	f(policy.Migration, policy.ScopeSubject, subject, 0, 7, true)
	f(policy.Migration, policy.ScopeSubject, fmt.Sprintf("p_%032x", 1), 0, 7, false)
	f(policy.Migration, policy.ScopeCredential, "k", 0, 7, false)
	f(policy.Migration, policy.ScopeTenant, "", -5, 0, false)
	f(policy.Migration, policy.ScopeTenant, "", -5, 1, true)
	f(policy.Vacation, policy.ScopeTenant, "", -5, 0, true) // the return
	f(policy.Vacation, policy.ScopeTenant, "", -12, -7, false)
	f(policy.Migration, policy.ScopeTenant, "", 7, 14, false)
	f(policy.Release, policy.ScopeTenant, "", 0, 7, true)
	if !o.declared() || o.declared(policy.Migration) {
		t.Error("kinds")
	}
}

// What a team did in a week in which it may not be shown is not stated when its
// signal resolves either.
func TestSuppressedEvidence(t *testing.T) {
	c := newCompany(t)
	c.change = func(i int, w *goodhartv1.Week) {
		if teamOf(i) == 0 {
			fireCache(w, 0)
		}
	}
	c.run(2)
	c.adjust = func(in *Input) { in.Publishable["t0"] = false }
	c.run(2)
	asked := c.about("S12", ScopeTeam)
	if len(asked) < 2 || asked[0].Status != Opened || asked[len(asked)-1].Status != Resolved {
		t.Fatalf("%+v", asked)
	}
	for _, fact := range asked[len(asked)-1].Evidence {
		if fact.Name != "quiet" {
			t.Errorf("of a hidden week: %+v", fact)
		}
	}
}

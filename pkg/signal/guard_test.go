package signal

import (
	"strings"
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

const guardStart = firstWeek + 10*window.Hour

// crossing of a guard k minutes after the start.
func crossing(who string, metric goodhartv1.GuardMetric, pane, minute int64, ended bool) *Crossing {
	c := &Crossing{
		Tenant: "acme", Subject: who,
		Guard: &goodhartv1.Guard{
			Metric: metric, PaneMs: pane, PaneStartMs: guardStart + minute*window.Minute,
			Value: 2000, P99: 20, Threshold: 160, Panes: 600, Ended: ended,
			Team: "t0", Tool: "claude-code", Model: "m0", Credential: "ci-key",
		},
		At: guardStart + (minute+2)*window.Minute, Policy: nothing(),
	}
	if strings.HasPrefix(who, "s_") {
		c.Type = goodhartv1.IdentityType_IDENTITY_TYPE_SERVICE
	}
	if metric == goodhartv1.GuardMetric_GUARD_METRIC_COST {
		c.Guard.Value, c.Guard.P99, c.Guard.Threshold = 50e9, 1e9, 8e9
	}
	return c
}

const (
	requestsMetric = goodhartv1.GuardMetric_GUARD_METRIC_REQUESTS
	tokensMetric   = goodhartv1.GuardMetric_GUARD_METRIC_TOKENS
	costMetric     = goodhartv1.GuardMetric_GUARD_METRIC_COST
)

// A service's crossing is told at once and in public, with key, tool and model; it
// is over when every guard has fallen back.
func TestGuardOfAService(t *testing.T) {
	var s State
	opened, ok := s.Cross(crossing("s_ci", requestsMetric, window.Minute, 0, false))
	if !ok || opened.Code != "R1" || opened.Kind != ScopeService || opened.Scope != "s_ci" || opened.Status != Opened ||
		opened.Severity != Critical || opened.Label != Runaway || opened.Team != "t0" || opened.OpenedAt != guardStart+2*window.Minute {
		t.Fatalf("%+v", opened)
	}
	for _, part := range []string{"ci-key", "claude-code", "m0", "2000", "160", "600"} {
		if !strings.Contains(opened.Question, part) {
			t.Errorf("%q does not name %s", opened.Question, part)
		}
	}
	updated, ok := s.Cross(crossing("s_ci", tokensMetric, 5*window.Minute, 1, false))
	if !ok || updated.ID != opened.ID || updated.Rev != 1 || updated.Status != Updated {
		t.Errorf("%+v", updated.Standing)
	}
	if _, ok := s.Cross(crossing("s_ci", requestsMetric, window.Minute, 20, true)); ok {
		t.Error("resolved while another guard is above its threshold")
	}
	over, ok := s.Cross(crossing("s_ci", tokensMetric, 5*window.Minute, 21, true))
	if !ok || over.Status != Resolved || over.ID != opened.ID || over.Rev != 2 || over.ResolvedAt == 0 {
		t.Errorf("%+v", over.Standing)
	}
	if _, ok := s.Cross(crossing("s_ci", tokensMetric, 5*window.Minute, 21, true)); ok {
		t.Error("ended twice")
	}
	// Within half an hour it is the same incident, later another one.
	again, ok := s.Cross(crossing("s_ci", requestsMetric, window.Minute, 50, false))
	if !ok || again.ID != opened.ID || again.Rev != 3 || again.Status != Opened || again.OpenedAt != opened.OpenedAt || again.ResolvedAt != 0 {
		t.Errorf("%+v", again.Standing)
	}
	s.Cross(crossing("s_ci", requestsMetric, window.Minute, 60, true))
	later, ok := s.Cross(crossing("s_ci", requestsMetric, window.Minute, 93, false))
	if !ok || later.ID == opened.ID || later.Rev != 0 {
		t.Errorf("%+v", later.Standing)
	}
}

// Spend has its own code and its cost; a rate that crosses as well is the same
// incident, in whichever order.
func TestGuardOfSpend(t *testing.T) {
	var s State
	spend, ok := s.Cross(crossing("s_ci", costMetric, window.Minute, 0, false))
	if !ok || spend.Code != "R2" || !spend.CostKnown || spend.CostNanos != 50e9 || !strings.Contains(spend.Question, "reached 50 in") {
		t.Errorf("%+v", spend)
	}
	if spend.Evidence[0].Unit != "USD" || spend.Evidence[0].Value != 50 || spend.Evidence[0].Threshold != 8 || spend.Evidence[0].N != 600 {
		t.Errorf("%+v", spend.Evidence[0])
	}
	rate, ok := s.Cross(crossing("s_ci", requestsMetric, window.Minute, 0, false))
	if !ok || rate.ID != spend.ID || rate.Status != Updated || rate.CostNanos != 50e9 {
		t.Errorf("%+v", rate.Standing)
	}
	if _, ok := s.Cross(crossing("s_ci", costMetric, window.Minute, 20, true)); ok {
		t.Error("resolved while the rate is above its threshold")
	}
	over, ok := s.Cross(crossing("s_ci", requestsMetric, window.Minute, 20, true))
	if !ok || over.Status != Resolved || over.Code != "R2" || over.ID != spend.ID {
		t.Errorf("%+v", over.Standing)
	}
	again, ok := s.Cross(crossing("s_ci", tokensMetric, window.Minute, 40, false))
	if !ok || again.ID != spend.ID || again.Status != Opened {
		t.Errorf("%+v", again.Standing)
	}
}

// A person and a personal key are told in private, a key that is registered as an
// automation in public and with less urgency.
func TestGuardScope(t *testing.T) {
	f := func(who string, declares policy.Policy, kind string, severity Severity) {
		t.Helper()
		var s State
		c := crossing(who, requestsMetric, window.Minute, 0, false)
		c.Policy = inForce(t, declares)
		got, ok := s.Cross(c)
		if !ok || got.Kind != kind || got.Severity != severity {
			t.Errorf("%s: %s, %s", who, got.Kind, got.Severity)
		}
		if kind == ScopeSelf && (strings.Contains(got.Question, "ci-key") || !strings.Contains(got.Question, "your")) {
			t.Errorf("%s", got.Question)
		}
	}
	const key = "k_00000000000000000000000000000001"
	release := func(scope policy.Scope, name string, from, to int64) policy.Policy {
		return policy.Policy{Teams: []policy.Team{{ID: "t0", Size: 12}}, Context: []policy.Context{{
			Kind: policy.Release, Scope: scope, Name: name,
			From: policy.Day(firstWeek + from*window.Day), To: policy.Day(firstWeek + to*window.Day),
		}}}
	}
	silent := policy.Policy{}
	registered := policy.Policy{Automation: []policy.Automation{{ID: "ci", Credential: "ci-key"}}}
	bySubject := policy.Policy{Automation: []policy.Automation{{ID: "ci", Subject: key}}}
	f("p_1", silent, ScopeSelf, Critical)
	f("a_1", silent, ScopeSelf, Critical)
	f("k_1", silent, ScopeSelf, Critical)
	f("s_1", silent, ScopeService, Critical)
	f("k_1", registered, ScopeService, Warning)
	f(key, bySubject, ScopeService, Warning)
	f("k_1", bySubject, ScopeSelf, Critical)
	f("p_1", registered, ScopeSelf, Warning)
	f("s_1", release(policy.ScopeCredential, "ci-key", 0, 1), ScopeService, Warning)
	f("s_1", release(policy.ScopeTeam, "t0", -7, 1), ScopeService, Warning)
	f("s_1", release(policy.ScopeTeam, "t0", -7, 0), ScopeService, Critical)
}

// The end of a crossing does not say where it was: it is found all the same. What
// rests on no history says so.
func TestGuardEndAndBeginning(t *testing.T) {
	var s State
	first := crossing("k_1", costMetric, 5*window.Minute, 0, false)
	first.Policy = inForce(t, policy.Policy{Automation: []policy.Automation{{ID: "ci", Credential: "ci-key"}}})
	first.Guard.Panes, first.Guard.P99 = 0, 0
	opened, ok := s.Cross(first)
	if !ok || opened.Kind != ScopeService || !strings.Contains(opened.Question, "not known yet") || opened.Evidence[1].Known {
		t.Fatalf("%+v", opened)
	}
	last := crossing("k_1", costMetric, 5*window.Minute, 20, true)
	last.Policy = first.Policy
	last.Guard.Team, last.Guard.Tool, last.Guard.Model, last.Guard.Credential = "", "", "", ""
	over, ok := s.Cross(last)
	if !ok || over.ID != opened.ID || over.Status != Resolved || over.Team != "t0" || over.Severity != Warning || over.CostNanos != 50e9 {
		t.Errorf("%+v", over)
	}
}

// A guard that is open makes a weekly signal of the same person a runaway; a
// dispute freezes a guard, and a mute silences it.
func TestGuardAmongTheWeeks(t *testing.T) {
	c := newCompany(t)
	c.change = func(i int, w *goodhartv1.Week) {
		if i == 0 {
			fireClock(w, 0)
		}
	}
	c.run(1)
	opened, _ := c.state.Cross(crossing(subject, requestsMetric, window.Minute, 0, false))
	c.run(1)
	if clock := c.about("S5", ScopeSelf); len(clock) != 1 || clock[0].Label != Runaway {
		t.Fatalf("%+v", clock)
	}
	c.declares.Disputes = []policy.Dispute{{Signal: opened.ID, State: policy.DisputeOpen, Until: policy.Day(c.week + 8*window.Week)}}
	c.run(1)
	if got := c.about("R1", ScopeSelf); len(got) != 1 || got[0].Status != Disputed || got[0].Rev != 1 {
		t.Errorf("%+v", got)
	}
	if _, ok := c.state.Cross(crossing(subject, tokensMetric, window.Minute, 1, false)); ok {
		t.Error("a disputed guard goes on")
	}
	if _, ok := c.state.Cross(crossing(subject, tokensMetric, window.Minute, 1, true)); ok {
		t.Error("a disputed guard ends")
	}
	c.declares.Disputes[0].State = policy.DisputeAccepted
	c.run(1)
	if got := c.about("R1", ScopeSelf); len(got) != 2 || got[1].Status != Resolved {
		t.Errorf("%+v", got)
	}
	late := crossing(subject, tokensMetric, window.Minute, 50*24*60, false)
	if _, ok := c.state.Cross(late); ok {
		t.Error("a muted guard is raised")
	}
	late.At += 8 * window.Week
	if _, ok := c.state.Cross(late); !ok {
		t.Error("a mute that is over silences")
	}
}

// A series that leaves its daily pattern upwards is asked about once, and is over
// after a calm hour.
func TestSurge(t *testing.T) {
	var s State
	for name, change := range map[string]func(*Point){
		"in no tail":       func(p *Point) { p.Score = 2.85 },
		"less than usual":  func(p *Point) { p.Requests = 1 },
		"not four times":   func(p *Point) { p.Usual = 226 },
		"not 200 more":     func(p *Point) { p.Requests, p.Usual = 219, 20 },
		"too small a team": func(p *Point) { p.Publishable = false },
		"too early":        func(p *Point) { p.N = 1343 },
	} {
		p := surgePoint(0, 9, 900)
		change(p)
		if got, ok := s.Surge(p); ok {
			t.Errorf("%s: %+v", name, got)
		}
	}
	opened, ok := s.Surge(surgePoint(1, 2.86, 900))
	if !ok || opened.Code != "R3" || opened.Status != Opened || opened.Team != "t0" || opened.Severity != Critical ||
		!opened.CostKnown || opened.CostNanos != 7e9 || opened.Private() {
		t.Fatalf("%+v", opened)
	}
	if _, ok := s.Surge(surgePoint(2, 0, 900)); ok {
		t.Error("said again without being new")
	}
	more, ok := s.Surge(surgePoint(3, 4, 1900))
	if !ok || more.Status != Updated || more.ID != opened.ID {
		t.Errorf("%+v", more.Standing)
	}
	for k := int64(4); k < 9; k++ { // it goes on with half of it
		if _, ok := s.Surge(surgePoint(k, 0, 120)); ok {
			t.Errorf("quarter %d", k)
		}
	}
	for k := int64(9); k < 12; k++ {
		if _, ok := s.Surge(surgePoint(k, 0, 119)); ok {
			t.Errorf("quarter %d", k)
		}
	}
	over, ok := s.Surge(surgePoint(12, 0, 10))
	if !ok || over.Status != Resolved || over.ID != opened.ID || over.Severity != Critical {
		t.Errorf("%+v", over.Standing)
	}
	declared := surgePoint(40, 5, 900)
	declared.Policy = inForce(t, policy.Policy{Teams: []policy.Team{{ID: "t0", Size: 12}}, Context: []policy.Context{{
		Kind: policy.Migration, Scope: policy.ScopeTeam, Name: "t0", From: policy.Day(firstWeek), To: policy.Day(firstWeek + window.Day),
	}}})
	if got, ok := s.Surge(declared); !ok || got.Severity != Warning || got.ID == opened.ID {
		t.Errorf("%+v", got.Standing)
	}
}

func surgePoint(k int64, score, requests float64) *Point {
	return &Point{
		Tenant: "acme", Kind: ScopeTeam, Scope: "t0", Start: guardStart + k*quarter, Requests: requests, Usual: 20, Score: score, N: 2000,
		CostNanos: 7e9, CostKnown: true, At: guardStart + (k+1)*quarter, Policy: nothing(), Publishable: true,
	}
}

// What does not end is how things are after a day.
func TestSurgeThatStays(t *testing.T) {
	var s State
	if _, ok := s.Surge(surgePoint(0, 5, 900)); !ok {
		t.Fatal("not opened")
	}
	for k := int64(1); ; k++ {
		got, ok := s.Surge(surgePoint(k, 0, 900))
		if !ok && k < 200 {
			continue
		}
		if k != 96+3 || got.Status != Resolved {
			t.Errorf("after %d quarters: %+v", k, got.Standing)
		}
		return
	}
}

// What a team that may not be shown did is not stated, by its end neither.
func TestSurgeOfAHiddenTeam(t *testing.T) {
	var s State
	opened, _ := s.Surge(surgePoint(0, 5, 900))
	for k := int64(1); k <= 4; k++ {
		p := surgePoint(k, 9, 987)
		p.Publishable = false
		got, ok := s.Surge(p)
		if k < 4 {
			if ok {
				t.Errorf("%+v", got)
			}
			continue
		}
		if !ok || got.Status != Resolved || got.ID != opened.ID {
			t.Fatalf("%+v", got)
		}
		if body := string(got.AppendJSON(nil)); strings.Contains(body, "987") || strings.Contains(body, `"fact":"requests"`) {
			t.Error(body)
		}
	}
}

// One incident pages once: the guard of a service or the surge of a part makes
// what else is seen of it less urgent. Who is asked alone does not show in it.
func TestSurgesOfOneIncident(t *testing.T) {
	severity := func(s *State, kind, scope string) Severity {
		t.Helper()
		p := surgePoint(2, 5, 900)
		p.Kind, p.Scope = kind, scope
		got, ok := s.Surge(p)
		if !ok {
			t.Fatalf("%s %s: nothing", kind, scope)
		}
		return got.Severity
	}
	var s State
	for _, x := range []struct {
		kind, scope string
		want        Severity
	}{{ScopeTeam, "t0", Critical}, {ScopeTeam, "t1", Critical}, {ScopeTool, "x", Warning}, {ScopeTenant, "", Warning}} {
		if got := severity(&s, x.kind, x.scope); got != x.want {
			t.Errorf("%s %s: %s", x.kind, x.scope, got)
		}
	}
	guarded := func(who string) *State {
		var s State
		c := crossing(who, requestsMetric, window.Minute, 0, false)
		c.Guard.Team = "t0"
		if _, ok := s.Cross(c); !ok {
			t.Fatal("no guard")
		}
		return &s
	}
	for _, x := range []struct {
		who, kind, scope string
		want             Severity
	}{
		{"s_ci", ScopeTeam, "t0", Warning},
		{"s_ci", ScopeTeam, "t1", Critical},
		{"s_ci", ScopeTool, "x", Warning},
		{"p_1", ScopeTeam, "t0", Critical},
		{"p_1", ScopeTool, "x", Critical},
	} {
		if got := severity(guarded(x.who), x.kind, x.scope); got != x.want {
			t.Errorf("%s, %s %s: %s", x.who, x.kind, x.scope, got)
		}
	}
}

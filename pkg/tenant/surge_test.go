package tenant

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/seaspot"
	"github.com/goodhartlabs/goodhart/pkg/window"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// peak is the quarter of an hour in which something starts: on the Thursday of the
// third week, half past twelve.
const peak = 17*96 + 50

// flowLog is what a team does by the quarter of an hour, so many people of it
// once a day and a service the rest, to a day after the peak, and as many others.
func flowLog(t *testing.T, team string, people, others int, requests func(quarter int64) int64) []machine.Record {
	t.Helper()
	l := featureLog{tb: t}
	for k := range int64(peak + 96) {
		start := monday + k*seaspot.Width
		l.pane(start, "s_batch", goodhartv1.IdentityType_IDENTITY_TYPE_SERVICE, team, requests(k))
		for p := range people + others {
			if k%96 != 40 {
				break
			}
			of := team
			if p >= people {
				of = "ops"
			}
			l.pane(start, fmt.Sprintf("p_%02d", p), goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN, of, 1)
		}
	}
	return l.records
}

// pane adds a minute of a subject, which the subject fold states a moment later.
func (l *featureLog) pane(start int64, subject string, kind goodhartv1.IdentityType, team string, requests int64) {
	l.tb.Helper()
	l.add(start+window.Minute, "acme|"+subject, &goodhartv1.Feature{
		Kind: goodhartv1.FeatureKind_FEATURE_KIND_PANE, Tenant: "acme", Subject: subject, IdentityType: kind, PaneStartMs: start,
		Cells: []*goodhartv1.Cell{{
			Team: team, Tool: "claude-code", Model: "opus", Requests: requests, Records: requests, CostNanos: 1e6 * requests, OutputTokens: 100 * requests,
		}},
	})
}

// usual is a day that comes round, not quite the same.
func usual(k int64) int64 { return 20 + 2*min(k%96, 96-k%96) + k*k%7 }

// peaked is usual, with a peak of an hour that begins high.
func peaked(at, requests int64) func(int64) int64 {
	return func(k int64) int64 {
		if at <= k && k < at+4 {
			return requests - 30*(k-at)
		}
		return usual(k)
	}
}

func surges(all []told) []told {
	return slices.DeleteFunc(all, func(r told) bool { return r.Code != "R3" })
}

// brief is what is told, in order.
func brief(all []told) string {
	var lines []string
	for _, r := range all {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", r.Status, r.Severity, r.ScopeKind, r.Scope)))
	}
	return strings.Join(lines, "\n")
}

// A surge is told when its first quarter of an hour is over, of the team first, and
// that it is over after a calm hour.
func TestSurgeIsTold(t *testing.T) {
	const want = `opened critical team web
opened warning tool claude-code
opened warning tenant
resolved critical team web
resolved warning tool claude-code
resolved warning tenant`
	got := surges(signals(t, New(Default()), flowLog(t, "web", 12, 0, peaked(peak, 900))))
	if diff := cmp.Diff(want, brief(got)); diff != "" {
		t.Error(diff)
	}
	// Whatever windows are asked for.
	if diff := cmp.Diff(want, brief(surges(signals(t, NewWith(Default(), nil), flowLog(t, "web", 12, 0, peaked(peak, 900)))))); diff != "" {
		t.Error(diff)
	}
	for _, s := range got {
		if s.Status == "opened" && s.W != monday+(peak+1)*seaspot.Width+window.Minute {
			t.Errorf("told %d ms after it began", s.W-monday-peak*seaspot.Width)
		}
		if s.topic != schemas.TopicSignals || s.headers["ce_type"] != "ai.goodhart.signal.v1" {
			t.Errorf("%+v", s)
		}
	}
}

// What is usual, little, or too early to be known is not told.
func TestNoSurge(t *testing.T) {
	for name, requests := range map[string]func(int64) int64{
		"usual":                 usual,
		"less than four times":  peaked(peak, 4*usual(peak)-40),
		"the first two weeks":   peaked(13*96, 900),
		"less than 200 more":    func(k int64) int64 { return peaked(peak, 210)(k) - usual(k)*9/10 },
		"usual at this time":    func(k int64) int64 { return peaked(k/96*96+50, 900)(k) },
		"nobody did so much":    func(k int64) int64 { return k % 2 * 3 },
		"fewer than it used to": func(k int64) int64 { return 1000 - peaked(peak, 990)(k) },
	} {
		if got := surges(signals(t, New(Default()), flowLog(t, "web", 12, 0, requests))); len(got) > 0 {
			t.Errorf("%s: %s", name, brief(got))
		}
	}
}

// Of a team of few people nothing is said, and of its end neither; nor of a tool or a
// tenant of few.
func TestHiddenTeamHasNoSurge(t *testing.T) {
	if got := surges(signals(t, New(Default()), flowLog(t, "web", 4, 0, peaked(peak, 900)))); len(got) > 0 {
		t.Error(brief(got))
	}
	got := surges(signals(t, New(Default()), flowLog(t, "web", 4, 6, peaked(peak, 900))))
	const want = `opened critical tool claude-code
opened warning tenant
resolved critical tool claude-code
resolved warning tenant`
	if diff := cmp.Diff(want, brief(got)); diff != "" {
		t.Error(diff)
	}
}

// Those who are in no team are none.
func TestNoTeamHasNoSurge(t *testing.T) {
	for _, r := range surges(signals(t, New(Default()), flowLog(t, "", 12, 0, peaked(peak, 900)))) {
		if r.ScopeKind == "team" {
			t.Errorf("%+v", r)
		}
	}
}

// A declared event makes the surge of everything that it covers less urgent.
func TestDeclaredSurge(t *testing.T) {
	l := featureLog{tb: t}
	l.add(monday, "acme", &goodhartv1.Feature{Kind: goodhartv1.FeatureKind_FEATURE_KIND_CONFIG, Tenant: "acme", Config: &goodhartv1.Config{
		Version: 3, Document: []byte(`{"tenant":"acme","teams":[{"id":"web","size":12}],"context":[{"kind":"release","scope":"team","name":"web","from":"2026-01-22","to":"2026-01-23"}]}`),
	}})
	log := append(l.records, flowLog(t, "web", 12, 0, peaked(peak, 900))...)
	got := surges(signals(t, New(Default()), log))
	if len(got) != 6 || got[0].Severity != "warning" || got[0].Scope != "web" || got[0].Config != 3 {
		t.Errorf("%s", brief(got))
	}
}

// A fold that is restored in the middle of a surge, and brought forward in silence,
// tells the rest as if nothing had happened.
func TestSurgeSurvivesARestore(t *testing.T) {
	log := flowLog(t, "web", 12, 0, peaked(peak, 900))
	at := func(quarter int64) int {
		return slices.IndexFunc(log, func(r machine.Record) bool { return r.Position.W > monday+quarter*seaspot.Width })
	}
	for _, saved := range []int{at(9), at(96), at(peak), at(peak + 1), at(peak + 2), at(peak + 6)} {
		for _, committed := range []int{saved, saved + 1, at(peak + 3)} {
			committed = max(committed, saved)
			whole := NewWith(Default(), nil)
			run(whole, log[:saved])
			state := whole.AppendShard(nil, 0)
			run(whole, log[saved:committed])

			second := NewWith(Default(), nil)
			if err := second.LoadHeader(whole.AppendHeader(nil)); err != nil {
				t.Fatal(err)
			}
			if err := second.LoadShard(0, state); err != nil {
				t.Fatal(err)
			}
			if again := second.AppendShard(nil, 0); !bytes.Equal(again, state) {
				t.Fatalf("%d: a loaded state is saved differently", saved)
			}
			replay(second, log[saved/2:committed], position(log, saved), startW(log, saved/2))
			if diff := cmp.Diff(run(whole, log[committed:]), run(second, log[committed:])); diff != "" {
				t.Fatalf("saved %d, committed %d: %s", saved, committed, diff)
			}
			if !bytes.Equal(second.AppendShard(nil, 0), whole.AppendShard(nil, 0)) {
				t.Fatalf("saved %d, committed %d: the states differ at the end", saved, committed)
			}
		}
	}
}

// The busiest scopes are watched, no more than there is place for, and none that is
// quiet.
func TestWatchedScopesAreBounded(t *testing.T) {
	l := featureLog{tb: t}
	for d := range int64(3) {
		for team := range 100 {
			requests := int64(600 + team)
			if team >= 60 {
				requests = 100 // 300 in a week
			}
			l.pane(monday+d*window.Day, "s_batch", goodhartv1.IdentityType_IDENTITY_TYPE_SERVICE, fmt.Sprintf("t%02d", team), requests)
		}
	}
	f := New(Default())
	run(f, l.records)
	var teams []string
	n := 0
	for _, s := range f.tenants["acme"].scopes {
		if s.rate != nil && s.kind == kindTeam {
			teams = append(teams, s.name)
		}
		if s.rate != nil {
			n++
		}
	}
	// The tenant, its tool, and the teams with the most.
	if n != maxWatched || len(teams) != maxWatched-2 || teams[0] != "t14" || teams[len(teams)-1] != "t59" {
		t.Errorf("%d watched, teams %v", n, teams)
	}
	late := featureLog{tb: t}
	late.pane(monday+20*window.Day, "s_batch", goodhartv1.IdentityType_IDENTITY_TYPE_SERVICE, "t14", 120)
	late.pane(monday+21*window.Day, "s_batch", goodhartv1.IdentityType_IDENTITY_TYPE_SERVICE, "t15", 1)
	run(f, late.records)
	for _, s := range f.tenants["acme"].scopes {
		if s.rate != nil && s.name == "t15" {
			t.Error("a quiet team is watched")
		}
	}
	if n := f.tenants["acme"].watched; n > 4 {
		t.Errorf("%d watched after weeks without much", n)
	}
}

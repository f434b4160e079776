package policy_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

var update = flag.Bool("update", false, "write testdata")

func TestTeamsAndRoles(t *testing.T) {
	p := parse(t, full)
	if team, ok := p.Team("payments"); !ok || team.Size != 12 || team.Role != "developer" {
		t.Errorf("%+v, %t", team, ok)
	}
	if role, ok := p.Role("support"); !ok || role.Outcomes != policy.SeenNone {
		t.Errorf("%+v, %t", role, ok)
	}
	if _, ok := p.Team("developer"); ok {
		t.Error("a role is no team")
	}
	if _, ok := policy.Default("acme").Role("support"); ok {
		t.Error("who declares nothing has no roles")
	}
}

// A team's own weight of a kind goes before that of all; what is listed nowhere
// is worth nothing.
func TestWeights(t *testing.T) {
	const (
		merged = goodhartv1.OutcomeKind_OUTCOME_KIND_PR_MERGED
		done   = goodhartv1.OutcomeKind_OUTCOME_KIND_TICKET_DONE
		landed = goodhartv1.OutcomeKind_OUTCOME_KIND_COMMIT_LANDED
	)
	p := parse(t, full)
	for team, want := range map[string]map[goodhartv1.OutcomeKind]int64{
		"":         {merged: 1000, done: 500},
		"payments": {merged: 1000, done: 500},
		"search":   {merged: 2000, done: 500},
		"unknown":  {merged: 1000, done: 500},
	} {
		if diff := cmp.Diff(want, p.Weights(team)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", team, diff)
		}
	}
	if w := policy.Default("acme").Weights("x"); w[merged] != 1000 || w[done] != 1000 || w[landed] != 0 {
		t.Errorf("%v", w)
	}
	only := parse(t, `{"tenant":"a","teams":[{"id":"x","size":1}],"outcomes":[{"kind":"commit_landed","team":"x","weight":7}]}`)
	if only.Weights("x")[landed] != 7 || len(only.Weights("y")) != 0 {
		t.Errorf("%v, %v", only.Weights("x"), only.Weights("y"))
	}
}

func TestTargetsAt(t *testing.T) {
	p := parse(t, full)
	for _, test := range []struct{ day, want string }{
		{"2026-09-06", ""},
		{"2026-09-07", "adoption tokens"},
		{"2026-10-04", "adoption tokens"},
		{"2026-10-05", "adoption"},
	} {
		var got []string
		for _, target := range p.TargetsAt(day(t, test.day)) {
			got = append(got, target.ID)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %v, want %s", test.day, got, test.want)
		}
	}
	if got := p.TargetsAt(day(t, "2026-10-05") - 1); len(got) != 2 {
		t.Errorf("the last ms before the withdrawal: %d targets", len(got))
	}
}

func TestAutomated(t *testing.T) {
	p := parse(t, full)
	f := func(at policy.Place, want string) {
		t.Helper()
		if a, ok := p.Automated(at); a.ID != want || ok != (want != "") {
			t.Errorf("%+v: %q, want %q", at, a.ID, want)
		}
	}
	f(policy.Place{}, "")
	f(policy.Place{Credential: "k-ci", Team: "payments", Subject: ada}, "nightly")
	f(policy.Place{Credential: "k-evals", Subject: worker}, "evals")
	f(policy.Place{Credential: "k-other", Subject: worker}, "bot")
	f(policy.Place{Subject: "k-ci", Credential: worker}, "")
}

func TestCovering(t *testing.T) {
	p := parse(t, full)
	f := func(at policy.Place, from, to string, want ...string) {
		t.Helper()
		var got []string
		for _, c := range p.Covering(at, day(t, from), day(t, to)) {
			got = append(got, string(c.Kind))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%+v from %s to %s (-want +got)\n%s", at, from, to, diff)
		}
	}
	everywhere := policy.Place{Team: "payments", Tool: "claude-code", Subject: ada, Credential: "k-ci"}
	f(everywhere, "2026-09-24", "2026-10-01")
	f(everywhere, "2026-09-25", "2026-10-02", "migration", "model_change", "release")
	f(everywhere, "2026-10-05", "2026-10-12", "incident", "migration", "model_change", "vacation")
	f(everywhere, "2026-10-18", "2026-10-19", "migration", "vacation")
	f(everywhere, "2026-10-19", "2026-10-20", "migration")
	f(everywhere, "2026-11-01", "2026-11-02")
	f(policy.Place{}, "2026-10-07", "2026-10-08", "incident")
	f(policy.Place{Team: "search", Tool: "payments"}, "2026-10-01", "2026-10-07")
}

func TestDisputed(t *testing.T) {
	p := parse(t, full)
	f := func(signal, at string, want policy.DisputeState) {
		t.Helper()
		if d, ok := p.Disputed(signal, day(t, at)); d.State != want || ok != (want != "") {
			t.Errorf("%s at %s: %+v, want %q", signal, at, d, want)
		}
	}
	f("sig-1", "2026-11-29", policy.DisputeOpen)
	f("sig-1", "2026-11-30", "")
	f("sig-9", "2026-11-30", policy.DisputeAccepted)
	f("sig-2", "2026-11-01", "")
}

func TestDiff(t *testing.T) {
	edited := strings.NewReplacer(
		`{"id":"payments","size":12,"role":"developer","connected":0},{"id":"search","size":7}`,
		`{"id":"core","size":3},{"id":"payments","size":14,"connected":60},{"id":"search","size":7}`,
		`{"kind":"ticket_done","weight":500}`, `{"kind":"ticket_done","weight":750}`,
		`"cap_per_ticket":0`, `"cap_per_ticket":5000`,
		`"teams":["payments","search"]`, `"teams":["payments"]`,
		`,"withdrawn_at":"2026-10-05"`, ``,
		`{"kind":"release","scope":"credential","name":"k-ci","from":"2026-10-01","to":"2026-10-02"},`, ``,
		`{"signal":"sig-1","state":"open","until":"2026-11-30"},`, ``,
	).Replace(canonical)
	f := func(name, from, to string) string {
		var lines strings.Builder
		lines.WriteString("# " + name + "\n")
		for _, c := range policy.Diff(parse(t, from), parse(t, to)) {
			lines.WriteString(c.String() + "\n")
		}
		return lines.String()
	}
	got := f("edited", canonical, edited) + f("back", edited, canonical) +
		f("first", `{"tenant":"acme"}`, canonical) + f("only the order", canonical, full)
	golden := filepath.Join("testdata", "diff.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

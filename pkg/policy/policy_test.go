package policy_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/recordtest"
	"github.com/goodhartlabs/goodhart/schemas/jsonschema"
)

const (
	ada    = "p_00112233445566778899aabbccddeeff"
	worker = "s_ffeeddccbbaa99887766554433221100"
)

// full has everything, in no order.
const full = `{
	"disputes": [
		{"signal": "sig-9", "state": "accepted", "until": "2026-12-24", "reason": "work"},
		{"signal": "sig-1", "state": "open", "until": "2026-11-30"}
	],
	"tenant": "acme",
	"teams": [
		{"id": "search", "size": 7},
		{"id": "payments", "role": "developer", "size": 12, "connected": 0}
	],
	"roles": [{"id": "support", "outcomes": "none"}, {"id": "developer"}],
	"outcomes": [
		{"kind": "ticket_done", "weight": 500},
		{"kind": "pr_merged", "weight": 2000, "team": "search"},
		{"kind": "pr_merged", "weight": 1000}
	],
	"cap_per_ticket": 0,
	"targets": [
		{"id": "tokens", "metric": "tokens", "threshold": 100000000, "period": "week", "announced_at": "2026-09-07", "withdrawn_at": "2026-10-05"},
		{"id": "adoption", "metric": "weekly_use", "threshold": 800, "period": "week", "announced_at": "2026-09-07",
		 "scope": "team", "teams": ["search", "payments"]}
	],
	"automation": [
		{"id": "nightly", "credential": "k-ci", "cron": " 0  2 * * 1-5 "},
		{"id": "evals", "credential": "k-evals"},
		{"id": "bot", "subject": "` + worker + `"}
	],
	"context": [
		{"kind": "vacation", "scope": "subject", "name": "` + ada + `", "from": "2026-10-05", "to": "2026-10-19"},
		{"kind": "incident", "scope": "tenant", "from": "2026-10-07", "to": "2026-10-08"},
		{"kind": "migration", "scope": "team", "name": "payments", "from": "2026-10-01", "to": "2026-11-01"},
		{"kind": "model_change", "scope": "tool", "name": "claude-code", "from": "2026-10-01", "to": "2026-10-08"},
		{"kind": "release", "scope": "credential", "name": "k-ci", "from": "2026-10-01", "to": "2026-10-02"}
	]
}`

const canonical = `{"tenant":"acme",` +
	`"roles":[{"id":"developer","outcomes":"all"},{"id":"support","outcomes":"none"}],` +
	`"teams":[{"id":"payments","size":12,"role":"developer","connected":0},{"id":"search","size":7}],` +
	`"outcomes":[{"kind":"pr_merged","weight":1000},{"kind":"pr_merged","team":"search","weight":2000},{"kind":"ticket_done","weight":500}],` +
	`"cap_per_ticket":0,` +
	`"targets":[{"id":"adoption","metric":"weekly_use","threshold":800,"period":"week","announced_at":"2026-09-07","scope":"team","teams":["payments","search"]},` +
	`{"id":"tokens","metric":"tokens","threshold":100000000,"period":"week","announced_at":"2026-09-07","withdrawn_at":"2026-10-05","scope":"tenant"}],` +
	`"automation":[{"id":"bot","subject":"` + worker + `"},{"id":"evals","credential":"k-evals"},{"id":"nightly","credential":"k-ci","cron":"0 2 * * 1-5"}],` +
	`"context":[{"kind":"release","scope":"credential","name":"k-ci","from":"2026-10-01","to":"2026-10-02"},` +
	`{"kind":"model_change","scope":"tool","name":"claude-code","from":"2026-10-01","to":"2026-10-08"},` +
	`{"kind":"migration","scope":"team","name":"payments","from":"2026-10-01","to":"2026-11-01"},` +
	`{"kind":"vacation","scope":"subject","name":"` + ada + `","from":"2026-10-05","to":"2026-10-19"},` +
	`{"kind":"incident","scope":"tenant","from":"2026-10-07","to":"2026-10-08"}],` +
	`"disputes":[{"signal":"sig-1","state":"open","until":"2026-11-30"},{"signal":"sig-9","state":"accepted","until":"2026-12-24","reason":"work"}]}`

func parse(tb testing.TB, document string) *policy.Policy {
	tb.Helper()
	p, err := policy.Parse([]byte(document))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// day returns the midnight of a day, ms.
func day(tb testing.TB, s string) int64 {
	tb.Helper()
	at, err := time.Parse(time.DateOnly, s)
	if err != nil {
		tb.Fatal(err)
	}
	return at.UnixMilli()
}

func valid(s *validator.Schema, document []byte) error {
	tree, err := validator.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return err
	}
	return s.Validate(tree)
}

func TestDocumentIsCanonical(t *testing.T) {
	p := parse(t, full)
	if diff := cmp.Diff(canonical, string(p.Document())); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if again := parse(t, canonical).Document(); string(again) != canonical {
		t.Errorf("the canonical form of the canonical form is\n%s", again)
	}
	if err := valid(recordtest.Schema(t, "policy.v1.json"), p.Document()); err != nil {
		t.Errorf("schema: %v", err)
	}
	if p.Targets[1].AnnouncedAt != policy.Day(day(t, "2026-09-07")) || *p.Teams[0].Connected != 0 || p.Teams[1].Connected != nil {
		t.Errorf("%+v", p)
	}
}

// The fields of the canonical form are those of the schema, in its order.
func TestDocumentHasTheOrderOfTheSchema(t *testing.T) {
	type properties struct {
		Properties json.RawMessage
		Items      struct{ Properties json.RawMessage }
	}
	raw, err := jsonschema.FS().ReadFile("policy.v1.json")
	if err != nil {
		t.Fatal(err)
	}
	var root properties
	if err := json.Unmarshal(raw, &root); err != nil {
		t.Fatal(err)
	}
	lists := map[string]properties{}
	if err := json.Unmarshal(root.Properties, &lists); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(recordtest.Fields(t, root.Properties), recordtest.Fields(t, []byte(canonical))); diff != "" {
		t.Errorf("(-schema +document)\n%s", diff)
	}
	document := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(canonical), &document); err != nil {
		t.Fatal(err)
	}
	for list, raw := range document {
		var elements []json.RawMessage
		if json.Unmarshal(raw, &elements) != nil {
			continue // no list
		}
		order, seen := recordtest.Fields(t, lists[list].Items.Properties), map[string]bool{}
		for _, e := range elements {
			have := recordtest.Fields(t, e)
			for _, name := range have {
				seen[name] = true
			}
			if !slices.IsSortedFunc(have, func(a, b string) int { return slices.Index(order, a) - slices.Index(order, b) }) {
				t.Errorf("%s: %s is not in the order %v", list, e, order)
			}
		}
		if len(seen) != len(order) {
			t.Errorf("%s: the schema has %v, the documents %v", list, order, seen)
		}
	}
}

func TestDefault(t *testing.T) {
	want := `{"tenant":"acme","roles":[],"teams":[],"outcomes":[{"kind":"issue_closed","weight":1000},{"kind":"pr_merged","weight":1000},` +
		`{"kind":"ticket_done","weight":1000}],"cap_per_ticket":3000,"targets":[],"automation":[],"context":[],"disputes":[]}`
	for _, p := range []*policy.Policy{policy.Default("acme"), parse(t, `{"tenant":"acme"}`), parse(t, `{"tenant":"acme","outcomes":null,"teams":null}`)} {
		if got := string(p.Document()); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	if got := parse(t, `{"tenant":"acme","outcomes":[]}`).Outcomes; len(got) != 0 {
		t.Errorf("nothing is worth anything, and yet %v", got)
	}
}

func TestParseRefusesWhatIsNoDocument(t *testing.T) {
	f := func(document, want string) {
		t.Helper()
		_, err := policy.Parse([]byte(document))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %s", document, err, want)
		}
	}
	f("", "document: EOF")
	f("{", "document: unexpected EOF")
	f("null", "document: missing: want a mapping")
	f("[1]", "document: a list: want a mapping")
	f(`{"tenant":"a"} {}`, "document: more than one JSON value")
	f(`{"tenant":"a"}`+strings.Repeat(" ", policy.MaxDocument), "document: 262158 bytes: want at most 262144")
}

func FuzzParse(f *testing.F) {
	// Short ones: the fuzzer tries to shorten whatever is new to it.
	for _, section := range []string{
		`"roles":[{"id":"r","outcomes":"linked"}],"teams":[{"id":"a","size":1e3,"role":"r","connected":60}]`,
		`"teams":[{"id":"a","size":9}],"outcomes":[{"kind":"pr_merged","team":"a","weight":7}],"cap_per_ticket":1`,
		`"targets":[{"id":"t","metric":"cost","threshold":5,"period":"month","announced_at":"2026-02-28","scope":"team"},` +
			`{"id":"u","metric":"efficiency","threshold":120000,"period":"week","announced_at":"2026-02-28","teams":[]}]`,
		`"automation":[{"id":"a","credential":"k","cron":"*/5 1-2,3 * * 7"}]`,
		`"context":[{"kind":"release","scope":"tool","name":"x","from":"2026-02-28","to":"2026-03-01"}]`,
		`"disputes":[{"signal":"s","state":"open","until":"2026-02-28"}]`,
	} {
		f.Add([]byte(`{"tenant":"a",` + section + `}`))
	}
	compiled := recordtest.Schema(f, "policy.v1.json")
	f.Fuzz(func(t *testing.T, document []byte) {
		p, err := policy.Parse(document)
		if err != nil {
			return
		}
		once := p.Document()
		if err := valid(compiled, once); err != nil {
			t.Errorf("%s: %v", once, err)
		}
		again, err := policy.Parse(once)
		if err != nil {
			t.Fatalf("%s: %v", once, err)
		}
		if twice := again.Document(); !bytes.Equal(once, twice) {
			t.Errorf("%s\nbecame\n%s", once, twice)
		}
		if changes := policy.Diff(p, again); len(changes) > 0 {
			t.Errorf("%v", changes)
		}
	})
}

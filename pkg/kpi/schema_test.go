package kpi

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/goodhartlabs/goodhart/pkg/recordtest"
)

// object is the part of the schema that lists fields.
type object struct {
	Properties json.RawMessage `json:"properties"`
	Required   []string        `json:"required"`
}

// cards returns a card of a company, one that knows nothing, and one that knows
// everything.
func cards(t *testing.T) [][]byte {
	t.Helper()
	c := usual()
	c.people, c.gamers = 400, .4
	p, _ := c.simulate(5)
	known := Assess(&Input{Panel: p, Target: c.target(), Week: 25, Signalled: 1, SignalledOf: 3})
	if known.Verdict != LosingMeaning || !known.finding("excess_share").CostKnown {
		t.Fatalf("%s, %q", known.Verdict, known.Reasons)
	}
	none := Assess(&Input{Panel: &Panel{Start: monday}, Target: c.target(), Week: 3})
	full := known
	full.Results = nil
	for _, r := range known.Results {
		r.Finding = Finding{Value: .5, Lo: .25, Hi: .75, N: 3, Placebo: 1.0 / 3, Z: -2.5, CostNanos: 7, Known: true, Bounded: true, PlaceboKnown: true, ZKnown: true, CostKnown: true}
		full.Results = append(full.Results, r)
	}
	var all [][]byte
	for i, card := range []*Card{&known, &none, &full} {
		card.Tenant, card.ScopeKind, card.W, card.Rev = "acme", "tenant", 1_783_000_000_000, uint32(i)
		all = append(all, card.AppendJSON(nil))
	}
	return all
}

// Records match the schema and have its fields in its order: none besides, none
// missing.
func TestRecordsMatchTheirSchema(t *testing.T) {
	s := recordtest.Schema(t, "kpi.v1.json")
	var doc object
	if err := json.Unmarshal(recordtest.File(t, "kpi.v1.json"), &doc); err != nil {
		t.Fatal(err)
	}
	var properties struct {
		Checks struct {
			Items object `json:"items"`
		} `json:"checks"`
	}
	if err := json.Unmarshal(doc.Properties, &properties); err != nil {
		t.Fatal(err)
	}
	match := func(what string, o object, body []byte) {
		t.Helper()
		if diff := cmp.Diff(recordtest.Fields(t, o.Properties), recordtest.Fields(t, body)); diff != "" {
			t.Errorf("%s: fields (-schema +record)\n%s", what, diff)
		}
		if diff := cmp.Diff(recordtest.Fields(t, body), o.Required); diff != "" {
			t.Errorf("%s: required (-record +schema)\n%s", what, diff)
		}
	}
	for _, body := range cards(t) {
		value, err := validator.UnmarshalJSON(bytes.NewReader(body))
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if err := s.Validate(value); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		match("card", doc, body)
		var record struct {
			Checks []json.RawMessage `json:"checks"`
		}
		if err := json.Unmarshal(body, &record); err != nil {
			t.Fatal(err)
		}
		if len(record.Checks) != len(Catalogue()) {
			t.Errorf("%d checks, the catalogue has %d", len(record.Checks), len(Catalogue()))
		}
		for _, check := range record.Checks {
			match("check", properties.Checks.Items, check)
		}
	}
}

// The schema refuses what no record may be.
func TestSchemaRefuses(t *testing.T) {
	s := recordtest.Schema(t, "kpi.v1.json")
	body := cards(t)[0]
	for name, change := range map[string]func(map[string]any){
		"another kind":               func(m map[string]any) { m["kind"] = "kpi" },
		"a missing field":            func(m map[string]any) { delete(m, "excess_share_lo") },
		"no checks":                  func(m map[string]any) { delete(m, "checks") },
		"another verdict":            func(m map[string]any) { m["verdict"] = "bad" },
		"a concentration above one":  func(m map[string]any) { m["concentration"] = 1.5 },
		"a check without its reason": func(m map[string]any) { delete(m["checks"].([]any)[0].(map[string]any), "reason") },
	} {
		var value map[string]any
		if err := json.Unmarshal(body, &value); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(value); err != nil {
			t.Fatal(err)
		}
		change(value)
		if s.Validate(value) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// What is not known is null; what is, is rounded.
func TestAppendJSON(t *testing.T) {
	c := Card{
		Tenant: "acme", Target: "tokens-a-week", ScopeKind: "team", Scope: "payments", WeekStart: monday, Rev: 2, W: 9,
		Verdict: Watch, Reasons: []string{"bunching"}, ConfigVersion: 7,
		Results: []Result{
			{Check{Name: "elasticity", Formula: "elasticity/1"}, Finding{N: 12, Reason: ReasonUnits}},
			{Check{Name: "bunching", Adversarial: true, Formula: "bunching/1"}, Finding{Value: 2.0 / 3, Known: true, N: 40, Z: 3, ZKnown: true, Alarm: true}},
		},
	}
	want := `{"kind":"kpi_health","tenant":"acme","target":"tokens-a-week","scope_kind":"team","scope":"payments",` +
		`"iso_week":"2026-W02","week_start":1767571200000,"rev":2,"w":9,` +
		`"elasticity":null,"elasticity_lo":null,"elasticity_hi":null,"bunching":0.666667,"concentration":null,"signalled_share":null,` +
		`"excess_share":null,"excess_share_lo":null,"excess_share_hi":null,"excess_cost_nanos":null,"placebo_excess":null,` +
		`"verdict":"watch","reasons":["bunching"],"formula":"card/1","config_version":7,"compared_from":null,"compared_to":null,` +
		`"checks":[{"check":"elasticity","value":null,"lo":null,"hi":null,"n":12,"placebo":null,"z":null,"alarm":false,"reason":"units","formula":"elasticity/1","contribution":"none"},` +
		`{"check":"bunching","value":0.666667,"lo":null,"hi":null,"n":40,"placebo":null,"z":3,"alarm":true,"reason":"","formula":"bunching/1","contribution":"adversarial"}]}`
	if got := string(c.AppendJSON(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

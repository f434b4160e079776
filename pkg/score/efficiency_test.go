package score

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/goodhartlabs/goodhart/pkg/recordtest"
	"github.com/goodhartlabs/goodhart/schemas/jsonschema"
)

// record of a score as JSON, with the plain figures of some window.
func efficiencyRecord(s *Score, provisional bool) Efficiency {
	return Efficiency{
		Rolling: Rolling{
			Tenant: "acme", ScopeKind: ScopeTeam, Scope: "web", Window: "28d", Start: 1, End: 2, Rev: 3, W: 4,
			Totals: Totals{Requests: 8, Records: 8, UnpricedRequests: 2, CostNanos: 9, OutcomesFinal: 3, InputUncachedTokens: 5}, People: 7,
			PeopleKnown: true, ConfigVersion: 11,
		},
		Score: s, Provisional: provisional, Dispersion: 1.25, Unattributed: Ratio(1, 8, 1),
	}
}

func TestEfficiencyJSON(t *testing.T) {
	e := efficiencyRecord(&Score{
		Unit: "web", Credited: 12.5, Expected: 10, ExpectedKnown: true, AlignedNanos: 1_000, Coverage: Ratio(1, 4, 1),
		Index: 110.123456789, Low: 80, High: 140, UnitCost: 90.6, UnitCostLow: 70, UnitCostHigh: 120, Peers: 9, Above: 1, Below: 2, PeersKnown: true,
	}, true)
	want := `{"kind":"efficiency","tenant":"acme","scope_kind":"team","scope":"web","window":"28d","window_start":1,"window_end":2,"rev":3,"w":4,` +
		`"requests":8,"records":8,"errors":0,"input_uncached_tokens":5,"cache_read_tokens":null,"cache_write_tokens":null,"output_tokens":0,` +
		`"reasoning_tokens":null,"cost_nanos":9,"unpriced_requests":2,"unknown_token_requests":0,"outcomes_provisional":0,"outcomes_final":3,` +
		`"outcomes_reverted":0,"activities":0,"people":7,"cost_per_outcome_nanos":3,"outcomes_per_million_tokens":600000,"cache_read_share":null,` +
		`"error_share":0,"outcomes_credited":12.5,"outcomes_expected":10,"score":110.123,"score_lo":80,"score_hi":140,"aligned_cost_nanos":1000,` +
		`"unit_cost_nanos":91,"unit_cost_lo_nanos":70,"unit_cost_hi_nanos":120,"coverage":0.25,"unpriced_share":0.25,"unattributed_share":0.125,` +
		`"dispersion":1.25,"peers":9,"peers_above":1,"peers_below":2,"status":"provisional","reason":"","formula":"efficiency/1","config_version":11}`
	if got := string(e.AppendJSON(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	e.Provisional = false
	if got := string(e.AppendJSON(nil)); !strings.Contains(got, `"status":"final"`) {
		t.Errorf("settled: %s", got)
	}
}

// Without a score nothing that rests on one is a number, and the status says so.
func TestEfficiencyWithoutScoreIsNull(t *testing.T) {
	nulls := func(s *Score) map[string]bool {
		t.Helper()
		e := efficiencyRecord(s, true)
		var got map[string]any
		if err := json.Unmarshal(e.AppendJSON(nil), &got); err != nil {
			t.Fatal(err)
		}
		if got["status"] != StatusInsufficient || got["reason"] != s.Reason {
			t.Errorf("status %v, reason %v", got["status"], got["reason"])
		}
		null := map[string]bool{}
		for _, field := range []string{
			"outcomes_credited", "outcomes_expected", "score", "score_lo", "score_hi", "aligned_cost_nanos", "unit_cost_nanos",
			"unit_cost_lo_nanos", "unit_cost_hi_nanos", "coverage", "dispersion", "peers", "peers_above", "peers_below",
		} {
			null[field] = got[field] == nil
		}
		return null
	}
	for field, null := range nulls(&Score{Reason: ReasonSize, Credited: 3, Expected: 9, Index: 7, AlignedNanos: 5, UnitCost: 1}) {
		if !null {
			t.Errorf("%s of a group that is too small is known", field)
		}
	}
	few := nulls(&Score{Reason: ReasonExpected, Credited: 3, Expected: 4, ExpectedKnown: true})
	for field, null := range few {
		known := field == "outcomes_credited" || field == "outcomes_expected" || field == "dispersion" || field == "aligned_cost_nanos"
		if null == known {
			t.Errorf("with too few expected, %s: null %v", field, null)
		}
	}
}

func TestEfficiencyMatchesItsSchema(t *testing.T) {
	schema := recordtest.Schema(t, "scores.v1.json")
	raw, err := jsonschema.FS().ReadFile("scores.v1.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Defs map[string]struct {
			Properties json.RawMessage `json:"properties"`
			Required   []string        `json:"required"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	def := doc.Defs[KindEfficiency]
	full := &Score{Credited: 1, Expected: 6, ExpectedKnown: true, Index: 100, Low: 60, High: 140, UnitCost: 5, PeersKnown: true, Coverage: Ratio(1, 2, 1)}
	scores := []*Score{full, {Index: math.NaN(), UnitCost: math.Inf(1)}}
	for _, reason := range []string{ReasonSize, ReasonOutcomes, ReasonHistory, ReasonPeople, ReasonUnpriced, ReasonPeers, ReasonExpected} {
		scores = append(scores, &Score{Reason: reason})
	}
	for _, s := range scores {
		e := efficiencyRecord(s, s == full)
		e.Rolling.Totals.OutcomesProvisional = -1
		body := e.AppendJSON(nil)
		value, err := validator.UnmarshalJSON(bytes.NewReader(body))
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if diff := cmp.Diff(recordtest.Fields(t, def.Properties), recordtest.Fields(t, body)); diff != "" {
			t.Errorf("fields (-schema +record)\n%s", diff)
		}
		if diff := cmp.Diff(recordtest.Fields(t, body), def.Required); diff != "" {
			t.Errorf("required (-record +schema)\n%s", diff)
		}
	}
}

func TestSchemaRefusesEfficiency(t *testing.T) {
	schema := recordtest.Schema(t, "scores.v1.json")
	for name, change := range map[string]func(map[string]any){
		"a short window":     func(m map[string]any) { m["window"] = "24h" },
		"an unknown reason":  func(m map[string]any) { m["reason"] = "lazy" },
		"a negative score":   func(m map[string]any) { m["score"] = -1.0 },
		"another formula":    func(m map[string]any) { m["formula"] = "rolling/1" },
		"a share above one":  func(m map[string]any) { m["coverage"] = 1.5 },
		"a missing interval": func(m map[string]any) { delete(m, "score_lo") },
		"a person":           func(m map[string]any) { m["scope_kind"] = "person" },
	} {
		e := efficiencyRecord(&Score{ExpectedKnown: true, Expected: 6, Index: 100, Low: 60, High: 140}, true)
		var value map[string]any
		if err := json.Unmarshal(e.AppendJSON(nil), &value); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Fatal(err)
		}
		change(value)
		if schema.Validate(value) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

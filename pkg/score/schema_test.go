package score

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"
	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/goodhartlabs/goodhart/pkg/recordtest"
	"github.com/goodhartlabs/goodhart/schemas/jsonschema"
)

func TestSchemasCompile(t *testing.T) {
	names, err := fs.Glob(jsonschema.FS(), "*.json")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"kpi.v1.json", "policy.v1.json", "scores.v1.json", "self.v1.json", "signals.v1.json"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, name := range names {
		recordtest.Schema(t, name)
	}
}

// Records match the schema, and have its fields in its order: none besides,
// none missing.
func TestRecordsMatchTheirSchema(t *testing.T) {
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
	full := Totals{
		Requests: 3, Records: 3, Errors: 1, InputUncachedTokens: 5, OutputTokens: 5, CostNanos: 7, OutcomesFinal: 1,
		CacheRecords: 1, ReasoningRecords: 1,
	}
	rolling := Rolling{Tenant: "acme", Window: "24h", Status: StatusRolling, ScopeKind: ScopeTeam, Scope: "web", Totals: full, PeopleKnown: true}
	group := GroupSize{Tenant: "acme", Week: "2026-W48", People: 12, Top1: Ratio(1, 3, 1), Top2: Ratio(2, 3, 1)}
	unknown, tenantWide, hidden := rolling, rolling, group
	unknown.Totals, unknown.PeopleKnown = Totals{Requests: 1, Records: 1, UnpricedRequests: 1, UnknownTokenRequests: 1}, false
	unknown.ScopeKind, unknown.Status = ScopeModel, StatusInsufficient
	tenantWide.ScopeKind, tenantWide.Scope = ScopeTenant, ""
	hidden.Top1, hidden.Top2, hidden.Reason = Millionths{}, Millionths{}, ReasonUnknown
	for _, body := range [][]byte{
		rolling.AppendJSON(nil), unknown.AppendJSON(nil), tenantWide.AppendJSON(nil), group.AppendJSON(nil), hidden.AppendJSON(nil),
	} {
		value, err := validator.UnmarshalJSON(bytes.NewReader(body))
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		kind, _ := value.(map[string]any)["kind"].(string)
		def := doc.Defs[kind]
		if diff := cmp.Diff(recordtest.Fields(t, def.Properties), recordtest.Fields(t, body)); diff != "" {
			t.Errorf("%s: fields (-schema +record)\n%s", kind, diff)
		}
		if diff := cmp.Diff(recordtest.Fields(t, body), def.Required); diff != "" {
			t.Errorf("%s: required (-record +schema)\n%s", kind, diff)
		}
	}
}

// The schema refuses what no record may be.
func TestSchemaRefuses(t *testing.T) {
	schema := recordtest.Schema(t, "scores.v1.json")
	group := GroupSize{Tenant: "acme", Week: "2026-W48", People: 12, Top1: Ratio(1, 3, 1), Top2: Ratio(2, 3, 1)}
	for name, change := range map[string]func(map[string]any){
		"another kind":         func(m map[string]any) { m["kind"] = "score" },
		"a missing field":      func(m map[string]any) { delete(m, "publishable") },
		"a share above one":    func(m map[string]any) { m["top1_share"] = 1.5 },
		"an unknown reason":    func(m map[string]any) { m["reason"] = "because" },
		"a week out of shape":  func(m map[string]any) { m["iso_week"] = "2026-48" },
		"a tenant with blanks": func(m map[string]any) { m["tenant"] = "a b" },
	} {
		var value map[string]any
		if err := json.Unmarshal(group.AppendJSON(nil), &value); err != nil {
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

package score

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/goodhartlabs/goodhart/pkg/recordtest"
)

// oneself is a person of whom so much is expected in each week, at a spend that
// takes it.
func oneself(a *Assessment, cost int64) Score {
	var blocks []Block
	for _, start := range WindowStarts(testEnd, 28) {
		blocks = append(blocks, Block{Role: "dev", Start: start, People: 1, AlignedNanos: cost, Records: 9, Value: Value{10, 10_000, 10_000}})
	}
	return a.Person(a.Inputs.Whole, blocks)
}

// A person has a score from the expectation on with which a shortfall by half could
// be seen, and no peers with it.
func TestPersonNeedsAsMuchAsCanBeSeen(t *testing.T) {
	if PersonExpected < 74 || PersonExpected > 75 {
		t.Errorf("%v outcomes are needed", PersonExpected)
	}
	a := assess(busy(), 1, unchanged)
	told := map[bool]int{}
	for cost := int64(1e9); cost < 4e18; cost *= 2 {
		s := oneself(a, cost)
		enough := s.Count.Expected >= PersonExpected
		if (s.Reason == "") != enough || !enough && (s.Reason != ReasonExpected || s.Index != 0 || !s.ExpectedKnown) {
			t.Fatalf("%v expected: %q, %v", s.Count.Expected, s.Reason, s.Index)
		}
		if s.PeersKnown || enough && !(s.Low < s.Index && s.Index < s.High) {
			t.Errorf("%+v", s)
		}
		told[enough]++
	}
	if told[true] == 0 || told[false] == 0 {
		t.Errorf("%v", told)
	}
}

// Of a week in which nobody worked nothing is expected, whatever spend counts
// towards it.
func TestPersonOnLeave(t *testing.T) {
	a := assess(busy(), 1, unchanged)
	blocks := []Block{}
	for i, start := range WindowStarts(testEnd, 28) {
		b := Block{Role: "dev", Start: start, People: 1, AlignedNanos: 50e9, Records: 9, Value: Value{2, 2_000, 2_000}}
		if i == 2 {
			b.People, b.Value, b.Records = 0, Value{}, 0
		}
		blocks = append(blocks, b)
	}
	whole, part := oneself(a, 50e9), a.Person(a.Inputs.Whole, blocks)
	if len(part.Parts) != 3 || part.Reason != ReasonExpected || !(part.Expected < whole.Expected*4/5) {
		t.Errorf("%d weeks, %q, %v of %v expected", len(part.Parts), part.Reason, part.Expected, whole.Expected)
	}
}

// Records match their schema, and have its fields in its order: none besides, none
// missing, no rank among them.
func TestPersonalMatchesItsSchema(t *testing.T) {
	schema := recordtest.Schema(t, "self.v1.json")
	var doc struct {
		Defs map[string]struct {
			Properties json.RawMessage `json:"properties"`
			Required   []string        `json:"required"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(recordtest.File(t, "self.v1.json"), &doc); err != nil {
		t.Fatal(err)
	}
	a := assess(busy(), 1, unchanged)
	for _, s := range []Score{oneself(a, 1e9), oneself(a, 2e18), {Reason: ReasonHistory}} {
		p := Personal{Tenant: "acme", Subject: "p_1", Window: "28d", Score: &s, Dispersion: a.Model.Dispersion}
		body := p.AppendJSON(nil)
		value, err := validator.UnmarshalJSON(bytes.NewReader(body))
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		for _, want := range [][]string{recordtest.Fields(t, doc.Defs["efficiency"].Properties), doc.Defs["efficiency"].Required} {
			if diff := cmp.Diff(want, recordtest.Fields(t, body)); diff != "" {
				t.Errorf("fields (-schema +record)\n%s", diff)
			}
		}
		for _, rank := range []string{"peers", "above", "below", "rank", "team"} {
			if bytes.Contains(body, []byte(rank)) {
				t.Errorf("%q is in %s", rank, body)
			}
		}
	}
	team := Efficiency{Rolling: Rolling{Tenant: "acme", ScopeKind: "person", Scope: "p_1", Window: "28d"}, Score: &Score{Reason: ReasonHistory}}
	value, err := validator.UnmarshalJSON(bytes.NewReader(team.AppendJSON(nil)))
	if err != nil {
		t.Fatal(err)
	}
	if recordtest.Schema(t, "scores.v1.json").Validate(value) == nil {
		t.Error("scores.v1 takes the score of a person")
	}
}

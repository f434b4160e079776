package tenant

import (
	"bytes"
	"math/rand/v2"
	"testing"

	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/recordtest"
	"github.com/goodhartlabs/goodhart/pkg/window"
	"github.com/goodhartlabs/goodhart/schemas"
)

// Everything that a fold emits to scores.v1 is valid against the schema.
func TestOutputsMatchTheSchema(t *testing.T) {
	schema := recordtest.Schema(t, "scores.v1.json")
	deeds := randomDeeds(rand.New(rand.NewPCG(8, 8)), 120)
	f := New(Default())
	for _, r := range deedLog(t, deeds, deeds[len(deeds)-1].w+9*window.Day) {
		var out machine.Outputs
		f.Step(&r, &out)
		for _, o := range out.Records() {
			if o.Topic != schemas.TopicScores {
				continue // judge_test.go
			}
			value, err := validator.UnmarshalJSON(bytes.NewReader(o.Body()))
			if err != nil {
				t.Fatalf("%s: %v", o.Body(), err)
			}
			if err := schema.Validate(value); err != nil {
				t.Fatalf("%s: %v", o.Body(), err)
			}
		}
	}
	if s := f.Stats(); s.Revisions == 0 || s.GroupSizes == 0 {
		t.Errorf("too little was emitted to mean anything: %+v", s)
	}
}

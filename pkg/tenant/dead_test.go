package tenant

import (
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/window"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// What cannot be used becomes one dead letter that says why, and leaves the
// state as it was.
func TestDeadLetters(t *testing.T) {
	pane := func(tenant string, start int64) []byte {
		return encode(t, &goodhartv1.Feature{Kind: goodhartv1.FeatureKind_FEATURE_KIND_PANE, Tenant: tenant, PaneStartMs: start})
	}
	for _, test := range []struct {
		name, reason string
		value        []byte
	}{
		{"garbage", "undecodable", []byte("\xff\xff\xff")},
		{"empty", "bad_kind", nil},
		{"unknown kind", "bad_kind", encode(t, &goodhartv1.Feature{Kind: 99})},
		{"no tenant", "no_tenant", pane("", base)},
		{"not a minute", "bad_pane", pane("acme", base+1)},
		{"in the future", "bad_pane", pane("acme", base+10*mnt)},
		{"before 1970", "bad_pane", pane("acme", -mnt)},
		{"credit without a subject", "no_credit", encode(t, &goodhartv1.Feature{
			Kind: goodhartv1.FeatureKind_FEATURE_KIND_CREDIT, Tenant: "acme", Credit: &goodhartv1.OutcomeCredit{},
		})},
		{"credit of nothing", "no_credit", encode(t, &goodhartv1.Feature{Kind: goodhartv1.FeatureKind_FEATURE_KIND_CREDIT, Tenant: "acme", Subject: "p_1"})},
		{"credit of no day", "bad_credit", encode(t, &goodhartv1.Feature{
			Kind: goodhartv1.FeatureKind_FEATURE_KIND_CREDIT, Tenant: "acme", Subject: "p_1", Credit: &goodhartv1.OutcomeCredit{ObjectDayMs: base + 1},
		})},
		{"credit of a day to come", "bad_credit", encode(t, &goodhartv1.Feature{
			Kind: goodhartv1.FeatureKind_FEATURE_KIND_CREDIT, Tenant: "acme", Subject: "p_1", Credit: &goodhartv1.OutcomeCredit{ObjectDayMs: base + 2*window.Day},
		})},
		{"config without a document", "no_config", encode(t, &goodhartv1.Feature{Kind: goodhartv1.FeatureKind_FEATURE_KIND_CONFIG, Tenant: "acme"})},
	} {
		f := New(Default())
		before := string(f.AppendShard(nil, 0))
		var out machine.Outputs
		f.Step(&machine.Record{
			Position: machine.Position{W: base + mnt}, Partition: 3, Offset: 77, Key: []byte("acme"), Value: test.value,
		}, &out)
		if len(out.Records()) != 1 || out.Records()[0].Topic != schemas.TopicDead {
			t.Errorf("%s: %d outputs", test.name, len(out.Records()))
			continue
		}
		var letter goodhartv1.DeadLetter
		if err := letter.UnmarshalVT(out.Records()[0].Body()); err != nil {
			t.Fatal(err)
		}
		if letter.Reason != test.reason || letter.Stage != goodhartv1.Stage_STAGE_TENANT || letter.Offset != 77 ||
			letter.Partition != 3 || letter.Topic != schemas.TopicFeatures || string(letter.Value) != string(test.value) {
			t.Errorf("%s: %v", test.name, &letter)
		}
		fresh := New(Default()) // the watermark alone leaves this state
		fresh.Step(&machine.Record{
			Position: machine.Position{W: base + mnt},
			Value:    encode(t, &goodhartv1.Feature{Kind: goodhartv1.FeatureKind_FEATURE_KIND_WATERMARK}),
		}, &out)
		if after := string(f.AppendShard(nil, 0)); after == before || after != string(fresh.AppendShard(nil, 0)) {
			t.Errorf("%s: the state changed", test.name)
		}
	}
}

// Any bytes are a feature or a dead letter, never a panic.
func FuzzStep(f *testing.F) {
	f.Add(base, []byte{})
	f.Add(base+10*mnt, encode(f, &goodhartv1.Feature{
		Kind: goodhartv1.FeatureKind_FEATURE_KIND_PANE, Tenant: "acme", Subject: "p_1", PaneStartMs: base,
		IdentityType: goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN,
		Cells:        []*goodhartv1.Cell{{Team: "web", Records: 1, CostNanos: -5}, {Team: "web", Model: "opus"}},
	}))
	f.Fuzz(func(t *testing.T, w int64, value []byte) {
		fold := New(Default())
		var out machine.Outputs
		w = min(max(w, 0), 1<<45)
		for i := range int64(3) {
			fold.Step(&machine.Record{Position: machine.Position{W: w + i*86_400_000}, Key: []byte("acme"), Value: value}, &out)
		}
		again := New(Default())
		state := fold.AppendShard(nil, 0)
		if err := again.LoadShard(0, state); err != nil {
			t.Fatal(err)
		}
		if string(again.AppendShard(nil, 0)) != string(state) {
			t.Fatal("a loaded state is saved differently")
		}
	})
}

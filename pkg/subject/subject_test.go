package subject

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/window"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// A pane is emitted when the watermark reaches its end, stamped with its end;
// those that are due at once, by due time, start and key.
func TestPanesFireAtTheirEnd(t *testing.T) {
	l := factLog{tb: t}
	l.add(0, "acme|p_b", usageFact("p_b", 10*sec))
	l.add(1, "acme|p_a", usageFact("p_a", 20*sec))
	l.add(2, "acme|p_b", usageFact("p_b", mnt-1)) // the last millisecond
	l.add(3, "acme|p_b", usageFact("p_b", mnt))   // the next minute
	l.watermark(mnt - 1)
	before := len(fold(t, l.records))
	l.watermark(mnt)
	l.watermark(50 * mnt)
	want := []string{
		"at 60s p_a pane of 0s: 1 cells, 1 requests, cost 100",
		"at 60s p_b pane of 0s: 1 cells, 2 requests, cost 200",
		"at 120s p_b pane of 60s: 1 cells, 1 requests, cost 100",
	}
	if diff := cmp.Diff(want, lines(fold(t, l.records))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if before != 0 {
		t.Errorf("%d panes fired a millisecond early", before)
	}
}

// Facts for a closed minute gather and make one delta at the next full minute
// of the watermark; one that arrives later makes another.
func TestDeltas(t *testing.T) {
	l := factLog{tb: t}
	l.add(0, "acme|p_a", usageFact("p_a", 10*sec))
	l.watermark(mnt)                                     // fires, and closes the minute
	l.add(mnt, "acme|p_a", usageFact("p_a", 11*sec))     // closed at the very end
	l.add(mnt+30*sec, "acme|p_a", usageFact("p_a", sec)) // the same delta
	l.add(2*mnt, "acme|p_a", usageFact("p_a", 12*sec))   // that one fires, this is another
	l.add(2*mnt, "acme|p_a", usageFact("p_a", 70*sec))   // of another minute
	l.add(2*mnt, "acme|p_b", usageFact("p_b", 5*sec))    // of an earlier one
	l.watermark(100 * mnt)
	want := []string{
		"at 60s p_a pane of 0s: 1 cells, 1 requests, cost 100",
		"at 120s p_a delta of 0s: 1 cells, 2 requests, cost 200",
		"at 180s p_a delta of 0s: 1 cells, 1 requests, cost 100",
		"at 180s p_b delta of 0s: 1 cells, 1 requests, cost 100",
		"at 180s p_a delta of 60s: 1 cells, 1 requests, cost 100",
	}
	if diff := cmp.Diff(want, lines(fold(t, l.records))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Every field of a cell, from every kind of fact.
func TestCells(t *testing.T) {
	n := func(v int64) *int64 { return &v }
	l := factLog{tb: t}
	add := func(fact *goodhartv1.Fact) { l.add(0, "acme|p_a", fact) }

	full := usageFact("p_a", 0)
	full.Event.Usage.CacheReadTokens, full.Event.Usage.ReasoningTokens = n(1), n(2)
	full.Event.Usage.CacheWrite_5MTokens, full.Event.Usage.CacheWrite_1HTokens, full.Event.Usage.CacheWriteTokens = n(3), n(4), n(5)
	full.Event.Usage.Status, full.Event.Usage.BaseCostNanos = goodhartv1.Status_STATUS_ERROR, n(130)
	add(full)

	unknown := usageFact("p_a", 0)
	unknown.Event.Usage.InputUncachedTokens, unknown.Event.Usage.CostNanos = nil, nil
	unknown.Event.Usage.CostBasis = goodhartv1.CostBasis_COST_BASIS_UNPRICED
	add(unknown)

	noOutput := usageFact("p_a", 0)
	noOutput.Event.Usage.OutputTokens = nil
	add(noOutput)
	embedding := usageFact("p_a", 0)
	embedding.Event.Usage.OutputTokens, embedding.Event.Usage.OperationName = nil, "embeddings"
	add(embedding)

	counter := usageFact("p_a", 0) // a delta of a counter is a record and no request
	counter.Event.Usage.Granularity = goodhartv1.Granularity_GRANULARITY_DELTA
	counter.Event.Usage.OutputTokens, counter.Event.Usage.Status = nil, goodhartv1.Status_STATUS_ERROR
	add(counter)

	activity := usageFact("p_a", 0)
	activity.Kind, activity.Event.Usage = goodhartv1.FactKind_FACT_KIND_ACTIVITY, nil
	add(activity)
	add(&goodhartv1.Fact{Kind: goodhartv1.FactKind_FACT_KIND_TRANSITION, Transition: &goodhartv1.Transition{
		Tenant: "acme", Subject: "p_a", Team: "home", TimeMs: base, ProvisionalDelta: -1, FinalDelta: 1, RevertedDelta: 2, Role: "lead",
		IdentityType: goodhartv1.IdentityType_IDENTITY_TYPE_AGENT, Outcome: goodhartv1.OutcomeKind_OUTCOME_KIND_PR_MERGED,
		ObjectDayMs: base - 9*window.Day, Ticket: "t", Linked: new(true), Unreviewed: true, ValueMillipoints: n(1500),
	}})
	for _, kind := range []goodhartv1.FactKind{
		goodhartv1.FactKind_FACT_KIND_OUTCOME, goodhartv1.FactKind_FACT_KIND_TICK, goodhartv1.FactKind_FACT_KIND_TALLY,
	} {
		other := usageFact("p_a", 0)
		other.Kind = kind
		add(other)
	}
	late, observational := usageFact("p_a", 0), usageFact("p_a", 0)
	late.Late, observational.Observational = true, true
	add(late)
	add(observational)
	l.watermark(mnt)

	got := fold(t, l.records)
	if len(got) != 2 {
		t.Fatalf("%d features, want 2", len(got))
	}
	credit := &goodhartv1.Feature{ // at once, and once
		Kind: goodhartv1.FeatureKind_FEATURE_KIND_CREDIT, Tenant: "acme", Subject: "p_a", Role: "lead",
		IdentityType: goodhartv1.IdentityType_IDENTITY_TYPE_AGENT,
		Credit: &goodhartv1.OutcomeCredit{
			Kind: goodhartv1.OutcomeKind_OUTCOME_KIND_PR_MERGED, Team: "home", ObjectDayMs: base - 9*window.Day, Ticket: xxhash.Sum64String("t"),
			Provisional: -1, Final: 1, Millipoints: n(1500), Linked: new(true), Unreviewed: true,
		},
	}
	if diff := cmp.Diff(credit, got[0].feature, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	want := &goodhartv1.Feature{
		Kind: goodhartv1.FeatureKind_FEATURE_KIND_PANE, Tenant: "acme", Subject: "p_a", Role: "lead", PaneStartMs: base,
		IdentityType: goodhartv1.IdentityType_IDENTITY_TYPE_AGENT,
		Cells: []*goodhartv1.Cell{
			{
				Team: "web", Model: "opus", Tool: "claude-code", Requests: 4, Records: 5, Errors: 1,
				InputUncachedTokens: 40, CacheReadTokens: 1, CacheWriteTokens: 12, OutputTokens: 10, ReasoningTokens: 2, CostNanos: 400, BaseDifferenceNanos: 30,
				UnpricedRequests: 1, UnknownTokenRequests: 2, CacheRecords: 1, ReasoningRecords: 1,
			},
			{Team: "web", Tool: "claude-code", Activities: 1},
			{
				Team: "home", OutcomesProvisional: -1, OutcomesFinal: 1, OutcomesReverted: 2,
				Credits: []*goodhartv1.KindCredit{{
					Kind: goodhartv1.OutcomeKind_OUTCOME_KIND_PR_MERGED, Provisional: -1, Final: 1, Reverted: 2,
				}},
			},
		},
	}
	if diff := cmp.Diff(want, got[1].feature, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got[0].key != "acme" || got[1].key != "acme" {
		t.Errorf("keys %q and %q, want the tenant", got[0].key, got[1].key)
	}
}

// A subject with very many cells in a minute is found by index and stated in
// several features of bounded size; together they hold everything.
func TestManyCells(t *testing.T) {
	l := factLog{tb: t}
	const models = 1000
	for range 3 {
		for i := range models {
			fact := usageFact("p_a", 0)
			fact.Event.Usage.Model = fmt.Sprintf("model-%d", i)
			l.add(0, "acme|p_a", fact)
		}
	}
	l.watermark(mnt)
	seen := map[string]int64{}
	for _, e := range fold(t, l.records) {
		if len(e.feature.Cells) > maxCells {
			t.Errorf("%d cells in a feature", len(e.feature.Cells))
		}
		for _, c := range e.feature.Cells {
			seen[c.Model] += c.Requests
		}
	}
	for model, n := range seen {
		if n != 3 {
			t.Errorf("%s: %d requests, want 3", model, n)
		}
	}
	if len(seen) != models {
		t.Errorf("%d models, want %d", len(seen), models)
	}
}

// Every partition receives a configuration; the one that owns the tenant passes
// it on, once.
func TestConfigIsPassedOnByItsOwner(t *testing.T) {
	const partitions = 8
	for _, tenant := range []string{"acme", "zeta", "initech"} {
		l := factLog{tb: t}
		l.add(5, tenant, &goodhartv1.Fact{
			Kind:  goodhartv1.FactKind_FACT_KIND_CONFIG,
			Event: &goodhartv1.Event{Tenant: tenant, Config: &goodhartv1.Config{Version: 3, Document: []byte(`{"a":1}`)}},
		})
		var passed []emitted
		for p := range int32(partitions) {
			f := New(Config{Partition: p, Partitions: partitions})
			got := step(t, f, &l.records[0])
			if len(got) > 0 && schemas.Partition([]byte(tenant), partitions) != p {
				t.Errorf("%s: passed on by partition %d", tenant, p)
			}
			passed = append(passed, got...)
		}
		if len(passed) != 1 || passed[0].w != 5 || passed[0].key != tenant ||
			passed[0].feature.Config.GetVersion() != 3 || string(passed[0].feature.Config.GetDocument()) != `{"a":1}` {
			t.Errorf("%s: %v", tenant, passed)
		}
	}
}

// What cannot be used becomes one dead letter that says why.
func TestDeadLetters(t *testing.T) {
	noEvent := usageFact("p_a", 0)
	noEvent.Event = nil
	future := usageFact("p_a", 0)
	future.Event.TimeMs = maxTime + 1
	past := usageFact("p_a", 0)
	past.Event.TimeMs = -1
	for _, test := range []struct {
		name, key, reason string
		value             []byte
	}{
		{"garbage", "acme|p_a", "undecodable", []byte("\xff\xff")},
		{"cut short", "acme|p_a", "undecodable", encode(t, usageFact("p_a", 0))[:40]},
		{"no kind", "acme|p_a", "bad_kind", nil},
		{"unknown kind", "acme|p_a", "bad_kind", encode(t, &goodhartv1.Fact{Kind: 77})},
		{"no event", "acme|p_a", "no_event", encode(t, noEvent)},
		{"no transition", "acme|p_a", "no_transition", encode(t, &goodhartv1.Fact{Kind: goodhartv1.FactKind_FACT_KIND_TRANSITION})},
		{"no config", "acme", "no_config", encode(t, &goodhartv1.Fact{Kind: goodhartv1.FactKind_FACT_KIND_CONFIG})},
		{"key without a subject", "acme", "bad_key", encode(t, usageFact("p_a", 0))},
		{"after 9999", "acme|p_a", "bad_time", encode(t, future)},
		{"before 1970", "acme|p_a", "bad_time", encode(t, past)},
	} {
		f := New(Config{Partitions: 1})
		var out machine.Outputs
		f.Step(&machine.Record{
			Position: machine.Position{W: base}, Partition: 3, Offset: 77, Key: []byte(test.key), Value: test.value,
		}, &out)
		if len(out.Records()) != 1 || out.Records()[0].Topic != schemas.TopicDead {
			t.Errorf("%s: %d outputs", test.name, len(out.Records()))
			continue
		}
		var letter goodhartv1.DeadLetter
		if err := letter.UnmarshalVT(out.Records()[0].Body()); err != nil {
			t.Fatal(err)
		}
		if letter.Reason != test.reason || letter.Tenant != "acme" || letter.Stage != goodhartv1.Stage_STAGE_SUBJECT ||
			letter.Partition != 3 || letter.Offset != 77 || letter.Topic != schemas.TopicFacts || string(letter.Value) != string(test.value) {
			t.Errorf("%s: %v", test.name, &letter)
		}
		if f.W() != base {
			t.Errorf("%s: W = %d", test.name, f.W())
		}
	}
}

// Nothing is lost and nothing counts twice: the requests of all panes, and those
// of all weeks, are those of the facts that may count, whatever the order of things.
func TestEveryFactReachesOneFeature(t *testing.T) {
	for seed := range uint64(50) {
		records := randomFacts(t, rand.New(rand.NewPCG(seed, 4)), 300)
		want, wantOf := map[string]int64{}, map[string]int64{}
		for _, r := range records {
			var fact goodhartv1.Fact
			if err := fact.UnmarshalVT(r.Value); err != nil {
				t.Fatal(err)
			}
			if fact.Kind == goodhartv1.FactKind_FACT_KIND_USAGE && fact.Event != nil && !fact.Late && !fact.Observational {
				minute := fact.Event.TimeMs / mnt
				want[fmt.Sprintf("%s %d %s", fact.Event.Subject, minute, fact.Event.Usage.Model)]++
				local := fact.Event.TimeMs + int64(fact.Event.GetTzOffsetMin())*mnt
				wantOf[fmt.Sprintf("%s %d", fact.Event.Subject, window.WeekStart(local))]++
			}
		}
		f := New(Config{Partitions: 1})
		got, gotOf := map[string]int64{}, map[string]int64{}
		last := int64(0)
		end := machine.Record{
			Position: machine.Position{W: base + 40*7*24*60*mnt, Seq: 1e9},
			Value:    encode(t, &goodhartv1.Fact{Kind: goodhartv1.FactKind_FACT_KIND_WATERMARK}),
		}
		for _, r := range append(records, end) {
			var out machine.Outputs
			f.Step(&r, &out)
			for _, o := range out.Records() {
				if o.W < last {
					t.Fatalf("seed %d: w falls from %d to %d", seed, last, o.W)
				}
				last = o.W
				var m goodhartv1.Feature
				if o.Topic != schemas.TopicFeatures {
					continue
				}
				if err := m.UnmarshalVT(o.Body()); err != nil {
					t.Fatal(err)
				}
				if k := m.Week; k != nil && k.Requests > 0 {
					of := fmt.Sprintf("%s %d", m.Subject, k.WeekStartMs)
					if gotOf[of] > 0 {
						t.Errorf("seed %d: %s was stated twice", seed, of)
					}
					gotOf[of] = k.Requests
				}
				for _, c := range m.Cells {
					if c.Requests > 0 {
						got[fmt.Sprintf("%s %d %s", m.Subject, m.PaneStartMs/mnt, c.Model)] += c.Requests
					}
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d: (-want +got)\n%s", seed, diff)
		}
		if diff := cmp.Diff(wantOf, gotOf); diff != "" {
			t.Fatalf("seed %d: weeks: (-want +got)\n%s", seed, diff)
		}
		if s := f.Stats(); s.Subjects != 0 || s.OpenPanes != 0 {
			t.Errorf("seed %d: a fold that was idle for half a year holds %d subjects and %d panes", seed, s.Subjects, s.OpenPanes)
		}
	}
}

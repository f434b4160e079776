package subject

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// said folds a log and returns the features of a kind.
func said(t *testing.T, l *factLog, kind goodhartv1.FeatureKind) []emitted {
	t.Helper()
	var out []emitted
	for _, e := range fold(t, l.records) {
		if e.feature.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

// base is a Thursday: its ISO week ends on the fourth day after.
const settled = 4*window.Day + 48*window.Hour

// Every field of the facts that a week is made of arrives in it.
func TestWeekOfASubject(t *testing.T) {
	l := factLog{tb: t}
	number := func(v int64) *int64 { return &v }
	full := func(at int64) *goodhartv1.Fact {
		fact := usageFact("p_a", at)
		e := fact.Event
		offset, sequence, hash, target, kappa, effects := int32(60), uint64(at/sec), uint64(7), uint64(9), int32(20_000), int32(1)
		e.Conversation, e.ParentConversation, e.ToolVersion, e.Repository = "c1", "c0", "2.1", "shop"
		e.TzOffsetMin, e.Sequence = &offset, &sequence
		u := e.Usage
		u.CacheReadTokens, u.DurationMs, u.NewTurnTokens = number(90), number(500), number(4)
		u.H64, u.TargetH64, u.KappaPpm, u.SideEffects = &hash, &target, &kappa, &effects
		return fact
	}
	l.add(0, "acme|p_a", full(sec))
	l.add(1, "acme|p_a", full(60*mnt))
	failed := usageFact("p_a", 61*mnt)
	failed.Event.Usage.Status = goodhartv1.Status_STATUS_ERROR
	l.add(2, "acme|p_a", failed)
	for name, decision := range map[string]string{commits: "", edits: "reject"} {
		act := usageFact("p_a", 62*mnt)
		act.Kind, act.Event.Usage = goodhartv1.FactKind_FACT_KIND_ACTIVITY, nil
		act.Event.Activity = &goodhartv1.Activity{Name: name, Numbers: []*goodhartv1.Number{{Key: "value", Value: 3}}}
		if decision != "" {
			act.Event.Activity.Labels = []*goodhartv1.Label{{Key: "decision", Value: decision}}
		}
		l.add(3, "acme|p_a", act)
	}
	l.add(4, "acme|p_a", &goodhartv1.Fact{Kind: goodhartv1.FactKind_FACT_KIND_TRANSITION, Transition: &goodhartv1.Transition{
		Tenant: "acme", Subject: "p_a", Team: "web", TimeMs: base + 60*mnt, ProvisionalDelta: 1,
		Outcome: goodhartv1.OutcomeKind_OUTCOME_KIND_PR_MERGED, ValueMillipoints: number(1500),
	}})
	l.watermark(settled - 61*mnt)
	if early := said(t, &l, goodhartv1.FeatureKind_FEATURE_KIND_WEEK); len(early) != 0 {
		t.Fatalf("%d weeks before the first has settled", len(early))
	}
	l.watermark(settled + 7*60*mnt)
	got := said(t, &l, goodhartv1.FeatureKind_FEATURE_KIND_WEEK)
	if len(got) != 1 {
		t.Fatalf("%d weeks, want 1", len(got))
	}
	if w := got[0].w; w < settled-60*mnt || w > settled+6*60*mnt || got[0].key != "acme" {
		t.Errorf("stated at %d with key %q", w, got[0].key)
	}
	f := got[0].feature
	if f.Subject != "p_a" || f.Role != "engineer" || f.Tenant != "acme" || len(f.Cells) != 0 {
		t.Errorf("%v", f)
	}
	k := f.Week
	k.Hours, k.DayRequests, k.DayTokens, k.DayCostNanos, k.DayOutcomes = nil, nil, nil, nil, nil // see package habit
	want := &goodhartv1.Week{
		WeekStartMs: base - 3*window.Day, TzOffsetMin: 60, Team: "web", Tool: "claude-code", ToolVersion: "2.1", Model: "opus", Repository: "shop",
		Requests: 3, Records: 3, Errors: 1, InputUncachedTokens: 30, CacheReadTokens: 180, OutputTokens: 15, CostNanos: 300,
		OutcomesProvisional: 1, ReportedOutcomes: 3, EditsRejected: 3, PeakHourRequests: 2,
		ContextRequests: 3, ContextTokens: 210, ContextLnSum: k.ContextLnSum, PromptRequests: 2, PromptLnSum: k.PromptLnSum,
		PairRequests: 2, PairTokens: 210, RepeatedRequests: 1, RepeatedTokens: 105, RepeatedCostNanos: 100,
		Repeats:    k.Repeats,
		DenseTurns: 2, PaddedTurns: 2, PeriodMin: k.PeriodMin, PeriodResultant: k.PeriodResultant, PeriodRequests: 3, LongestGapMin: k.LongestGapMin,
		Sessions: 1, SessionCostNanos: 200, SideEffects: 2, TimedRequests: 2, BusyMs: 1000, UnionMs: 1000, MostConcurrent: 1, ChildSessions: 1,
		SequenceGaps: 1000, SequencedRecords: 2,
		Models:  []*goodhartv1.ModelUse{{Model: "opus", Requests: 3, Tokens: 225, CostNanos: 300}},
		Credits: []*goodhartv1.KindCredit{{Kind: goodhartv1.OutcomeKind_OUTCOME_KIND_PR_MERGED, Provisional: 1, Millipoints: 1500, Valued: 1}},
	}
	if diff := cmp.Diff(want, k, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Tools that ran and prompts that were written say what requests cannot: what a
// session left behind, and how long the new turn was.
func TestWhatToolsDidAndPeopleWrote(t *testing.T) {
	l := factLog{tb: t}
	act := func(at int64, session, name string, numbers ...*goodhartv1.Number) {
		f := usageFact("p_a", at)
		f.Kind, f.Event.Usage, f.Event.Conversation = goodhartv1.FactKind_FACT_KIND_ACTIVITY, nil, session
		f.Event.Activity = &goodhartv1.Activity{Name: name, Numbers: numbers}
		l.add(at, "acme|p_a", f)
	}
	request := func(at int64, session string) {
		f := usageFact("p_a", at)
		f.Event.Conversation = session
		l.add(at, "acme|p_a", f)
	}
	act(sec, "c1", userPrompt, &goodhartv1.Number{Key: "prompt_length", Value: 78}, &goodhartv1.Number{Key: "kappa_ppm", Value: 20_000})
	request(2*sec, "c1") // answers it
	request(3*sec, "c1") // what a tool gave back: nobody said how much
	act(4*sec, "c1", toolResult, &goodhartv1.Number{Key: "side_effects", Value: 1})
	request(5*sec, "c2")
	act(6*sec, "c2", executeTool, &goodhartv1.Number{Key: "side_effects", Value: 0})
	act(7*sec, "c3", userPrompt, &goodhartv1.Number{Key: "prompt_length", Value: 4}) // nothing answers
	act(8*sec, "c2", toolResult)                                                     // a shell, which may have done anything
	// Of a subject whose tools have written nothing so far it is known all the same.
	reader := usageFact("p_b", sec)
	reader.Event.Conversation = "c4"
	l.add(9*sec, "acme|p_b", reader)
	looked := usageFact("p_b", 2*sec)
	looked.Kind, looked.Event.Usage, looked.Event.Conversation = goodhartv1.FactKind_FACT_KIND_ACTIVITY, nil, "c4"
	looked.Event.Activity = &goodhartv1.Activity{Name: toolResult, Numbers: []*goodhartv1.Number{{Key: "side_effects", Value: 0}}}
	l.add(10*sec, "acme|p_b", looked)
	l.watermark(settled + 7*60*mnt)
	weeks := map[string]*goodhartv1.Week{}
	for _, f := range said(t, &l, goodhartv1.FeatureKind_FEATURE_KIND_WEEK) {
		weeks[f.feature.Subject] = f.feature.Week
	}
	if len(weeks) != 2 {
		t.Fatalf("%d weeks, want 2", len(weeks))
	}
	if k := weeks["p_b"]; k.Sessions != 1 || k.SinklessSessions != 1 {
		t.Errorf("who only read: %d sessions, %d without a sink", k.Sessions, k.SinklessSessions)
	}
	k := weeks["p_a"]
	if k.Sessions != 2 || k.SinklessSessions != 1 || k.SideEffects != 1 {
		t.Errorf("%d sessions, %d without a sink, %d effects: want 2, 1, 1", k.Sessions, k.SinklessSessions, k.SideEffects)
	}
	if k.PromptRequests != 1 || k.PromptLnSum != -1_252_763 { // ln(6/21): 5 tokens out, 20 in
		t.Errorf("%d answers to prompts, ln %d", k.PromptRequests, k.PromptLnSum)
	}
	if k.DenseTurns != 1 || k.PaddedTurns != 1 {
		t.Errorf("%d dense turns, %d padded", k.DenseTurns, k.PaddedTurns)
	}
}

// A runaway is said with the record that crosses, not when its minute has ended.
func TestGuardIsSaidAtOnce(t *testing.T) {
	l := factLog{tb: t}
	for i := range int64(10) {
		dear := usageFact("p_a", (i+1)*sec)
		*dear.Event.Usage.CostNanos = 10e9
		dear.Event.Credential = "key-1"
		l.add((i+2)*sec, "acme|p_a", dear)
	}
	got := said(t, &l, goodhartv1.FeatureKind_FEATURE_KIND_GUARD)
	if len(got) != 1 || got[0].w != 11*sec || got[0].feature.Guard.Credential != "key-1" || got[0].feature.Guard.Value != 100e9 {
		t.Fatalf("%v", got)
	}
	l.watermark(60 * mnt)
	if got = said(t, &l, goodhartv1.FeatureKind_FEATURE_KIND_GUARD); len(got) != 2 || !got[1].feature.Guard.Ended || got[1].w != 20*mnt {
		t.Errorf("it does not end: %v", got)
	}
}

// A habit's state stays within its bounds, whatever a subject sends.
func TestHabitIsBounded(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 9))
	f := New(Config{Partitions: 1})
	l := factLog{tb: t}
	for i := range int64(5000) {
		fact := usageFact("p_a", i*sec)
		hash, target := rng.Uint64(), rng.Uint64()
		e := fact.Event
		e.Conversation, e.ToolVersion, e.Repository, e.Usage.Model = name(rng), name(rng), name(rng), name(rng)
		e.Usage.H64, e.Usage.TargetH64 = &hash, &target
		l.add(i*sec, "acme|p_a", fact)
	}
	var out machine.Outputs
	for i := range l.records {
		f.Step(&l.records[i], &out)
		out.Recycle()
	}
	size := 0
	for shard := range machine.Shards {
		size += len(f.AppendShard(nil, shard))
	}
	size -= 60 << 10 // the open minute has a cell for each of its 60 models
	if size > 8<<10 {
		t.Errorf("%d bytes for one subject", size)
	}
}

func name(rng *rand.Rand) string {
	b := make([]byte, 12)
	for i := range b {
		b[i] = byte('a' + rng.IntN(26))
	}
	return string(b)
}

package subject

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// FuzzDecode holds the decoder against the generated one: what that accepts
// must be read the same, and nothing may panic.
func FuzzDecode(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 1))
	f.Add(encode(f, benchFact(rng, "p_1", base, base, 1)))
	f.Add(encode(f, usageFact("p_1", 0)))
	f.Add(encode(f, &goodhartv1.Fact{
		Kind: goodhartv1.FactKind_FACT_KIND_TRANSITION, Late: true, Observational: true,
		Transition: &goodhartv1.Transition{Team: "web", ProvisionalDelta: -1, TimeMs: -5},
	}))
	f.Add([]byte{0x52, 0x00, 0x52, 0x03, 0x82, 0x01, 0x00}) // an event twice
	// Fields of fixed length, and a tag longer than it must be, before what is read.
	n := int64(300)
	used := append(encode(f, &goodhartv1.Usage{H64: new(uint64(7))}), encode(f, &goodhartv1.Usage{OutputTokens: &n, InputUncachedTokens: &n})...)
	event := append([]byte{0xfd, 0x02, 1, 2, 4, 5, 0xb8, 0x80, 0x00, 0x2a, 0xc2, 0x02, byte(len(used))}, used...)
	f.Add(append([]byte{0x52, byte(len(event))}, event...))
	f.Fuzz(func(t *testing.T, b []byte) {
		var got fact
		ok := got.decode(b)
		New(Config{Partitions: 1}).Step(&machine.Record{Key: []byte("a|b"), Value: b}, &machine.Outputs{})
		var want goodhartv1.Fact
		if want.UnmarshalVT(b) != nil {
			return
		}
		if !ok {
			if groups(b) {
				return
			}
			t.Fatalf("%x: not read", b)
		}
		compare(t, &got, &want)
	})
}

// groups reports whether the bytes may hold a group, which the generated
// decoder skips and this one refuses.
func groups(b []byte) bool {
	for _, c := range b {
		if c&7 == 3 {
			return true
		}
	}
	return false
}

func compare(t *testing.T, got *fact, want *goodhartv1.Fact) {
	t.Helper()
	event := want.GetEvent()
	text := func(name string, got []byte, want string) {
		if !bytes.Equal(got, []byte(want)) {
			t.Fatalf("%s = %q, want %q", name, got, want)
		}
	}
	number := func(name string, got, want int64) {
		if got != want {
			t.Fatalf("%s = %d, want %d", name, got, want)
		}
	}
	number("kind", int64(got.kind), int64(want.Kind))
	number("time", got.timeMs, event.GetTimeMs())
	number("identity", int64(got.identity), int64(event.GetIdentityType()))
	if got.late != want.Late || got.observational != want.Observational || got.hasEvent != (event != nil) {
		t.Fatalf("late %v, observational %v, event %v", got.late, got.observational, got.hasEvent)
	}
	if (got.transition == nil) != (want.Transition == nil) || want.Transition != nil &&
		!bytes.Equal(encode(t, got.transition), encode(t, want.Transition)) {
		t.Fatalf("transition %v, want %v", got.transition, want.Transition)
	}
	text("team", got.team, event.GetTeam())
	text("role", got.role, event.GetRole())
	text("tool", got.tool, event.GetTool())
	text("conversation", got.conversation, event.GetConversation())
	text("parent", got.parent, event.GetParentConversation())
	text("tool version", got.toolVersion, event.GetToolVersion())
	text("repository", got.repository, event.GetRepository())
	text("credential", got.credential, event.GetCredential())
	number("offset", int64(got.offset), int64(event.GetTzOffsetMin()))
	number("sequence", int64(got.sequence), int64(event.GetSequence()))
	if got.hasOffset != (event.GetTzOffsetMin() != 0 || event != nil && event.TzOffsetMin != nil) || got.hasSequence != (event != nil && event.Sequence != nil) {
		t.Fatalf("offset %v, sequence %v", got.hasOffset, got.hasSequence)
	}
	usage := event.GetUsage()
	text("operation", got.usage.operation, usage.GetOperationName())
	text("model", got.usage.model, usage.GetModel())
	if usage == nil {
		return
	}
	number("basis", int64(int32(got.usage.numbers[costBasis])), int64(usage.CostBasis))
	number("status", int64(int32(got.usage.numbers[status])), int64(usage.Status))
	number("granularity", int64(int32(got.usage.numbers[granularity])), int64(usage.Granularity))
	signed := func(n *uint64) *int64 {
		if n == nil {
			return nil
		}
		v := int64(*n)
		return &v
	}
	for field, want := range map[int]*int64{
		newTurnHash: signed(usage.H64), targetHash: signed(usage.TargetH64), duration: usage.DurationMs, newTurn: usage.NewTurnTokens,
		inputUncached: usage.InputUncachedTokens, cacheRead: usage.CacheReadTokens, cacheWrite5m: usage.CacheWrite_5MTokens,
		cacheWrite1h: usage.CacheWrite_1HTokens, cacheWrite: usage.CacheWriteTokens, output: usage.OutputTokens,
		reasoning: usage.ReasoningTokens, costNanos: usage.CostNanos,
	} {
		has := got.usage.has&(1<<field) != 0
		if has != (want != nil) || has && got.usage.numbers[field] != *want {
			t.Fatalf("field %d: %d, %v; want %v", field, got.usage.numbers[field], has, want)
		}
	}
}

// The hot path allocates nothing once its pane is there.
func TestStepDoesNotAllocate(t *testing.T) {
	l := factLog{tb: t}
	l.add(0, "acme|p_a", usageFact("p_a", 0))
	f := New(Config{Partitions: 1})
	var out machine.Outputs
	f.Step(&l.records[0], &out)
	if n := testing.AllocsPerRun(100, func() { f.Step(&l.records[0], &out) }); n != 0 {
		t.Errorf("%v allocations per fact, want 0", n)
	}
}

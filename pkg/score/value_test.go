package score

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

const (
	merged = goodhartv1.OutcomeKind_OUTCOME_KIND_PR_MERGED
	landed = goodhartv1.OutcomeKind_OUTCOME_KIND_COMMIT_LANDED
)

func TestWorth(t *testing.T) {
	v := Values{Points: map[goodhartv1.OutcomeKind]int64{merged: 1_500}}
	f := func(kind goodhartv1.OutcomeKind, stated *int64, want int64) {
		t.Helper()
		if got := v.Worth(kind, stated); got != want {
			t.Errorf("%s: %d, want %d", kind, got, want)
		}
	}
	f(merged, nil, 1_500)
	f(merged, new(int64(200)), 200)
	f(merged, new(int64(-200)), 0)
	f(merged, new(int64(math.MaxInt64)), 1_000_000)
	f(landed, nil, 0)
	f(landed, new(int64(200)), 0) // the tenant decides what counts
}

// Half at the merge, half after survival; a revert takes off all there was.
func TestCredit(t *testing.T) {
	v := Values{TicketCap: 3_000}
	f := func(name string, want Value, halves int64, transitions ...[2]int32) {
		t.Helper()
		var ticket Ticket
		for _, d := range transitions {
			ticket.Add(1_000, d[0], d[1])
		}
		got := v.Value(ticket)
		if got != want || got.Halves() != halves {
			t.Errorf("%s: %+v with %d halves, want %+v with %d", name, got, got.Halves(), want, halves)
		}
	}
	merge, survive, revertEarly, revertLate := [2]int32{1, 0}, [2]int32{-1, 1}, [2]int32{-1, 0}, [2]int32{0, -1}
	f("nothing", Value{}, 0)
	f("merged", Value{1, 1_000, 0}, 1_000, merge)
	f("survived", Value{1, 1_000, 1_000}, 2_000, merge, survive)
	f("reverted before", Value{}, 0, merge, revertEarly)
	f("reverted after", Value{}, 0, merge, survive, revertLate)
	f("restored", Value{1, 1_000, 0}, 1_000, merge, revertEarly, merge)
	f("split in five", Value{5, 3_000, 0}, 3_000, merge, merge, merge, merge, merge)
	f("split in five, one survived", Value{5, 3_000, 1_000}, 4_000, merge, merge, merge, merge, merge, survive)
	f("split in five, one reverted", Value{4, 3_000, 0}, 3_000, merge, merge, merge, merge, merge, revertEarly)
	v.TicketCap = 0
	f("without a cap", Value{5, 5_000, 0}, 5_000, merge, merge, merge, merge, merge)
}

// What transitions change adds up to what stands, whatever their order; what is
// worth nothing changes nothing.
func TestCreditAddsUp(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2_000 {
		v := Values{TicketCap: rng.Int64N(4_000)}
		var ticket Ticket
		var sum Value
		var states [6]int // 0 none, 1 provisional, 2 final
		for range rng.IntN(40) {
			i := rng.IntN(len(states))
			next := [...]int{1, rng.IntN(2) * 2, 0}[states[i]]
			was := v.Value(ticket)
			ticket.Add(int64(200*i), delta(states[i], next, 1), delta(states[i], next, 2))
			states[i] = next
			change := v.Value(ticket)
			change.Sub(was)
			sum.Add(change)
		}
		if got := v.Value(ticket); got != sum {
			t.Fatalf("stands %+v, changes %+v", got, sum)
		}
		if sum.Standing < sum.Settled || sum.Settled < 0 || v.TicketCap > 0 && sum.Standing > v.TicketCap {
			t.Fatalf("cap %d: %+v", v.TicketCap, sum)
		}
	}
}

func delta(from, to, state int) int32 {
	switch state {
	case from:
		return -1
	case to:
		return 1
	}
	return 0
}

func TestKernel(t *testing.T) {
	norm, sum := 0.0, int64(0)
	for d := range Lag + 1 {
		norm += math.Exp(-float64(d) / 5)
	}
	for d := range Lag + 1 {
		if want := 1e6 * math.Exp(-float64(d)/5) / norm; math.Abs(float64(Kernel(d))-want) > 1 {
			t.Errorf("day %d: %d, want %.1f", d, Kernel(d), want)
		}
		sum += Kernel(d)
	}
	if sum != 1_000_000 || Kernel(-1) != 0 || Kernel(Lag+1) != 0 {
		t.Errorf("sums to %d, outside %d and %d", sum, Kernel(-1), Kernel(Lag+1))
	}
}

// A cost counts once, from its day on, towards the blocks of the next 14 days.
func TestBlocksShareOutACost(t *testing.T) {
	const cost, at = 123_456_789_012_345_678, 30
	s := Series{Unit: "web", Role: "dev", First: 19_000 * window.Day, Days: make([]Day, at+1)}
	s.Days[at] = Day{CostNanos: cost, Records: 5, Unpriced: 2}
	var aligned, spent int64
	for i := range int64(6) {
		b, ok := s.Block(s.First + (16+7*i)*window.Day)
		if !ok {
			t.Fatal("unknown")
		}
		aligned, spent = aligned+b.AlignedNanos, spent+b.CostNanos
		if before := i < 2; before != (b.AlignedNanos == 0) && i < 5 {
			t.Errorf("block %d: aligned %d", i, b.AlignedNanos)
		}
	}
	if diff := aligned - cost; spent != cost || diff < -Lag || diff > Lag {
		t.Errorf("spent %d, aligned %d, want %d", spent, aligned, int64(cost))
	}
	day := Kernel(0)
	b, _ := s.Block(s.First + (at-6)*window.Day)
	if want, _ := mulDiv(cost, uint64(day), 1_000_000); b.AlignedNanos != want {
		t.Errorf("on its own day %d, want %d", b.AlignedNanos, want)
	}
}

func TestBlock(t *testing.T) {
	s := Series{Unit: "web", Role: "dev", LinkedOnly: true, First: 19_000 * window.Day, Days: make([]Day, 40)}
	for i := range s.Days {
		s.Days[i] = Day{Records: 2, Unpriced: 1, People: int64(i), Value: Value{1, 10, 5}, Linked: 3}
	}
	if _, ok := s.Block(s.First + 13*window.Day); ok {
		t.Error("a block is known although the costs before it are not")
	}
	got, ok := s.Block(s.First + 14*window.Day)
	want := Block{
		Unit: "web", Role: "dev", LinkedOnly: true, Start: s.First + 14*window.Day, People: 20, Records: 14, Unpriced: 7,
		Value: Value{7, 70, 35}, Linked: 21,
	}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("known %v (-want +got)\n%s", ok, diff)
	}
	s.Days[10].CostNanos = -5_000_000_000 // a refund is no outcome's cost
	if b, _ := s.Block(want.Start); b.AlignedNanos != 0 {
		t.Errorf("a refund counts %d", b.AlignedNanos)
	}
	if late, ok := s.Block(s.First + 400*window.Day); !ok || late.Records != 0 || late.People != 0 {
		t.Errorf("after the last day: %+v, known %v", late, ok)
	}
}

// What nobody of a role did belongs to the role with most people; without any it
// stands alone, so that it is missed.
func TestWorkOfNobodyIsAdopted(t *testing.T) {
	const start = 19_000 * window.Day
	day := func(people, cost int64) []Day {
		return []Day{{}, {}, {}, {}, {}, {}, {People: people, CostNanos: cost, Records: 1, Unpriced: 1, Linked: 2, Value: Value{1, 2, 3}}}
	}
	series := func(unit, role string, people, cost int64) Series {
		return Series{Unit: unit, Role: role, First: start - Lag*window.Day, Days: append(make([]Day, Lag), day(people, cost)...)}
	}
	blocks, _ := Blocks([]Series{
		series("a", "ops", 2, 100), series("a", "", 0, 7), series("a", "dev", 2, 10), series("b", "", 0, 5), series("a", "gone", 0, 1000),
	}, []int64{start})
	got := map[string]Block{}
	for _, b := range blocks {
		got[b.Unit+b.Role] = b
	}
	if len(got) != 3 || got["adev"].CostNanos != 1017 || got["aops"].CostNanos != 100 || got["b"].CostNanos != 5 {
		t.Fatalf("%+v", blocks)
	}
	if b := got["adev"]; b.People != 2 || b.Records != 3 || b.Unpriced != 3 || b.Linked != 6 || b.Value != (Value{3, 6, 9}) || b.AlignedNanos == 0 {
		t.Errorf("%+v", b)
	}
}

func TestBlocks(t *testing.T) {
	first := 19_000 * window.Day
	series := []Series{
		{Unit: "web", Role: "dev", First: first, Days: make([]Day, 60)},
		{Unit: "new", Role: "dev", First: first + 20*window.Day, Days: make([]Day, 40)},
		{Unit: "ops", Role: "dev", First: first},
		{Unit: "new", Role: "design", First: first + 20*window.Day, Days: make([]Day, 40)},
	}
	series[0].Days[34].People = 4 // idle, and expected to deliver
	series[1].Days[39].CostNanos = 1_000_000
	blocks, unknown := Blocks(series, WindowStarts(first+56*window.Day, 28))
	var got []string
	for _, b := range blocks {
		got = append(got, fmt.Sprintf("%s %s %d", b.Unit, b.Role, (b.Start-first)/window.Day))
	}
	if diff := cmp.Diff([]string{"web dev 28"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"new"}, unknown); diff != "" {
		t.Errorf("unknown (-want +got)\n%s", diff)
	}
	if blocks, unknown = Blocks(series, WindowStarts(first+63*window.Day, 7)); len(unknown) != 0 || len(blocks) != 1 || blocks[0].AlignedNanos == 0 {
		t.Errorf("later: %+v, unknown %v", blocks, unknown)
	}
}

func TestStarts(t *testing.T) {
	for end := 19_000 * window.Day; end < 19_030*window.Day; end += window.Day {
		fit := FitStarts(end)
		for i, start := range fit {
			if start != window.WeekStart(start) || i > 0 && start-fit[i-1] != window.Week {
				t.Fatalf("week %d starts at %d", i, start)
			}
		}
		if settled := fit[12] + window.Week + 14*window.Day; len(fit) != 13 || settled > end || settled <= end-window.Week {
			t.Errorf("the last week settles at %d, the window ends at %d", settled, end)
		}
		starts := WindowStarts(end, 28)
		if len(starts) != 4 || starts[0] != end-28*window.Day || starts[3] != end-7*window.Day {
			t.Errorf("blocks of a window: %v", starts)
		}
	}
}

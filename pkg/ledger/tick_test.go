package ledger

import (
	"fmt"
	"slices"
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

func tickEvent(collector string, sequence uint64, ms int64, rejected ...*goodhartv1.Rejected) *goodhartv1.Event {
	return &goodhartv1.Event{
		Kind: goodhartv1.EventKind_EVENT_KIND_TICK, TimeMs: ms,
		Tick: &goodhartv1.Tick{Collector: collector, Sequence: sequence, Rejected: rejected},
	}
}

func rejectedAt(ms, records int64) *goodhartv1.Rejected {
	return &goodhartv1.Rejected{Tenant: "acme", Source: "claude-code", HourMs: hourOf(ms), Reason: "bad_time", Records: records}
}

// account sums the tallies so far: "acme/claude-code@3 rejected 5", in hours
// after t0.
func account(r *rig) []string {
	var got []string
	for _, f := range r.take(kindTally) {
		c := f.Tally
		line := fmt.Sprintf("%s/%s@%d", c.Tenant, c.Source, (c.HourMs-t0)/hour)
		if c.Rejected != 0 {
			line += fmt.Sprintf(" rejected %d", c.Rejected)
		}
		if c.RejectedLost {
			line += " lost"
		}
		got = append(got, line)
	}
	slices.Sort(got)
	return got
}

func TestTicks(t *testing.T) {
	type sent struct {
		sequence uint64
		at       int64
		rejected int64
	}
	f := func(name string, ticks []sent, wantTicks int, want ...string) {
		t.Helper()
		r := newRig(t)
		for _, s := range ticks {
			var rejected []*goodhartv1.Rejected
			if s.rejected > 0 {
				rejected = append(rejected, rejectedAt(t0+s.at, s.rejected))
			}
			r.send(t0+s.at, tickEvent("c", s.sequence, t0+s.at, rejected...))
		}
		r.send(t0+100*hour, tickEvent("flusher", 1, t0+100*hour))
		r.send(t0+101*hour, tickEvent("flusher", 2, t0+101*hour))
		facts := slices.Clone(r.facts)
		got := account(r)
		if !slices.Equal(got, want) {
			t.Errorf("%s: tallies %q, want %q", name, got, want)
		}
		r.facts = facts
		if n := len(r.take(kindTick)) - 2; n != wantTicks {
			t.Errorf("%s: %d ticks, want %d", name, n, wantTicks)
		}
	}
	f("nothing rejected", []sent{{1, 0, 0}, {2, 5000, 0}}, 2)
	f("lists add up", []sent{{1, 0, 3}, {2, 5000, 4}, {3, hour, 1}}, 3,
		"acme/claude-code@0 rejected 7", "acme/claude-code@1 rejected 1")
	f("a tick counts once", []sent{{1, 0, 3}, {1, 0, 3}, {2, 5000, 0}, {1, 0, 3}}, 2, "acme/claude-code@0 rejected 3")
	f("a tick that is repeated later counts once", []sent{{1, 0, 3}, {1, 5000, 3}, {2, 6000, 0}}, 2, "acme/claude-code@0 rejected 3")
	f("a gap where no lists go means nothing", []sent{{1, 0, 0}, {7, hour, 0}}, 2)
	f("a gap where lists go", []sent{{1, 0, 3}, {3, 2 * hour, 0}}, 2,
		"/@0 lost", "/@1 lost", "/@2 lost", "acme/claude-code@0 rejected 3")
	f("a collector that starts again", []sent{{8, 0, 3}, {1, hour, 2}, {2, hour + 1, 0}}, 3,
		"/@0 lost", "/@1 lost", "acme/claude-code@0 rejected 3", "acme/claude-code@1 rejected 2")
	f("a clock that falls back", []sent{{1, hour, 3}, {3, 0, 0}}, 2, "/@0 lost", "acme/claude-code@1 rejected 3")
}

func TestLostHoursAreBounded(t *testing.T) {
	r := newRig(t)
	r.send(t0, tickEvent("c", 1, t0, rejectedAt(t0, 1)))
	r.send(t0+1000*hour, tickEvent("c", 9, t0+1000*hour))
	r.send(t0+1001*hour, tickEvent("c", 10, t0+1001*hour))
	got := account(r)
	if len(got) != 74 || !slices.Contains(got, "/@928 lost") { // 72 h back, both ends, and the list
		t.Errorf("%d tallies: %q", len(got), got)
	}
}

func TestTickGoesToOnePartition(t *testing.T) {
	f := func(own, of, want int32) {
		t.Helper()
		cfg := Default()
		cfg.Partition, cfg.Partitions = own, of
		fold := New(cfg)
		var out machine.Outputs
		fold.Step(&machine.Record{Time: t0, Value: marshal(tickEvent("c", 1, t0))}, &out)
		if recs := out.Records(); len(recs) != 1 || recs[0].Partition != want {
			t.Errorf("partition %d of %d: %+v, want one output to %d", own, of, recs, want)
		}
	}
	f(0, 8, 0)
	f(7, 8, 7)
	f(7, 4, 3)
}

func TestSilentCollectorsAreForgotten(t *testing.T) {
	r := newRig(t)
	for i := range 50 {
		ms := t0 + int64(i)*dayLen
		r.send(ms, tickEvent(fmt.Sprint("start-", i), 1, ms))
	}
	if n := len(r.fold.collectors); n > 9 {
		t.Errorf("%d collectors remembered", n)
	}
}

// Tallies leave at the first full minute of the watermark, sorted, additive.
func TestTalliesLeaveEachMinute(t *testing.T) {
	r := newRig(t)
	send := func(ms int64, tenant, name string) {
		ev := usageEvent(sigLog, "conv", name)
		ev.Tenant = tenant
		ev.EventId = id16(tenant, name)
		r.send(ms, ev)
	}
	send(t0+30*second, "umbrella", "a") // W = t0
	send(t0+40*second, "acme", "b")
	send(t0+41*second, "acme", "b")
	if got := r.take(kindTally); len(got) != 0 {
		t.Fatalf("tallies within the minute: %v", got)
	}
	send(t0+5*minute, "acme", "c")
	got := r.take(kindTally)
	if len(got) != 2 {
		t.Fatalf("got %v", got)
	}
	a, u := got[0], got[1]
	if a.W != t0+minute || a.Tally.Tenant != "acme" || a.Tally.Accepted != 2 || a.Tally.Duplicate != 1 ||
		u.Tally.Tenant != "umbrella" || u.Tally.Accepted != 1 || u.Tally.HourMs != t0 {
		t.Errorf("got %v and %v", a, u)
	}
}

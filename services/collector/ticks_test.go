package collector

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/schemas"
)

func TestTicksReachEveryPartition(t *testing.T) { ktest.Each(t, testTicksReachEveryPartition) }

func testTicksReachEveryPartition(t *testing.T, c *ktest.Cluster) {
	r := startOn(t, c, func(c *Config) { c.TickInterval = 10 * time.Millisecond })
	for range 5 {
		if err := r.s.ticker.beat(t.Context(), 5*time.Second, time.Now); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	checkSequences(t, r, 5)
	last := map[int32]int64{}
	for _, e := range r.ticks() {
		if e.TimeMs < last[e.partition] || e.TimeMs != e.ReceivedMs {
			t.Errorf("partition %d: tick at %d received at %d after one at %d", e.partition, e.TimeMs, e.ReceivedMs, last[e.partition])
		}
		last[e.partition] = e.TimeMs
	}
}

// checkSequences wants numbers from 1 without gaps in every partition, at least
// n of them, all of one collector.
func checkSequences(t *testing.T, r *rig, n uint64) {
	t.Helper()
	next := map[int32]uint64{}
	ids := map[string]bool{}
	for _, e := range r.ticks() {
		ids[e.Tick.Collector] = true
		switch e.Tick.Sequence {
		case next[e.partition] + 1:
			next[e.partition]++
		case next[e.partition]: // repeated, because it was not acknowledged
		default:
			t.Errorf("partition %d: tick %d after %d", e.partition, e.Tick.Sequence, next[e.partition])
		}
	}
	for p := range int32(testParts) {
		if next[p] < n {
			t.Errorf("partition %d: %d ticks, want at least %d", p, next[p], n)
		}
	}
	if len(ids) != 1 {
		t.Errorf("collectors %v, want one", ids)
	}
}

func TestTallyIsReportedOnceThoughItsTickFails(t *testing.T) {
	r := start(t, nil)
	carrier := r.s.ticker.carrier()
	now := time.Now()
	r.s.tallies.add(testTenant, now, []event.Rejection{
		{Source: "otlp", Reason: "bad_time"}, {Source: "otlp", Reason: "bad_time"}, {Source: "otlp", Reason: "bad_number"},
	})
	// The broker writes the tick and says that it could not.
	fault := r.cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Produce}, Topic: schemas.TopicEvents, Partitions: []int32{carrier},
		Err: kerr.InvalidRequiredAcks, Count: -1,
	})
	if err := r.s.ticker.beat(t.Context(), 5*time.Second, at(now)); err == nil {
		t.Fatal("a failing partition goes unnoticed")
	}
	if fault.Hits() == 0 {
		t.Fatal("the fault was not hit")
	}
	// What is refused meanwhile waits for the number after.
	r.s.tallies.add(testTenant, now, []event.Rejection{{Source: "otlp", Reason: "bad_time"}})
	if err := r.s.ticker.beat(t.Context(), 5*time.Second, at(now)); err == nil {
		t.Fatal("a failing partition goes unnoticed")
	}
	fault.Remove()
	for range 2 {
		if err := r.s.ticker.beat(t.Context(), 5*time.Second, at(now)); err != nil {
			t.Fatal(err)
		}
	}
	checkSequences(t, r, 2)
	sums := r.tallied()
	if sums["otlp/bad_time"] != 3 || sums["otlp/bad_number"] != 1 {
		t.Errorf("tallies %v, want bad_time 3, bad_number 1", sums)
	}
	for _, e := range r.ticks() {
		if len(e.Tick.Rejected) > 0 && e.partition != carrier {
			t.Errorf("tallies on partition %d, want %d alone", e.partition, carrier)
		}
		for _, x := range e.Tick.Rejected {
			if want := now.UTC().Truncate(time.Hour).UnixMilli(); x.HourMs != want || x.Tenant != testTenant {
				t.Errorf("tally of %s at %d, want %s at %d", x.Tenant, x.HourMs, testTenant, want)
			}
		}
	}
}

func TestOneLostPartitionHoldsNoOther(t *testing.T) {
	r := start(t, func(c *Config) { c.Timeouts.Produce = time.Second })
	before := counts(r)
	r.cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Produce}, Topic: schemas.TopicEvents, Partitions: []int32{1},
		Err: kerr.NotLeaderForPartition, Count: -1,
	})
	for range 3 {
		if err := r.s.ticker.beat(t.Context(), 2*time.Second, time.Now); err == nil {
			t.Fatal("a lost partition goes unnoticed")
		}
	}
	after := counts(r)
	for p := range after {
		want := before[p] + 3
		if p == 1 {
			want = before[p]
		}
		if after[p] < want {
			t.Errorf("partition %d: %d ticks, want at least %d", p, after[p], want)
		}
	}
	r.cluster.Fault().Remove()
	_ = r.stop() // the lost partition makes the last round fail
}

// at is a clock that stands still.
func at(now time.Time) func() time.Time { return func() time.Time { return now } }

func counts(r *rig) []int {
	n := make([]int, testParts)
	for _, e := range r.ticks() {
		n[e.partition]++
	}
	return n
}

func TestFarewellReportsEveryTally(t *testing.T) {
	r := start(t, nil)
	want := int64(0)
	for i := range 3 * maxTallies {
		r.s.tallies.add(testTenant, time.Unix(int64(i)*3600, 0), []event.Rejection{{Source: "otlp", Reason: "bad_time"}})
		want++
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if got := r.tallied()["otlp/bad_time"]; got != want {
		t.Errorf("%d tallied, want %d", got, want)
	}
}

func TestTalliesTakeInOrder(t *testing.T) {
	x := newTallies()
	hour := time.UnixMilli(1_700_000_000_000)
	x.add("b", hour, []event.Rejection{{Source: "s", Reason: "r"}})
	x.add("a", hour.Add(time.Hour), []event.Rejection{{Source: "s", Reason: "r"}})
	x.add("a", hour, []event.Rejection{{Source: "s", Reason: "r"}, {Source: "s", Reason: "r"}})
	var got []string
	for _, c := range slices.Concat(x.take(2), x.take(2)) {
		got = append(got, c.Tenant+time.UnixMilli(c.HourMs).UTC().Format("15"))
	}
	if want := []string{"a22", "b22", "a23"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if !x.empty() {
		t.Error("something is left")
	}
}

func TestHeaderClock(t *testing.T) {
	c := &clock{fromHeader: true}
	f := func(header string, want int64, reason string) {
		t.Helper()
		now, ref := c.observe(header)
		if reason != "" {
			if ref == nil || ref.reason != reason {
				t.Errorf("%q: refusal %v, want %s", header, ref, reason)
			}
			return
		}
		if ref != nil || now.UnixMilli() != want {
			t.Errorf("%q: %v, %v, want %d", header, now, ref, want)
		}
	}
	f("", 0, reasonNoClock)
	f("tomorrow", 0, reasonBadClock)
	f("-1", 0, reasonBadClock)
	f("99999999999999999", 0, reasonBadClock)
	f("1700000000000", 1_700_000_000_000, "")
	f("1600000000000", 1_700_000_000_000, "") // never back
	f("", 1_700_000_000_000, "")
	f("1700000000001", 1_700_000_000_001, "")
	if now, ref := (&clock{}).observe("5"); ref != nil || time.Since(now) > time.Minute {
		t.Errorf("clock mode wall: %v, %v", now, ref)
	}
}

func TestCatchUpGivesUpWithItsContext(t *testing.T) {
	r := start(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.s.ticker.catchUp(ctx, time.Now().Add(time.Hour)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want canceled", err)
	}
}

package sink

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func (b *bed) exec(sql string) {
	b.tb.Helper()
	if err := b.conn.Exec(context.Background(), sql); err != nil {
		b.tb.Fatalf("%s: %v", sql, err)
	}
}

// The window shrinks with every part that an insert makes, and merges, whose
// parts the engine forgets, do not make it grow.
func TestDedupWindowSpans(t *testing.T) {
	b := newBed(t)
	g := newGauges(prometheus.NewRegistry())
	clock := time.Now()
	g.now = func() time.Time { return clock }
	span := func(table string) float64 {
		t.Helper()
		if err := g.lookAtWindows(t.Context(), b.conn); err != nil {
			t.Fatal(err)
		}
		return testutil.ToFloat64(g.window.WithLabelValues(table))
	}
	if got := span("ticks"); !math.IsInf(got, 1) {
		t.Errorf("%v s before the first insert, want +Inf", got)
	}
	b.exec("ALTER TABLE core.ticks MODIFY SETTING non_replicated_deduplication_window = 100")
	for month := range 4 {
		b.exec(fmt.Sprintf("INSERT INTO core.ticks (p, accepted_at) SELECT 0, toDateTime64('2026-%02d-01 00:00:00', 3, 'UTC')", 1+month%2))
		b.exec("OPTIMIZE TABLE core.ticks FINAL")
	}
	if got := span("ticks"); !math.IsInf(got, 1) {
		t.Errorf("%v s with no time passed, want +Inf", got)
	}
	clock = clock.Add(time.Minute)
	made := float64(g.sightings[1].blocks["ticks"])
	if made < 4 || made > 5 { // the engine counts the empty table's block, too
		t.Fatalf("4 inserts are %v blocks", made)
	}
	if got := span("ticks"); got != 60*100/made {
		t.Errorf("%v s at 4 parts a minute, want %v", got, 60*100/made)
	}
	if got := span("ticks_minute"); math.IsInf(got, 1) {
		t.Error("the rollup that a view fills has no span")
	}
	clock = clock.Add(rateOver) // the last looks are old enough to begin with
	span("ticks")
	clock = clock.Add(time.Minute)
	if got := span("ticks"); !math.IsInf(got, 1) {
		t.Errorf("%v s long after the last insert, want +Inf", got)
	}
}

func TestSuspectMonthsAreCountedUntilRepaired(t *testing.T) {
	b := newBed(t)
	g := newGauges(prometheus.NewRegistry())
	want := func(n float64) {
		t.Helper()
		if err := g.lookAtSuspects(t.Context(), b.conn); err != nil {
			t.Fatal(err)
		}
		if got := testutil.ToFloat64(g.suspects); got != n {
			t.Errorf("%v suspect months, want %v", got, n)
		}
	}
	want(0)
	mark := markSuspects(b.conn)
	if err := mark(t.Context(), "core.usage", []uint32{202609, 202610}); err != nil {
		t.Fatal(err)
	}
	if err := mark(t.Context(), "core.usage", []uint32{202610}); err != nil {
		t.Fatal(err)
	}
	want(2)
	b.exec("INSERT INTO core.suspect_months (month, base_table, reason, marked_at, repaired_at) SELECT 202610, 'core.usage', '', now64(3), now64(3) + 1")
	want(1)
}

// The oldest of the partitions' newest ticks decides.
func TestQueryableUntil(t *testing.T) {
	b := newBed(t)
	g := newGauges(prometheus.NewRegistry())
	want := func(until float64) {
		t.Helper()
		if err := g.lookAtTicks(t.Context(), b.conn); err != nil {
			t.Fatal(err)
		}
		if got := testutil.ToFloat64(g.queryable); math.Abs(got-until) > 0.1 {
			t.Errorf("queryable until %f, want %f", got, until)
		}
	}
	want(0)
	b.exec("INSERT INTO core.ticks (p, accepted_at) SELECT number % 2, toDateTime64('2026-10-15 12:00:00', 3, 'UTC') + number FROM numbers(10)")
	want(1_792_065_608)
}

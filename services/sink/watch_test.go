package sink

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func (b *bed) exec(sql string) {
	b.tb.Helper()
	if err := b.conn.Exec(context.Background(), sql); err != nil {
		b.tb.Fatalf("%s: %v", sql, err)
	}
}

// The window shrinks with every part that an insert makes, and merges do not
// make it grow.
func TestDedupWindowSpans(t *testing.T) {
	b := newBed(t)
	g := newGauges(prometheus.NewRegistry())
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
	for month := 1; month <= 3; month++ {
		b.exec(fmt.Sprintf("INSERT INTO core.ticks (p, accepted_at) SELECT 0, toDateTime64('2026-%02d-01 00:00:00', 3, 'UTC')", month))
	}
	b.exec("INSERT INTO core.ticks (p, accepted_at) SELECT 0, toDateTime64('2026-01-01 00:00:01', 3, 'UTC')")
	want := rateOver.Seconds() * 100 / 4
	if got := span("ticks"); got != want {
		t.Errorf("%v s after 4 parts, want %v", got, want)
	}
	b.exec("OPTIMIZE TABLE core.ticks FINAL")
	if got := span("ticks"); got != want {
		t.Errorf("%v s after 4 parts and a merge, want %v", got, want)
	}
	if got := span("ticks_minute"); math.IsInf(got, 1) {
		t.Error("the rollup that a view fills has no span")
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

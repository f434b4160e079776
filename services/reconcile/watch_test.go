package reconcile

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestShowCountsRowsNotFigures(t *testing.T) {
	g := newGauges(prometheus.NewRegistry())
	at := time.Unix(1_790_000_000, 0)
	d := func(table, key, metric string) Difference { return Difference{Table: table, Key: key, Metric: metric} }
	g.show(&MismatchError{
		Differences: []Difference{d("usage_hour", "a", "requests"), d("usage_hour", "a", "records"), d("usage_hour", "b", "records"), d("usage_day", "a", "records")},
		Imbalances: []Imbalance{
			{Source: "litellm", Accepted: 10, Stored: 7}, {Source: "litellm", Accepted: 10, Stored: 8, Duplicate: 1}, {Source: "litellm", Accepted: 1, Stored: 3},
		},
	}, at)
	want := func(got, want float64, what string) {
		t.Helper()
		if got != want {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	rows := func(table string) float64 { return testutil.ToFloat64(g.rows.WithLabelValues(table)) }
	want(rows("usage_hour"), 2, "usage_hour")
	want(rows("usage_day"), 1, "usage_day")
	want(rows("quality_hour"), 0, "quality_hour")
	want(testutil.ToFloat64(g.hours), 3, "imbalanced hours")
	want(testutil.ToFloat64(g.astray.WithLabelValues("litellm", "missing")), 4, "missing records")
	want(testutil.ToFloat64(g.astray.WithLabelValues("litellm", "surplus")), 2, "surplus records")
	want(testutil.ToFloat64(g.told), 1_790_000_000, "time of the result")
	g.show(&MismatchError{}, at)
	want(rows("usage_hour"), 0, "usage_hour when equal")
	want(testutil.ToFloat64(g.hours), 0, "imbalanced hours when equal")
	want(float64(testutil.CollectAndCount(g.astray)), 0, "sources with unaccounted records when equal")
	want(testutil.ToFloat64(g.runs.WithLabelValues(resultEqual)), 1, "equal runs")
	want(testutil.ToFloat64(g.runs.WithLabelValues(resultMismatch)), 1, "runs with a mismatch")
}

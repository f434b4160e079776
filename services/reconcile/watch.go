package reconcile

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/goodhartlabs/goodhart/services/probe"
)

// gauges are the result of the newest comparison that came to one. They keep it
// while later ones fail, and say how old it is.
type gauges struct {
	rows    *prometheus.GaugeVec // table
	hours   prometheus.Gauge
	astray  *prometheus.GaugeVec // source, kind
	told    prometheus.Gauge
	runs    *prometheus.CounterVec // result
	seconds prometheus.Histogram
}

func newGauges(reg prometheus.Registerer) *gauges {
	g := &gauges{
		rows: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "goodhart_reconcile_mismatch_rows", Help: "Rows of the rollup that differ from its raw rows.",
		}, []string{"table"}),
		hours: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "goodhart_reconcile_imbalanced_hours", Help: "Hours of a source in which accepted records have no fate, or more than one.",
		}),
		astray: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "goodhart_reconcile_unaccounted_records",
			Help: "Accepted records of closed hours, by kind: missing have no fate, surplus have more than one. A source whose hours all balance has no series.",
		}, []string{"source", "kind"}),
		told: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "goodhart_reconcile_last_result_timestamp_seconds", Help: "When the newest comparison came to a result; 0 before the first.",
		}),
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "goodhart_reconcile_runs_total", Help: "Comparisons by result: equal, mismatch, or error when it could not tell.",
		}, []string{"result"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "goodhart_reconcile_run_seconds", Help: "Time that a comparison took.", Buckets: prometheus.ExponentialBuckets(0.1, 2, 14),
		}),
	}
	for _, result := range []string{resultEqual, resultMismatch, resultError} {
		g.runs.WithLabelValues(result)
	}
	reg.MustRegister(g.rows, g.hours, g.astray, g.told, g.runs, g.seconds)
	return g
}

const (
	resultEqual    = "equal"
	resultMismatch = "mismatch"
	resultError    = "error"
)

// show publishes a result.
func (g *gauges) show(found *MismatchError, at time.Time) {
	rows := map[string]map[string]bool{}
	for _, c := range checks() {
		rows[c.table] = map[string]bool{}
	}
	for _, d := range found.Differences {
		rows[d.Table][d.row()] = true
	}
	for table, differ := range rows {
		g.rows.WithLabelValues(table).Set(float64(len(differ)))
	}
	g.hours.Set(float64(len(found.Imbalances)))
	g.astray.Reset()
	for _, i := range found.Imbalances {
		switch n := i.Missing(); {
		case n > 0:
			g.astray.WithLabelValues(i.Source, "missing").Add(float64(n))
		case n < 0:
			g.astray.WithLabelValues(i.Source, "surplus").Add(float64(-n))
		}
	}
	g.told.Set(float64(at.UnixMilli()) / 1000)
	result := resultEqual
	if !found.equal() {
		result = resultMismatch
	}
	g.runs.WithLabelValues(result).Inc()
}

// watch compares at once and then at every interval.
func watch(ctx context.Context, cfg Config, tel *probe.Telemetry) error {
	g := newGauges(tel.Metrics)
	tel.NotReady("reconcile", "no comparison yet")
	tick := time.NewTicker(cfg.Every)
	defer tick.Stop()
	for {
		began := time.Now()
		found, err := once(ctx, cfg, tel.Log)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			g.runs.WithLabelValues(resultError).Inc()
			tel.Log.ErrorContext(ctx, "reconcile", "error", err)
		default:
			g.show(found, time.Now())
			g.seconds.Observe(time.Since(began).Seconds())
			tel.Ready("reconcile")
			if found.equal() {
				tel.Log.InfoContext(ctx, "rollups equal raw, every accepted record has a fate")
			} else {
				tel.Log.ErrorContext(ctx, "reconcile", "mismatch", found.Error())
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

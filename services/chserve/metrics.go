package chserve

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what the facade counts. The engine's own are in system.metrics.
type metrics struct {
	queries *prometheus.CounterVec
	seconds prometheus.Histogram
	running prometheus.Gauge
	read    prometheus.Counter
	written prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, h *handler) *metrics {
	m := &metrics{
		queries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "goodhart_chserve_queries_total",
			Help: "Queries that ended, by ClickHouse's error code; 0 is success.",
		}, []string{"code"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "goodhart_chserve_query_seconds",
			Help:    "Time from a query's arrival to the end of its answer.",
			Buckets: []float64{.001, .003, .01, .03, .1, .3, 1, 3, 10, 30, 100},
		}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "goodhart_chserve_running_queries",
			Help: "Queries that run or wait for their turn.",
		}),
		read: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "goodhart_chserve_read_rows_total",
			Help: "Rows that queries read from storage.",
		}),
		written: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "goodhart_chserve_written_rows_total",
			Help: "Rows that queries wrote, those of materialized views included.",
		}),
	}
	reg.MustRegister(m.queries, m.seconds, m.running, m.read, m.written,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "goodhart_chserve_sessions",
			Help: "Named sessions that are open, each with a connection.",
		}, func() float64 { return float64(h.sessions.count()) }),
	)
	return m
}

// observe counts a query that ended with code.
func (m *metrics) observe(out *output, code int, began time.Time) {
	m.queries.WithLabelValues(strconv.Itoa(code)).Inc()
	m.seconds.Observe(time.Since(began).Seconds())
	m.read.Add(float64(out.stats.ReadRows))
	m.written.Add(float64(out.stats.WrittenRows))
}

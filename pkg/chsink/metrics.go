package chsink

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	stalled                  *prometheus.GaugeVec
	rows, dead, checked      *prometheus.CounterVec
	batchRows, insertSeconds *prometheus.HistogramVec
	retries, replayed        prometheus.Counter
	e2e                      prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		stalled: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "goodhart_sink_stalled", Help: "1 while the partition cannot be stored and stands still.",
		}, []string{"topic", "partition"}),
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "goodhart_sink_rows_total", Help: "Rows that the server acknowledged.",
		}, []string{"table"}),
		dead: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "goodhart_sink_dlq_total", Help: "Records that could not be decoded.",
		}, []string{"topic"}),
		checked: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "goodhart_sink_checked_intents_total",
			Help: "Ranges compared with their tables because the server may have forgotten their token, by what was found: absent, partial, complete.",
		}, []string{"outcome"}),
		batchRows: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "goodhart_sink_batch_rows", Help: "Rows per insert.", Buckets: prometheus.ExponentialBuckets(1, 4, 10),
		}, []string{"table"}),
		insertSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "goodhart_sink_insert_seconds", Help: "Time from sending an insert to its acknowledgement.", Buckets: prometheus.ExponentialBuckets(0.002, 2, 14),
		}, []string{"table"}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "goodhart_sink_insert_retries_total", Help: "Attempts to store a batch that failed and were tried again.",
		}),
		replayed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "goodhart_sink_replayed_ranges_total", Help: "Ranges that another process or a former run had begun.",
		}),
		e2e: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "goodhart_sink_e2e_latency_seconds", Help: "Time from acceptance of a tick to its acknowledged insert.", Buckets: prometheus.ExponentialBuckets(0.05, 1.6, 16),
		}),
	}
	for _, outcome := range []comparison{absent, partial, complete} {
		m.checked.WithLabelValues(outcome.String())
	}
	reg.MustRegister(m.stalled, m.rows, m.dead, m.checked, m.batchRows, m.insertSeconds, m.retries, m.replayed, m.e2e)
	return m
}

func labels(at place) []string { return []string{at.topic, strconv.Itoa(int(at.partition))} }

func (m *metrics) stall(at place, yes bool) {
	v := 0.0
	if yes {
		v = 1
	}
	m.stalled.WithLabelValues(labels(at)...).Set(v)
}

// forget drops the series of a partition that is not ours any more.
func (m *metrics) forget(at place) {
	m.stalled.DeleteLabelValues(labels(at)...)
}

func (m *metrics) compared(found comparison) {
	if found != unseen {
		m.checked.WithLabelValues(found.String()).Inc()
	}
}

func (m *metrics) inserted(table string, rows int, took time.Duration) {
	m.rows.WithLabelValues(table).Add(float64(rows))
	m.batchRows.WithLabelValues(table).Observe(float64(rows))
	m.insertSeconds.WithLabelValues(table).Observe(took.Seconds())
}

func (m *metrics) latency(b *batch, now time.Time) {
	for _, ms := range b.decoder.Accepted() {
		m.e2e.Observe(now.Sub(time.UnixMilli(ms)).Seconds())
	}
}

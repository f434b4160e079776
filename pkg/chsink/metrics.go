package chsink

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	lagRecords, lagSeconds, stalled *prometheus.GaugeVec
	rows, dead                      *prometheus.CounterVec
	batchRows, insertSeconds        *prometheus.HistogramVec
	retries, replayed               prometheus.Counter
	e2e                             prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	where := []string{"topic", "partition"}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "goodhart_sink_" + name, Help: help}, where)
	}
	m := &metrics{
		lagRecords: gauge("lag_records", "Records in the partition behind the newest that the sink has read."),
		lagSeconds: gauge("lag_seconds", "Age of the newest stored record when it was stored."),
		stalled:    gauge("stalled", "1 while the partition cannot be stored and stands still."),
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "goodhart_sink_rows_total", Help: "Rows that the server acknowledged.",
		}, []string{"table"}),
		dead: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "goodhart_sink_dlq_total", Help: "Records that could not be decoded.",
		}, []string{"topic"}),
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
	reg.MustRegister(m.lagRecords, m.lagSeconds, m.stalled, m.rows, m.dead, m.batchRows, m.insertSeconds, m.retries, m.replayed, m.e2e)
	return m
}

func labels(at place) []string { return []string{at.topic, strconv.Itoa(int(at.partition))} }

func (m *metrics) lag(at place, records int64) {
	m.lagRecords.WithLabelValues(labels(at)...).Set(float64(max(0, records)))
}

func (m *metrics) behind(at place, d time.Duration) {
	m.lagSeconds.WithLabelValues(labels(at)...).Set(d.Seconds())
}

func (m *metrics) stall(at place, yes bool) {
	v := 0.0
	if yes {
		v = 1
	}
	m.stalled.WithLabelValues(labels(at)...).Set(v)
}

// forget drops the series of a partition that is not ours any more.
func (m *metrics) forget(at place) {
	for _, g := range []*prometheus.GaugeVec{m.lagRecords, m.lagSeconds, m.stalled} {
		g.DeleteLabelValues(labels(at)...)
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

package fold

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics of one stage; partitions are a bounded label.
type metrics struct {
	records       *prometheus.CounterVec // partition
	emitted       *prometheus.CounterVec // topic
	transactions  *prometheus.CounterVec // result: committed, aborted, confirmed
	duration      prometheus.Histogram   // seconds per transaction
	size          prometheus.Histogram   // input records per transaction
	lag           *prometheus.GaugeVec   // partition, records
	lagSeconds    *prometheus.GaugeVec   // partition
	watermark     *prometheus.GaugeVec   // partition, Unix seconds
	held          *prometheus.GaugeVec   // partition
	spilled       *prometheus.GaugeVec   // partition, bytes
	stalled       *prometheus.GaugeVec   // partition, 0 or 1
	stopped       *prometheus.GaugeVec   // partition, 0 or 1
	snapshotBytes prometheus.Counter
	restores      prometheus.Counter
	restoreTime   prometheus.Histogram
	sessions      prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, stage string) *metrics {
	labels := prometheus.Labels{"stage": stage}
	counter := func(name, help string, vars ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "goodhart_fold_" + name, Help: help, ConstLabels: labels}, vars)
		reg.MustRegister(c)
		return c
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "goodhart_fold_" + name, Help: help, ConstLabels: labels}, []string{"partition"})
		reg.MustRegister(g)
		return g
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "goodhart_fold_" + name, Help: help, ConstLabels: labels, Buckets: buckets})
		reg.MustRegister(h)
		return h
	}
	return &metrics{
		records:       counter("records_total", "Input records folded.", "partition"),
		emitted:       counter("emitted_total", "Records in committed transactions.", "topic"),
		transactions:  counter("transactions_total", "Transactions by result.", "result"),
		duration:      histogram("transaction_seconds", "Time from the first record of a transaction to its end.", prometheus.ExponentialBuckets(0.01, 2, 12)),
		size:          histogram("transaction_records", "Input records per transaction.", prometheus.ExponentialBuckets(1, 4, 10)),
		lag:           gauge("lag_records", "High watermark minus next offset."),
		lagSeconds:    gauge("lag_seconds", "Now minus the Kafka timestamp of the last record folded."),
		watermark:     gauge("watermark_seconds", "Event-time watermark, Unix seconds."),
		held:          gauge("merge_held_records", "Records that wait for the upstream watermarks."),
		spilled:       gauge("merge_spilled_bytes", "Held records in temporary files."),
		stalled:       gauge("watermark_stalled", "1 while the smallest upstream watermark has stood still for 60 s."),
		stopped:       gauge("stopped", "1 for a partition stopped because Kafka refused its output for good."),
		snapshotBytes: counter("snapshot_bytes_total", "Bytes of state written.").WithLabelValues(),
		restores:      counter("restores_total", "Partitions restored.").WithLabelValues(),
		restoreTime:   histogram("restore_seconds", "Time to restore a partition.", prometheus.ExponentialBuckets(0.01, 2, 14)),
		sessions:      counter("sessions_reopened_total", "Sessions closed for an error and opened again.").WithLabelValues(),
	}
}

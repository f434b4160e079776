package fold

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// metrics of one stage; partitions are a bounded label. What stands still
// between events is counted here, what changes with time is in standings.
type metrics struct {
	records        *prometheus.CounterVec // partition
	redone         *prometheus.CounterVec // partition
	replayed       *prometheus.CounterVec // partition
	emitted        *prometheus.CounterVec // topic
	dead           *prometheus.CounterVec // reason
	transactions   *prometheus.CounterVec // result: committed, confirmed, aborted
	duration       prometheus.Histogram   // seconds per transaction
	size           prometheus.Histogram   // input records per transaction
	snapshotBytes  prometheus.Counter
	restores       prometheus.Counter
	restoredShards prometheus.Counter
	restoreTime    prometheus.Histogram
	sessions       prometheus.Counter
	standings      *standings
}

// What became of a transaction.
const (
	resultCommitted = "committed"
	resultConfirmed = "confirmed" // committed, as the broker told when it was asked
	resultAborted   = "aborted"
)

func newMetrics(reg prometheus.Registerer, stage string) *metrics {
	labels := prometheus.Labels{"stage": stage}
	counter := func(name, help string, vars ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "goodhart_fold_" + name, Help: help, ConstLabels: labels}, vars)
		reg.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "goodhart_fold_" + name, Help: help, ConstLabels: labels, Buckets: buckets})
		reg.MustRegister(h)
		return h
	}
	m := &metrics{
		records:        counter("records_total", "Input records folded, each counted once.", "partition"),
		redone:         counter("redone_records_total", "Input records read again after an aborted transaction.", "partition"),
		replayed:       counter("replayed_records_total", "Input records folded again, without output, to restore state.", "partition"),
		emitted:        counter("emitted_total", "Records in committed transactions.", "topic"),
		dead:           counter("dead_letters_total", "Dead letters in committed transactions.", "reason"),
		transactions:   counter("transactions_total", "Transactions by result.", "result"),
		duration:       histogram("transaction_seconds", "Time from the first record of a transaction to its end.", prometheus.ExponentialBuckets(0.01, 2, 12)),
		size:           histogram("transaction_records", "Input records per transaction.", prometheus.ExponentialBuckets(1, 4, 10)),
		snapshotBytes:  counter("snapshot_bytes_total", "Bytes of state written.").WithLabelValues(),
		restores:       counter("restores_total", "Partitions restored.").WithLabelValues(),
		restoredShards: counter("restored_shards_total", "Shards of state loaded from snapshots; 256 a partition, or 1 where it is saved as a whole.").WithLabelValues(),
		restoreTime:    histogram("restore_seconds", "Time to restore a partition.", prometheus.ExponentialBuckets(0.01, 2, 14)),
		sessions:       counter("sessions_reopened_total", "Sessions closed for an error and opened again.").WithLabelValues(),
		standings:      newStandings(labels),
	}
	for _, result := range []string{resultCommitted, resultConfirmed, resultAborted} {
		m.transactions.WithLabelValues(result) // a rate needs the 0 before the first
	}
	reg.MustRegister(m.standings)
	return m
}

// committed counts what a transaction has written.
func (m *metrics) committed(stage *Stage, records []*kgo.Record) {
	for _, rec := range records {
		m.emitted.WithLabelValues(rec.Topic).Inc()
		if rec.Topic != stage.Dead {
			continue
		}
		letter := &goodhartv1.DeadLetter{}
		if err := letter.UnmarshalVT(rec.Value); err != nil {
			letter.Reason = "unreadable"
		}
		m.dead.WithLabelValues(letter.Reason).Inc()
	}
}

package alerter

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Why a revision is not told to a receiver.
const (
	passedElsewhere = "elsewhere" // the rules send it to others
	passedNobody    = "nobody"    // the rules send it to nobody
	passedOld       = "old"       // a newer revision came before it
)

type metrics struct {
	delivered, dead, passed, repeats *prometheus.CounterVec
	attempts                         *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string, more ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "goodhart_alerter_" + name, Help: help}, append([]string{"receiver"}, more...))
	}
	m := &metrics{
		delivered: counter("delivered_total", "Revisions of signals that the receiver has taken."),
		dead:      counter("dead_letters_total", "Records that became dead letters because the receiver cannot have them.", "reason"),
		passed:    counter("passed_total", "Revisions that the receiver is not told: elsewhere (the rules send them to others), nobody (to none at all), old (a newer one came before).", "reason"),
		repeats:   counter("repeats_total", "Rounds in which open signals were repeated to an Alertmanager.", "result"),
		attempts: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "goodhart_alerter_attempt_seconds", Help: "Time of a request to the receiver, by whether it was taken.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2, 12),
		}, []string{"receiver", "result"}),
	}
	reg.MustRegister(m.delivered, m.dead, m.passed, m.repeats, m.attempts)
	return m
}

func result(err error) string {
	if err != nil {
		return "error"
	}
	return "ok"
}

// backlog measures when it is asked, so that it is true of what stands still.
type backlog []*feed

var (
	lagRecords = prometheus.NewDesc("goodhart_alerter_lag_records",
		"Offsets of the partition that the receiver has not been told, those held by quiet hours among them.", []string{"receiver", "partition"}, nil)
	overdueSeconds = prometheus.NewDesc("goodhart_alerter_overdue_seconds",
		"How long the next notice for the receiver has been due; 0 if none is: it grows while the receiver takes nothing.", []string{"receiver"}, nil)
	waitingBytes = prometheus.NewDesc("goodhart_alerter_waiting_bytes",
		"Memory of what waits for the receiver, by estimate.", []string{"receiver"}, nil)
	openSignals = prometheus.NewDesc("goodhart_alerter_open_signals",
		"Open signals that the rules send to the receiver.", []string{"receiver"}, nil)
)

// Describe implements prometheus.Collector.
func (backlog) Describe(ch chan<- *prometheus.Desc) {
	ch <- lagRecords
	ch <- overdueSeconds
	ch <- waitingBytes
	ch <- openSignals
}

// Collect implements prometheus.Collector.
func (b backlog) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, f := range b {
		f.mu.Lock()
		open := 0
		for number, p := range f.partitions {
			gauge(lagRecords, float64(max(0, p.end-p.position)+int64(len(p.waiting))), f.name, strconv.Itoa(int(number)))
			for _, s := range p.signals {
				if s.taken && s.open {
					open++
				}
			}
		}
		gauge(overdueSeconds, f.overdue(time.Now()).Seconds(), f.name)
		gauge(waitingBytes, float64(f.bytes), f.name)
		gauge(openSignals, float64(open), f.name)
		f.mu.Unlock()
	}
}

// overdue is how long the next group, or the one under way, has been due; mu is
// held.
func (f *feed) overdue(now time.Time) time.Duration {
	due := f.late
	if due.IsZero() {
		var waits bool
		if due, waits = f.queue.next(); !waits {
			return 0
		}
	}
	return max(0, now.Sub(due))
}

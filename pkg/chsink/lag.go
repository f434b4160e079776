package chsink

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
)

// backlog is what a partition has read and not stored. Its goroutine writes it,
// whoever asks for metrics reads it.
type backlog struct {
	end  atomic.Int64 // of the log, as of the last fetch that brought records
	next atomic.Int64 // first offset that is not stored; -1 before the first record
	// Broker times, ms, of the oldest record in the flying and in the open batch;
	// 0 for none.
	flying, open atomic.Int64
}

// read notes that a record goes into the open batch. The marks of transactions
// wait for nothing.
func (b *backlog) read(rec *kgo.Record) {
	if b.next.Load() < 0 {
		b.next.Store(rec.Offset)
	}
	if b.open.Load() == 0 && !rec.Attrs.IsControl() {
		b.open.Store(rec.Timestamp.UnixMilli())
	}
}

func (b *backlog) tookOff(first int64) {
	b.next.Store(first)
	b.flying.Store(b.open.Load())
	b.open.Store(0)
}

func (b *backlog) landed(next int64) {
	b.next.Store(next)
	b.flying.Store(0)
}

// passed notes that the open batch had nothing to store.
func (b *backlog) passed(next int64) {
	b.next.Store(next)
	b.open.Store(0)
}

// lag tells how many records are not stored, and how old the oldest of those
// that were read is.
func (p *partition) lag(now time.Time) (records int64, age time.Duration) {
	var head int64
	p.mu.Lock()
	for _, rec := range p.queue {
		if !rec.Attrs.IsControl() {
			head = rec.Timestamp.UnixMilli()
			break
		}
	}
	p.mu.Unlock()
	for _, ms := range []int64{p.backlog.flying.Load(), p.backlog.open.Load(), head} {
		if ms != 0 {
			age = max(0, now.Sub(time.UnixMilli(ms)))
			break
		}
	}
	if next := p.backlog.next.Load(); next >= 0 {
		records = max(0, p.backlog.end.Load()-next)
	}
	return records, age
}

// lag measures when it is asked, so that it is true of a partition in which
// nothing moves: nothing left to store is 0, and what cannot be stored ages.
type lag struct{ *Sink }

var (
	lagRecords = prometheus.NewDesc("goodhart_sink_lag_records",
		"Offsets of the partition that are not stored, up to the newest that the last fetch knew of.", []string{"topic", "partition"}, nil)
	lagSeconds = prometheus.NewDesc("goodhart_sink_lag_seconds",
		"Age, by the broker's clock, of the oldest record that is read and not stored; 0 if there is none.", []string{"topic", "partition"}, nil)
)

// Describe implements prometheus.Collector.
func (lag) Describe(ch chan<- *prometheus.Desc) { ch <- lagRecords; ch <- lagSeconds }

// Collect implements prometheus.Collector.
func (l lag) Collect(ch chan<- prometheus.Metric) {
	ss := l.current.Load()
	if ss == nil {
		return
	}
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for at, p := range ss.partitions {
		records, age := p.lag(l.cfg.now())
		ch <- prometheus.MustNewConstMetric(lagRecords, prometheus.GaugeValue, float64(records), labels(at)...)
		ch <- prometheus.MustNewConstMetric(lagSeconds, prometheus.GaugeValue, age.Seconds(), labels(at)...)
	}
}

package fold

import (
	"context"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// stallPatience is how long a watermark may stand still.
const stallPatience = time.Minute

// standing is where a partition stands, as its fold last told.
type standing struct {
	// next is the offset of the next record to fold, end the one after the last
	// record in Kafka.
	next, end int64
	// known is the Kafka timestamp of the last record folded, or the time of the
	// restore before there is one.
	known time.Time
	// w is the watermark, math.MinInt64 before there is one; low is what it waits
	// for: the smallest of the upstream partitions, or w itself. It has been low
	// since lowSince.
	w, low   int64
	lowSince time.Time
	// held records wait for the upstream watermarks: their bytes in memory and
	// in temporary files.
	held            int
	memory, spilled int64
	// snapshot is when the oldest piece of state was written that a restore
	// would load.
	snapshot   time.Time
	stateBytes int
	stateKeys  int
	stopped    bool
}

// standings of the partitions in service, for Prometheus: computed when asked,
// so that they stay true while no record comes. Safe for concurrent use.
type standings struct {
	gauges []gauge
	skew   *prometheus.Desc

	mu sync.Mutex
	of map[int32]*standing
}

type gauge struct {
	desc *prometheus.Desc
	// value is NaN where there is none to tell.
	value func(s *standing, now time.Time) float64
}

func newStandings(labels prometheus.Labels) *standings {
	desc := func(name, help string, vars ...string) *prometheus.Desc {
		return prometheus.NewDesc("goodhart_fold_"+name, help, vars, labels)
	}
	of := func(name, help string, value func(s *standing, now time.Time) float64) gauge {
		return gauge{desc: desc(name, help, "partition"), value: value}
	}
	since := func(now, t time.Time) float64 { return max(0, now.Sub(t).Seconds()) }
	return &standings{
		of:   map[int32]*standing{},
		skew: desc("watermark_skew_seconds", "Greatest minus smallest watermark of the partitions here."),
		gauges: []gauge{
			of("lag_records", "End of the partition minus next offset; control records count, so that some remain where nothing waits.", func(s *standing, _ time.Time) float64 {
				return float64(max(0, s.end-s.next))
			}),
			of("lag_seconds", "Now minus the Kafka timestamp of the last record folded.", func(s *standing, now time.Time) float64 {
				return since(now, s.known)
			}),
			of("watermark_seconds", "Event-time watermark, Unix seconds.", func(s *standing, _ time.Time) float64 {
				if s.w == math.MinInt64 {
					return math.NaN()
				}
				return float64(s.w) / 1000
			}),
			of("watermark_delay_seconds", "Now minus the watermark.", func(s *standing, now time.Time) float64 {
				if s.w == math.MinInt64 {
					return math.NaN()
				}
				return now.Sub(time.UnixMilli(s.w)).Seconds()
			}),
			of("watermark_stalled", "1 while the watermark, or the smallest upstream one, has stood still for 60 s.", func(s *standing, now time.Time) float64 {
				return truth(now.Sub(s.lowSince) > stallPatience)
			}),
			of("merge_held_records", "Records that wait for the upstream watermarks.", func(s *standing, _ time.Time) float64 {
				return float64(s.held)
			}),
			of("merge_memory_bytes", "Held records in memory.", func(s *standing, _ time.Time) float64 {
				return float64(s.memory)
			}),
			of("merge_spilled_bytes", "Held records in temporary files.", func(s *standing, _ time.Time) float64 {
				return float64(s.spilled)
			}),
			of("state_bytes", "State as last written, encoded.", func(s *standing, _ time.Time) float64 {
				return float64(s.stateBytes)
			}),
			of("state_keys", "Keys with state.", func(s *standing, _ time.Time) float64 {
				return float64(s.stateKeys)
			}),
			of("snapshot_age_seconds", "Age of the oldest piece of state that a restore would load: what it would replay.", func(s *standing, now time.Time) float64 {
				return since(now, s.snapshot)
			}),
			of("stopped", "1 for a partition stopped because Kafka refused its output for good.", func(s *standing, _ time.Time) float64 {
				return truth(s.stopped)
			}),
		},
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Describe implements prometheus.Collector.
func (t *standings) Describe(ch chan<- *prometheus.Desc) {
	ch <- t.skew
	for _, g := range t.gauges {
		ch <- g.desc
	}
}

// Collect implements prometheus.Collector.
func (t *standings) Collect(ch chan<- prometheus.Metric) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	low, high := int64(math.MaxInt64), int64(math.MinInt64)
	for id, s := range t.of {
		label := strconv.Itoa(int(id))
		for _, g := range t.gauges {
			if v := g.value(s, now); !math.IsNaN(v) {
				ch <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, v, label)
			}
		}
		if s.w != math.MinInt64 {
			low, high = min(low, s.w), max(high, s.w)
		}
	}
	if low <= high {
		ch <- prometheus.MustNewConstMetric(t.skew, prometheus.GaugeValue, float64(high-low)/1000)
	}
}

// tell changes the standing of a partition, which begins with the first word.
func (t *standings) tell(id int32, change func(*standing)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.of[id]
	if s == nil {
		now := time.Now()
		s = &standing{known: now, w: math.MinInt64, low: math.MinInt64, lowSince: now, snapshot: now}
		t.of[id] = s
	}
	change(s)
}

// ends tells the ends of the partitions in service.
func (t *standings) ends(end map[int32]int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, s := range t.of {
		s.end = max(s.end, end[id])
	}
}

// keep forgets all partitions but those in service.
func (t *standings) keep(inService func(id int32) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id := range t.of {
		if !inService(id) {
			delete(t.of, id)
		}
	}
}

// observe tells how far a fetched partition reaches.
func (s *session) observe(p *partition, f kgo.FetchTopicPartition) {
	last := f.Records[len(f.Records)-1]
	s.metrics.standings.tell(p.id, func(at *standing) {
		at.next, at.end, at.known = last.Offset+1, max(at.end, f.HighWatermark), last.Timestamp
	})
}

// tell reports where a partition stands.
func (s *session) tell(p *partition, now time.Time) {
	label := strconv.Itoa(int(p.id))
	s.metrics.records.WithLabelValues(label).Add(float64(p.fresh))
	s.metrics.redone.WithLabelValues(label).Add(float64(p.redone))
	p.fresh, p.redone = 0, 0
	if s.cfg.Stage.Observe != nil && now.Sub(p.observed) >= time.Second {
		p.observed, p.keys = now, s.cfg.Stage.Observe(p.id, p.machine)
	}
	w := p.machine.W()
	low := w
	var held int
	var memory, spilled int64
	if p.merge != nil {
		held, memory, spilled = p.merge.size()
		low = p.merge.low()
	}
	snapshot, size := p.snapshots.written()
	s.metrics.standings.tell(p.id, func(at *standing) {
		if at.low != low {
			at.low, at.lowSince = low, now
		}
		at.w, at.held, at.memory, at.spilled = w, held, memory, spilled
		at.stateBytes, at.stateKeys = size, p.keys
		at.next, at.stopped = p.applied, s.stopped[p.id]
		if !snapshot.IsZero() {
			at.snapshot = snapshot
		}
	})
}

// tellAll reports while there is nothing to fold: the last word of a busy time was
// said before its end.
func (s *session) tellAll() {
	now := time.Now()
	for _, p := range s.partitions {
		s.tell(p, now)
	}
}

// watchEnds keeps the ends of the input's partitions until ctx ends.
func (s *session) watchEnds(ctx context.Context) {
	adm := kadm.NewClient(s.txn.Client())
	tick := time.NewTicker(s.cfg.patience.ends)
	defer tick.Stop()
	for {
		if offsets, err := adm.ListEndOffsets(ctx, s.cfg.Stage.Input); err == nil {
			ends := map[int32]int64{}
			offsets.Each(func(o kadm.ListedOffset) {
				if o.Err == nil {
					ends[o.Partition] = o.Offset
				}
				s.expect(o.Partition)
			})
			s.metrics.standings.ends(ends)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// forget ends the standing of partitions that are somebody else's. Those of a
// session that broke stand until the group has said whose they are: nobody else
// may have them, and then they do lag.
func (s *session) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.joined {
		return
	}
	s.metrics.standings.keep(func(id int32) bool {
		_, waits := s.assigned[id]
		return waits || s.partitions[id] != nil
	})
}

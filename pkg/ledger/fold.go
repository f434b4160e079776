package ledger

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Fold is the ledger of one partition. It implements machine.Machine.
type Fold struct {
	cfg Config
	// Settings in the units of the records: ms and hours.
	outOfOrderness, lateAfter, spanHold, metricHold int64
	objectTTL, finaliseAfter, horizonHours          int64

	shapes shapes
	shards [machine.Shards]shard
	timers timers
	stale  bool // timers must be collected from the shards again

	// Header state.
	w          int64
	tallies    tallies
	collectors map[string]*goodhartv1.LedgerCollector

	// Replay.
	replaying bool
	headerW   int64
	at        []machine.Position
	ignored   goodhartv1.Tally

	// Scratch, and counters that are no state.
	view  view
	held  view
	fact  fact
	key   []byte
	visit uint64
	stats Stats
}

var _ machine.Machine = (*Fold)(nil)

// shard is the state of the keys of one shard.
type shard struct {
	index int
	// now is the record time: the greatest record timestamp applied, ms.
	now           int64
	seen          seenSet
	conversations map[uint64]conversation
	holds         map[uint64]*hold
	objects       map[uint64]*object // by each of its names
}

// New returns an empty fold. It panics if cfg is not valid: Validate tells why.
func New(cfg Config) *Fold {
	if err := cfg.Validate(); err != nil {
		panic(fmt.Sprintf("ledger: invalid configuration: %v", err))
	}
	f := &Fold{
		cfg:            cfg,
		outOfOrderness: cfg.OutOfOrderness.Milliseconds(),
		lateAfter:      cfg.LateAfter.Milliseconds(),
		spanHold:       cfg.SpanHold.Milliseconds(),
		metricHold:     cfg.MetricHold.Milliseconds(),
		objectTTL:      cfg.ObjectTTL.Milliseconds(),
		finaliseAfter:  cfg.FinaliseAfter.Milliseconds(),
		horizonHours:   int64(cfg.Horizon / time.Hour),
		shapes:         newShapes(),
		w:              math.MinInt64,
		collectors:     map[string]*goodhartv1.LedgerCollector{},
	}
	for i := range f.shards {
		f.shards[i].reset(i)
	}
	return f
}

func (s *shard) reset(index int) {
	*s = shard{
		index:         index,
		conversations: map[uint64]conversation{},
		holds:         map[uint64]*hold{},
		objects:       map[uint64]*object{},
	}
}

// W is the watermark, ms; math.MinInt64 before any record.
func (f *Fold) W() int64 { return f.w }

// Shards is machine.Shards: conversations, requests and outcome objects are
// reached by the record's key alone.
func (f *Fold) Shards() int { return machine.Shards }

// Step applies one record.
func (f *Fold) Step(r *machine.Record, out *machine.Outputs) {
	if f.stale {
		f.collectTimers()
	}
	v := &f.view
	why := f.read(v, r)
	if why == nil && v.time > 0 {
		f.advance(min(v.time, r.Time)-f.outOfOrderness, out)
	}
	index := machine.Shard(r.Key)
	switch {
	case why != nil:
		f.bury(r, v, why, out)
	case v.kind == goodhartv1.EventKind_EVENT_KIND_TICK:
		f.tick(r, v, out)
	case f.replaying && r.Position.Compare(f.at[index]) <= 0:
		// The shard's snapshot knows the record already.
	default:
		f.event(&f.shards[index], r, v, out)
	}
}

// read decodes and checks a record.
func (f *Fold) read(v *view, r *machine.Record) *fault {
	if err := v.decode(&f.shapes, r.Value); err != nil {
		return &fault{reasonUndecodable, "", err.Error()}
	}
	if why := v.fault(); why != nil {
		return why
	}
	if len(r.Value)+2*(len(v.tenant)+len(v.subject))+outputRoom > maxOutput {
		return &fault{reasonTooLarge, "", "the fact would be larger than 512 KiB"}
	}
	return nil
}

// event applies a record that belongs to a shard.
func (f *Fold) event(s *shard, r *machine.Record, v *view, out *machine.Outputs) {
	s.advance(r.Time, f.horizonHours)
	fresh := s.seen.add(v.idHash(), f.cfg.IDsPerShard, s.now)
	if v.kind == goodhartv1.EventKind_EVENT_KIND_CONFIG {
		if fresh {
			f.config(r, v, out)
		}
		return
	}
	t := f.tally(v, r.Time)
	t.Accepted++
	if !fresh {
		t.Duplicate++
		f.count(&f.stats.Duplicates)
		return
	}
	switch v.kind {
	case goodhartv1.EventKind_EVENT_KIND_USAGE:
		f.usage(s, r, v, out)
	case goodhartv1.EventKind_EVENT_KIND_OUTCOME:
		f.outcome(s, r, v, out)
	default:
		f.pass(out, v, goodhartv1.FactKind_FACT_KIND_ACTIVITY, r.Time, v.neverCounts())
	}
}

func (f *Fold) config(r *machine.Record, v *view, out *machine.Outputs) {
	f.fact = fact{kind: goodhartv1.FactKind_FACT_KIND_CONFIG, accepted: r.Time, event: v.raw}
	f.emit(out, machine.EveryPartition, v.tenant, nil)
}

// neverCounts reports whether the credential says so.
func (v *view) neverCounts() bool {
	return v.accounting == goodhartv1.Accounting_ACCOUNTING_OBSERVATIONAL ||
		v.accounting == goodhartv1.Accounting_ACCOUNTING_RECONCILE
}

// count adds to a counter that is no state: not again while replaying.
func (f *Fold) count(n *uint64) {
	if !f.replaying {
		*n++
	}
}

// advance moves the record time; what fell out of the horizon is forgotten. A
// conversation that still holds records stays until its hold ends: nothing held
// is dropped.
func (s *shard) advance(ms, horizonHours int64) {
	s.now = max(s.now, ms)
	hour := s.now / hourMs
	if hour <= s.seen.newest {
		return
	}
	s.seen.advance(hour, horizonHours)
	for key, c := range s.conversations {
		if int64(c.hour) < hour-horizonHours && s.holds[key] == nil {
			delete(s.conversations, key)
		}
	}
}

// advance moves the watermark to w. Due timers fire in order, and the tallies
// are flushed at the first full minute that is crossed while there are any, each
// with the watermark at its own due time.
func (f *Fold) advance(w int64, out *machine.Outputs) {
	if w <= f.w {
		return
	}
	if f.w == math.MinInt64 { // nothing can be due
		f.w = w
		return
	}
	for {
		due, flush := w, false
		if minute := f.flushAt(); minute <= due {
			due, flush = minute, true
		}
		if len(f.timers) > 0 && f.timers[0].due <= due && (!flush || f.timers[0].due < due) {
			t := f.timers.pop()
			f.w = max(f.w, t.due)
			f.fire(t, out)
			continue
		}
		if !flush {
			f.w = w
			return
		}
		f.w = due
		f.flush(out)
	}
}

// flushAt is the watermark at which the tallies are due.
func (f *Fold) flushAt() int64 {
	if f.replaying || len(f.tallies.byKey) == 0 {
		return math.MaxInt64
	}
	return floorTo(f.w, minuteMs) + minuteMs
}

func (f *Fold) fire(t timer, out *machine.Outputs) {
	s := &f.shards[t.shard]
	switch t.kind {
	case timerHold:
		if h := s.holds[t.key]; h != nil && h.due == t.due {
			f.decide(s, t.key, h, out)
		}
	case timerObject:
		if o := s.objects[t.key]; o != nil && o.id == t.key && o.due == t.due {
			f.wake(s, o, out)
		}
	}
}

// Rewind begins a replay.
func (f *Fold) Rewind(w int64, at []machine.Position) {
	f.headerW, f.w = f.w, w
	f.at = slices.Clone(at)
	f.replaying = true
}

// Resume ends a replay.
func (f *Fold) Resume() {
	f.w = f.headerW
	f.at = nil
	f.replaying = false
}

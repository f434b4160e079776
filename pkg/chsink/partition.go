package chsink

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A partition's queue of records that are not decoded yet: above the first mark
// the partition is paused, below the second it is resumed.
const (
	queueHigh = 16 << 20
	queueLow  = 4 << 20
	// recordCost is what a record weighs beside its key and value.
	recordCost = 200
)

// partition stores one topic-partition. Its goroutine decodes into the open
// batch while another one lands the batch before it.
type partition struct {
	ss       *session
	at       place
	stream   Stream
	origin   Origin
	memberID string // of the membership in which the partition was given to us

	// committed is the group's offset, -1 if there is none that holds.
	committed int64
	// foreign says that somebody else committed it.
	foreign  bool
	replay   *intent // what to finish first
	ctx      context.Context
	cancel   context.CancelFunc
	draining chan struct{}
	done     chan struct{}

	mu     sync.Mutex
	queue  []*kgo.Record
	queued int
	paused bool
	wake   chan struct{}

	backlog backlog

	// Of the goroutine alone.
	position int64 // first offset of the open batch; -1 before the first record
	open     *batch
	spare    *batch
	flying   *batch
	landed   chan error
	// idle fires when a trailing commit is due.
	idle  *time.Timer
	dirty bool

	// Of the landing goroutine, or of run while nothing flies.
	prepared bool
	verify   int64
}

func (ss *session) newPartition(at place, memberID string, offset int64, metadata *string) *partition {
	p := &partition{
		ss: ss, at: at, memberID: memberID, committed: offset, position: offset,
		origin:   Origin{at.topic, ss.group.ids[at.topic], at.partition},
		draining: make(chan struct{}), done: make(chan struct{}),
		wake: make(chan struct{}, 1), landed: make(chan error, 1),
	}
	for _, st := range ss.cfg.Streams {
		if st.Topic == at.topic {
			p.stream = st
		}
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.recall(metadata)
	p.open, p.spare = newBatch(p.stream, p.origin, ss.cfg.Tracer), newBatch(p.stream, p.origin, ss.cfg.Tracer)
	p.backlog.next.Store(p.position)
	return p
}

// recall reads the progress that came with the offset.
func (p *partition) recall(metadata *string) {
	if p.committed < 0 {
		p.position = -1
		return
	}
	text := ""
	if metadata != nil {
		text = *metadata
	}
	got, err := parseProgress(text)
	switch {
	case err != nil:
		p.ss.cfg.Log.Warn("the committed offset is not the sink's own: comparing with the table", "topic", p.at.topic, "partition", p.at.partition, "error", err)
		p.foreign = true
	case got.topic != p.origin.shortID():
		p.ss.cfg.Log.Warn("the committed offset belongs to a deleted topic of the same name", "topic", p.at.topic, "partition", p.at.partition)
		p.committed, p.position = -1, -1
	default:
		p.replay, p.verify = got.pending, got.verify
		if p.replay != nil && p.replay.first != p.committed {
			p.replay = nil // somebody moved the offset and kept the metadata
			p.foreign = true
		}
	}
}

// begin says where to start without a committed offset.
func (p *partition) begin(ctx context.Context) (kgo.Offset, error) {
	if p.ss.cfg.From != FromStored {
		return startOffset(p.ss.cfg.From), nil
	}
	stored, err := p.ss.lastStored(ctx, p.stream, p.origin)
	if err != nil || stored < 0 {
		return kgo.NewOffset().AtStart(), err
	}
	listed, err := kadm.NewClient(p.ss.group.client).ListStartOffsets(ctx, p.at.topic)
	if err != nil {
		return kgo.Offset{}, fmt.Errorf("start of the log: %w", err)
	}
	first, ok := listed.Lookup(p.at.topic, p.at.partition)
	if !ok || first.Err != nil {
		return kgo.Offset{}, fmt.Errorf("start of the log: %w", first.Err)
	}
	return kgo.NewOffset().At(max(first.Offset, stored-2*int64(p.ss.cfg.Limits.Records))), nil
}

// push queues records; it never blocks, so that one partition never holds up
// the others.
func (p *partition) push(f fetched) {
	size := 0
	for _, r := range f.records {
		size += len(r.Key) + len(r.Value) + recordCost
	}
	p.backlog.end.Store(f.end)
	p.mu.Lock()
	p.queue = append(p.queue, f.records...)
	p.queued += size
	pause := p.queued > queueHigh && !p.paused
	p.paused = p.paused || pause
	p.mu.Unlock()
	if pause {
		p.ss.group.pause(p.at)
	}
	p.signal()
}

func (p *partition) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// take returns up to n queued records.
func (p *partition) take(n int) []*kgo.Record {
	p.mu.Lock()
	defer p.mu.Unlock()
	n = min(n, len(p.queue))
	taken := p.queue[:n:n]
	p.queue = p.queue[n:]
	for _, r := range taken {
		p.queued -= len(r.Key) + len(r.Value) + recordCost
	}
	if len(p.queue) == 0 {
		p.queue = nil
	}
	if p.paused && p.queued < queueLow {
		p.paused = false
		p.ss.group.resume(p.at)
	}
	return taken
}

// run is the partition's goroutine.
func (p *partition) run() {
	defer close(p.done)
	defer p.cancel()
	p.idle = time.NewTimer(time.Hour)
	p.idle.Stop()
	age := time.NewTimer(time.Hour)
	age.Stop()
	defer age.Stop()
	defer p.idle.Stop()
	draining := p.draining
	for {
		if draining != nil {
			p.decode()
		}
		p.launch(draining == nil, age)
		if draining == nil && p.flying == nil {
			p.trail()
			return
		}
		select {
		case <-p.ctx.Done():
			p.settle()
			return
		case <-draining:
			draining = nil
		case <-p.wake:
		case <-age.C:
		case <-p.idle.C:
			p.trail()
		case err := <-p.landed:
			if err != nil {
				p.flying = nil
				p.giveUp(err)
				return
			}
			p.arrived()
		}
	}
}

// settle waits for a landing whose context has ended.
func (p *partition) settle() {
	if p.flying == nil {
		return
	}
	if err := <-p.landed; err != nil { // the next owner starts from the intent
		p.ss.cfg.Log.Info("insert given up", "topic", p.at.topic, "partition", p.at.partition, "error", err)
	}
}

// giveUp ends the partition with what the landing could not get over.
func (p *partition) giveUp(err error) {
	if p.ctx.Err() == nil && !errors.Is(err, errStopping) {
		p.ss.fail(err)
	}
}

// decode moves records from the queue into the open batch until it is full.
func (p *partition) decode() {
	for !p.full() {
		taken := p.take(1024)
		if len(taken) == 0 {
			return
		}
		for i, rec := range taken {
			if p.full() || (p.replay != nil && rec.Offset > p.replay.last) {
				p.putBack(taken[i:])
				if p.replay != nil {
					p.open.complete = true
				}
				break
			}
			p.add(rec)
		}
	}
}

func (p *partition) putBack(records []*kgo.Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range records {
		p.queued += len(r.Key) + len(r.Value) + recordCost
	}
	p.queue = append(records[:len(records):len(records)], p.queue...)
}

func (p *partition) add(rec *kgo.Record) {
	if p.position < 0 {
		p.position = rec.Offset
	}
	p.backlog.read(rec)
	why := p.open.add(rec)
	if why != nil {
		p.ss.bury(p.ctx, p.open, rec, why)
	}
	if p.replay != nil && rec.Offset >= p.replay.last {
		p.open.complete = true
	}
}

// full says that the open batch takes no more records.
func (p *partition) full() bool {
	if p.open.complete {
		return true
	}
	return p.replay == nil && p.open.full(p.ss.cfg.Limits)
}

// launch lands the open batch if it is due and nothing else flies; else it sets
// the timers that say when to look again.
func (p *partition) launch(now bool, age *time.Timer) {
	b := p.open
	if p.flying != nil || (b.empty() && !b.complete) {
		return
	}
	if !b.worthless() || p.replay != nil || !p.prepared {
		due := p.full()
		if p.replay == nil && !due {
			wait := p.ss.cfg.Limits.Age - time.Since(b.begun)
			if due = now || wait <= 0; !due {
				age.Reset(wait)
			}
		}
		if !due {
			return
		}
		p.takeOff(b)
		return
	}
	// Records without rows: only the offset moves.
	p.position = b.last + 1
	b.reset()
	p.backlog.passed(p.position)
	if !p.dirty {
		p.dirty = true
		p.idle.Reset(5 * p.ss.cfg.Limits.Age)
	}
}

func (p *partition) takeOff(b *batch) {
	b.first = p.position
	if p.replay != nil {
		// The tail of the range may be gone from a compacted topic; its name stays.
		b.span, b.since, b.split, b.durable = p.replay.span, p.replay.since, p.replay.split, p.replay.since
		p.ss.metrics.replayed.Inc()
		p.replay = nil
	}
	p.open, p.spare, p.flying = p.spare, nil, b
	p.position = b.last + 1
	p.backlog.tookOff(b.first)
	p.idle.Stop()
	go func() { p.landed <- p.land(b) }()
}

// arrived ends a landing: the range is stored in full.
func (p *partition) arrived() {
	b := p.flying
	now := p.ss.cfg.now()
	p.ss.metrics.latency(b, now)
	p.trace(b, now)
	p.ss.metrics.compared(overall(b.found))
	b.reset()
	p.backlog.landed(p.position)
	p.spare, p.flying = b, nil
	p.dirty = true
	p.idle.Reset(p.ss.cfg.Limits.Age)
}

// trail commits what no later intent has: all before position is stored.
func (p *partition) trail() {
	if !p.dirty || p.flying != nil || p.position < 0 {
		return
	}
	offset := p.position
	if err := p.ss.group.commit(p, offset, p.progress(nil).String()); err != nil {
		p.ss.cfg.Log.WarnContext(p.ctx, "trailing commit", "topic", p.at.topic, "partition", p.at.partition, "error", err)
		p.idle.Reset(p.ss.cfg.Limits.Age)
		if errors.Is(err, errReplaced) { // no later one would pass either
			p.giveUp(err)
		}
		return
	}
	p.dirty = false
}

func (p *partition) progress(pending *intent) progress {
	out := progress{topic: p.origin.shortID(), pending: pending}
	if p.verify > 0 && (pending == nil || pending.last < p.verify) {
		out.verify = p.verify
	}
	return out
}

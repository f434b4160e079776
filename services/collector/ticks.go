package collector

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/semaphore"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
	"github.com/goodhartlabs/goodhart/services/probe"
)

// maxTallies is how many tallies one tick carries; the rest wait for the next.
const maxTallies = 256

// ticker sends rounds of ticks, one to every partition of events.v1. Safe for
// concurrent use; rounds go one after the other.
//
// Every partition has its own gap-free sequence from 1. A tick that was not
// acknowledged may be in the log all the same, so it is repeated under its number
// with the same tallies, and a reader ignores tallies of a number it has seen.
// The others go on meanwhile: one lost leader must not hold every watermark.
type ticker struct {
	id      string
	p       *producer
	tallies *tallies
	tel     *probe.Telemetry
	metrics *metrics

	// round is taken by whoever sends one; others wait for it as long as their
	// contexts allow.
	round      *semaphore.Weighted
	partitions []tickState
	// latest is the clock of the last round that every partition acknowledged,
	// ms; 0 before the first.
	latest atomic.Int64
}

// tickState is one partition's place in its sequence.
type tickState struct {
	sequence uint64 // the next to be acknowledged
	rejected []*goodhartv1.Rejected
	frozen   bool // rejected was sent under sequence, acknowledged or not
	shipment *shipment
}

func newTicker(id string, p *producer, t *tallies, tel *probe.Telemetry, m *metrics) *ticker {
	states := make([]tickState, p.events)
	for i := range states {
		states[i].sequence = 1
	}
	return &ticker{id: id, p: p, tallies: t, tel: tel, metrics: m, round: semaphore.NewWeighted(1), partitions: states}
}

// carrier is the partition whose ticks carry the tallies.
func (t *ticker) carrier() int32 {
	return schemas.Partition([]byte(t.id), int32(len(t.partitions)))
}

// catchUp sends a round unless one of this clock, or a later one, is through.
func (t *ticker) catchUp(ctx context.Context, now time.Time) error {
	if err := t.round.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("wait for the ticks under way: %w", err)
	}
	defer t.round.Release(1)
	if t.latest.Load() >= now.UnixMilli() {
		return nil
	}
	return t.send(ctx, now)
}

// send sends one round and waits until every partition acknowledged it. The
// caller holds round.
func (t *ticker) send(ctx context.Context, now time.Time) error {
	started := time.Now()
	var errs []error
	for p := range t.partitions {
		if err := t.start(ctx, int32(p), now); err != nil {
			errs = append(errs, fmt.Errorf("partition %d: %w", p, err))
		}
	}
	for p := range t.partitions {
		if err := t.finish(ctx, int32(p)); err != nil {
			errs = append(errs, fmt.Errorf("partition %d: %w", p, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		t.metrics.ticks.WithLabelValues(ticksFailed).Inc()
		return fmt.Errorf("send ticks: %w", err)
	}
	t.latest.Store(max(t.latest.Load(), now.UnixMilli()))
	t.metrics.ticks.WithLabelValues(ticksSent).Inc()
	t.metrics.lastTick.SetToCurrentTime()
	t.metrics.tickSeconds.Observe(time.Since(started).Seconds())
	return nil
}

// run sends a round at once and then every interval until ctx ends. now is the
// clock of a round, the zero time if there is none yet.
func (t *ticker) run(ctx context.Context, interval, patience time.Duration, now func() time.Time) {
	next := time.NewTicker(interval)
	defer next.Stop()
	for {
		if err := t.beat(context.WithoutCancel(ctx), patience, now); err != nil {
			t.tel.Log.Warn("ticks not acknowledged", "role", "collector", "error", err)
			t.tel.NotReady(readyTicks, err.Error())
		} else {
			t.tel.Ready(readyTicks)
		}
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
	}
}

// beat sends a round and waits for it no longer than patience.
func (t *ticker) beat(ctx context.Context, patience time.Duration, now func() time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := t.round.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("wait for the ticks under way: %w", err)
	}
	defer t.round.Release(1)
	// Asked for only now, so that times do not run backwards in a partition.
	at := now()
	if at.IsZero() {
		return nil
	}
	return t.send(ctx, at)
}

// last is the clock of the last round that every partition acknowledged; the
// zero time before the first.
func (t *ticker) last() time.Time {
	if ms := t.latest.Load(); ms > 0 {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}

// farewell reports the tallies that are left. Rounds are few: each carries
// maxTallies of them.
func (t *ticker) farewell(ctx context.Context, patience time.Duration, now func() time.Time) error {
	for {
		if err := t.beat(ctx, patience, now); err != nil || now().IsZero() || t.tallies.empty() {
			return err
		}
	}
}

// start puts a partition's tick under way, unless the one before is still there:
// waiting for it would hold the ticks of the other partitions.
func (t *ticker) start(ctx context.Context, partition int32, now time.Time) error {
	s := &t.partitions[partition]
	if s.shipment != nil {
		if !s.shipment.settled() {
			return errors.New("the tick before is still under way")
		}
		_ = t.finish(ctx, partition) // if it failed, its number is sent again
	}
	if partition == t.carrier() && !s.frozen {
		s.rejected = t.tallies.take(maxTallies)
	}
	s.frozen = true
	value, err := (&goodhartv1.Event{
		Kind:          goodhartv1.EventKind_EVENT_KIND_TICK,
		TimeMs:        now.UnixMilli(),
		ReceivedMs:    now.UnixMilli(),
		SchemaVersion: event.SchemaVersion,
		Tick:          &goodhartv1.Tick{Collector: t.id, Sequence: s.sequence, Rejected: s.rejected},
	}).MarshalVT()
	if err != nil {
		return fmt.Errorf("encode tick: %w", err)
	}
	ship := t.p.ship()
	if err := ship.send(ctx, []kgo.Record{{Topic: schemas.TopicEvents, Partition: partition, Value: value}}); err != nil {
		return err
	}
	s.shipment = ship
	return nil
}

// finish waits for the tick under way, if any, and moves the sequence on. The
// shipment stays while its fate is open.
func (t *ticker) finish(ctx context.Context, partition int32) error {
	s := &t.partitions[partition]
	if s.shipment == nil {
		return nil
	}
	refused, err := s.shipment.wait(ctx)
	switch {
	case err != nil && !s.shipment.settled():
		return err
	case err == nil && len(refused) > 0:
		err = errors.New("refused by the broker")
	}
	s.shipment = nil
	if err != nil {
		return err
	}
	s.sequence++
	s.rejected, s.frozen = nil, false
	return nil
}

package alerter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/goodhartlabs/goodhart/schemas"
)

// tell empties the queue until ctx ends.
func (f *feed) tell(ctx context.Context) {
	var repeat time.Time // of what is open, once that is known: the receiver may have lost it
	for ctx.Err() == nil {
		if !f.begun() {
			if f.commit(ctx); !f.begun() {
				sleep(ctx, f.pauses.first)
			}
			continue
		}
		if g := f.take(); g != nil {
			f.deliver(ctx, g.notices)
			continue
		}
		if f.resend > 0 && !time.Now().Before(repeat) {
			repeat = time.Time{} // as soon as it is known
			if f.repeat(ctx) {
				repeat = time.Now().Add(f.resend)
			}
		}
		f.idle(ctx, repeat)
	}
}

// take returns the next group that is due, nil if none is. While the log is not
// read for want of room, all are: quiet hours must not keep a critical signal from
// being read.
func (f *feed) take() *group {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.late = time.Time{}
	due, waits := f.queue.next()
	if !waits || due.After(time.Now()) && !f.paused {
		return nil
	}
	f.late = due
	return f.queue.take()
}

// idle waits for the queue to change, for its next group, or for the next
// repetition, if it has a time.
func (f *feed) idle(ctx context.Context, repeat time.Time) {
	f.mu.Lock()
	due, waits := f.queue.next()
	f.mu.Unlock()
	if !repeat.IsZero() && (!waits || repeat.Before(due)) {
		due, waits = repeat, true
	}
	var alarm <-chan time.Time
	if waits {
		timer := time.NewTimer(time.Until(due))
		defer timer.Stop()
		alarm = timer.C
	}
	select {
	case <-ctx.Done():
	case <-f.wake:
	case <-alarm:
	}
}

// deliver tells a group, however long that takes, unless ctx ends first. What was
// told, or buried, is committed.
func (f *feed) deliver(ctx context.Context, group []*notice) {
	wait := backoff.NewExponentialBackOff(backoff.WithInitialInterval(f.pauses.first), backoff.WithMaxInterval(f.pauses.most), backoff.WithMaxElapsedTime(0))
	for ctx.Err() == nil {
		if group = f.owned(group); len(group) == 0 {
			return
		}
		err := f.attempt(ctx, group)
		switch {
		case err == nil:
			f.done(group)
			f.commit(ctx)
			return
		case fateOf(err) == stop:
			f.fail(err)
			return
		case fateOf(err) == bury && len(group) > 1:
			// One of them is refused: the others shall arrive.
			for i := range group {
				f.deliver(ctx, group[i:i+1])
			}
			return
		case fateOf(err) == bury:
			f.log.WarnContext(ctx, "refused for good", "offset", group[0].offset, "partition", group[0].from.number, "error", err)
			group[0].why = err // the next attempt buries it
			wait.Reset()
			continue
		}
		pause := wait.NextBackOff()
		if answer := new(answerError); errors.As(err, &answer) {
			pause = max(pause, answer.after)
		}
		f.log.WarnContext(ctx, "not delivered", "signals", len(group), "pause", pause, "error", err)
		sleep(ctx, pause)
	}
}

// attempt tells a group once, or buries what cannot be told. It is given its time
// even if ctx ends: cut off, it would be told twice.
func (f *feed) attempt(ctx context.Context, group []*notice) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if group[0].why != nil {
		return f.bury(ctx, group[0])
	}
	began := time.Now()
	err := f.receiver.tell(ctx, group)
	f.metrics.attempts.WithLabelValues(f.name, result(err)).Observe(time.Since(began).Seconds())
	return err
}

// owned leaves the notices of partitions that are still ours, with what the
// receiver was last told of their signals.
func (f *feed) owned(group []*notice) []*notice {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ours []*notice
	for _, n := range group {
		if n.from.gone {
			f.release(n)
			continue
		}
		if n.sig != nil {
			if s := n.from.signals[n.sig.ID]; s != nil {
				n.former = s.told
			}
		}
		ours = append(ours, n)
	}
	return ours
}

// done notes that notices were told or buried.
func (f *feed) done(group []*notice) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range group {
		f.release(n)
		n.from.finish(n.offset)
		if n.why != nil {
			continue
		}
		f.metrics.delivered.WithLabelValues(f.name).Inc()
		if s := n.from.signals[n.sig.ID]; s != nil {
			f.told(s, n.sig)
		}
	}
}

// release gives back the room that a notice took; mu is held.
func (f *feed) release(n *notice) {
	f.bytes -= n.size()
	if f.paused && f.bytes < f.memory/2 {
		f.paused = false
		f.client.ResumeFetchTopics(schemas.TopicSignals)
	}
}

// repeat tells the receiver again what is open; it reports whether that is known.
// Failing is no harm before the next time.
func (f *feed) repeat(ctx context.Context) bool {
	open, known := f.openSignals()
	if len(open) == 0 {
		return known
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	err := f.refresh(ctx, open)
	f.metrics.repeats.WithLabelValues(f.name, result(err)).Inc()
	if err != nil {
		f.log.WarnContext(ctx, "open signals not repeated", "signals", len(open), "error", err)
	}
	return true
}

// commitError is the first error of a commit.
func commitError(resp *kmsg.OffsetCommitResponse, err error) error {
	if err != nil {
		return err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("partition %d: %w", p.Partition, err)
			}
		}
	}
	return nil
}

// bury writes a dead letter.
func (f *feed) bury(ctx context.Context, n *notice) error {
	letter := f.letter(n)
	value, err := letter.MarshalVT()
	if err != nil {
		return fmt.Errorf("encode dead letter: %w", err)
	}
	rec := &kgo.Record{Topic: schemas.TopicDead, Partition: schemas.Partition(n.key, f.dead), Key: n.key, Value: value}
	if err := f.client.ProduceSync(ctx, rec).FirstErr(); err != nil {
		return fmt.Errorf("send dead letter: %w", err)
	}
	f.metrics.dead.WithLabelValues(f.name, letter.Reason).Inc()
	return nil
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

package faults

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"
)

// strikes carries a schedule out.
type strikes struct {
	*run
	total int64
	sent  <-chan error // ends when the traffic has ended
	turns map[string]*sync.Mutex
}

// strikeAll lets every fault of the schedule strike at its moment, and returns
// when all parts work again and the traffic has ended.
func (r *run) strikeAll(ctx context.Context, total int64, sent <-chan error) error {
	s := &strikes{run: r, total: total, sent: sent, turns: map[string]*sync.Mutex{}}
	for name := range r.fleet.parts {
		s.turns[name] = &sync.Mutex{}
	}
	// Not under a context of the group: the processes that faults start live on.
	var group sync.WaitGroup
	defer group.Wait()
	for _, f := range schedule(r.cfg) {
		if err := s.await(ctx, f); err != nil {
			r.fail(err)
			return err
		}
		held := s.hold(ctx, f)
		s.flow.look(time.Now())
		rate := s.flow.rate()
		s.toll.strike(rate)
		group.Go(func() {
			defer release(held)
			if err := s.strike(ctx, f, rate); err != nil {
				r.fail(fmt.Errorf("%s: %w", f, err))
			}
		})
	}
	group.Wait()
	select {
	case err := <-sent:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ebb is how long a fault waits for the traffic to flow again after the one
// before, and slack the share of all records that it lets pass meanwhile.
const (
	ebb   = 5 * time.Second
	slack = .01
)

// await waits for a fault's moment, and for the traffic to flow.
func (s *strikes) await(ctx context.Context, f fault) error {
	moment, late := int64(f.at*float64(s.total)), int64((f.at+slack)*float64(s.total))
	var due time.Time
	for again := time.NewTicker(100 * time.Millisecond); ; {
		now := time.Now()
		p := s.flow.look(now)
		if due.IsZero() && p.Records >= moment {
			due = now
		}
		if !due.IsZero() && (s.flow.rate() >= Floor || p.Records >= late || now.Sub(due) > ebb) {
			again.Stop()
			return nil
		}
		select {
		case <-again.C:
		case err := <-s.sent:
			again.Stop()
			return errors.Join(err, fmt.Errorf("the traffic ended before this could happen: %s", f))
		case <-ctx.Done():
			again.Stop()
			return context.Cause(ctx)
		}
	}
}

// hold waits until the parts that a fault concerns have got over the one before.
// Meanwhile the traffic trickles: it must not end before the fault, and some of it
// must flow for a part to get over a fault.
func (s *strikes) hold(ctx context.Context, f fault) (held []*sync.Mutex) {
	names := []string{f.victim}
	if f.action == strand {
		names = []string{chserve, f.victim} // in this order, as the only one that takes two
	}
	for _, name := range names {
		turn := s.turns[name]
		if !turn.TryLock() {
			flowing := s.sender.trickle(ctx)
			turn.Lock()
			flowing()
		}
		held = append(held, turn)
	}
	return held
}

func release(held []*sync.Mutex) {
	for _, turn := range held {
		turn.Unlock()
	}
}

func (s *strikes) strike(ctx context.Context, f fault, rate float64) error {
	at := fmt.Sprintf("%2.0f %% %5.0f events/s", 100*f.at, rate)
	switch f.action {
	case freeze:
		return s.freeze(ctx, f, at)
	case strand:
		return s.strand(ctx, f, at)
	default:
		return s.kill(ctx, f, at)
	}
}

func (s *strikes) kill(ctx context.Context, f fault, at string) error {
	victim := s.fleet.parts[f.victim]
	s.lastLook(ctx, f.victim)
	since := time.Now()
	if err := victim.kill(ctx); err != nil {
		return err
	}
	s.log.say("%s  kill -9 %s", at, f.victim)
	if err := pause(ctx, f.pause); err != nil {
		return err
	}
	if err := victim.start(ctx); err != nil {
		return err
	}
	s.log.say("%19s  %s is back after %.1f s", "", f.victim, s.toll.note(s.toll.killed, f.victim, since).Seconds())
	return nil
}

func (s *strikes) freeze(ctx context.Context, f fault, at string) error {
	victim := s.fleet.process(f.victim)
	since := time.Now()
	if err := victim.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	s.log.say("%s  SIGSTOP %s", at, f.victim)
	if err := pause(ctx, s.cfg.Freeze); err != nil {
		return err
	}
	if err := victim.signal(syscall.SIGCONT); err != nil {
		return err
	}
	s.log.say("%19s  SIGCONT %s after %.1f s, its session has ended", "", f.victim, s.toll.note(s.toll.frozen, f.victim, since).Seconds())
	return nil
}

// lastLook reads what a process has counted before it is killed.
func (s *strikes) lastLook(ctx context.Context, name string) {
	if p := s.fleet.process(name); p != nil {
		s.counters.look(ctx, p)
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

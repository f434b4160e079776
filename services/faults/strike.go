package faults

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/goodhartlabs/goodhart/schemas"
)

// toll is what the faults did.
type toll struct {
	mu             sync.Mutex
	killed, frozen map[string]int           // by role
	down           map[string]time.Duration // by role, all its processes together
	struck         int
	slowest        float64 // events a second when a fault struck
	below          int     // faults that struck while fewer than Floor flowed
}

func newToll() *toll {
	return &toll{killed: map[string]int{}, frozen: map[string]int{}, down: map[string]time.Duration{}, slowest: math.Inf(1)}
}

func roleOf(name string) string {
	role, _, _ := strings.Cut(name, "-")
	return role
}

// strike notes that a fault struck while so many events a second flowed.
func (t *toll) strike(rate float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.struck++
	t.slowest = min(t.slowest, rate)
	if rate < Floor {
		t.below++
	}
}

// note notes a death or a frost, by role, and how long it lasted.
func (t *toll) note(by map[string]int, name string, since time.Time) time.Duration {
	down := time.Since(since)
	t.add(roleOf(name), down)
	t.mu.Lock()
	defer t.mu.Unlock()
	by[roleOf(name)]++
	return down
}

// add notes that a process of a role was down.
func (t *toll) add(role string, down time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.down[role] += down
}

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
		held := s.hold(f)
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
// before.
const ebb = 5 * time.Second

// await waits for a fault's moment, and for the traffic to flow.
func (s *strikes) await(ctx context.Context, f fault) error {
	moment := int64(f.at * float64(s.total))
	var due time.Time
	for again := time.NewTicker(100 * time.Millisecond); ; {
		now := time.Now()
		p := s.flow.look(now)
		if due.IsZero() && p.Records >= moment {
			due = now
		}
		if !due.IsZero() && (s.flow.rate() >= Floor || now.Sub(due) > ebb) {
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
func (s *strikes) hold(f fault) (held []*sync.Mutex) {
	names := []string{f.victim}
	if f.action == strand {
		names = []string{chserve, f.victim} // in this order, as the only one that takes two
	}
	for _, name := range names {
		s.turns[name].Lock()
		held = append(held, s.turns[name])
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

// checkAfter is from which age on a stranded sink compares an intent with the
// tables. Only the life after the stranding does, and chserve is not killed in it:
// what chserve was killed over must be replayed, not compared, for its rollups to
// be whole.
const checkAfter = 3 * time.Second

func (s *strikes) strand(ctx context.Context, f fault, at string) error {
	database, victim := s.fleet.process(chserve), s.fleet.process(f.victim)
	if err := eventually(ctx, "the sinks to get over the last death of chserve", s.overChserve); err != nil {
		return err
	}
	s.counters.look(ctx, victim)
	before := s.counters.total(victim.life(), counterRetries, "")
	stopped := time.Now()
	if err := database.stop(ctx); err != nil {
		return err
	}
	s.log.say("%s  stop chserve, %s goes on trying", at, f.victim)
	if err := eventually(ctx, "an insert of "+f.victim+" to fail", func(ctx context.Context) bool {
		s.counters.look(ctx, victim)
		// A record waits longer than a batch does: its batch, or one before it, is begun.
		return s.counters.total(victim.life(), counterRetries, "") > before &&
			s.counters.largest(victim.life(), gaugeLag, `topic="`+schemas.TopicFacts+`"`) > 2
	}); err != nil {
		return err
	}
	since := time.Now()
	if err := victim.kill(ctx); err != nil {
		return err
	}
	s.log.say("%19s  kill -9 %s, with inserts begun", "", f.victim)
	if err := pause(ctx, checkAfter); err != nil {
		return err
	}
	if err := database.start(ctx); err != nil {
		return err
	}
	s.toll.add(chserve, time.Since(stopped))
	if err := s.recover(ctx, victim); err != nil {
		return err
	}
	s.log.say("%19s  chserve is back, and %s has compared what it had begun, after %.1f s", "", f.victim, s.toll.note(s.toll.killed, f.victim, since).Seconds())
	return nil
}

// overChserve says that both sinks store again, and that every record they have
// read and not stored is younger than the last start of chserve: no insert is
// left that it was killed over.
func (s *strikes) overChserve(ctx context.Context) bool {
	up := time.Since(s.fleet.process(chserve).since()).Seconds()
	for _, p := range s.fleet.processes {
		if roleOf(p.name) != sink {
			continue
		}
		s.counters.look(ctx, p)
		if s.counters.total(p.life(), counterRows, "") == 0 || s.counters.largest(p.life(), gaugeLag, "") >= up {
			return false
		}
	}
	return true
}

// recover starts a sink that finds its own intents old, and when it has got over
// them starts it once more, as it was.
func (s *strikes) recover(ctx context.Context, victim *process) error {
	usual := victim.config
	text, err := os.ReadFile(usual)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	if victim.config, err = s.fleet.write(victim.name+".old-intents", fmt.Sprintf("%s\ncheck_after: %s\nrecommit_after: 1s\n", text, checkAfter)); err != nil {
		return err
	}
	if err := victim.start(ctx); err != nil {
		return err
	}
	if err := eventually(ctx, victim.name+" to compare an intent with the tables", func(ctx context.Context) bool {
		s.counters.look(ctx, victim)
		return s.counters.total(victim.life(), counterChecked, "") > 0 && s.overChserve(ctx)
	}); err != nil {
		return err
	}
	s.counters.look(ctx, victim)
	victim.config = usual
	return errors.Join(victim.stop(ctx), victim.start(ctx))
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

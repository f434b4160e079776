package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/goodhartlabs/goodhart/schemas"
)

// checkAfter is from which age on a stranded sink compares an intent with the
// tables. Only the life after the stranding does, and chserve is not killed in it:
// what chserve was killed over must be replayed, not compared, for its rollups to
// be whole.
const checkAfter = 3 * time.Second

// begun is after how long a sink has certainly begun to insert what it could not
// store: batches wait a second.
const begun = 3 * time.Second

func (s *strikes) strand(ctx context.Context, f fault, at string) error {
	database, victim := s.fleet.process(chserve), s.fleet.process(f.victim)
	flowing := s.sender.trickle(ctx) // the inserts that are to fail are still to come
	err := eventually(ctx, "the sinks to get over the last death of chserve", s.overChserve)
	flowing()
	if err != nil {
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
		waited := time.Since(stopped)
		// A record that was there before the stop is not stored, and a batch has come
		// of age since: it, or the one before it, is begun. How old the record is does
		// not say so: a sink that is behind reads old ones.
		return s.counters.total(victim.life(), counterRetries, "") > before && waited > begun &&
			s.counters.largest(victim.life(), gaugeLag, `topic="`+schemas.TopicFacts+`"`) > waited.Seconds()
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
		return s.counters.total(victim.life(), counterChecked, "") > 0
	}); err != nil {
		return err
	}
	if err := eventually(ctx, "the sinks to get over the stop of chserve", s.overChserve); err != nil {
		return err
	}
	s.counters.look(ctx, victim)
	victim.config = usual
	return errors.Join(victim.stop(ctx), victim.start(ctx))
}

package chsink

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
)

// leaveIntent runs a sink up to a durable intent for the first events of
// partition 0, whose inserts fare as told, and kills it before any further
// commit.
func (b *bed) leaveIntent(insert fate, events ...event) {
	b.tb.Helper()
	b.produce(0, events...)
	cfg := b.config("a")
	line := &ktest.Line{}
	cfg.Client = append(cfg.Client, kgo.Dialer(line.Dial), kgo.RetryTimeout(time.Second))
	p := b.through(&cfg)
	notes := int64(0)
	for _, e := range events {
		if e.Note != "" {
			notes++
		}
	}
	if last := int(min(1, notes)); insert == pass {
		p.stored = func(n int) { // not before: without a line the sink gives up soon
			if n == last {
				line.Cut()
			}
		}
	} else {
		p.rule(func(int, sent) fate {
			line.Cut()
			return insert
		})
	}
	s := b.start(cfg)
	b.until("an insert", func() bool { return len(p.inserts()) > 0 })
	if insert == pass {
		b.untilStored(exact(int64(len(events)), notes))
	}
	s.kill()
	at, metadata := b.committed(0)
	got, err := parseProgress(metadata)
	if err != nil || at != 0 || got.pending == nil || got.pending.span != (span{0, int64(len(events)) - 1}) {
		b.tb.Fatalf("committed %d %q (%v): want the intent of all %d events at 0", at, metadata, err, len(events))
	}
}

// forget makes the server forget which inserts it has seen.
func (b *bed) forget() {
	for _, window := range []string{"0", "10000"} {
		for _, table := range []string{"hits", "notes", "hits_by_who", "everything"} {
			b.exec("ALTER TABLE " + table + " MODIFY SETTING non_replicated_deduplication_window = " + window)
		}
	}
}

func (r *running) checked(outcome comparison) float64 {
	return testutil.ToFloat64(r.sink.metrics.checked.WithLabelValues(outcome.String()))
}

func TestCrashBetweenInsertAndCommit(t *testing.T) {
	each(t, 1, func(b *bed) {
		t := b.tb
		b.leaveIntent(pass, month(0, "ann"), month(1, "ben"), month(0, "ann"))
		b.produce(0, month(0, "ann"), month(1, "cem"))
		cfg := b.config("a")
		p := b.through(&cfg)
		s := b.start(cfg)
		b.untilStored(exact(5, 0))
		b.untilDone(0, 5)
		s.stop()
		// The range is sent again as it was, though more had come meanwhile: a
		// longer one under this token would lose what is new in it.
		first := p.inserts()[0]
		if !strings.HasSuffix(first.token, ":0:0-2") {
			t.Errorf("replayed under token %s, want the range 0-2", first.token)
		}
		if got := testutil.ToFloat64(s.sink.metrics.replayed); got != 1 {
			t.Errorf("%v ranges replayed, want 1", got)
		}
		if diff := cmp.Diff(exact(5, 0), b.totals()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestCrashBetweenIntentAndInsert(t *testing.T) {
	each(t, 1, func(b *bed) {
		t := b.tb
		b.leaveIntent(lose, month(0, "ann"), month(1, "ben"))
		if got := b.totals(); got != (totals{}) {
			t.Fatalf("%+v stored before the crash", got)
		}
		b.produce(0, month(2, "cem"))
		s := b.start(b.config("a"))
		b.untilStored(exact(3, 0))
		b.untilDone(0, 3)
		s.stop()
	})
}

func TestCrashWithoutAnAnswer(t *testing.T) {
	b := newBed(t, 1)
	b.leaveIntent(loseAnswer, month(0, "ann"), month(1, "ben"))
	s := b.start(b.config("a"))
	b.untilDone(0, 2)
	s.stop()
	if diff := cmp.Diff(exact(2, 0), b.totals()); diff != "" {
		t.Error(diff)
	}
}

// What an old intent left behind is found by looking, since the server may have
// forgotten the token. That it has is made sure of: a replay would count twice.
func TestOldIntentIsComparedWithItsTables(t *testing.T) {
	noted := func(e event) event { e.Note = "x"; return e }
	events := []event{month(0, "ann"), noted(month(1, "ben")), month(1, "cem"), month(2, "dan")}
	for name, c := range map[string]struct {
		insert   fate
		lost     []string // what did not land after all
		want     totals
		found    comparison
		suspects []string
	}{
		"all landed": {
			insert: pass, want: exact(4, 1), found: complete,
			suspects: []string{"core.hits[202001 202002 202003]", "core.notes[202002]"},
		},
		"none landed": {insert: lose, want: exact(4, 1), found: absent},
		"half of the months landed": {
			insert: pass, lost: []string{"hits DROP PARTITION 202002", "hits_by_who DROP PARTITION 202002"},
			// One rollup has the month twice: that is what suspect means.
			want: totals{Rows: 4, Offsets: 4, Amount: 40, Rollup: 4, RollupAmount: 40, Notes: 1, Everything: 7}, found: partial,
			suspects: []string{"core.hits[202001 202002 202003]", "core.notes[202002]"},
		},
		"one of two tables landed": {
			insert: pass, lost: []string{"notes DROP PARTITION 202002"},
			want: totals{Rows: 4, Offsets: 4, Amount: 40, Rollup: 4, RollupAmount: 40, Notes: 1, Everything: 6}, found: partial,
			suspects: []string{"core.hits[202001 202002 202003]"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, 1, func(b *bed) {
				t := b.tb
				b.leaveIntent(c.insert, events...)
				b.forget()
				for _, what := range c.lost {
					b.exec("ALTER TABLE " + what)
				}
				b.moved.Store(int64(6 * time.Minute))
				cfg := b.config("a")
				cfg.settleFor = time.Millisecond
				s := b.start(cfg)
				b.untilDone(0, 4)
				s.stop()
				if diff := cmp.Diff(c.want, b.totals()); diff != "" {
					t.Error(diff)
				}
				if got := s.checked(c.found); got != 1 {
					t.Errorf("%v intents found %s, want 1", got, c.found)
				}
				close(b.suspects)
				var suspects []string
				for s := range b.suspects {
					suspects = append(suspects, s)
				}
				if diff := cmp.Diff(c.suspects, suspects); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// A young intent is compared as well, once so many inserts came after it that
// the server has forgotten its token: sent again it would count twice.
func TestWindowOverrunBeforeARetry(t *testing.T) {
	for _, table := range []string{"hits", "everything"} {
		t.Run(table, func(t *testing.T) {
			each(t, 1, func(b *bed) {
				t := b.tb
				b.exec("ALTER TABLE " + table + " MODIFY SETTING non_replicated_deduplication_window = 4")
				b.leaveIntent(pass, month(0, "ann"), month(1, "ben"))
				for n := range 4 { // somebody else's inserts fill the window
					b.exec(fmt.Sprintf("INSERT INTO hits (t, who, amount, k_topic) VALUES ('2020-01-15 12:00:0%d', 'eve', 10, 'another')", n))
				}
				before := b.totals()
				s := b.start(b.config("a"))
				b.untilDone(0, 2)
				s.stop()
				if diff := cmp.Diff(before, b.totals()); diff != "" {
					t.Errorf("sent again: %s", diff)
				}
				if got := s.checked(complete); got != 1 {
					t.Errorf("%v intents found complete, want 1", got)
				}
				select {
				case got := <-b.suspects:
					if want := "core.hits[202001 202002]"; got != want {
						t.Errorf("suspect %s, want %s", got, want)
					}
				default:
					t.Error("no month is suspect, though rollups may have missed what the table holds")
				}
			})
		})
	}
}

// The retry that fills a lost answer stays a plain one while the window is wide.
func TestYoungRetryIsNotCompared(t *testing.T) {
	b := newBed(t, 1)
	b.leaveIntent(loseAnswer, month(0, "ann"))
	s := b.start(b.config("a"))
	b.untilDone(0, 1)
	s.stop()
	for _, outcome := range []comparison{absent, partial, complete} {
		if got := s.checked(outcome); got != 0 {
			t.Errorf("%v intents found %s, want none compared", got, outcome)
		}
	}
}

// A range that is there in part may be one that is still landing: a split waits
// until nobody can be at it.
func TestSplitWaitsForAFormerAttempt(t *testing.T) {
	b := newBed(t, 1)
	b.leaveIntent(pass, month(0, "ann"), month(1, "ben"))
	b.forget()
	b.exec("ALTER TABLE hits DROP PARTITION 202002")
	b.moved.Store(int64(6 * time.Minute))
	cfg := b.config("a")
	p := b.through(&cfg)
	s := b.start(cfg)
	retries := func() float64 { return testutil.ToFloat64(s.sink.metrics.retries) }
	b.until("two looks", func() bool { return retries() >= 2 })
	b.moved.Add(int64(time.Minute + insertTimeout + maxExecution - 10*time.Second))
	seen := retries()
	b.until("two looks more", func() bool { return retries() >= seen+2 })
	if got := p.inserts(); len(got) != 0 {
		t.Fatalf("%s is inserted while the former attempt may go on", got[0].token)
	}
	// It does: the month lands.
	b.exec("INSERT INTO hits SELECT '2020-02-15 12:00:01', 'ben', 10, k_topic, 0, 1 FROM hits LIMIT 1")
	b.moved.Add(int64(time.Minute))
	b.untilDone(0, 2)
	s.stop()
	if got := b.totals(); got.Rows != 2 || got.Offsets != 2 {
		t.Errorf("%+v: want 2 rows of 2 offsets", got)
	}
	if got := p.inserts(); len(got) != 0 {
		t.Errorf("%s is inserted beside the former attempt", got[0].token)
	}
}

// A split that is interrupted goes on by month: what landed is not sent again.
func TestInterruptedSplit(t *testing.T) {
	each(t, 1, func(b *bed) {
		t := b.tb
		b.leaveIntent(pass, month(0, "ann"), month(1, "ben"), month(2, "cem"))
		b.forget()
		b.exec("ALTER TABLE hits DROP PARTITION 202002")
		b.exec("ALTER TABLE hits DROP PARTITION 202003")
		b.moved.Store(int64(6 * time.Minute))

		cfg := b.config("a")
		cfg.settleFor = time.Millisecond
		p := b.through(&cfg)
		p.rule(func(n int, _ sent) fate {
			if n == 0 {
				return pass
			}
			return lose
		})
		s := b.start(cfg)
		b.until("the second month", func() bool { return len(p.inserts()) > 1 })
		s.stop()
		at, metadata := b.committed(0)
		if got, err := parseProgress(metadata); err != nil || at != 0 || got.pending == nil || !got.pending.split {
			t.Fatalf("committed %d %q (%v): want a split intent", at, metadata, err)
		}
		s = b.start(b.config("a"))
		b.untilDone(0, 3)
		s.stop()
		if got := b.totals(); got.Rows != 3 || got.Offsets != 3 {
			t.Errorf("%+v: want 3 rows of 3 offsets", got)
		}
		var tokens []string
		for _, i := range p.inserts()[:2] {
			tokens = append(tokens, i.token[strings.IndexByte(i.token, ':'):])
		}
		if diff := cmp.Diff([]string{":0:0-2/202002", ":0:0-2/202003"}, tokens); diff != "" {
			t.Error(diff)
		}
	})
}

package chsink

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// leaveIntent runs a sink up to a durable intent for the first events of
// partition 0, whose insert fares as told, and ends it before any further
// commit.
func (b *bed) leaveIntent(g *gate, insert fate, events ...event) {
	b.tb.Helper()
	b.produce(0, events...)
	cfg := b.config("a")
	p := b.through(&cfg)
	p.rule(always(insert))
	g.allow(1)
	s := b.start(cfg)
	b.until("an insert", func() bool { return len(p.inserts()) > 0 })
	if insert == pass {
		b.until("the insert", func() bool { return b.totals().Rows == int64(len(events)) })
	}
	s.stop()
	g.open()
	at, metadata := b.committed(0)
	got, err := parseProgress(metadata)
	if err != nil || at != 0 || got.pending == nil || got.pending.span != (span{0, int64(len(events)) - 1}) {
		b.tb.Fatalf("committed %d %q (%v): want the intent of all %d events at 0", at, metadata, err, len(events))
	}
}

// forget makes the server forget which inserts it has seen.
func (b *bed) forget() {
	for _, table := range []string{"hits", "notes", "hits_by_who", "everything"} {
		b.exec("ALTER TABLE " + table + " MODIFY SETTING non_replicated_deduplication_window = 0")
	}
}

func TestCrashBetweenInsertAndCommit(t *testing.T) {
	b := newBed(t, 1)
	g := b.gateCommits()
	b.leaveIntent(g, pass, month(0, "ann"), month(1, "ben"), month(0, "ann"))
	b.produce(0, month(0, "ann"), month(1, "cem"))
	cfg := b.config("a")
	p := b.through(&cfg)
	s := b.start(cfg)
	b.untilStored(exact(5, 0))
	b.untilDone(0, 5)
	s.stop()
	// The range is sent again as it was, though more had come meanwhile.
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
}

func TestCrashBetweenIntentAndInsert(t *testing.T) {
	b := newBed(t, 1)
	g := b.gateCommits()
	b.leaveIntent(g, lose, month(0, "ann"), month(1, "ben"))
	if got := b.totals(); got != (totals{}) {
		t.Fatalf("%+v stored before the crash", got)
	}
	b.produce(0, month(2, "cem"))
	s := b.start(b.config("a"))
	b.untilStored(exact(3, 0))
	b.untilDone(0, 3)
	s.stop()
}

func TestCrashWithoutAnAnswer(t *testing.T) {
	b := newBed(t, 1)
	g := b.gateCommits()
	b.leaveIntent(g, loseAnswer, month(0, "ann"), month(1, "ben"))
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
		lost     string // what did not land after all
		want     totals
		suspects []string
	}{
		"all landed": {
			insert: pass, want: exact(4, 1),
			suspects: []string{"core.hits[202001 202002 202003]", "core.notes[202002]"},
		},
		"none landed": {insert: lose, want: exact(4, 1)},
		"half of the months landed": {
			insert: pass, lost: "ALTER TABLE hits DROP PARTITION 202002",
			// The rollup has the month twice: that is what suspect means.
			want:     totals{Rows: 4, Offsets: 4, Amount: 40, Rollup: 6, RollupAmount: 60, Notes: 1, Everything: 7},
			suspects: []string{"core.hits[202001 202002 202003]", "core.notes[202002]"},
		},
		"one of two tables landed": {
			insert: pass, lost: "ALTER TABLE notes DROP PARTITION 202002",
			want:     totals{Rows: 4, Offsets: 4, Amount: 40, Rollup: 4, RollupAmount: 40, Notes: 1, Everything: 6},
			suspects: []string{"core.hits[202001 202002 202003]"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, 1)
			g := b.gateCommits()
			b.leaveIntent(g, c.insert, events...)
			if c.insert == pass {
				b.until("the notes", func() bool { return b.totals().Notes == 1 })
			}
			b.forget()
			if c.lost != "" {
				b.exec(c.lost)
			}
			b.moved.Store(int64(6 * time.Minute))
			s := b.start(b.config("a"))
			b.untilDone(0, 4)
			s.stop()
			if diff := cmp.Diff(c.want, b.totals()); diff != "" {
				t.Error(diff)
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
	}
}

// A split that is interrupted goes on by month: what landed is not sent again.
func TestInterruptedSplit(t *testing.T) {
	b := newBed(t, 1)
	g := b.gateCommits()
	b.leaveIntent(g, pass, month(0, "ann"), month(1, "ben"), month(2, "cem"))
	b.forget()
	b.exec("ALTER TABLE hits DROP PARTITION 202002")
	b.exec("ALTER TABLE hits DROP PARTITION 202003")
	b.moved.Store(int64(6 * time.Minute))

	cfg := b.config("a")
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
}

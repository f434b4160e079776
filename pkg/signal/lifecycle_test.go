package signal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// weeks runs a company in which p_00 loses its cache in the weeks marked x, and
// returns what each week said: the first letter of the status, and the revision.
func weeks(t *testing.T, pattern string, context func(c *company, k int)) (string, *company) {
	t.Helper()
	c := newCompany(t)
	var said []string
	for k, what := range pattern {
		before := len(c.all)
		c.change = func(i int, w *goodhartv1.Week) {
			if i == 0 && what == 'x' {
				fireCache(w, 0)
			}
		}
		c.adjust = func(in *Input) {
			if what == '-' { // absent
				in.Subjects = in.Subjects[1:]
			}
		}
		if context != nil {
			context(c, k)
		}
		c.run(1)
		word := "."
		for _, s := range c.all[before:] {
			word = fmt.Sprintf("%s%d", s.Status[:1], s.Rev)
		}
		said = append(said, word)
	}
	return strings.Join(said, " "), c
}

func TestLife(t *testing.T) {
	f := func(pattern, want string) {
		t.Helper()
		if got, _ := weeks(t, pattern, nil); got != want {
			t.Errorf("%s:\n got %s\nwant %s", pattern, got, want)
		}
	}
	f("xx..", ". o0 . r1")
	f("xxx.x..", ". o0 u1 . u2 . r3")
	f("xx..xx..", ". o0 . r1 . o0 . r1")      // another signal
	f("xx------..", ". o0 . . . . . r1 . .")  // absent for more than five weeks
	f("xx-----x..", ". o0 . . . . . u1 . r2") // and back in the sixth
	f("xx.-.", ". o0 . . r1")                 // an absence is no quiet window
}

// The id, the opening and the scope are those of the first revision; a signal
// that opens again has another id.
func TestIdentity(t *testing.T) {
	_, c := weeks(t, "xxx..xx", nil)
	first := c.all[0]
	for _, s := range c.all[:3] {
		if s.ID != first.ID || s.OpenedAt != first.OpenedAt || s.Scope != first.Scope {
			t.Errorf("%+v", s.Standing)
		}
	}
	if c.all[2].Status != Resolved || c.all[2].ResolvedAt != c.all[2].UpdatedAt || c.all[2].ResolvedAt <= first.OpenedAt {
		t.Errorf("%+v", c.all[2].Standing)
	}
	if last := c.all[len(c.all)-1]; last.ID == first.ID {
		t.Error("another signal has the same id")
	}
	if first.ID != identify("acme", "S12", ScopeSelf, subject, firstWeek+window.Week) || len(first.ID) != 32 {
		t.Errorf("id %s", first.ID)
	}
	if identify("a", "bc", "", "", 1) == identify("ab", "c", "", "", 1) {
		t.Error("parts run into each other")
	}
}

// An open dispute freezes a signal, a closed one ends it and silences the
// question until the day it says.
func TestDisputes(t *testing.T) {
	file := func(at int, closed int, weeks int64) func(c *company, k int) {
		return func(c *company, k int) {
			c.declares.Disputes = nil
			if k < at || len(c.all) == 0 {
				return
			}
			d := policy.Dispute{Signal: c.all[0].ID, State: policy.DisputeOpen, Until: policy.Day(firstWeek + weeks*window.Week)}
			if k >= closed {
				d.State = policy.DisputeAccepted
			}
			c.declares.Disputes = []policy.Dispute{d}
		}
	}
	f := func(pattern string, how func(*company, int), want string) {
		t.Helper()
		if got, _ := weeks(t, pattern, how); got != want {
			t.Errorf("%s:\n got %s\nwant %s", pattern, got, want)
		}
	}
	f("xxxx...xx", file(2, 99, 13), ". o0 d1 . . . . . .")
	f("xxxxxxxxxxxxxx", file(2, 4, 13), ". o0 d1 . r2 . . . . . . . o0 u1")
	f("xxxxxxxx", file(2, 4, 7), ". o0 d1 . r2 . o0 u1")
	// Closed after it had resolved: mutes all the same.
	f("xx..xxxx", file(4, 4, 13), ". o0 . r1 . . . .")
	// Closed at once: it goes on to be muted after what it had said.
	f("xxxxx", file(3, 3, 13), ". o0 u1 r2 .")
}

// A dispute that is rejected, or that nobody speaks of any more, lets the signal go
// on.
func TestRejectedDisputes(t *testing.T) {
	for _, state := range []policy.DisputeState{policy.DisputeRejected, ""} {
		got, _ := weeks(t, "xxxxxx..", func(c *company, k int) {
			c.declares.Disputes = nil
			switch {
			case k < 2 || len(c.all) == 0:
			case k < 4:
				c.declares.Disputes = []policy.Dispute{{Signal: c.all[0].ID, State: policy.DisputeOpen, Until: policy.Day(firstWeek + 99*window.Week)}}
			case state != "":
				c.declares.Disputes = []policy.Dispute{{Signal: c.all[0].ID, State: state, Until: policy.Day(firstWeek + 99*window.Week)}}
			}
		})
		if want := ". o0 d1 . u3 u4 . r5"; got != want {
			t.Errorf("%q:\n got %s\nwant %s", state, got, want)
		}
	}
}

// A guard that falls back while its signal is disputed has ended when the dispute
// has.
func TestRejectedDisputeOfAGuard(t *testing.T) {
	s := State{Signals: []Standing{{ID: "a", Code: codeRate, Kind: ScopeService, Scope: "s_ci", Status: Disputed, Rev: 1}, {ID: "b", Code: codeRate, Kind: ScopeService, Scope: "s_cd", Status: Disputed, Rev: 1, Crossed: 2}}}
	got := s.Settle("acme", 7, policy.Default("acme"), 3)
	if len(got) != 2 || got[0].Status != Resolved || got[0].ResolvedAt != 7 || got[0].Rev != 2 || got[1].Status != Updated || got[1].ConfigVersion != 3 {
		t.Errorf("%+v", got)
	}
}

// Severity and confidence grow with independent families; one that comes only
// beside another adds nothing.
func TestConfidence(t *testing.T) {
	f := func(fire func(*goodhartv1.Week), code string, confidence float64, severity Severity) {
		t.Helper()
		c := newCompany(t)
		c.run(5)
		c.change = func(i int, w *goodhartv1.Week) {
			if i == 0 {
				fire(w)
			}
		}
		c.run(3)
		all := c.about(code, ScopeSelf)
		if len(all) == 0 {
			t.Fatalf("%s did not open", code)
		}
		last := all[len(all)-1]
		i := slices.IndexFunc(last.Evidence, func(f Fact) bool { return f.Name == "confidence" })
		if last.Evidence[i].Value != confidence || last.Severity != severity {
			t.Errorf("%s: confidence %g, severity %s", code, last.Evidence[i].Value, last.Severity)
		}
	}
	f(func(w *goodhartv1.Week) { fireRepeats(w, 0) }, "S2", 1, Info)
	f(func(w *goodhartv1.Week) { fireParallel(w, 0) }, "S2", 1, Info)
	f(func(w *goodhartv1.Week) { fireCheap(w, 0) }, "S11", 1, Info)
	f(func(w *goodhartv1.Week) { fireRepeats(w, 0); fireClock(w, 0) }, "S5", 2, Warning)
	f(func(w *goodhartv1.Week) { fireRepeats(w, 0); fireSink(w, 0); w.PaddedTurns = 10 }, "S2", 3, Warning)
}

// What supports is in the evidence of what it supports.
func TestSupport(t *testing.T) {
	c := newCompany(t)
	c.change = func(i int, w *goodhartv1.Week) {
		if i == 0 {
			fireRepeats(w, 0)
			w.PaddedTurns = 10
		}
	}
	c.run(3)
	opened := c.about("S2", ScopeSelf)
	if len(opened) == 0 || !hasFact(&opened[0], "with_S4") || !hasFact(&opened[0], "S4_p") {
		t.Errorf("%+v", opened)
	}
}

// Among many subjects a weak one is not discovered.
func TestFalseDiscoveries(t *testing.T) {
	c := newCompany(t)
	c.change = func(i int, w *goodhartv1.Week) {
		if i == 0 {
			fireCache(w, 0)
			for _, b := range w.Baselines {
				if b.Statistic == goodhartv1.Statistic_STATISTIC_CACHE {
					b.Mad = 134_000 // z = .6/(1.4826 * .134) = 3.02
				}
			}
		}
	}
	c.run(2)
	if len(c.all) != 1 {
		t.Fatalf("%d signals among sixty", len(c.all))
	}
	crowd := func(n int) int {
		c := newCompany(t)
		c.change = func(i int, w *goodhartv1.Week) {
			if i == 0 {
				w.SinklessCostNanos = w.SessionCostNanos
				w.TimedDays, w.GapCv = 1, 290_000 // an even day: .009 at best
			}
		}
		c.adjust = func(in *Input) {
			for k := range n {
				in.Subjects = append(in.Subjects, Subject{
					ID: fmt.Sprintf("p_x%04d", k), Type: goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN, Role: "developer",
					Week: honestWeek(k+1000, c.week),
				})
			}
		}
		c.run(2)
		return len(c.about("S5", ScopeSelf))
	}
	if crowd(0) == 0 {
		t.Error("not discovered among sixty")
	}
	if crowd(200) != 0 {
		t.Error("discovered among 260")
	}
}

// The same weeks give the same records and the same state: in any order of the
// subjects, and with a state that was saved and restored in between.
func TestDeterminism(t *testing.T) {
	story := func(each func(c *company)) ([]byte, State) {
		c := newCompany(t)
		c.declares.Targets = []policy.Target{
			{ID: "T", Metric: policy.Tokens, Threshold: 40e6, Period: policy.Week, Scope: policy.ScopeTenant, AnnouncedAt: policy.Day(firstWeek)},
			{ID: "U", Metric: policy.WeeklyUse, Threshold: 800, Period: policy.Week, Scope: policy.ScopeTenant, AnnouncedAt: policy.Day(firstWeek + 5*window.Week)},
		}
		for k := range 14 {
			c.change = func(i int, w *goodhartv1.Week) {
				switch {
				case i == 0 && k > 4:
					fireCheap(w, k)
				case versionOf(i) == 1 && k > 6 && k < 10:
					fireCache(w, k)
				case i == 7 && k > 5:
					fireClock(w, k)
					w.TimedDays, w.GapCv = 3, 100_000
				case i == 9 && k > 5:
					fireLate(w, k)
				}
			}
			if each != nil {
				each(c)
			}
			c.run(1)
		}
		var out []byte
		for i := range c.all {
			out = append(c.all[i].AppendJSON(out), '\n')
		}
		return out, c.state
	}
	want, state := story(nil)
	if bytes.Count(want, []byte("\n")) < 10 {
		t.Fatalf("only %s", want)
	}
	shuffled, other := story(func(c *company) {
		c.adjust = func(in *Input) {
			rng := rand.New(rand.NewPCG(uint64(c.week), 1))
			rng.Shuffle(len(in.Subjects), func(i, j int) { in.Subjects[i], in.Subjects[j] = in.Subjects[j], in.Subjects[i] })
		}
	})
	if diff := cmp.Diff(string(want), string(shuffled)); diff != "" {
		t.Errorf("the order of the subjects matters:\n%s", diff)
	}
	if diff := cmp.Diff(state, other); diff != "" {
		t.Errorf("state:\n%s", diff)
	}
	restored, other := story(func(c *company) {
		raw, err := json.Marshal(c.state)
		if err != nil {
			t.Fatal(err)
		}
		c.state = State{}
		if err := json.Unmarshal(raw, &c.state); err != nil {
			t.Fatal(err)
		}
	})
	if diff := cmp.Diff(string(want), string(restored)); diff != "" {
		t.Errorf("a restored state differs:\n%s", diff)
	}
	a, _ := json.Marshal(state)
	b, _ := json.Marshal(other)
	if !bytes.Equal(a, b) {
		t.Error("the states differ")
	}
	if !slices.IsSortedFunc(state.Subjects, func(a, b SubjectState) int { return strings.Compare(a.Subject, b.Subject) }) ||
		!slices.IsSortedFunc(state.Signals, func(a, b Standing) int { return strings.Compare(a.ID, b.ID) }) {
		t.Error("the state is not sorted")
	}
}

// The state of an honest subject stays small, and an absent one is forgotten.
func TestStateIsBounded(t *testing.T) {
	c := newCompany(t)
	c.run(30)
	raw, err := json.Marshal(c.state.Subjects[0])
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) > 6144 || len(c.state.Subjects) != headcount || len(c.state.Repeats) != repeatWeeks {
		t.Errorf("%d bytes, %d subjects, %d weeks of repeats", len(raw), len(c.state.Subjects), len(c.state.Repeats))
	}
	c.adjust = func(in *Input) { in.Subjects = in.Subjects[:10] }
	c.run(14)
	if len(c.state.Subjects) != 10 || len(c.state.Groups) != 0 || len(c.state.Signals) != 0 {
		t.Errorf("%d subjects, %d groups, %d signals", len(c.state.Subjects), len(c.state.Groups), len(c.state.Signals))
	}
}

// What fired once leaves no trace after three calm windows.
func TestCalm(t *testing.T) {
	_, c := weeks(t, "x...", nil)
	if f := c.state.Subjects[0].Families; len(f) != 0 {
		t.Errorf("%+v", f)
	}
}

// A subject that is there twice counts once, with its first week.
func TestTwice(t *testing.T) {
	c := newCompany(t)
	c.adjust = func(in *Input) {
		second := in.Subjects[0]
		second.Week = honestWeek(0, c.week)
		fireCache(second.Week, 0)
		in.Subjects = append(in.Subjects, second)
	}
	c.run(3)
	if len(c.state.Subjects) != headcount || len(c.all) != 0 {
		t.Errorf("%d subjects, %d signals", len(c.state.Subjects), len(c.all))
	}
}

// Usage in what a persistent mechanism counts is added up by team.
func TestUsage(t *testing.T) {
	c := newCompany(t)
	c.change = func(i int, w *goodhartv1.Week) {
		if i == 0 {
			fireRepeats(w, 0)
		}
	}
	c.run(3)
	u := c.last.result.Usage
	if len(u) != 5 || u[0].Team != "t0" || u[0].People != 12 || u[0].SignalledPeople != 1 || u[0].Signalled != 7_500_000 || u[0].SignalledNanos != 20e9 {
		t.Errorf("%+v", u)
	}
	if u[1].Signalled != 0 || u[0].Tokens < 12*10_000_000 {
		t.Errorf("%+v", u[:2])
	}
}

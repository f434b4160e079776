package habit

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// monday is 2026-01-05, 00:00 UTC.
const monday int64 = 1_767_571_200_000

// ask is a request of 90 + 10 tokens at a time after monday.
func ask(t int64) Use {
	return Use{
		TimeMs: monday + t, Request: true, Has: HasContext | HasOutput,
		Team: []byte("web"), Tool: []byte("claude-code"), Model: []byte("m1"),
		InputUncached: 90, Output: 10, CostNanos: 1000,
	}
}

// do adds records as they come and returns the crossings.
func (h *Habit) do(uses ...Use) []*goodhartv1.Guard {
	var out []*goodhartv1.Guard
	for i := range uses {
		out = h.Use(&uses[i], uses[i].TimeMs, 0, out)
	}
	return out
}

// finish states everything that is due until a time after monday.
func (h *Habit) finish(until int64) (weeks []*goodhartv1.Week, ended []*goodhartv1.Guard, over bool) {
	for next := h.Next(); next <= monday+until && !over; next = h.Next() {
		var w []*goodhartv1.Week
		w, ended, over = h.Fire(next, nil, ended)
		weeks = append(weeks, w...)
	}
	return weeks, ended, over
}

// only states the one week that is open.
func (h *Habit) only(t *testing.T) *goodhartv1.Week {
	t.Helper()
	weeks, _, _ := h.finish(window.Week + settle)
	if len(weeks) != 1 {
		t.Fatalf("%d weeks, want 1", len(weeks))
	}
	return weeks[0]
}

func TestWeekIsStatedOnceItHasSettled(t *testing.T) {
	var h Habit
	h.do(ask(0), ask(window.Week-1))
	if due := h.Next() - monday; due != window.Week+settle {
		t.Errorf("due %d ms after monday", due)
	}
	got := h.only(t)
	if got.WeekStartMs != monday || got.Requests != 2 || got.OutputTokens != 20 || got.CostNanos != 2000 {
		t.Errorf("%v", got)
	}
	// What comes for a stated week is dropped; the next week is another.
	late := ask(0)
	h.Use(&late, monday+window.Week+settle, 0, nil)
	if len(h.weeks) != 0 {
		t.Error("a stated week was opened again")
	}
}

func TestWeekIsLocal(t *testing.T) {
	var h Habit
	u := ask(-2 * window.Hour) // Sunday, 22:00 UTC; Monday, 07:00 in Tokyo
	u.Has, u.OffsetMin = u.Has|HasOffset, 9*60
	h.do(u)
	got := h.only(t)
	if got.WeekStartMs != monday || got.TzOffsetMin != 540 || got.Hours[0] != 1<<7 || got.DayRequests[0] != 1 {
		t.Errorf("%v", got)
	}
	broken := ask(0)
	broken.Has, broken.OffsetMin = HasOffset, math.MaxInt32
	(&Habit{}).do(broken) // an offset that no place has
}

// An outcome does not say where its author is. A week that it opens, with none
// open, lies where the author was last seen.
func TestWeekOfAnOutcomeIsLocal(t *testing.T) {
	var h Habit
	u := ask(0)
	u.Has, u.OffsetMin = u.Has|HasOffset, -8*60
	h.do(u)
	h.finish(10 * window.Week) // the week before the Monday there
	if len(h.weeks) != 0 {
		t.Fatal("a week is open")
	}
	loaded := Habit{}
	if err := loaded.Load(h.Save()); err != nil {
		t.Fatal(err)
	}
	for _, h := range []*Habit{&h, &loaded} {
		at := monday + 11*window.Week + 2*window.Hour // still Sunday there
		h.Credit(&Credit{TimeMs: at, Provisional: 1}, at, 0)
		weeks, _, _ := h.finish(20 * window.Week)
		if len(weeks) != 1 || weeks[0].TzOffsetMin != -480 || weeks[0].WeekStartMs != monday+10*window.Week || weeks[0].DayOutcomes[6] != 1 {
			t.Errorf("%v", weeks)
		}
	}
}

func TestStatementsAreSpread(t *testing.T) {
	seen := map[int64]bool{}
	for at := range uint32(1000) {
		var h Habit
		u := ask(0)
		h.Use(&u, u.TimeMs, at*7919, nil)
		due := h.Next() - monday - window.Week - settle
		if due < 0 || due >= spread || due%window.Minute != 0 {
			t.Fatalf("due %d ms after the week has settled", due)
		}
		seen[due] = true
	}
	if len(seen) < 300 {
		t.Errorf("%d minutes for 1000 subjects", len(seen))
	}
}

func TestContextAndPrompt(t *testing.T) {
	var h Habit
	u := ask(0)
	u.InputUncached, u.CacheRead, u.CacheWrite, u.Output, u.Reasoning, u.NewTurn = 399, 300, 300, 99, 50, 9
	u.Has |= HasNewTurn
	silent := ask(window.Hour)
	silent.Has = 0
	h.do(u, silent)
	got := h.only(t)
	if got.ContextRequests != 1 || got.ContextTokens != 999 || got.ContextLnSum != int64(math.Round(math.Log(10)*1e6)) {
		t.Errorf("context: %d requests, %d tokens, sum %d", got.ContextRequests, got.ContextTokens, got.ContextLnSum)
	}
	if got.PromptRequests != 1 || got.PromptLnSum != int64(math.Round(math.Log(5)*1e6)) {
		t.Errorf("prompt: %d requests, sum %d", got.PromptRequests, got.PromptLnSum)
	}
}

func paired(t int64, pair uint64) Use {
	u := ask(t)
	u.Has, u.Pair = u.Has|HasPair, pair
	return u
}

func TestRepeats(t *testing.T) {
	for _, test := range []struct {
		name              string
		uses              []Use
		repeated, retried int64
	}{
		{"another pair", []Use{paired(0, 1), paired(1, 2)}, 0, 0},
		{"an hour later", []Use{paired(0, 1), paired(window.Hour, 1)}, 1, 0},
		{"with another between", []Use{paired(0, 1), paired(1, 2), paired(2, 1)}, 1, 0},
		{"six days later", []Use{paired(0, 1), paired(6*window.Day, 1)}, 1, 0},
		{"three retries at once", []Use{paired(0, 1), paired(1, 1), paired(2, 1), paired(3, 1)}, 0, 3},
		{"a fourth is none", []Use{paired(0, 1), paired(1, 1), paired(2, 1), paired(3, 1), paired(4, 1)}, 1, 3},
		{"after an error", []Use{failed(paired(0, 1)), paired(window.Hour, 1)}, 0, 1},
		{"an unknown pair", []Use{ask(0), ask(window.Hour)}, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			var h Habit
			h.do(test.uses...)
			got := h.only(t)
			if got.RepeatedRequests != test.repeated || got.RetriedRequests != test.retried || got.RepeatedTokens != 100*test.repeated {
				t.Errorf("%d repeated (%d tokens), %d retried", got.RepeatedRequests, got.RepeatedTokens, got.RetriedRequests)
			}
			if (len(got.Repeats) > 0) != (test.repeated > 0) {
				t.Errorf("repeats %v", got.Repeats)
			}
		})
	}
}

func failed(u Use) Use { u.Failed = true; return u }

// A pair of more than a week ago counts as new, and a thousand others do not make
// all that is older forgotten.
func TestPairsAreForgotten(t *testing.T) {
	var h Habit
	h.do(paired(0, 7), paired(9*window.Day, 7))
	if h.weeks[1].sums.RepeatedRequests != 0 {
		t.Error("a pair of nine days ago was repeated")
	}
	rng := rand.New(rand.NewPCG(1, 1))
	var many Habit
	var known []uint64
	for i := range 500 {
		known = append(known, rng.Uint64())
		many.do(paired(int64(i), known[i]))
	}
	for i, pair := range known {
		many.do(paired(window.Hour+int64(i), pair))
	}
	if n := many.only(t).RepeatedRequests; n < 480 || n > 500 {
		t.Errorf("%d of 500 pairs were recognised", n)
	}
}

func TestTimersAndPeopleDiffer(t *testing.T) {
	var timer, person Habit
	rng := rand.New(rand.NewPCG(1, 2))
	at := 9 * window.Hour
	for i := range int64(48) {
		timer.do(ask(i*30*window.Minute + rng.Int64N(2000)))
		person.do(ask(at))
		at += int64(rng.ExpFloat64() * float64(8*window.Minute))
	}
	machine, human := timer.only(t), person.only(t)
	if machine.GapCv > 10_000 || machine.PeriodResultant < 990_000 || machine.PeriodMin > 30 || machine.TimedDays != 1 {
		t.Errorf("timer: cv %d, resultant %d of %d min", machine.GapCv, machine.PeriodResultant, machine.PeriodMin)
	}
	if human.GapCv < 600_000 || human.PeriodResultant > 500_000 {
		t.Errorf("person: cv %d, resultant %d of %d min", human.GapCv, human.PeriodResultant, human.PeriodMin)
	}
	if hoursUsed(machine.Hours) != 24 || machine.LongestGapMin != 0 || human.LongestGapMin < 8*60 || machine.PeakHourRequests > 3 {
		t.Errorf("hours %d, longest gaps %d and %d min, peak %d", hoursUsed(machine.Hours), machine.LongestGapMin, human.LongestGapMin, machine.PeakHourRequests)
	}
	few := Habit{}
	few.do(ask(0), ask(1000), ask(2000))
	if got := few.only(t); got.TimedDays != 0 || got.GapCv != 0 {
		t.Errorf("three requests have a cv of %d on %d days", got.GapCv, got.TimedDays)
	}
}

func inSession(u Use, id uint64) Use { u.Session = id; return u }

func effects(u Use, n int64) Use { u.Has |= HasSideEffects; u.SideEffects = n; return u }

func TestSessions(t *testing.T) {
	var h Habit
	child := inSession(effects(ask(0), 0), 3)
	child.Child = true
	h.do(
		inSession(effects(ask(0), 0), 1), inSession(effects(ask(1000), 2), 1), // left something
		inSession(effects(ask(0), 0), 2), // did not
		child,                            // nor did this one
		inSession(ask(0), 4),             // and this one could have said so
	)
	h.Act(&Act{TimeMs: monday + 2000, Session: 5, Sink: true, Accepted: 2, Rejected: 1, Outcomes: 1}, 0, 0)
	got := h.only(t)
	if got.Sessions != 5 || got.SinklessSessions != 3 || got.ChildSessions != 1 || got.SideEffects != 2 {
		t.Errorf("%d sessions, %d without a sink, %d children, %d effects", got.Sessions, got.SinklessSessions, got.ChildSessions, got.SideEffects)
	}
	if got.SessionCostNanos != 5000 || got.SinklessCostNanos != 3000 {
		t.Errorf("cost %d, of it %d without a sink", got.SessionCostNanos, got.SinklessCostNanos)
	}
	if got.EditsAccepted != 2 || got.EditsRejected != 1 || got.ReportedOutcomes != 1 {
		t.Errorf("edits %d, %d, outcomes %d", got.EditsAccepted, got.EditsRejected, got.ReportedOutcomes)
	}
	var mute Habit
	mute.do(inSession(ask(0), 1), inSession(effects(ask(0), 1), 2)) // of the first nobody knows
	if got := mute.only(t); got.Sessions != 1 || got.SinklessSessions != 0 {
		t.Errorf("%d sessions, %d without a sink, where one is known", got.Sessions, got.SinklessSessions)
	}
}

// A session that outlives Sunday counts in the week of its last record; one that
// is idle ends, and one too many ends the oldest.
func TestSessionsEnd(t *testing.T) {
	var h Habit
	h.do(inSession(effects(ask(window.Week-window.Hour), 0), 1), inSession(effects(ask(window.Week+window.Hour), 0), 1))
	weeks, _, _ := h.finish(2*window.Week + settle)
	if len(weeks) != 2 || weeks[0].Sessions != 0 || weeks[1].Sessions != 1 {
		t.Errorf("%v", weeks)
	}
	var idler Habit
	idler.do(inSession(effects(ask(0), 0), 1), inSession(effects(ask(idle+1), 0), 1))
	if got := idler.only(t); got.Sessions != 2 {
		t.Errorf("%d sessions around a pause", got.Sessions)
	}
	var many Habit
	for id := range uint64(3 * maxSessions) {
		many.do(inSession(effects(ask(int64(id)), 0), id+1))
	}
	if len(many.sessions) != maxSessions {
		t.Errorf("%d open sessions", len(many.sessions))
	}
	if got := many.only(t); got.Sessions != 3*maxSessions {
		t.Errorf("%d sessions", got.Sessions)
	}
}

func TestAbandonedSessions(t *testing.T) {
	long := func(u Use) Use { u.Output = 5000; return u }
	var h Habit
	for i := range int64(30) {
		h.do(ask(i * window.Minute))
	}
	at := 10 * window.Hour
	h.do(
		long(inSession(effects(ask(at), 0), 1)),                                      // nothing came of it
		long(inSession(effects(ask(at), 0), 2)),                                      // a commit did, soon
		long(inSession(effects(ask(at), 0), 3)),                                      // an hour later: too late
		inSession(effects(ask(at), 0), 4),                                            // not long
		long(inSession(effects(ask(at), 0), 5)), inSession(effects(ask(at+1), 0), 5), // it went on
	)
	h.Act(&Act{TimeMs: monday + at + 10*window.Minute, Session: 2, Sink: true}, 0, 0)
	h.Act(&Act{TimeMs: monday + at + window.Hour, Session: 3, Sink: true}, 0, 0)
	if got := h.only(t); got.AbandonedSessions != 2 || got.Sessions != 5 {
		t.Errorf("%d of %d sessions abandoned, want 2 of 5", got.AbandonedSessions, got.Sessions)
	}
}

func TestCacheTurns(t *testing.T) {
	turn := func(at, read int64) Use {
		u := inSession(ask(at), 1)
		u.Has, u.CacheRead = u.Has|HasCache, read
		return u
	}
	var h Habit
	h.do(turn(0, 0), turn(window.Minute, 910), turn(20*window.Minute, 0)) // the first turn and the late one are left out
	if got := h.only(t); got.CacheTurns != 1 || got.CacheTurnReadTokens != 910 || got.CacheTurnInputTokens != 1000 {
		t.Errorf("%d turns, %d of %d tokens", got.CacheTurns, got.CacheTurnReadTokens, got.CacheTurnInputTokens)
	}
}

func TestSequenceGaps(t *testing.T) {
	at := func(n uint64) Use {
		u := inSession(ask(0), 1)
		u.Has, u.Sequence = u.Has|HasSequence, n
		return u
	}
	var h Habit
	h.do(at(1), at(2), at(5), at(4), at(6), at(math.MaxUint64))
	if got := h.only(t); got.SequenceGaps != 2+maxGap || got.SequencedRecords != 6 {
		t.Errorf("%d gaps in %d", got.SequenceGaps, got.SequencedRecords)
	}
}

func TestConcurrency(t *testing.T) {
	var h Habit
	for i := range int64(3) { // three requests of a minute, ten seconds apart
		u := ask(window.Minute + i*10*window.Second)
		u.Has, u.DurationMs = u.Has|HasDuration, window.Minute
		h.do(u)
	}
	got := h.only(t)
	if got.BusyMs != 3*window.Minute || got.UnionMs != 80*window.Second || got.MostConcurrent != 3 || got.TimedRequests != 3 {
		t.Errorf("busy %d, union %d, most %d", got.BusyMs, got.UnionMs, got.MostConcurrent)
	}
}

func TestFavourites(t *testing.T) {
	var h Habit
	for i, model := range []string{"b", "a", "b", "a", "c"} {
		u := ask(int64(i))
		u.Model, u.Repository, u.ToolVersion = []byte(model), []byte("r1"), []byte("1.0")
		h.do(u)
	}
	second := ask(window.Week)
	second.Model, second.ToolVersion = []byte("z"), []byte("1.0")
	h.do(second)
	weeks, _, _ := h.finish(2*window.Week + settle)
	first, next := weeks[0], weeks[1]
	if first.Model != "a" || first.Repository != "r1" || first.ModelChanged || len(first.Models) != 3 || first.Models[0].Model != "a" {
		t.Errorf("%v", first)
	}
	if !next.ModelChanged || next.ToolVersionChanged || next.RepositoryChanged {
		t.Errorf("changed: model %v, version %v, repository %v", next.ModelChanged, next.ToolVersionChanged, next.RepositoryChanged)
	}
}

// A baseline is of the last ten active weeks before, and idle ones are none.
func TestBaselines(t *testing.T) {
	var h Habit
	var weeks []*goodhartv1.Week
	for i := range int64(14) {
		if i == 5 {
			continue // a vacation
		}
		for range i + 1 {
			h.do(ask(i * window.Week))
		}
		w, _, _ := h.finish((i+1)*window.Week + settle)
		for _, k := range w {
			weeks = append(weeks, proto.Clone(k).(*goodhartv1.Week))
		}
	}
	if len(weeks) != 13 {
		t.Fatalf("%d weeks", len(weeks))
	}
	requests := func(k *goodhartv1.Week) *goodhartv1.Baseline {
		for _, b := range k.Baselines {
			if b.Statistic == goodhartv1.Statistic_STATISTIC_REQUESTS {
				return b
			}
		}
		return nil
	}
	if requests(weeks[0]) != nil {
		t.Error("a first week has a baseline")
	}
	// Weeks 0, 1, 2, 3: ln 2, ln 3, ln 4, ln 5.
	want := &goodhartv1.Baseline{
		Statistic: goodhartv1.Statistic_STATISTIC_REQUESTS, Weeks: 4,
		Median: (ln(2) + ln(3)) >> 1, Mad: 0,
	}
	values := []int64{ln(1), ln(2), ln(3), ln(4)}
	for i, v := range values {
		values[i] = max(v-want.Median, want.Median-v)
	}
	want.Mad = middle(values)
	if diff := cmp.Diff(want, requests(weeks[4]), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if last := requests(weeks[12]); last.Weeks != 10 || last.Median != (ln(8)+ln(9))>>1 {
		t.Errorf("the last: %v", last)
	}
}

func TestOutcomes(t *testing.T) {
	var h Habit
	const merged, done = goodhartv1.OutcomeKind_OUTCOME_KIND_PR_MERGED, goodhartv1.OutcomeKind_OUTCOME_KIND_TICKET_DONE
	for _, c := range []Credit{
		{TimeMs: monday + window.Day, Kind: merged, Provisional: 1, Millipoints: 1500, Valued: true},
		{TimeMs: monday + 2*window.Day, Kind: merged, Provisional: -1, Final: 1, Millipoints: 1500, Valued: true},
		{TimeMs: monday + 2*window.Day, Kind: done, Final: -1, Reverted: 1},
	} {
		h.Credit(&c, 0, 0)
	}
	got := h.only(t)
	if got.OutcomesFinal != 0 || got.OutcomesReverted != 1 || got.DayOutcomes[1] != 1 || got.DayOutcomes[2] != -1 {
		t.Errorf("%v", got)
	}
	if diff := cmp.Diff([]*goodhartv1.KindCredit{
		{Kind: merged, Final: 1, Millipoints: 1500, Valued: 1}, {Kind: done, Final: -1, Reverted: 1},
	}, got.Credits, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestGuards(t *testing.T) {
	usual := func(h *Habit) {
		for i := range int64(200) {
			u := ask(i * window.Minute)
			u.InputUncached = 30_000 + 100*i
			h.do(u)
		}
	}
	var h Habit
	usual(&h)
	var crossings []*goodhartv1.Guard
	begin := 300 * window.Minute
	for i := range int64(600) { // ten a second: 20 times the usual tokens and more
		u := ask(begin + i*100)
		u.InputUncached, u.Credential = 30_000, []byte("k1")
		crossings = append(crossings, h.do(u)...)
	}
	var tokens *goodhartv1.Guard
	for _, c := range crossings {
		if c.Metric == goodhartv1.GuardMetric_GUARD_METRIC_TOKENS && c.PaneMs == window.Minute {
			if tokens != nil {
				t.Error("it crossed twice")
			}
			tokens = c
		}
	}
	if tokens == nil || tokens.Value <= tokens.Threshold || tokens.Panes < guardHistory || tokens.Credential != "k1" || tokens.Team != "web" {
		t.Fatalf("crossings: %v", crossings)
	}
	if tokens.Value > 20*50_000 {
		t.Errorf("said only at %d tokens", tokens.Value)
	}
	_, ended, _ := h.finish(begin + window.Hour)
	if len(ended) != len(crossings) || !ended[0].Ended {
		t.Errorf("%d ended of %d", len(ended), len(crossings))
	}
	var calm Habit
	usual(&calm)
	for i := range int64(10) { // three times the usual is nothing
		u := ask(begin + i*20*window.Second)
		u.InputUncached = 40_000
		if got := calm.do(u); len(got) > 0 {
			t.Errorf("crossed: %v", got)
		}
	}
	// A subject without a history spends, in so many requests.
	spend := func(requests int64, announced bool) (crossed []*goodhartv1.Guard) {
		var fresh Habit
		for i := range requests {
			dear := ask(i * window.Second)
			dear.Request, dear.CostNanos = announced, firstSpend
			crossed = append(crossed, fresh.do(dear)...)
		}
		return crossed
	}
	if got := spend(9, true); len(got) != 0 {
		t.Errorf("a few large requests ran away: %v", got)
	}
	for _, announced := range []bool{true, false} { // one by one, or as sums
		if got := spend(10, announced); len(got) != 1 || got[0].Metric != goodhartv1.GuardMetric_GUARD_METRIC_COST {
			t.Errorf("a subject without a history spends: %v", got)
		}
	}
	old := ask(0)
	old.CostNanos = firstSpend + 1
	if got := (&Habit{}).Use(&old, monday+window.Hour, 0, nil); len(got) != 0 {
		t.Errorf("an old spend crossed: %v", got)
	}
}

func TestSilentSubjectsAreForgotten(t *testing.T) {
	var h Habit
	h.do(ask(0))
	weeks, _, over := h.finish(forget - 1)
	if len(weeks) != 1 || over {
		t.Fatalf("%d weeks, over %v", len(weeks), over)
	}
	if _, _, over = h.finish(forget); !over {
		t.Error("it is remembered for ever")
	}
}

// randomUse is any record of the six weeks after monday.
func randomUse(rng *rand.Rand, t int64) Use {
	names := func(kind string) []byte { return []byte(kind + string(rune('a'+rng.IntN(10)))) }
	return Use{
		TimeMs: monday + t, OffsetMin: int32(rng.IntN(1500) - 700), Has: Has(rng.Uint32() & (2*uint32(HasSequence) - 1)),
		Request: rng.IntN(5) > 0, Failed: rng.IntN(9) == 0, Unpriced: rng.IntN(9) == 0, UnknownTokens: rng.IntN(9) == 0,
		Team: names("t"), Tool: names("o"), ToolVersion: names("v"), Model: names("m"), Repository: names("r"), Credential: names("c"),
		Session: rng.Uint64N(30), Child: rng.IntN(9) == 0, Sequence: rng.Uint64N(100),
		InputUncached: rng.Int64N(1e5), CacheRead: rng.Int64N(1e5), CacheWrite: rng.Int64N(1e4), Output: rng.Int64N(1e4), Reasoning: rng.Int64N(1e3),
		CostNanos: rng.Int64N(1e9), DurationMs: rng.Int64N(1e6), NewTurn: rng.Int64N(1e4),
		Pair: rng.Uint64N(50), KappaPPM: rng.Int64N(1e5), SideEffects: rng.Int64N(3),
	}
}

// A habit that is saved and loaded goes on as if nothing had happened.
func TestSavedHabitsGoOn(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 3))
		var h Habit
		loaded := &Habit{}
		check := func(what string, a, b any) {
			t.Helper()
			if diff := cmp.Diff(a, b, protocmp.Transform()); diff != "" {
				t.Fatalf("seed %d: %s: %s", seed, what, diff)
			}
		}
		at := int64(0)
		for range 2000 {
			at += rng.Int64N(6 * window.Week / 1000)
			for next := h.Next(); next <= monday+at; next = h.Next() {
				if other := loaded.Next(); other != next {
					t.Fatalf("seed %d: due at %d and at %d", seed, next, other)
				}
				weeks, ended, over := h.Fire(next, nil, nil)
				w2, e2, o2 := loaded.Fire(next, nil, nil)
				check("weeks", weeks, w2)
				check("guards", ended, e2)
				if over != o2 {
					t.Fatalf("seed %d: over %v and %v", seed, over, o2)
				}
			}
			u := randomUse(rng, at-rng.Int64N(window.Day))
			if rng.IntN(4) == 0 {
				act := Act{
					TimeMs: u.TimeMs, Session: rng.Uint64N(30), Prompt: rng.Int64N(100), HasPrompt: rng.IntN(3) > 0, SideEffects: rng.Int64N(2),
					Tells: rng.IntN(2) > 0, Sink: rng.IntN(5) == 0, KappaPPM: rng.Int64N(1e5), HasKappa: rng.IntN(2) > 0,
				}
				h.Act(&act, monday+at, 9)
				loaded.Act(&act, monday+at, 9)
			}
			check("crossings", h.Use(&u, monday+at, 9, nil), loaded.Use(&u, monday+at, 9, nil))
			if rng.IntN(50) == 0 {
				bytes, err := h.Save().MarshalVT()
				if err != nil {
					t.Fatal(err)
				}
				var saved goodhartv1.Habit
				if err := saved.UnmarshalVT(bytes); err != nil {
					t.Fatal(err)
				}
				loaded = &Habit{}
				if err := loaded.Load(&saved); err != nil {
					t.Fatal(err)
				}
			}
		}
		check("state", h.Save(), loaded.Save())
	}
}

func TestLoadRejectsBrokenState(t *testing.T) {
	whole := func() *goodhartv1.Habit {
		var h Habit
		h.do(paired(0, 1))
		m := h.Save()
		b, err := m.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		var saved goodhartv1.Habit
		if err := saved.UnmarshalVT(b); err != nil {
			t.Fatal(err)
		}
		return &saved
	}
	if err := new(Habit).Load(whole()); err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(*goodhartv1.Habit){
		"no sums":       func(m *goodhartv1.Habit) { m.Weeks[0].Sums = nil },
		"hours":         func(m *goodhartv1.Habit) { m.Weeks[0].HourRequests = m.Weeks[0].HourRequests[1:] },
		"days":          func(m *goodhartv1.Habit) { m.Weeks[0].Sums.DayTokens = nil },
		"phases":        func(m *goodhartv1.Habit) { m.Weeks[0].Phases = m.Weeks[0].Phases[1:] },
		"pairs":         func(m *goodhartv1.Habit) { m.Pairs = m.Pairs[1:] },
		"statistics":    func(m *goodhartv1.Habit) { m.Rings = append(m.Rings, &goodhartv1.HabitRing{}) },
		"further guard": func(m *goodhartv1.Habit) { m.Guards = append(m.Guards, &goodhartv1.HabitGuard{}) },
	} {
		m := whole()
		damage(m)
		if err := new(Habit).Load(m); err == nil {
			t.Errorf("%s: loaded", name)
		}
	}
}

package ledger

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// randomConfig makes everything that takes time or room happen within a short
// log.
func randomConfig() Config {
	cfg := Default()
	cfg.Partition, cfg.Partitions = 5, 4
	cfg.Horizon = 6 * time.Hour
	cfg.IDsPerShard = 12
	cfg.ObjectTTL = 20 * time.Hour
	cfg.FinaliseAfter = 5 * time.Hour
	cfg.LateAfter = 3 * time.Hour
	return cfg
}

// author makes a random log: few names, so that everything meets everything.
type author struct {
	*rand.Rand
	now  int64
	tick uint64
	sent []*goodhartv1.Event
}

func randomLog(seed uint64, n int) []machine.Record {
	a := &author{Rand: rand.New(rand.NewPCG(seed, 1)), now: t0}
	records := make([]machine.Record, 0, n)
	for i := range n {
		a.now += a.step()
		rec := machine.Record{
			Position: machine.Position{Seq: uint64(i) + 1}, Time: a.now,
			Partition: 5, Offset: int64(i),
		}
		ev := a.event(i)
		rec.Key, rec.Value = []byte(eventKey(ev)), marshal(ev)
		if a.IntN(50) == 0 {
			rec.Value = a.damage(rec.Value)
		}
		records = append(records, rec)
	}
	return records
}

func marshal(ev *goodhartv1.Event) []byte {
	b, err := ev.MarshalVT()
	if err != nil {
		panic(err)
	}
	return b
}

// step is how much time passes between two records: mostly seconds, at times an
// hour, rarely half a day, and now and then the broker's clock falls back.
func (a *author) step() int64 {
	switch p := a.IntN(1000); {
	case p < 15:
		return hour + a.Int64N(hour)
	case p == 16:
		return 12 * hour
	case p < 40:
		return -a.Int64N(5 * second)
	case p < 100:
		return a.Int64N(3 * minute)
	default:
		return a.Int64N(10 * second)
	}
}

func (a *author) damage(value []byte) []byte {
	switch a.IntN(3) {
	case 0:
		return value[:a.IntN(len(value))]
	case 1:
		return append([]byte{0x0f}, value...)
	default:
		return marshal(&goodhartv1.Event{Kind: 77, Tenant: "acme", Source: "claude-code"})
	}
}

func (a *author) event(i int) *goodhartv1.Event {
	if len(a.sent) > 0 && a.IntN(8) == 0 { // a re-send, of something recent or old
		back := a.IntN(min(len(a.sent), 1+a.IntN(400)))
		again := a.sent[len(a.sent)-1-back]
		return again
	}
	var ev *goodhartv1.Event
	switch p := a.IntN(100); {
	case p < 60:
		ev = a.usage()
	case p < 70:
		ev = &goodhartv1.Event{
			Kind: goodhartv1.EventKind_EVENT_KIND_ACTIVITY, Signal: sigLog,
			Conversation: a.pick("conv", 30), Activity: &goodhartv1.Activity{Name: "tool_result"},
		}
	case p < 85:
		ev = a.outcome()
	case p < 87:
		ev = &goodhartv1.Event{Kind: goodhartv1.EventKind_EVENT_KIND_CONFIG, Config: &goodhartv1.Config{Version: uint64(i)}}
	default:
		return a.ticks()
	}
	ev.Tenant = []string{"acme", "umbrella"}[a.IntN(2)]
	ev.Source = []string{"claude-code", "otel-genai", "github"}[a.IntN(3)]
	ev.EventId = id16("event", i)
	ev.Subject = a.pick("p", 20)
	ev.Accounting = []goodhartv1.Accounting{1, 1, 1, 1, 1, 2, 3, 4}[a.IntN(8)]
	ev.TimeMs, ev.ReceivedMs = a.now-a.Int64N(2*minute), a.now-a.Int64N(second)
	if a.IntN(20) == 0 {
		ev.TimeMs -= a.Int64N(10 * hour)
	}
	a.sent = append(a.sent, ev)
	return ev
}

func (a *author) usage() *goodhartv1.Event {
	sig := []goodhartv1.Signal{sigLog, sigSpan, sigMetric, sigTranscript, sigCloud}[a.IntN(5)]
	conv := a.pick("conv", 30)
	if a.IntN(10) == 0 {
		conv = ""
	}
	ev := usageEvent(sig, conv, a.pick("req", 100))
	ev.CountsAlone = sig == sigSpan
	return ev
}

func (a *author) outcome() *goodhartv1.Event {
	kinds := []goodhartv1.OutcomeKind{2, 2, 2, 4, 4, 5, 8, 9, 10, 11, 12, 13, 1}
	oc := &goodhartv1.Outcome{Kind: kinds[a.IntN(len(kinds))], Object: a.pick("object", 40)}
	if a.IntN(3) > 0 {
		oc.MergeSha = a.pick("sha", 40)
	}
	for a.IntN(3) == 0 {
		oc.Reverts = append(oc.Reverts, a.pick([]string{"object", "sha"}[a.IntN(2)], 40))
	}
	return &goodhartv1.Event{
		Kind: goodhartv1.EventKind_EVENT_KIND_OUTCOME, Repository: a.pick("repo", 3), Outcome: oc,
		Signal: goodhartv1.Signal_SIGNAL_WEBHOOK,
	}
}

func (a *author) ticks() *goodhartv1.Event {
	a.tick++
	if a.IntN(20) == 0 {
		a.tick += 3
	}
	t := &goodhartv1.Tick{Collector: a.pick("collector", 2), Sequence: a.tick}
	if a.IntN(5) == 0 {
		t.Rejected = []*goodhartv1.Rejected{{Tenant: "acme", Source: "claude-code", HourMs: hourOf(a.now), Reason: "bad_time", Records: 2}}
	}
	return &goodhartv1.Event{Kind: goodhartv1.EventKind_EVENT_KIND_TICK, TimeMs: a.now, Tick: t}
}

func (a *author) pick(prefix string, n int) string { return fmt.Sprintf("%s%d", prefix, a.IntN(n)) }

// Of every source and hour of acceptance, accepted = duplicate + held + facts +
// dead: nothing is dropped silently.
func TestConservation(t *testing.T) {
	for seed := range uint64(20) {
		records := randomLog(seed, 3000)
		fold := New(randomConfig())
		var out machine.Outputs
		for i := range records {
			fold.Step(&records[i], &out)
		}
		fold.flush(&out) // the last minute's tallies

		type account struct {
			Accepted, Duplicate, Held, Dead, Facts, Letters int64
		}
		books := map[tallyKey]*account{}
		book := func(tenant, source string, ms int64) *account {
			key := tallyKey{tenant, source, hourOf(ms)}
			if books[key] == nil {
				books[key] = &account{}
			}
			return books[key]
		}
		var total account
		deadAt := map[int64]bool{}
		for _, o := range out.Records() {
			if o.Topic == schemas.TopicDead {
				var d goodhartv1.DeadLetter
				unmarshal(t, &d, o.Body())
				book(d.Tenant, d.Source, d.TimeMs).Letters++
				deadAt[d.Offset] = true
				continue
			}
			var f goodhartv1.Fact
			unmarshal(t, &f, o.Body())
			switch f.Kind {
			case kindUsage, kindActivity, kindOutcome:
				book(f.Event.Tenant, f.Event.Source, f.Event.ReceivedMs).Facts++
			case kindTally:
				b := book(f.Tally.Tenant, f.Tally.Source, f.Tally.HourMs)
				b.Accepted += f.Tally.Accepted
				b.Duplicate += f.Tally.Duplicate
				b.Held += f.Tally.Held
				b.Dead += f.Tally.Dead
				total.Accepted += f.Tally.Accepted
				total.Duplicate += f.Tally.Duplicate
				total.Dead += f.Tally.Dead
			default:
			}
		}
		var heldNow int64
		for key, b := range books {
			if b.Accepted != b.Duplicate+b.Held+b.Facts+b.Dead || b.Dead != b.Letters || b.Held < 0 {
				t.Errorf("seed %d: %v does not add up: %+v", seed, key, *b)
			}
			heldNow += b.Held
		}
		if st := fold.Stats(); heldNow != int64(st.HeldRecords) {
			t.Errorf("seed %d: tallies say %d held, the state holds %d", seed, heldNow, st.HeldRecords)
		}
		var want int64 // what was sent, counted without the fold
		for i := range records {
			var ev goodhartv1.Event
			err := ev.UnmarshalVT(records[i].Value)
			aside := ev.Kind == goodhartv1.EventKind_EVENT_KIND_TICK || ev.Kind == goodhartv1.EventKind_EVENT_KIND_CONFIG
			if err != nil || !aside || deadAt[records[i].Offset] {
				want++
			}
		}
		if total.Accepted != want || total.Duplicate == 0 || total.Dead == 0 {
			t.Errorf("seed %d: %+v, want %d accepted, some duplicate, some dead", seed, total, want)
		}
	}
}

func unmarshal(t *testing.T, m interface{ UnmarshalVT([]byte) error }, b []byte) {
	t.Helper()
	if err := m.UnmarshalVT(b); err != nil {
		t.Fatalf("decode output: %v", err)
	}
}

// run is what a fold emitted and became, straight through the log.
type run struct {
	outputs [][]byte // per record
	facts   []*goodhartv1.Fact
	w       []int64 // after each record; w[0] before any
	fold    *Fold
}

func straight(records []machine.Record) *run {
	r := &run{fold: New(randomConfig()), w: []int64{math.MinInt64}}
	for i := range records {
		b, facts := step(r.fold, &records[i])
		r.outputs, r.facts = append(r.outputs, b), append(r.facts, facts...)
		r.w = append(r.w, r.fold.W())
	}
	return r
}

// step returns the outputs of one record, as bytes and as facts. The record's own bytes are
// spoilt afterwards: a fold may not keep them.
func step(f *Fold, r *machine.Record) ([]byte, []*goodhartv1.Fact) {
	var out machine.Outputs
	rec := *r
	rec.Key, rec.Value = bytes.Clone(r.Key), bytes.Clone(r.Value)
	f.Step(&rec, &out)
	for i := range rec.Value {
		rec.Value[i] = 0xee
	}
	for i := range rec.Key {
		rec.Key[i] = 0xee
	}
	var facts []*goodhartv1.Fact
	for _, o := range out.Records() {
		fact := &goodhartv1.Fact{}
		if o.Topic == schemas.TopicFacts && fact.UnmarshalVT(o.Body()) == nil {
			facts = append(facts, fact)
		}
	}
	return flatten(&out), facts
}

func flatten(out *machine.Outputs) []byte {
	var b []byte
	for _, o := range out.Records() {
		b = fmt.Appendf(b, "%s %d %d %d %d\n", o.Topic, o.Partition, len(o.Key), len(o.Body()), o.W)
		b = append(append(b, o.Key...), o.Body()...)
	}
	return b
}

// A fold that stops at random records and is restored from shards saved at
// different positions emits and becomes the same, byte by byte, as one that
// never stopped.
func TestRestoreIsExact(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(12) {
		records := randomLog(seed, 2500)
		want := straight(records)
		want.note(t, seen)
		rnd := rand.New(rand.NewPCG(seed, 2))

		fold := New(randomConfig())
		saved := snapshot{header: fold.AppendHeader(nil), shards: make([][]byte, machine.Shards), at: make([]machine.Position, machine.Shards)}
		next := saved.clone()
		restores := 0
		for i := 0; i < len(records); i++ {
			if got, _ := step(fold, &records[i]); !bytes.Equal(got, want.outputs[i]) {
				t.Fatalf("seed %d, record %d, after %d restores: other outputs\n%s", seed, i, restores, cmp.Diff(want.outputs[i], got))
			}
			for range rnd.IntN(3) { // roll a few snapshots
				s := rnd.IntN(machine.Shards)
				next.shards[s], next.at[s] = fold.AppendShard(nil, s), records[i].Position
			}
			if rnd.IntN(10) == 0 { // the transaction commits
				next.header, next.committed = fold.AppendHeader(nil), i+1
				saved = next.clone()
			}
			if rnd.IntN(60) == 0 { // a crash: what is newer than the last commit is lost
				fold = restore(t, records, &saved, want)
				next = saved.clone()
				i = saved.committed - 1
				restores++
			}
		}
		compareState(t, seed, want.fold, fold)
		if restores < 10 {
			t.Errorf("seed %d: only %d restores", seed, restores)
		}
	}
	// The logs must provoke what could go wrong.
	for _, what := range []string{
		"USAGE", "ACTIVITY", "OUTCOME", "TRANSITION", "CONFIG", "TICK", "TALLY",
		"MERGED", "FINALISED", "REVERTED_PROVISIONAL", "REVERTED_FINAL", "RESTORED",
		"late", "observational", "rejected lost", "held", "released", "budget exceeded", "dead",
	} {
		if !seen[what] {
			t.Errorf("no log has %s", what)
		}
	}
}

// note records which kinds of things a run did.
func (r *run) note(t *testing.T, seen map[string]bool) {
	t.Helper()
	for _, f := range r.facts {
		seen[strings.TrimPrefix(f.Kind.String(), "FACT_KIND_")] = true
		seen[strings.TrimPrefix(f.Transition.GetKind().String(), "TRANSITION_KIND_")] = true
		seen["late"] = seen["late"] || f.Late
		seen["observational"] = seen["observational"] || f.Observational
		seen["rejected lost"] = seen["rejected lost"] || f.Tally.GetRejectedLost()
		seen["held"] = seen["held"] || f.Tally.GetHeld() > 0
		seen["released"] = seen["released"] || f.Tally.GetHeld() < 0
	}
	st := r.fold.Stats()
	seen["budget exceeded"] = seen["budget exceeded"] || st.EffectiveHorizon < r.fold.cfg.Horizon
	seen["dead"] = seen["dead"] || st.Dead > 0
}

// snapshot is what a runtime commits.
type snapshot struct {
	header    []byte
	shards    [][]byte
	at        []machine.Position
	committed int // records
}

func (s *snapshot) clone() snapshot {
	return snapshot{header: s.header, shards: slices.Clone(s.shards), at: slices.Clone(s.at), committed: s.committed}
}

// restore loads a fold and replays what its shards do not know yet.
func restore(t *testing.T, records []machine.Record, saved *snapshot, want *run) *Fold {
	t.Helper()
	fold := New(randomConfig())
	if err := fold.LoadHeader(saved.header); err != nil {
		t.Fatal(err)
	}
	first := saved.committed
	for s, data := range saved.shards {
		if err := fold.LoadShard(s, data); err != nil {
			t.Fatal(err)
		}
		first = min(first, int(saved.at[s].Seq))
	}
	fold.Rewind(want.w[first], saved.at)
	out := machine.Outputs{Silent: true}
	for i := first; i < saved.committed; i++ {
		rec := records[i]
		fold.Step(&rec, &out)
		if w := fold.W(); w != want.w[i+1] {
			t.Fatalf("replay of record %d: W is %d, was %d", i, w, want.w[i+1])
		}
	}
	if got := fold.AppendHeader(nil); !bytes.Equal(got, saved.header) {
		t.Error("the replay changed the header")
	}
	fold.Resume()
	return fold
}

func compareState(t *testing.T, seed uint64, want, got *Fold) {
	t.Helper()
	if !bytes.Equal(want.AppendHeader(nil), got.AppendHeader(nil)) {
		t.Errorf("seed %d: headers differ", seed)
	}
	for s := range machine.Shards {
		if !bytes.Equal(want.AppendShard(nil, s), got.AppendShard(nil, s)) {
			t.Errorf("seed %d: shard %d differs", seed, s)
		}
	}
}

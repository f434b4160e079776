package ledger

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// t0 is the time at which the tests' logs begin: a full hour of a full day.
var t0 = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC).UnixMilli()

const (
	second = int64(1000)
	minute = 60 * second
	hour   = 60 * minute
	dayLen = 24 * hour
)

// rig drives a fold and keeps what it emits.
type rig struct {
	t      testing.TB
	fold   *Fold
	offset uint64
	facts  []*goodhartv1.Fact
	dead   []*goodhartv1.DeadLetter
	ws     []int64
}

func newRig(tb testing.TB, change ...func(*Config)) *rig {
	tb.Helper()
	cfg := Default()
	cfg.Partitions = 8
	for _, f := range change {
		f(&cfg)
	}
	return &rig{t: tb, fold: New(cfg)}
}

// send folds an event that the broker stamped at ms; an event without a time
// happened then, and was accepted then.
func (r *rig) send(ms int64, ev *goodhartv1.Event) {
	r.t.Helper()
	if ev.TimeMs == 0 && ev.Kind != goodhartv1.EventKind_EVENT_KIND_CONFIG {
		ev.TimeMs = ms
	}
	if ev.ReceivedMs == 0 {
		ev.ReceivedMs = ms
	}
	value, err := ev.MarshalVT()
	if err != nil {
		r.t.Fatal(err)
	}
	r.raw(ms, eventKey(ev), value)
}

func (r *rig) raw(ms int64, key string, value []byte) {
	r.t.Helper()
	var out machine.Outputs
	r.offset++
	r.fold.Step(&machine.Record{
		Position: machine.Position{Seq: r.offset}, Time: ms, Partition: 3, Offset: int64(r.offset) - 1,
		Key: []byte(key), Value: value,
	}, &out)
	for _, o := range out.Records() {
		switch o.Topic {
		case schemas.TopicFacts:
			fact := &goodhartv1.Fact{}
			if err := fact.UnmarshalVT(o.Body()); err != nil {
				r.t.Fatalf("decode fact: %v", err)
			}
			fact.W = o.W
			if n := len(r.ws); n > 0 && r.ws[n-1] > o.W {
				r.t.Errorf("w falls from %d to %d", r.ws[n-1], o.W)
			}
			r.ws = append(r.ws, o.W)
			r.facts = append(r.facts, fact)
		case schemas.TopicDead:
			letter := &goodhartv1.DeadLetter{}
			if err := letter.UnmarshalVT(o.Body()); err != nil {
				r.t.Fatalf("decode dead letter: %v", err)
			}
			r.dead = append(r.dead, letter)
		default:
			r.t.Fatalf("output to %s", o.Topic)
		}
	}
}

// tick moves the watermark to ms - B.
func (r *rig) tick(ms int64) {
	r.t.Helper()
	r.send(ms, &goodhartv1.Event{
		Kind: goodhartv1.EventKind_EVENT_KIND_TICK,
		Tick: &goodhartv1.Tick{Collector: "c1", Sequence: uint64(ms)},
	})
}

// take returns the facts of a kind emitted since the last take and drops all.
func (r *rig) take(kind goodhartv1.FactKind) []*goodhartv1.Fact {
	var got []*goodhartv1.Fact
	for _, f := range r.facts {
		if f.Kind == kind {
			got = append(got, f)
		}
	}
	r.facts = nil
	return got
}

// eventKey is the Kafka key that a collector gives an event.
func eventKey(ev *goodhartv1.Event) string {
	switch {
	case ev.Kind == goodhartv1.EventKind_EVENT_KIND_CONFIG:
		return ev.Tenant
	case ev.Kind == goodhartv1.EventKind_EVENT_KIND_OUTCOME:
		return ev.Tenant + "|" + ev.Repository
	case ev.Conversation != "":
		return ev.Tenant + "|" + ev.Conversation
	case len(ev.RequestKey) > 0:
		return fmt.Sprintf("%s|%x", ev.Tenant, ev.RequestKey)
	default:
		return ev.Tenant + "|raw"
	}
}

// id16 is a 16-byte id made of its parts.
func id16(parts ...any) []byte {
	sum := sha256.Sum256([]byte(fmt.Sprintln(parts...)))
	return sum[:16]
}

// usageEvent is a usage event of conversation conv about request req ("" for
// none), announced as sig.
func usageEvent(sig goodhartv1.Signal, conv, req string) *goodhartv1.Event {
	tokens := int64(100)
	ev := &goodhartv1.Event{
		Kind: goodhartv1.EventKind_EVENT_KIND_USAGE, Tenant: "acme", Source: "claude-code", Signal: sig,
		EventId: id16(sig, conv, req), Accounting: goodhartv1.Accounting_ACCOUNTING_BILLABLE,
		Conversation: conv, Subject: "p_ada",
		Usage: &goodhartv1.Usage{Model: "claude-sonnet-4-5", OutputTokens: &tokens},
	}
	if req != "" && sig != goodhartv1.Signal_SIGNAL_METRIC {
		ev.RequestKey = id16("request", req)
	}
	return ev
}

const (
	sigLog        = goodhartv1.Signal_SIGNAL_LOG
	sigSpan       = goodhartv1.Signal_SIGNAL_SPAN
	sigMetric     = goodhartv1.Signal_SIGNAL_METRIC
	sigTranscript = goodhartv1.Signal_SIGNAL_TRANSCRIPT
	sigCloud      = goodhartv1.Signal_SIGNAL_CLOUDEVENT

	kindUsage      = goodhartv1.FactKind_FACT_KIND_USAGE
	kindActivity   = goodhartv1.FactKind_FACT_KIND_ACTIVITY
	kindOutcome    = goodhartv1.FactKind_FACT_KIND_OUTCOME
	kindTransition = goodhartv1.FactKind_FACT_KIND_TRANSITION
	kindConfig     = goodhartv1.FactKind_FACT_KIND_CONFIG
	kindTick       = goodhartv1.FactKind_FACT_KIND_TICK
	kindTally      = goodhartv1.FactKind_FACT_KIND_TALLY
)

// verdicts writes usage facts as "log+" (counts) and "span-" (observational).
func verdicts(facts []*goodhartv1.Fact) string {
	var s []string
	for _, f := range facts {
		name := strings.ToLower(strings.TrimPrefix(f.Event.Signal.String(), "SIGNAL_"))
		if f.Observational {
			s = append(s, name+"-")
		} else {
			s = append(s, name+"+")
		}
	}
	return strings.Join(s, " ")
}

// One session announced as log, metric and span, in every order: the log counts.
func TestOneClassInAnyOrder(t *testing.T) {
	f := func(order, want string) {
		t.Helper()
		r := newRig(t)
		for i, name := range strings.Fields(order) {
			r.send(t0+int64(i)*second, usageEvent(signals()[name], "conv", "req"))
		}
		r.tick(t0 + 30*minute)
		if got := verdicts(r.take(kindUsage)); got != want {
			t.Errorf("%s: got %s, want %s", order, got, want)
		}
	}
	f("log metric span", "log+ metric- span-")
	f("log span metric", "log+ span- metric-")
	f("metric log span", "metric- log+ span-")
	f("metric span log", "metric- span- log+")
	f("span log metric", "span- log+ metric-")
	f("span metric log", "span- metric- log+")
	f("metric", "metric+")
	f("span", "span+")
	f("metric span", "metric- span+")
	f("span metric", "span+ metric-")
	f("cloudevent log span", "cloudevent+ log- span-") // same request, same class
	f("transcript log", "transcript- log+")
}

func signals() map[string]goodhartv1.Signal {
	return map[string]goodhartv1.Signal{
		"log": sigLog, "metric": sigMetric, "span": sigSpan, "transcript": sigTranscript, "cloudevent": sigCloud,
	}
}

func TestHoldEndsInWatermarkTime(t *testing.T) {
	r := newRig(t)
	r.send(t0, usageEvent(sigMetric, "conv", "m1"))
	r.tick(t0 + 10*minute - 1)
	if got := r.take(kindUsage); len(got) != 0 {
		t.Fatalf("released before the hold ended: %v", got)
	}
	r.send(t0+9*minute, usageEvent(sigMetric, "conv", "m2")) // shares the hold
	r.tick(t0 + 11*minute)
	got := r.take(kindUsage)
	if v := verdicts(got); v != "metric+ metric+" {
		t.Fatalf("got %s", v)
	}
	due := t0 - 30*second + 10*minute
	for _, f := range got {
		if f.W != due {
			t.Errorf("released at w %d, want %d", f.W, due)
		}
	}
	if got[0].AcceptedMs != t0 || got[1].AcceptedMs != t0+9*minute {
		t.Errorf("accepted at %d and %d", got[0].AcceptedMs, got[1].AcceptedMs)
	}
	// The class is fixed: metrics pass at once, a late log no longer counts.
	r.send(t0+12*minute, usageEvent(sigMetric, "conv", "m3"))
	r.send(t0+12*minute, usageEvent(sigLog, "conv", "late log"))
	if v := verdicts(r.take(kindUsage)); v != "metric+ log-" {
		t.Errorf("after the decision: %s", v)
	}
}

func TestSpanShortensMetricHold(t *testing.T) {
	r := newRig(t)
	r.send(t0, usageEvent(sigMetric, "conv", "m"))
	r.send(t0+minute, usageEvent(sigSpan, "conv", "s"))
	r.tick(t0 + 2*minute + 30*second)
	got := r.take(kindUsage)
	if v := verdicts(got); v != "metric- span+" {
		t.Fatalf("got %s", v)
	}
	if want := t0 + minute - 30*second + minute; got[0].W != want {
		t.Errorf("released at %d, want %d", got[0].W, want)
	}
	r.tick(t0 + hour)
	if got := r.take(kindUsage); len(got) != 0 {
		t.Errorf("the metric's own hold fired: %v", got)
	}
}

func TestRequestCountsOnce(t *testing.T) {
	r := newRig(t)
	r.send(t0, usageEvent(sigLog, "conv", "r1"))
	again := usageEvent(sigLog, "conv", "r1")
	again.EventId = id16("another announcement")
	r.send(t0+second, again)
	r.send(t0+2*second, usageEvent(sigLog, "conv", "r2"))
	other := usageEvent(sigLog, "conv", "r2") // another tenant's request of the same name
	other.Tenant, other.EventId = "umbrella", id16("umbrella")
	r.send(t0+3*second, other)
	if v := verdicts(r.take(kindUsage)); v != "log+ log- log+ log+" {
		t.Errorf("got %s", v)
	}
}

func TestWithoutConversation(t *testing.T) {
	r := newRig(t)
	lone := usageEvent(sigSpan, "", "r1")
	r.send(t0, lone)
	counting := usageEvent(sigSpan, "", "r1")
	counting.EventId, counting.CountsAlone = id16("x"), true
	r.send(t0, counting)
	twin := usageEvent(sigSpan, "", "r1")
	twin.EventId, twin.CountsAlone = id16("y"), true
	r.send(t0, twin)
	if v := verdicts(r.take(kindUsage)); v != "span- span+ span-" {
		t.Errorf("got %s", v)
	}
}

func TestAccountingOfCredential(t *testing.T) {
	send := func(r *rig, acc goodhartv1.Accounting, sig goodhartv1.Signal, conv, req, name string) {
		ev := usageEvent(sig, conv, req)
		ev.Accounting, ev.EventId = acc, id16(name)
		r.send(t0, ev)
	}
	const (
		observational = goodhartv1.Accounting_ACCOUNTING_OBSERVATIONAL
		reconcile     = goodhartv1.Accounting_ACCOUNTING_RECONCILE
		backfill      = goodhartv1.Accounting_ACCOUNTING_BACKFILL
		billable      = goodhartv1.Accounting_ACCOUNTING_BILLABLE
	)
	t.Run("never counts", func(t *testing.T) {
		r := newRig(t)
		send(r, observational, sigLog, "c", "r1", "a")
		send(r, reconcile, sigLog, "c", "r1", "b")
		send(r, billable, sigLog, "c", "r1", "c")
		if v := verdicts(r.take(kindUsage)); v != "log- log- log+" {
			t.Errorf("got %s", v)
		}
	})
	t.Run("backfill fills gaps", func(t *testing.T) {
		r := newRig(t)
		send(r, billable, sigLog, "c", "r1", "a")
		send(r, backfill, sigTranscript, "c", "r1", "b")
		send(r, backfill, sigTranscript, "c", "r2", "c")
		send(r, backfill, sigTranscript, "c", "", "d") // names no request
		send(r, billable, sigLog, "c", "r2", "e")
		send(r, billable, sigLog, "c", "r3", "f")
		if v := verdicts(r.take(kindUsage)); v != "log+ transcript- transcript+ transcript- log- log+" {
			t.Errorf("got %s", v)
		}
	})
	t.Run("backfill first", func(t *testing.T) {
		r := newRig(t)
		send(r, backfill, sigTranscript, "c", "r1", "a")
		send(r, billable, sigMetric, "c", "m1", "b") // covers r1
		send(r, billable, sigSpan, "c", "r1", "c")
		send(r, billable, sigSpan, "c", "r2", "d") // waits for a log
		r.tick(t0 + hour)
		if v := verdicts(r.take(kindUsage)); v != "transcript+ metric- span- span+" {
			t.Errorf("got %s", v)
		}
	})
	t.Run("backfill of what metrics cover", func(t *testing.T) {
		r := newRig(t)
		send(r, billable, sigMetric, "c", "m1", "a")
		send(r, backfill, sigTranscript, "c", "r1", "b")
		r.tick(t0 + hour)
		send(r, backfill, sigTranscript, "c", "r2", "c")
		if v := verdicts(r.take(kindUsage)); v != "transcript- metric+ transcript-" {
			t.Errorf("got %s", v)
		}
	})
}

func TestDuplicates(t *testing.T) {
	f := func(name string, gap int64, want string) {
		t.Helper()
		r := newRig(t)
		ev := usageEvent(sigLog, "conv", "")
		r.send(t0, ev)
		ev.ReceivedMs = 0
		r.send(t0+gap, ev)
		if got := verdicts(r.take(kindUsage)); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	f("at once", second, "log+")
	f("at the horizon", 72*hour, "log+")
	f("in the last hour kept", 73*hour-1, "log+")
	f("beyond the horizon", 73*hour, "log+ log+")
	f("far beyond it", 1000*hour, "log+ log+")
}

func TestConversationExpires(t *testing.T) {
	f := func(gap int64, want string) {
		t.Helper()
		r := newRig(t)
		r.send(t0, usageEvent(sigLog, "conv", "r1"))
		r.send(t0+gap, usageEvent(sigMetric, "conv", "m1"))
		r.tick(t0 + gap + hour)
		if got := verdicts(r.take(kindUsage)); got != want {
			t.Errorf("metric after %d h: got %s, want %s", gap/hour, got, want)
		}
	}
	f(72*hour, "log+ metric-")
	f(74*hour, "log+ metric+")
}

func TestActivityPassesOnce(t *testing.T) {
	r := newRig(t)
	ev := &goodhartv1.Event{
		Kind: goodhartv1.EventKind_EVENT_KIND_ACTIVITY, Tenant: "acme", Source: "claude-code", EventId: id16("act"),
		Signal: sigLog, Subject: "p_ada", Activity: &goodhartv1.Activity{
			Name:    "tool_result",
			Numbers: []*goodhartv1.Number{{Key: "duration_ms", Value: 12.5}},
			Labels:  []*goodhartv1.Label{{Key: "tool_name", Value: "Bash"}},
		},
	}
	r.send(t0, ev)
	r.send(t0, ev)
	got := r.take(kindActivity)
	if len(got) != 1 || got[0].Observational || got[0].Event.Activity.Numbers[0].Value != 12.5 {
		t.Errorf("got %v", got)
	}
}

func TestLate(t *testing.T) {
	r := newRig(t)
	r.tick(t0 + 30*second) // W = t0
	send := func(name string, ms int64) {
		ev := usageEvent(sigLog, "conv", name)
		ev.TimeMs = ms
		r.send(t0+30*second, ev)
	}
	send("just in time", t0-48*hour)
	send("late", t0-48*hour-1)
	got := r.take(kindUsage)
	if got[0].Late || !got[1].Late {
		t.Errorf("late: %v and %v, want false and true", got[0].Late, got[1].Late)
	}
}

func TestWatermark(t *testing.T) {
	r := newRig(t)
	if w := r.fold.W(); w != math.MinInt64 {
		t.Errorf("before any record: %d", w)
	}
	f := func(name string, event, record, want int64) {
		t.Helper()
		ev := usageEvent(sigLog, "conv", name)
		ev.TimeMs = event
		r.send(record, ev)
		if got := r.fold.W(); got != want {
			t.Errorf("%s: W is t0%+d, want t0%+d", name, got-t0, want-t0)
		}
	}
	const b = 30 * second
	f("first", t0, t0+minute, t0-b)
	f("ahead of the broker", t0+dayLen, t0+2*minute, t0+2*minute-b)
	f("older", t0, t0+3*minute, t0+2*minute-b)
	f("newer", t0+5*minute, t0+6*minute, t0+5*minute-b)
}

// Clocks that are ahead move the watermark no further than the broker's time
// does: whatever they claim, W goes where honest clocks would have taken it, no
// hold ends early and no honest event becomes late.
func TestFastClocksMoveNothing(t *testing.T) {
	fast, honest := newRig(t), newRig(t)
	conversation := func(name string) *goodhartv1.Event {
		return usageEvent(sigSpan, "conv", name) // held for a minute of the watermark
	}
	fast.send(t0, conversation("held"))
	honest.send(t0, conversation("held"))
	at := t0
	for i, ahead := range []int64{1, second, 30 * second, 5*minute - 1, 5 * minute, hour, 1000 * dayLen} {
		for _, tick := range []bool{false, true} {
			at += 4 * second
			ev := func() *goodhartv1.Event { return usageEvent(sigLog, fmt.Sprint("other", i), fmt.Sprint(i)) }
			if tick {
				ev = func() *goodhartv1.Event {
					return &goodhartv1.Event{
						Kind: goodhartv1.EventKind_EVENT_KIND_TICK,
						Tick: &goodhartv1.Tick{Collector: "fast", Sequence: uint64(i) + 1},
					}
				}
			}
			claims := ev()
			claims.TimeMs = at + ahead
			fast.send(at, claims)
			honest.send(at, ev())
			if got, want := fast.fold.W(), honest.fold.W(); got != want || got != at-30*second {
				t.Errorf("%d ms ahead, tick %v: W is the record time %+d ms, with honest clocks %+d", ahead, tick, got-at, want-at)
			}
		}
	}
	if got := fast.fold.Stats().HeldRecords; got != 1 {
		t.Errorf("%d records held, want 1: a clock ended the hold", got)
	}
	fast.take(kindUsage)
	slow := usageEvent(sigLog, "slow", "slow")
	slow.TimeMs = fast.fold.W() - 48*hour
	fast.send(at, slow)
	if got := fast.take(kindUsage); len(got) != 1 || got[0].Late {
		t.Errorf("an event just in time: %v", got)
	}
	fast.tick(t0 + 90*second) // the first that moves W by the minute
	if got := fast.fold.Stats().HeldRecords; got != 0 {
		t.Errorf("%d records held a minute on, want 0", got)
	}
}

// A fact carries the event exactly as it was published, unknown fields too.
func TestFactKeepsEventBytes(t *testing.T) {
	ev := usageEvent(sigLog, "conv", "req")
	ev.TimeMs, ev.ReceivedMs = t0, t0
	value, err := ev.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	value = append(value, 0xfa, 0x07, 3, 'n', 'e', 'w') // field 127
	fold := New(Default())
	var out machine.Outputs
	fold.Step(&machine.Record{Time: t0, Key: []byte("acme|conv"), Value: value}, &out)
	rec := out.Records()[0]
	if string(rec.Key) != "acme|p_ada" || rec.Partition != machine.ByKey {
		t.Errorf("key %q, partition %d", rec.Key, rec.Partition)
	}
	if !bytes.Contains(rec.Body(), value) {
		t.Error("the fact does not contain the event's bytes")
	}
	want := &goodhartv1.Fact{Kind: kindUsage, AcceptedMs: t0, Event: &goodhartv1.Event{}}
	if err := want.Event.UnmarshalVT(value); err != nil {
		t.Fatal(err)
	}
	wantBytes, err := want.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantBytes, rec.Body()); diff != "" {
		t.Errorf("encoding differs from the generated one (-want +got):\n%s", diff)
	}
}

func TestConfigGoesEverywhereOnce(t *testing.T) {
	fold := New(Default())
	ev := &goodhartv1.Event{
		Kind: goodhartv1.EventKind_EVENT_KIND_CONFIG, Tenant: "acme", EventId: id16("v1"),
		Config: &goodhartv1.Config{Version: 1, Document: []byte("{}")},
	}
	value, err := ev.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	var out machine.Outputs
	for i := range 2 {
		fold.Step(&machine.Record{Position: machine.Position{Seq: uint64(i) + 1}, Time: t0, Key: []byte("acme"), Value: value}, &out)
	}
	recs := out.Records()
	if len(recs) != 1 || recs[0].Partition != machine.EveryPartition {
		t.Fatalf("got %d outputs", len(recs))
	}
}

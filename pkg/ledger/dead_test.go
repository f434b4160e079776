package ledger

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

func TestDeadLetters(t *testing.T) {
	f := func(name string, change func(*goodhartv1.Event), reason, field string) {
		t.Helper()
		r := newRig(t)
		r.send(t0, usageEvent(sigLog, "conv", "good"))
		ev := usageEvent(sigLog, "conv", "bad")
		ev.TimeMs, ev.ReceivedMs = t0, t0
		change(ev)
		value := marshal(ev)
		r.raw(t0, "key", value)
		if len(r.dead) != 1 {
			t.Fatalf("%s: %d dead letters", name, len(r.dead))
		}
		d, hash := r.dead[0], sha256.Sum256(value)
		if d.Reason != reason || d.Field != field || d.Stage != goodhartv1.Stage_STAGE_LEDGER {
			t.Errorf("%s: %v", name, d)
		}
		if d.Topic != schemas.TopicEvents || d.Partition != 3 || d.Offset != 1 || string(d.Key) != "key" ||
			!bytes.Equal(d.Value, value) || !bytes.Equal(d.Hash, hash[:]) || d.SizeBytes != int64(len(value)) {
			t.Errorf("%s: the letter does not lead to its record: %v", name, d)
		}
		r.send(t0+second, usageEvent(sigLog, "conv", "next"))
		if got := verdicts(r.take(kindUsage)); got != "log+ log+" {
			t.Errorf("%s: its neighbours: %s", name, got)
		}
		r.tick(t0 + hour)
		r.tick(t0 + hour + minute)
		var dead, accepted int64
		for _, c := range r.take(kindTally) {
			dead += c.Tally.Dead
			accepted += c.Tally.Accepted
		}
		if dead != 1 || accepted != 3 {
			t.Errorf("%s: %d dead of %d accepted", name, dead, accepted)
		}
	}
	f("no tenant", func(e *goodhartv1.Event) { e.Tenant = "" }, "missing_field", "tenant")
	f("no event id", func(e *goodhartv1.Event) { e.EventId = nil }, "bad_value", "event_id")
	f("long event id", func(e *goodhartv1.Event) { e.EventId = make([]byte, 32) }, "bad_value", "event_id")
	f("short request key", func(e *goodhartv1.Event) { e.RequestKey = []byte("x") }, "bad_value", "request_key")
	f("no kind", func(e *goodhartv1.Event) { e.Kind = 0 }, "bad_value", "kind")
	f("unknown kind", func(e *goodhartv1.Event) { e.Kind = 99 }, "bad_value", "kind")
	f("no payload", func(e *goodhartv1.Event) { e.Usage = nil }, "missing_field", "usage")
	f("another payload", func(e *goodhartv1.Event) { e.Kind = goodhartv1.EventKind_EVENT_KIND_OUTCOME }, "missing_field", "outcome")
	f("no signal", func(e *goodhartv1.Event) { e.Signal = 0 }, "bad_value", "signal")
	f("no time", func(e *goodhartv1.Event) { e.TimeMs = 0 }, "bad_time", "time_ms")
	f("before 1970", func(e *goodhartv1.Event) { e.TimeMs = -5 }, "bad_time", "time_ms")
	f("tenant is not UTF-8", func(e *goodhartv1.Event) { e.Tenant = "a\xff" }, "not_utf8", "tenant")
	f("source is not UTF-8", func(e *goodhartv1.Event) { e.Source = "a\xff" }, "not_utf8", "source")
	f("subject is not UTF-8", func(e *goodhartv1.Event) { e.Subject = "a\xff" }, "not_utf8", "subject")
	f("tick without a collector", func(e *goodhartv1.Event) {
		e.Reset()
		e.Kind, e.TimeMs, e.Tick = goodhartv1.EventKind_EVENT_KIND_TICK, t0, &goodhartv1.Tick{}
	}, "missing_field", "tick.collector")
}

func TestUndecodable(t *testing.T) {
	for _, value := range [][]byte{nil, {}, {0xff}, {0x0a, 0x05}, []byte("{\"kind\":1}"), bytes.Repeat([]byte{0x80}, 50)} {
		r := newRig(t)
		r.raw(t0, "", value)
		if len(r.dead) != 1 || len(r.facts) != 0 {
			t.Errorf("%q: %d dead letters, %d facts", value, len(r.dead), len(r.facts))
		}
		if w := r.fold.W(); w > 0 {
			t.Errorf("%q moved the watermark to %d", value, w)
		}
	}
}

// What would not fit into a record downstream dies here, and even its letter
// fits.
func TestTooLarge(t *testing.T) {
	f := func(size int, wantDead, wantValue bool) {
		t.Helper()
		fold := New(Default())
		ev := usageEvent(sigLog, "conv", "req")
		ev.TimeMs = t0
		ev.Usage.FinishReason = string(bytes.Repeat([]byte("x"), size))
		var out machine.Outputs
		fold.Step(&machine.Record{Time: t0, Key: []byte("acme|conv"), Value: marshal(ev)}, &out)
		rec := out.Records()[0]
		if got := rec.Topic == schemas.TopicDead; got != wantDead {
			t.Errorf("%d bytes: dead %v", size, got)
		}
		if len(rec.Stamped(1, 1, true))+len(rec.Key) > 512<<10 {
			t.Errorf("%d bytes: output of %d bytes", size, len(rec.Body()))
		}
		if !wantDead {
			return
		}
		var d goodhartv1.DeadLetter
		unmarshal(t, &d, rec.Body())
		if d.Reason != "too_large" || (d.Value != nil) != wantValue || d.SizeBytes < int64(size) {
			t.Errorf("%d bytes: reason %s, value of %d bytes", size, d.Reason, len(d.Value))
		}
	}
	f(500<<10, false, false)
	f(512<<10, true, false)
	f(700<<10, true, false)
	long := make([]byte, 600<<10)
	fold := New(Default())
	var out machine.Outputs
	fold.Step(&machine.Record{Time: t0, Key: long, Value: long}, &out)
	if rec := out.Records()[0]; len(rec.Body())+len(rec.Key) > 512<<10 {
		t.Errorf("dead letter of %d bytes", len(rec.Body()))
	}
}

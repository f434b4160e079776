package ledger

import (
	"bytes"
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// class is a form in which a tool announces its requests, worst first. One class
// counts per conversation.
type class uint8

const (
	classNone class = iota
	// classMetric: deltas of counters, which name no request.
	classMetric
	// classTranscript: counts request by request, under a backfill credential.
	classTranscript
	classSpan
	// classRequest: logs, CloudEvents and what a gateway posts or is asked for.
	classRequest
)

func classOf(s goodhartv1.Signal) class {
	switch s {
	case goodhartv1.Signal_SIGNAL_LOG, goodhartv1.Signal_SIGNAL_CLOUDEVENT,
		goodhartv1.Signal_SIGNAL_WEBHOOK, goodhartv1.Signal_SIGNAL_POLL:
		return classRequest
	case goodhartv1.Signal_SIGNAL_SPAN:
		return classSpan
	case goodhartv1.Signal_SIGNAL_METRIC:
		return classMetric
	case goodhartv1.Signal_SIGNAL_TRANSCRIPT:
		return classTranscript
	default:
		return classNone
	}
}

// conversation is what a shard knows of a conversation.
type conversation struct {
	// hour of record time of the last acceptance.
	hour  uint32
	class class
}

// hold is what a conversation holds until its class is decided.
type hold struct {
	due     int64
	records []held
}

type held struct {
	event    []byte
	accepted int64
	class    class
}

// usage decides whether a usage event counts, now or when its conversation's
// class is known.
func (f *Fold) usage(s *shard, r *machine.Record, v *view, out *machine.Outputs) {
	c := classOf(v.signal)
	switch {
	case v.neverCounts():
		f.merge(r, v, out)
	case v.accounting == goodhartv1.Accounting_ACCOUNTING_BACKFILL:
		f.backfill(s, r, v, out)
	case c == classTranscript:
		f.merge(r, v, out)
	case len(v.conversation) > 0:
		f.converse(s, c, r, v, out)
	case v.countsAlone:
		f.settle(s, v, r.Time, out)
	default:
		f.merge(r, v, out)
	}
}

// merge stores an announcement of what counts already.
func (f *Fold) merge(r *machine.Record, v *view, out *machine.Outputs) {
	f.pass(out, v, goodhartv1.FactKind_FACT_KIND_USAGE, r.Time, true)
}

// settle counts an announcement, unless its request was counted before.
func (f *Fold) settle(s *shard, v *view, accepted int64, out *machine.Outputs) {
	h := v.requestHash()
	counted := h != 0 && !s.seen.add(h, f.cfg.IDsPerShard, s.now)
	f.pass(out, v, goodhartv1.FactKind_FACT_KIND_USAGE, accepted, counted)
}

// converse applies the rule of one class per conversation.
func (f *Fold) converse(s *shard, c class, r *machine.Record, v *view, out *machine.Outputs) {
	key, state := s.touch(v)
	open := state.class == classNone || state.class == classTranscript && c > classTranscript
	switch {
	case open && c == classRequest:
		s.conversations[key] = conversation{state.hour, classRequest}
		if h := s.holds[key]; h != nil {
			f.release(s, key, h, classRequest, out)
		}
		f.settle(s, v, r.Time, out)
	case state.class == c:
		f.settle(s, v, r.Time, out)
	case open && !s.counted(v):
		f.hold(s, key, c, r, v)
	default:
		f.merge(r, v, out)
	}
}

// touch returns the event's conversation, in which something was accepted now.
func (s *shard) touch(v *view) (uint64, conversation) {
	key := nameHash(v.tenantHash, v.conversation)
	c, hour := s.conversations[key], uint32(s.now/hourMs)
	if c.hour != hour {
		c.hour = hour
		s.conversations[key] = c
	}
	return key, c
}

func (s *shard) counted(v *view) bool {
	h := v.requestHash()
	return h != 0 && s.seen.has(h)
}

// backfill counts what a backfill credential sends, request by request: where
// the request has no name it cannot be shown to be new, and where metrics count,
// or may come to, they cover it without naming it.
func (f *Fold) backfill(s *shard, r *machine.Record, v *view, out *machine.Outputs) {
	if len(v.conversation) > 0 {
		key, state := s.touch(v)
		if state.class == classMetric || s.holds[key].has(classMetric) {
			f.merge(r, v, out)
			return
		}
		if state.class == classNone && len(v.requestKey) > 0 {
			s.conversations[key] = conversation{state.hour, classTranscript}
		}
	}
	if len(v.requestKey) == 0 {
		f.merge(r, v, out)
		return
	}
	f.settle(s, v, r.Time, out)
}

// has reports whether a record of class c is held; a nil hold has none.
func (h *hold) has(c class) bool {
	return h != nil && slices.ContainsFunc(h.records, func(r held) bool { return r.class == c })
}

// hold keeps a record until its conversation's class is decided.
func (f *Fold) hold(s *shard, key uint64, c class, r *machine.Record, v *view) {
	h := s.holds[key]
	if h == nil {
		h = &hold{}
		s.holds[key] = h
	}
	h.records = append(h.records, held{event: bytes.Clone(v.raw), accepted: r.Time, class: c})
	wait := f.metricHold
	if c == classSpan {
		wait = f.spanHold
	}
	if due := f.w + wait; len(h.records) == 1 || due < h.due {
		h.due = due
		f.timers.push(timer{due: due, key: key, shard: uint8(s.index), kind: timerHold})
	}
	f.tally(v, r.Time).Held++
}

// decide fixes the best class held: a hold has ended.
func (f *Fold) decide(s *shard, key uint64, h *hold, out *machine.Outputs) {
	best := classNone
	for _, rec := range h.records {
		best = max(best, rec.class)
	}
	state := s.conversations[key]
	state.class = best
	s.conversations[key] = state
	f.release(s, key, h, best, out)
}

// release passes on what a conversation held: what is of class c counts.
func (f *Fold) release(s *shard, key uint64, h *hold, c class, out *machine.Outputs) {
	delete(s.holds, key)
	for _, rec := range h.records {
		v := &f.held
		if err := v.decode(&f.shapes, rec.event); err != nil {
			panic("ledger: held record does not decode") // it did when it was held
		}
		f.tally(v, rec.accepted).Held--
		if rec.class == c {
			f.settle(s, v, rec.accepted, out)
			continue
		}
		f.pass(out, v, goodhartv1.FactKind_FACT_KIND_USAGE, rec.accepted, true)
	}
}

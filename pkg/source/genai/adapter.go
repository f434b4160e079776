package genai

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/source/record"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

const (
	// Source is the name of the adapter in events.
	Source = "otel-genai"
	// version is that of the mapping.
	version = "2"
	// inferenceEvent carries the same usage as the span it belongs to.
	inferenceEvent = "gen_ai.client.inference.operation.details"
)

// Adapter implements record.Adapter. It has no state.
type Adapter struct{}

// New returns the adapter.
func New() *Adapter { return &Adapter{} }

// Span decodes a span of a model request, an agent or a tool.
func (*Adapter) Span(r *record.Span, out *record.Out) bool {
	if !mentions(r.Record.Attributes()) {
		return false
	}
	var f fields
	f.read(r.Origin, r.Record.Attributes())
	trace, span := id(r.Record.TraceID(), r.Record.SpanID())
	where := place{
		signal: goodhartv1.Signal_SIGNAL_SPAN, origin: r.Origin, trace: trace, span: span,
		time:   r.Record.EndTimestamp(),
		failed: r.Record.Status().Code() == ptrace.StatusCodeError,
	}
	if start, end := r.Record.StartTimestamp(), r.Record.EndTimestamp(); start > 0 && end >= start {
		ms := int64(end-start) / 1e6
		f.duration = &ms
	}
	if where.time == 0 {
		where.time = r.Record.StartTimestamp()
	}
	f.add(where, out)
	return true
}

// Log decodes a client inference event; other events of the conventions are
// activities, for their bodies are content.
func (*Adapter) Log(r *record.Log, out *record.Out) bool {
	name := r.Record.EventName()
	if name == "" {
		name, _ = record.String(r.Record.Attributes(), "event.name")
	}
	if !strings.HasPrefix(name, "gen_ai.") {
		return false
	}
	var f fields
	f.read(r.Origin, r.Record.Attributes())
	trace, span := id(r.Record.TraceID(), r.Record.SpanID())
	where := place{
		signal: goodhartv1.Signal_SIGNAL_LOG, origin: r.Origin, trace: trace, span: span,
		time: r.Record.Timestamp(), failed: f.errorType != "",
	}
	if where.time == 0 {
		where.time = r.Record.ObservedTimestamp()
	}
	if name == inferenceEvent {
		f.add(where, out)
		return true
	}
	d := event.Draft{
		Event:        record.NewActivity(Source, where.signal, r.Origin, eventName(name)),
		Natural:      []string{name, trace, span, record.Int(int64(r.Record.Timestamp())), record.Series(r.Record.Attributes())},
		Conversation: f.conversation(), Actor: f.who.Actor, RawID: f.rawID(trace),
	}
	d.Event.AdapterVersion, d.Event.TimeMs = version, record.TimeMS(where.time)
	out.Add(d)
	return true
}

// id spells the ids of a span; empty where they are zero.
func id(trace pcommon.TraceID, span pcommon.SpanID) (string, string) {
	return trace.String(), span.String()
}

// place is where an announcement stands.
type place struct {
	signal      goodhartv1.Signal
	origin      *record.Origin
	trace, span string
	time        pcommon.Timestamp
	failed      bool
}

// add makes a draft of a span or an inference event.
func (f *fields) add(at place, out *record.Out) {
	if f.num.Problem != "" {
		out.Reject(Source, event.ReasonBadNumber, f.num.Field, string(f.num.Problem))
		return
	}
	kind := f.kind()
	if at.signal == goodhartv1.Signal_SIGNAL_LOG && kind == unnamed {
		kind = inference // the event itself says what it is
	}
	d := event.Draft{
		Conversation: f.conversation(), ParentConversation: f.who.Parent, Repository: f.repository.ID(),
		Actor: f.who.Actor, RawID: f.rawID(at.trace),
	}
	switch {
	case kind == unnamed && f.hasTokens() && !f.looksLikeRequest():
		out.Reject(Source, event.ReasonUnknownRecord, "gen_ai.operation.name",
			"token counts on an operation that is not known to be a model request")
		return
	case kind == inference, kind == unnamed && f.looksLikeRequest():
		d.Event = record.NewUsage(Source, at.signal, at.origin)
		f.fill(d.Event, at.failed)
		d.Natural, d.Request = f.names(at)
		d.Content = f.content()
	default:
		d.Event = record.NewActivity(Source, at.signal, at.origin, f.activityName())
		f.fillActivity(d.Event, at.failed)
		if at.trace != "" {
			d.Natural = []string{"span", at.trace, at.span}
		}
	}
	if len(d.Natural) == 0 {
		out.Reject(Source, event.ReasonMissing, "traceId", "neither ids of a span nor a response id of 16 characters")
		return
	}
	if len(d.Request) == 0 || d.Request[0] != "request" {
		if d.Event.Usage != nil {
			event.Flag(d.Event, goodhartv1.Quality_QUALITY_MISSING_REQUEST_ID)
		}
	}
	d.Event.TimeMs = record.TimeMS(at.time)
	out.Add(d)
}

// strongID is the least length of a response id that is taken to be unique:
// some servers make them of three digits.
const strongID = 16

// names returns the natural key of an announcement and the name of its
// request: by the response id, else by the span, which the inference event
// refers to.
func (f *fields) names(at place) (natural, request []string) {
	response := f.response.value
	switch {
	case len(response) >= strongID:
		return []string{"response", f.provider(), response}, []string{"request", response}
	case at.trace != "" && at.span != "":
		return []string{"span", at.trace, at.span}, []string{"span", at.trace, at.span}
	}
	return nil, nil
}

package claudecode

import (
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/source/record"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Span decodes a beta span: llm_request is usage, the others are activities
// named span.*, which tell them from the events that say the same.
func (a *Adapter) Span(r *record.Span, out *record.Out) bool {
	name, named := strings.CutPrefix(r.Record.Name(), namePrefix)
	if !named && !scoped(r.Origin) {
		return false
	}
	var f fields
	f.read(r.Origin, r.Record.Attributes())
	d := event.Draft{
		Conversation: f.who.Session, ParentConversation: f.who.Parent, Prompt: f.prompt, Repository: f.repository.ID(),
		Actor: f.who.Actor, RawID: f.who.RawID(),
	}
	trace, span := r.Record.TraceID().String(), r.Record.SpanID().String()
	if d.RawID == "" {
		d.RawID = trace
	}
	d.Natural = []string{"span", trace, span}
	if name == "llm_request" {
		d.Event = record.NewUsage(Source, goodhartv1.Signal_SIGNAL_SPAN, r.Origin)
		f.fillRequest(d.Event)
		d.Request = f.request()
		if len(d.Request) > 0 {
			d.Natural = append([]string{name}, d.Request...)
		} else {
			event.Flag(d.Event, goodhartv1.Quality_QUALITY_MISSING_REQUEST_ID)
		}
	} else {
		d.Event = a.spanActivity(name, r, &f)
	}
	if f.num.Problem != "" {
		out.Reject(Source, event.ReasonBadNumber, f.num.Field, string(f.num.Problem))
		return true
	}
	if len(d.Request) == 0 && trace == "" {
		out.Reject(Source, event.ReasonMissing, "traceId", "a span without ids")
		return true
	}
	d.Event.TimeMs = record.TimeMS(r.Record.EndTimestamp())
	if d.Event.TimeMs == 0 {
		d.Event.TimeMs = record.TimeMS(r.Record.StartTimestamp())
	}
	out.Add(d)
	return true
}

func (a *Adapter) spanActivity(name string, r *record.Span, f *fields) *goodhartv1.Event {
	columns, known := a.spans[name]
	if !known {
		name = event.Other
	}
	e := record.NewActivity(Source, goodhartv1.Signal_SIGNAL_SPAN, r.Origin, "span."+name)
	e.AdapterVersion = version
	f.num = record.Numbers{}
	columns.fill(e, r.Record.Attributes(), &f.num)
	return e
}

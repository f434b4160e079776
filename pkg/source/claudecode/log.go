package claudecode

import (
	"cmp"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/source/record"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Log decodes a log event.
func (a *Adapter) Log(r *record.Log, out *record.Out) bool {
	named := eventName(r)
	if named == "" && !claims(r.Origin) {
		attribute, _ := record.String(r.Record.Attributes(), "event.name")
		if !strings.HasPrefix(attribute, namePrefix) {
			return false
		}
	}
	var f fields
	f.read(r.Origin, r.Record.Attributes())
	name := strings.TrimPrefix(f.name, namePrefix)
	if name == "" {
		name = cmp.Or(named, r.Record.EventName())
	}
	if name == "" {
		out.Reject(Source, event.ReasonUnknownRecord, "event.name", "a log record without an event name")
		return true
	}
	d := event.Draft{
		Conversation: f.who.Session, ParentConversation: f.who.Parent, Prompt: f.prompt, Repository: f.repository.ID(),
		Actor: f.who.Actor, RawID: f.who.RawID(),
	}
	if name == "api_request" {
		d.Event = record.NewUsage(Source, goodhartv1.Signal_SIGNAL_LOG, r.Origin)
		f.fillRequest(d.Event)
	} else {
		d.Event = a.activity(name, r, &f, &d)
	}
	if f.num.Problem != "" {
		out.Reject(Source, event.ReasonBadNumber, f.num.Field, string(f.num.Problem))
		return true
	}
	e := d.Event
	if e.TimeMs = f.time(r.Record.Timestamp(), r.Record.ObservedTimestamp()); e.TimeMs == badTime {
		out.Reject(Source, event.ReasonBadTime, "event.timestamp", "not an RFC 3339 time")
		return true
	}
	if f.sequence != nil {
		n := uint64(*f.sequence)
		e.Sequence = &n
	}
	if e.Usage != nil {
		d.Request = f.request()
		if len(d.Request) == 0 {
			event.Flag(e, goodhartv1.Quality_QUALITY_MISSING_REQUEST_ID)
		}
	}
	d.Natural = f.natural(name, r, d.Request)
	out.Add(d)
	return true
}

// eventName returns the bare event name that the record has outside of its
// attributes, if it says there that it is Claude Code's.
func eventName(r *record.Log) string {
	if name, ok := strings.CutPrefix(r.Record.EventName(), namePrefix); ok {
		return name
	}
	if name, ok := strings.CutPrefix(record.Text(r.Record.Body()), namePrefix); ok && len(name) < event.MaxLabel {
		return name
	}
	return ""
}

// activity decodes an event that is not usage.
func (a *Adapter) activity(name string, r *record.Log, f *fields, d *event.Draft) *goodhartv1.Event {
	columns, known := a.events[name]
	if !known {
		name = event.Other
	}
	e := record.NewActivity(Source, goodhartv1.Signal_SIGNAL_LOG, r.Origin, name)
	e.AdapterVersion = version
	f.num = record.Numbers{} // only what the table takes has to be well formed
	switch name {
	case "tool_result":
		switch d.Commit = commit(f.toolParameters); {
		case d.Commit != "":
			record.Number(e.Activity, event.SideEffects, 1)
		case f.hasSuccess:
			record.SideEffects(e.Activity, f.tool, f.success)
		}
	case "user_prompt":
		if prompt := f.quoted; prompt != "" {
			d.Content = func() event.Content { return event.Content{Turn: prompt} }
		}
	}
	columns.fill(e, r.Record.Attributes(), &f.num)
	if f.num.Strings {
		event.Flag(e, goodhartv1.Quality_QUALITY_STRING_NUMBERS)
	}
	return e
}

// commit finds the sha that a git commit of the Bash tool left, in the one
// field of the tool's parameters that is read.
func commit(parameters string) string {
	if !strings.Contains(parameters, "git_commit_id") {
		return ""
	}
	var p struct {
		ID string `json:"git_commit_id"`
	}
	if json.Unmarshal([]byte(parameters), &p) != nil || len(p.ID) < 40 || len(p.ID) > 64 {
		return ""
	}
	if strings.Trim(strings.ToLower(p.ID), "0123456789abcdef") != "" {
		return ""
	}
	return p.ID
}

// badTime marks a time that is there and unreadable.
const badTime = -1 << 62

// time is the time of the record, else of the event attribute, else of its
// observation.
func (f *fields) time(at, observed pcommon.Timestamp) int64 {
	if ms := record.TimeMS(at); ms != 0 {
		return ms
	}
	if f.timestamp == "" {
		return record.TimeMS(observed)
	}
	t, err := time.Parse(time.RFC3339Nano, f.timestamp)
	if err != nil {
		return badTime
	}
	if ms := t.UnixMilli(); ms != 0 {
		return ms
	}
	return 1
}

// natural names the announcement: the request's own id, else the place in the
// session, else what the record says. A sequence starts again when a session
// is resumed, so the time belongs to it.
func (f *fields) natural(name string, r *record.Log, request []string) []string {
	if len(request) > 0 {
		return append([]string{name}, request...)
	}
	at := strconv.FormatUint(uint64(r.Record.Timestamp()), 10)
	if f.who.Session != "" && f.sequence != nil {
		return []string{name, "sequence", f.who.Session, itoa(*f.sequence), at, f.timestamp}
	}
	return []string{name, "record", at, f.timestamp, record.Series(r.Resource, r.Record.Attributes())}
}

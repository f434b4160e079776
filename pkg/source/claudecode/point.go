package claudecode

import (
	"strconv"
	"strings"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/source/record"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Point decodes a data point of a counter: token.usage and cost.usage are usage
// deltas, the others activities with one number, "value".
func (a *Adapter) Point(r *record.Point, out *record.Out) bool {
	name, named := strings.CutPrefix(r.Metric, namePrefix)
	if !named && !scoped(r.Origin) {
		return false
	}
	switch {
	case r.Kind != record.Sum || r.Temporality != pmetric.AggregationTemporalityDelta:
		out.Reject(Source, event.ReasonTemporality, "aggregationTemporality",
			"want a sum with delta temporality; unset OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE")
		return true
	case r.NoValue:
		out.Reject(Source, event.ReasonMissing, "value", "a data point without a value")
		return true
	}
	if problem := event.Measure(r.Value); problem != "" {
		out.Reject(Source, event.ReasonBadNumber, "value", string(problem))
		return true
	}
	var f fields
	f.read(r.Origin, r.Attributes)
	f.num = record.Numbers{}
	d := event.Draft{
		Conversation: f.who.Session, Actor: f.who.Actor, RawID: f.who.RawID(),
		Natural: []string{
			r.Metric, strconv.FormatUint(uint64(r.Start), 10), strconv.FormatUint(uint64(r.Time), 10),
			record.Series(r.Resource, r.Attributes),
		},
	}
	switch name {
	case "token.usage":
		d.Event = record.NewUsage(Source, goodhartv1.Signal_SIGNAL_METRIC, r.Origin)
		if !f.tokens(d.Event, r.Value, out) {
			return true
		}
	case "cost.usage":
		d.Event = record.NewUsage(Source, goodhartv1.Signal_SIGNAL_METRIC, r.Origin)
		nanos, problem := event.Nanos(r.Value)
		if problem != "" {
			out.Reject(Source, event.ReasonBadNumber, "value", string(problem))
			return true
		}
		d.Event.Usage.ReportedCostNanos = &nanos
		f.fillDelta(d.Event)
	default:
		d.Event = a.pointActivity(name, r)
	}
	if d.Event.TimeMs = record.TimeMS(r.Time); d.Event.TimeMs == 0 {
		d.Event.TimeMs = record.TimeMS(r.Start)
	}
	out.Add(d)
	return true
}

// tokens sets the one class that a data point counts.
func (f *fields) tokens(e *goodhartv1.Event, value float64, out *record.Out) bool {
	n, problem := event.Count(value, event.MaxCount)
	if problem != "" {
		out.Reject(Source, event.ReasonBadNumber, "value", string(problem))
		return false
	}
	u := e.Usage
	switch f.tokenType {
	case "input":
		u.InputUncachedTokens = &n
	case "output":
		u.OutputTokens = &n
	case "cacheRead":
		u.CacheReadTokens = &n
	case "cacheCreation":
		u.CacheWriteTokens = &n
	default:
		out.Reject(Source, event.ReasonBadValue, "type", "want input, output, cacheRead or cacheCreation")
		return false
	}
	f.fillDelta(e)
	return true
}

func (f *fields) fillDelta(e *goodhartv1.Event) {
	f.fill(e)
	e.Usage.Granularity = goodhartv1.Granularity_GRANULARITY_DELTA
}

func (a *Adapter) pointActivity(name string, r *record.Point) *goodhartv1.Event {
	columns, known := a.points[name]
	if !known {
		name = event.Other
	}
	e := record.NewActivity(Source, goodhartv1.Signal_SIGNAL_METRIC, r.Origin, name)
	e.AdapterVersion = version
	columns.fill(e, r.Attributes, &record.Numbers{})
	record.Number(e.Activity, "value", r.Value)
	return e
}

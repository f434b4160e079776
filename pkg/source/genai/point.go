package genai

import (
	"strconv"
	"strings"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/source/record"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

const (
	oldUsage  = "gen_ai.client.token.usage"
	newInput  = "gen_ai.client.inference.usage.input_tokens"
	newOutput = "gen_ai.client.inference.usage.output_tokens"
)

// Point decodes a data point: the token counters are usage deltas. The counters
// of cached and reasoning tokens and the histograms of tokens per operation are
// parts and repetitions of those; they and all others are activities.
func (*Adapter) Point(r *record.Point, out *record.Out) bool {
	if !strings.HasPrefix(r.Metric, "gen_ai.") {
		return false
	}
	switch {
	case r.Kind != record.Gauge && r.Temporality != pmetric.AggregationTemporalityDelta:
		out.Reject(Source, event.ReasonTemporality, "aggregationTemporality",
			"want delta temporality: a counter since the start of a process cannot be counted once")
		return true
	case r.NoValue:
		out.Reject(Source, event.ReasonMissing, "value", "a data point without a value or sum")
		return true
	}
	if problem := event.Measure(r.Value); problem != "" {
		out.Reject(Source, event.ReasonBadNumber, "value", string(problem))
		return true
	}
	var f fields
	f.read(r.Origin, r.Attributes)
	d := event.Draft{
		Conversation: f.conversation(), Actor: f.who.Actor, RawID: f.who.RawID(),
		Natural: []string{
			r.Metric, strconv.FormatUint(uint64(r.Start), 10), strconv.FormatUint(uint64(r.Time), 10),
			record.Series(r.Resource, r.Attributes),
		},
	}
	class := tokenClass(r)
	switch class {
	case "input", "output":
		d.Event = record.NewUsage(Source, goodhartv1.Signal_SIGNAL_METRIC, r.Origin)
		n, problem := event.Count(r.Value, event.MaxCount)
		if problem != "" {
			out.Reject(Source, event.ReasonBadNumber, "value", string(problem))
			return true
		}
		f.fillDelta(d.Event, class, n)
	case unknownClass:
		out.Reject(Source, event.ReasonBadValue, "gen_ai.token.type", "want input or output")
		return true
	default:
		d.Event = record.NewActivity(Source, goodhartv1.Signal_SIGNAL_METRIC, r.Origin, pointName(r.Metric))
		d.Event.AdapterVersion = version
		record.Number(d.Event.Activity, "value", r.Value)
		if r.Kind == record.Histogram {
			record.Number(d.Event.Activity, "count", float64(r.Count))
		}
	}
	if d.Event.TimeMs = record.TimeMS(r.Time); d.Event.TimeMs == 0 {
		d.Event.TimeMs = record.TimeMS(r.Start)
	}
	out.Add(d)
	return true
}

const unknownClass = "?"

// tokenClass says which tokens a metric counts: input, output, unknownClass, or
// none of them.
func tokenClass(r *record.Point) string {
	switch r.Metric {
	case newInput:
		return "input"
	case newOutput:
		return "output"
	case oldUsage:
		switch kind, _ := record.String(r.Attributes, "gen_ai.token.type"); kind {
		case "input", "prompt":
			return "input"
		case "output", "completion":
			return "output"
		}
		return unknownClass
	}
	return ""
}

// fillDelta completes a usage delta. The conventions do not say how much of the
// input was cached in a way that can be taken from this point, so all of it
// counts as uncached.
func (f *fields) fillDelta(e *goodhartv1.Event, class string, n int64) {
	u := e.Usage
	e.AdapterVersion = version
	u.ProviderName = f.provider()
	if f.kind() == inference {
		u.OperationName = f.operationName()
	}
	u.RequestModel, u.ResponseModel = f.requestModel.value, f.responseModel.value
	u.AgentName, u.PriceTier = f.agent.value, f.priceTier()
	u.Granularity = goodhartv1.Granularity_GRANULARITY_DELTA
	if class == "input" {
		u.InputUncachedTokens = &n
	} else {
		u.OutputTokens = &n
	}
}

// pointName lists the metrics of the conventions that are not usage.
func pointName(name string) string {
	switch name {
	case "gen_ai.client.operation.duration", "gen_ai.client.inference.duration",
		"gen_ai.client.inference.usage.cache_read.input_tokens", "gen_ai.client.inference.usage.cache_write.input_tokens",
		"gen_ai.client.inference.usage.reasoning.output_tokens",
		"gen_ai.client.inference.operation.input_tokens", "gen_ai.client.inference.operation.output_tokens",
		"gen_ai.server.request.duration", "gen_ai.server.time_per_output_token", "gen_ai.server.time_to_first_token",
		"gen_ai.client.operation.time_to_first_chunk", "gen_ai.client.operation.time_per_output_chunk":
		return name
	}
	return event.Other
}

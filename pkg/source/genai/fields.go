package genai

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/source/record"
)

// ranked is a string that several attributes may give; the lowest rank wins.
type ranked struct {
	value string
	rank  int
}

func (r *ranked) set(v pcommon.Value, rank int) {
	if s := record.Text(v); s != "" && (r.value == "" || rank < r.rank) {
		r.value, r.rank = s, rank
	}
}

// count is a number that several attributes may give; the lowest rank wins.
type count struct {
	value *int64
	rank  int
}

func (c *count) set(n *record.Numbers, key string, v pcommon.Value, rank int) {
	if p := n.Count(key, v, event.MaxCount); p != nil && (c.value == nil || rank < c.rank) {
		c.value, c.rank = p, rank
	}
}

// fields are the attributes of a span or an inference event, under whichever of
// their names.
type fields struct {
	who        record.Who
	repository record.Repository
	num        record.Numbers
	derived    record.Derived
	quoted     quoted

	operation, spanKind              ranked
	system                           ranked
	requestModel, responseModel      ranked
	response, thread                 ranked
	agent, tier, finish              ranked
	errorType, toolType, toolName    string
	input, output, total             count
	cacheRead, cacheWrite, reasoning count
	cost                             *int64
	costRank                         int
	duration, ttft                   *int64
}

func (f *fields) read(o *record.Origin, attributes pcommon.Map) {
	f.who, f.repository = o.Who, o.Repository
	for key, value := range attributes.All() {
		switch {
		case strings.HasPrefix(key, "gen_ai.usage."), strings.HasPrefix(key, "llm."):
			f.readNumber(key, value)
		case f.who.Read(key, value), f.repository.Read(key, value), f.derived.Read(key, value, &f.num):
			continue
		}
		f.readString(key, value)
	}
}

// readNumber takes a number under any of its names.
func (f *fields) readNumber(key string, v pcommon.Value) {
	switch key {
	case "gen_ai.usage.input_tokens":
		f.input.set(&f.num, key, v, 1)
	case "gen_ai.usage.prompt_tokens":
		f.input.set(&f.num, key, v, 2)
	case "llm.token_count.prompt":
		f.input.set(&f.num, key, v, 3)
	case "gen_ai.usage.output_tokens":
		f.output.set(&f.num, key, v, 1)
	case "gen_ai.usage.completion_tokens":
		f.output.set(&f.num, key, v, 2)
	case "llm.token_count.completion":
		f.output.set(&f.num, key, v, 3)
	case "gen_ai.usage.cache_read.input_tokens":
		f.cacheRead.set(&f.num, key, v, 1)
	case "gen_ai.usage.cache_read_input_tokens":
		f.cacheRead.set(&f.num, key, v, 2)
	case "llm.token_count.prompt_details.cache_read", "llm.token_count.prompt_details.cache_input":
		f.cacheRead.set(&f.num, key, v, 3)
	case "gen_ai.usage.cache_write.input_tokens":
		f.cacheWrite.set(&f.num, key, v, 1)
	case "gen_ai.usage.cache_creation.input_tokens":
		f.cacheWrite.set(&f.num, key, v, 2)
	case "gen_ai.usage.cache_creation_input_tokens":
		f.cacheWrite.set(&f.num, key, v, 3)
	case "llm.token_count.prompt_details.cache_write":
		f.cacheWrite.set(&f.num, key, v, 4)
	case "gen_ai.usage.reasoning.output_tokens":
		f.reasoning.set(&f.num, key, v, 1)
	case "gen_ai.usage.reasoning_tokens":
		f.reasoning.set(&f.num, key, v, 2)
	case "llm.token_count.completion_details.reasoning":
		f.reasoning.set(&f.num, key, v, 3)
	case "gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total":
		f.total.set(&f.num, key, v, 1)
	case "gen_ai.usage.total_cost":
		f.setCost(key, v, 1)
	case "llm.cost.total":
		f.setCost(key, v, 2)
	}
}

func (f *fields) setCost(key string, v pcommon.Value, rank int) {
	if nanos := f.num.Nanos(key, v, 1); nanos != nil && (f.cost == nil || rank < f.costRank) {
		f.cost, f.costRank = nanos, rank
	}
}

// readString takes a string under any of its names.
func (f *fields) readString(key string, v pcommon.Value) {
	switch key {
	case "gen_ai.operation.name":
		f.operation.set(v, 1)
	case "llm.request.type":
		f.operation.set(v, 2)
	case "openinference.span.kind":
		f.spanKind.set(v, 1)
	case "traceloop.span.kind":
		f.spanKind.set(v, 2)
	case "gen_ai.provider.name":
		f.system.set(v, 1)
	case "gen_ai.system":
		f.system.set(v, 2)
	case "llm.provider":
		f.system.set(v, 3)
	case "llm.system":
		f.system.set(v, 4)
	case "gen_ai.request.model":
		f.requestModel.set(v, 1)
	case "llm.model_name":
		f.requestModel.set(v, 2)
	case "embedding.model_name":
		f.requestModel.set(v, 3)
	case "gen_ai.response.model":
		f.responseModel.set(v, 1)
	case "gen_ai.response.id":
		f.response.set(v, 1)
	case "gen_ai.conversation.id":
		f.thread.set(v, 1)
	case "traceloop.association.properties.conversation_id":
		f.thread.set(v, 2)
	case "traceloop.association.properties.session_id":
		f.thread.set(v, 3)
	case "traceloop.association.properties.thread_id":
		f.thread.set(v, 4)
	case "gen_ai.agent.name":
		f.agent.set(v, 1)
	case "gen_ai.response.service_tier", "gen_ai.openai.response.service_tier", "openai.response.service_tier":
		f.tier.set(v, 1)
	case "gen_ai.request.service_tier", "gen_ai.openai.request.service_tier", "openai.request.service_tier":
		f.tier.set(v, 2)
	case "gen_ai.response.finish_reasons":
		f.setFinish(v)
	case "gen_ai.response.time_to_first_chunk":
		f.ttft = f.num.Millis(key, v, 1000)
	case "error.type":
		f.errorType = record.Text(v)
	case "gen_ai.tool.type":
		f.toolType = record.Text(v)
	case "gen_ai.tool.name":
		f.toolName = record.Text(v)
	case "gen_ai.input.messages":
		f.quoted.asked = v
	case "gen_ai.output.messages":
		f.quoted.answered = v
	case "enduser.pseudo.id":
		if s := record.Text(v); s != "" && f.who.Actor.UserID == "" {
			f.who.Actor.UserID = s
		}
	}
}

// setFinish takes the first of the reasons.
func (f *fields) setFinish(v pcommon.Value) {
	if v.Type() == pcommon.ValueTypeSlice && v.Slice().Len() > 0 {
		v = v.Slice().At(0)
	}
	f.finish.set(v, 1)
}

// conversation is the id of the conversation, else of the session.
func (f *fields) conversation() string {
	if f.thread.value != "" && f.thread.rank == 1 || f.who.Session == "" {
		return f.thread.value
	}
	return f.who.Session
}

// rawID keeps the spans of a trace together, else what an actor does.
func (f *fields) rawID(trace string) string {
	if trace != "" {
		return trace
	}
	return f.who.RawID()
}

func (f *fields) hasTokens() bool { return f.input.value != nil || f.output.value != nil }

// mentions reports whether attributes are those of these conventions.
func mentions(attributes pcommon.Map) bool {
	for key := range attributes.All() {
		switch {
		case strings.HasPrefix(key, "gen_ai."), strings.HasPrefix(key, "llm."),
			key == "openinference.span.kind", key == "traceloop.span.kind":
			return true
		}
	}
	return false
}

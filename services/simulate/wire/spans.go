package wire

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/goodhartlabs/goodhart/services/simulate/traffic"
)

// Spans are the beta traces of Claude Code.
func Spans(items []traffic.Item) ptrace.Traces {
	out := ptrace.NewTraces()
	var spans ptrace.SpanSlice
	var session *traffic.Session
	runs(items, func(s *traffic.Session) {
		session = s
		rs := out.ResourceSpans().AppendEmpty()
		claudeResource(rs.Resource().Attributes(), s)
		ss := rs.ScopeSpans().AppendEmpty()
		ss.Scope().SetName("com.anthropic.claude_code.tracing")
		ss.Scope().SetVersion(s.Version)
		spans = ss.Spans()
	}, func(it *traffic.Item) {
		if it.Call != nil {
			llmRequest(spans.AppendEmpty(), session, it.Call)
			return
		}
		activitySpan(spans.AppendEmpty(), session, it.Activity)
	})
	return out
}

// activitySpan is a prompt or a tool's run, with the content of installations
// that opted in to it.
func activitySpan(span ptrace.Span, s *traffic.Session, a *traffic.Activity) {
	name, kind := "claude_code.tool", "tool"
	if a.Name == traffic.UserPrompt {
		name, kind = "claude_code.interaction", "interaction"
	}
	m := head(span, s, a.Span, name, a.At-a.DurationMs, a.At)
	claudeStandard(m, s)
	m.PutStr("span.type", kind)
	if a.Name == traffic.UserPrompt {
		m.PutStr("user_prompt", "please fix "+traffic.Mark)
		m.PutInt("user_prompt_length", a.Size)
		return
	}
	m.PutStr("tool_name", a.Tool)
	m.PutStr("file_path", "/home/jane/"+traffic.Mark+".go")
	m.PutInt("duration_ms", a.DurationMs)
}

// head fills what all spans have.
func head(span ptrace.Span, s *traffic.Session, id [8]byte, name string, start, end int64) pcommon.Map {
	span.SetTraceID(s.Trace)
	span.SetSpanID(id)
	span.SetName(name)
	span.SetKind(ptrace.SpanKindClient)
	span.SetStartTimestamp(stamp(start))
	span.SetEndTimestamp(stamp(end))
	m := span.Attributes()
	m.EnsureCapacity(28)
	return m
}

func llmRequest(span ptrace.Span, s *traffic.Session, c *traffic.Call) {
	m := head(span, s, c.Span, "claude_code.llm_request", c.End-c.DurationMs, c.End)
	claudeStandard(m, s)
	m.PutStr("span.type", "llm_request")
	m.PutStr("model", c.Model)
	m.PutStr("gen_ai.system", "anthropic")
	m.PutStr("gen_ai.request.model", c.Model)
	m.PutStr("query_source", c.Source)
	m.PutStr("speed", "normal")
	m.PutStr("llm_request.context", "interaction")
	m.PutInt("input_tokens", c.Input)
	m.PutInt("output_tokens", c.Output)
	m.PutInt("cache_read_tokens", c.CacheRead)
	m.PutInt("cache_creation_tokens", c.CacheWrite)
	m.PutInt("duration_ms", c.DurationMs)
	m.PutInt("ttft_ms", c.TTFTMs)
	m.PutStr("request_id", c.RequestID)
	m.PutStr("gen_ai.response.id", c.RequestID)
	m.PutInt("attempt", 1)
	m.PutBool("success", true)
	m.PutStr("stop_reason", "end_turn")
	m.PutStr("response.model_output", "I will now "+traffic.Mark)
	m.PutStr("new_context", traffic.Mark)
}

// GenAI are spans after the GenAI semantic conventions, as instrumented programs
// and gateways export them, in one of three generations.
func GenAI(items []traffic.Item) ptrace.Traces {
	out := ptrace.NewTraces()
	var spans ptrace.SpanSlice
	var session *traffic.Session
	runs(items, func(s *traffic.Session) {
		session = s
		rs := out.ResourceSpans().AppendEmpty()
		m := rs.Resource().Attributes()
		switch {
		case s.Service != nil:
			m.PutStr("service.name", s.Service.ID)
		case s.Gateway:
			m.PutStr("service.name", "llm-gateway")
		default:
			m.PutStr("service.name", "notebook")
		}
		m.PutStr("service.version", "3.4.0")
		m.PutStr("process.command_line", "/usr/bin/python3 "+traffic.Mark+".py")
		ss := rs.ScopeSpans().AppendEmpty()
		ss.Scope().SetName("opentelemetry.instrumentation." + s.Provider)
		spans = ss.Spans()
	}, func(it *traffic.Item) {
		inference(spans.AppendEmpty(), session, it)
	})
	return out
}

func inference(span ptrace.Span, s *traffic.Session, it *traffic.Item) {
	c := it.Call
	m := head(span, s, c.Span, "chat "+c.Model, c.End-c.DurationMs, c.End)
	k := dialects()[s.Dialect]
	m.PutStr(k.kind, k.inference)
	m.PutStr(k.provider, s.Provider)
	m.PutStr(k.model, c.Model)
	if s.Conversation {
		m.PutStr(k.conversation, s.ID)
	}
	if k.responseID != "" {
		m.PutStr(k.responseID, c.RequestID)
	}
	m.PutStr(k.content, `[{"role":"user","content":"`+traffic.Mark+`"}]`)
	if s.Person != nil {
		m.PutStr("user.email", s.Person.Email)
	}
	if c.Failed {
		span.Status().SetCode(ptrace.StatusCodeError)
		span.Status().SetMessage("upstream said " + traffic.Mark)
		m.PutStr("error.type", "timeout")
		return
	}
	input := c.Input + c.CacheRead + c.CacheWrite // these conventions include the cache
	if it.Fault == traffic.NegativeCount {
		input = -7
	}
	m.PutInt(k.input, input)
	m.PutInt(k.output, c.Output)
	for _, part := range []struct {
		key   string
		value int64
	}{{k.cacheRead, c.CacheRead}, {k.cacheWrite, c.CacheWrite}, {k.reasoning, c.Reasoning}} {
		if part.value > 0 || part.key == k.cacheRead && s.Conversation { // who knows a conversation counts its cache
			m.PutInt(part.key, part.value)
		}
	}
}

// dialect is one generation's names of the same things.
type dialect struct {
	kind, inference                                 string
	provider, model, conversation, responseID       string
	input, output, cacheRead, cacheWrite, reasoning string
	content                                         string
}

func dialects() [3]dialect {
	return [3]dialect{
		{ // the conventions of 2026
			kind: "gen_ai.operation.name", inference: "chat",
			provider: "gen_ai.provider.name", model: "gen_ai.request.model", conversation: "gen_ai.conversation.id",
			responseID: "gen_ai.response.id", input: "gen_ai.usage.input_tokens", output: "gen_ai.usage.output_tokens",
			cacheRead: "gen_ai.usage.cache_read.input_tokens", cacheWrite: "gen_ai.usage.cache_write.input_tokens",
			reasoning: "gen_ai.usage.reasoning.output_tokens", content: "gen_ai.input.messages",
		},
		{ // those of 2024, with the cache attributes of 2025
			kind: "llm.request.type", inference: "chat",
			provider: "gen_ai.system", model: "gen_ai.request.model", conversation: "gen_ai.conversation.id",
			responseID: "gen_ai.response.id", input: "gen_ai.usage.prompt_tokens", output: "gen_ai.usage.completion_tokens",
			cacheRead: "gen_ai.usage.cache_read.input_tokens", cacheWrite: "gen_ai.usage.cache_creation.input_tokens",
			reasoning: "gen_ai.usage.reasoning_tokens", content: "gen_ai.prompt",
		},
		{ // OpenInference
			kind: "openinference.span.kind", inference: "LLM",
			provider: "llm.provider", model: "llm.model_name", conversation: "session.id",
			input: "llm.token_count.prompt", output: "llm.token_count.completion",
			cacheRead: "llm.token_count.prompt_details.cache_read", cacheWrite: "llm.token_count.prompt_details.cache_write",
			reasoning: "llm.token_count.completion_details.reasoning", content: "input.value",
		},
	}
}

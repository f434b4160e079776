package wire

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/goodhartlabs/goodhart/services/simulate/traffic"
)

// Logs are the events that Claude Code exports as OTLP logs.
func Logs(items []traffic.Item) plog.Logs {
	out := plog.NewLogs()
	var records plog.LogRecordSlice
	var session *traffic.Session
	runs(items, func(s *traffic.Session) {
		session = s
		rl := out.ResourceLogs().AppendEmpty()
		claudeResource(rl.Resource().Attributes(), s)
		sl := rl.ScopeLogs().AppendEmpty()
		sl.Scope().SetName("com.anthropic.claude_code.events")
		sl.Scope().SetVersion(s.Version)
		records = sl.LogRecords()
	}, func(it *traffic.Item) {
		if it.Call != nil {
			apiRequest(records.AppendEmpty(), session, it)
			return
		}
		activityLog(records.AppendEmpty(), session, it.Activity)
	})
	return out
}

// event fills what all events have.
func event(r plog.LogRecord, s *traffic.Session, name string, at int64, seq uint64, prompt string) pcommon.Map {
	r.SetTimestamp(stamp(at))
	r.SetObservedTimestamp(stamp(at))
	r.Body().SetStr("claude_code." + name)
	m := r.Attributes()
	m.EnsureCapacity(24)
	claudeStandard(m, s)
	m.PutStr("event.name", name)
	m.PutStr("event.timestamp", iso(at))
	numbersOf(m, s).int("event.sequence", int64(seq))
	m.PutStr("prompt.id", prompt)
	return m
}

func apiRequest(r plog.LogRecord, s *traffic.Session, it *traffic.Item) {
	c := it.Call
	m := event(r, s, "api_request", c.End, c.Seq, c.PromptID)
	n := numbersOf(m, s)
	m.PutStr("model", c.Model)
	input := c.Input
	if it.Fault == traffic.NegativeCount {
		input = -7
	}
	n.int("input_tokens", input)
	n.int("output_tokens", c.Output)
	n.int("cache_read_tokens", c.CacheRead)
	n.int("cache_creation_tokens", c.CacheWrite)
	n.double("cost_usd", float64(c.CostMicros)/1e6)
	n.int("cost_usd_micros", c.CostMicros)
	n.int("duration_ms", c.DurationMs)
	m.PutStr("request_id", c.RequestID)
	m.PutStr("speed", "normal")
	m.PutStr("query_source", c.Source)
}

// activityLog writes an event that is not a request, with the content that
// installations with every opt-in would send.
func activityLog(r plog.LogRecord, s *traffic.Session, a *traffic.Activity) {
	m := event(r, s, a.Name, a.At, a.Seq, a.PromptID)
	n := numbersOf(m, s)
	switch a.Name {
	case traffic.UserPrompt:
		n.int("prompt_length", a.Size)
		m.PutStr("prompt", "please fix "+traffic.Mark+" in src/billing.go for jane@customer.example")
	case traffic.ToolDecision:
		m.PutStr("tool_name", a.Tool)
		m.PutStr("decision", choice(a.OK, "accept", "reject"))
		m.PutStr("source", choice(a.OK, "config", "user_reject"))
	case traffic.ToolResult:
		m.PutStr("tool_name", a.Tool)
		m.PutStr("success", choice(a.OK, "true", "false"))
		n.int("duration_ms", a.DurationMs)
		n.int("tool_result_size_bytes", a.Size)
		m.PutStr("tool_parameters", `{"bash_command":"cat","full_command":"cat /home/jane/`+traffic.Mark+`.txt","description":"`+traffic.Mark+`"}`)
		if !a.OK {
			m.PutStr("error", "no such file: /home/jane/"+traffic.Mark)
		}
	case traffic.APIError:
		m.PutStr("error", "overloaded: "+traffic.Mark)
		m.PutStr("status_code", "529")
		n.int("duration_ms", a.DurationMs)
		n.int("attempt", 1)
	case traffic.Compaction:
		m.PutStr("trigger", "auto")
		m.PutStr("success", "true")
		n.int("pre_tokens", a.Size)
		m.PutStr("summary", "we were "+traffic.Mark)
	}
}

func choice(ok bool, yes, no string) string {
	if ok {
		return yes
	}
	return no
}

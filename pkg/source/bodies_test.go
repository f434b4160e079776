package source_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/price"
)

var now = time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)

var stamper = sync.OnceValue(func() *event.Stamper {
	return event.NewStamper(event.Keyring{"acme": make([]byte, 32)}, price.Embedded(), nil)
})

func credential() *event.Credential { return &event.Credential{ID: "k1", Tenant: "acme"} }

type attrs map[string]any

// put sets attributes in a fixed order.
func (a attrs) put(tb testing.TB, m pcommon.Map) {
	tb.Helper()
	for _, key := range slices.Sorted(maps.Keys(a)) {
		if err := m.PutEmpty(key).FromRaw(a[key]); err != nil {
			tb.Fatal(err)
		}
	}
}

func (a attrs) with(key string, value any) attrs {
	b := maps.Clone(a)
	b[key] = value
	return b
}

func claudeResource() attrs {
	return attrs{"service.name": "claude-code", "service.version": "2.1.214", "os.type": "linux", "host.arch": "arm64"}
}

// claudeRequest are the attributes of an api_request as Claude Code sends them.
func claudeRequest(i int) attrs {
	return attrs{
		"event.name": "api_request", "event.timestamp": "2026-11-02T09:30:00.123Z", "event.sequence": i,
		"session.id": fmt.Sprintf("3f0c2a7e-1111-4222-8333-%012d", i/25), "prompt.id": fmt.Sprintf("9a0c2a7e-1111-4222-8333-%012d", i/5),
		"user.id": "0123456789abcdef0123456789abcdef", "user.email": "ada@example.com", "user.account_uuid": "a2f0c2a7-1111-4222-8333-944455556666",
		"organization.id": "b2f0c2a7-1111-4222-8333-944455556666", "terminal.type": "vscode", "model": "claude-opus-4-6",
		"input_tokens": 3, "output_tokens": 250, "cache_read_tokens": 11648, "cache_creation_tokens": 24205, "cost_usd": 0.163383,
		"duration_ms": 4120, "request_id": fmt.Sprintf("req_011CX%020d", i), "speed": "normal", "query_source": "repl_main_thread", "effort": "high",
	}
}

func toolResult(i int) attrs {
	return attrs{
		"event.name": "tool_result", "event.timestamp": "2026-11-02T09:30:00.123Z", "event.sequence": i,
		"session.id": fmt.Sprintf("3f0c2a7e-1111-4222-8333-%012d", i/25), "prompt.id": fmt.Sprintf("9a0c2a7e-1111-4222-8333-%012d", i/5),
		"user.id": "0123456789abcdef0123456789abcdef", "user.email": "ada@example.com", "user.account_uuid": "a2f0c2a7-1111-4222-8333-944455556666",
		"terminal.type": "vscode", "tool_name": "Bash", "success": "true", "duration_ms": 120, "tool_result_size_bytes": 100,
		"decision_source": "config", "decision_type": "accept", "tool_parameters": `{"full_command":"git status"}`,
	}
}

func genaiSpan() attrs {
	return attrs{
		"gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic", "gen_ai.request.model": "claude-sonnet-4-6",
		"gen_ai.response.model": "claude-sonnet-4-6", "gen_ai.response.id": "msg_01ABCDEFGHIJKLMNOP", "gen_ai.conversation.id": "conv-1",
		"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 200, "gen_ai.usage.cache_read.input_tokens": 600,
	}
}

const end = pcommon.Timestamp(1793611800000000000) // 2026-11-02T09:30:00Z

// logs is a body of one resource with the given records.
func logs(tb testing.TB, resource attrs, records ...attrs) plog.Logs {
	tb.Helper()
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	resource.put(tb, rl.Resource().Attributes())
	sl := rl.ScopeLogs().AppendEmpty()
	sl.Scope().SetName("com.anthropic.claude_code.events")
	for _, a := range records {
		r := sl.LogRecords().AppendEmpty()
		r.SetTimestamp(end)
		r.SetObservedTimestamp(end)
		r.Body().SetStr(fmt.Sprint("claude_code.", a["event.name"]))
		a.put(tb, r.Attributes())
	}
	return ld
}

func traces(tb testing.TB, scope, name string, resource attrs, spans ...attrs) ptrace.Traces {
	tb.Helper()
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	resource.put(tb, rs.Resource().Attributes())
	ss := rs.ScopeSpans().AppendEmpty()
	ss.Scope().SetName(scope)
	for i, a := range spans {
		s := ss.Spans().AppendEmpty()
		s.SetName(name)
		s.SetTraceID([16]byte{1})
		s.SetSpanID([8]byte{2, byte(i)})
		s.SetStartTimestamp(end - 2e9)
		s.SetEndTimestamp(end)
		a.put(tb, s.Attributes())
	}
	return td
}

func counters(tb testing.TB, scope, name string, resource attrs, points ...attrs) pmetric.Metrics {
	tb.Helper()
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	resource.put(tb, rm.Resource().Attributes())
	sm := rm.ScopeMetrics().AppendEmpty()
	sm.Scope().SetName(scope)
	m := sm.Metrics().AppendEmpty()
	m.SetName(name)
	sum := m.SetEmptySum()
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	for _, a := range points {
		p := sum.DataPoints().AppendEmpty()
		p.SetStartTimestamp(end - 60e9)
		p.SetTimestamp(end)
		p.SetIntValue(12)
		a.put(tb, p.Attributes())
	}
	return md
}

func marshal(tb testing.TB, v any) []byte {
	tb.Helper()
	var raw []byte
	var err error
	switch v := v.(type) {
	case plog.Logs:
		raw, err = (&plog.ProtoMarshaler{}).MarshalLogs(v)
	case ptrace.Traces:
		raw, err = (&ptrace.ProtoMarshaler{}).MarshalTraces(v)
	case pmetric.Metrics:
		raw, err = (&pmetric.ProtoMarshaler{}).MarshalMetrics(v)
	default:
		raw, err = json.Marshal(v)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

package collector

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// marker makes strings that are found again wherever they went.
type marker struct {
	// shape turns a mark into what a client might send: %s is the mark.
	shape string
	field map[string]string // mark → field it was put into
}

// put returns a new mark for a field.
func (m *marker) put(field string) string {
	mark := fmt.Sprintf("zqx%04dqz", len(m.field))
	m.field[mark] = field
	return fmt.Sprintf(m.shape, mark)
}

// all puts a mark into every string attribute that sources are known to send,
// and into some that nobody knows.
func (m *marker) all(signal string, a pcommon.Map, keys ...string) {
	for _, key := range slices.Concat(keys, []string{"custom.key", "enduser.name", "code.filepath", "http.url", "db.query.text"}) {
		if _, taken := a.Get(key); !taken {
			a.PutStr(key, m.quote(key, m.put(signal+" "+key)))
		}
	}
	a.PutStr(m.put(signal+" name of an attribute"), "x")
	nested := a.PutEmptyMap("custom.map")
	nested.PutStr("inner", m.put(signal+" nested"))
	a.PutEmptySlice("custom.list").AppendEmpty().SetStr(m.put(signal + " listed"))
	a.PutEmptyBytes("custom.bytes").FromRaw([]byte(m.put(signal + " bytes")))
}

// quote gives content the form in which the collector reads it, long enough for
// all that it makes of it.
func (m *marker) quote(key, text string) string {
	long := strings.Repeat(text+" ", 1000)
	switch key {
	case "prompt":
		return long
	case "gen_ai.input.messages":
		return fmt.Sprintf(`[{"role":"user","parts":[{"type":"text","content":%q}]}]`, long)
	case "gen_ai.output.messages":
		return fmt.Sprintf(`[{"role":"assistant","parts":[{"type":"tool_call","name":%q,"arguments":{"file_path":%q}}]}]`, text, text)
	}
	return text
}

func identityKeys() []string {
	return []string{
		"session.id", "user.id", "user.email", "user.account_uuid", "user.account_id", "organization.id",
		"enduser.id", "team", "user.groups", "identity.source", "host.name", "process.command_line", "process.owner",
	}
}

func claudeKeys() []string {
	return slices.Concat(identityKeys(), []string{
		"terminal.type", "app.version", "app.entrypoint", "prompt", "prompt.id", "request_id", "client_request_id",
		"model", "speed", "effort", "query_source", "agent.name", "skill.name", "plugin.name", "marketplace.name",
		"mcp_server.name", "mcp_tool.name", "tool_name", "tool_parameters", "tool_input", "tool_use_id", "decision",
		"source", "type", "start_type", "language", "error", "error_type", "error.type", "status", "response",
		"body", "message", "file_path", "bash_command", "command", "full_command", "mode", "from_mode", "to_mode",
		"trigger", "hook_name", "hook_event", "subagent_type", "stop_reason", "description", "cwd", "git.branch",
		"vcs.repository.url.full", "repository",
	})
}

func genAIKeys() []string {
	return slices.Concat(identityKeys(), []string{
		"gen_ai.request.model", "gen_ai.response.model", "gen_ai.response.id", "gen_ai.conversation.id",
		"gen_ai.provider.name", "gen_ai.system", "gen_ai.agent.name", "gen_ai.agent.id", "gen_ai.agent.description",
		"gen_ai.tool.name", "gen_ai.tool.call.id", "gen_ai.tool.call.arguments", "gen_ai.tool.call.result",
		"gen_ai.tool.description", "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions",
		"gen_ai.prompt", "gen_ai.completion", "gen_ai.prompt.0.content", "gen_ai.completion.0.content",
		"gen_ai.output.type", "gen_ai.request.stop_sequences", "gen_ai.data_source.id", "gen_ai.token.type",
		"gen_ai.response.finish_reasons", "gen_ai.request.service_tier", "gen_ai.openai.request.service_tier",
		"error.type", "server.address", "llm.model_name", "llm.request.type", "llm.input_messages",
		"llm.output_messages", "input.value", "output.value", "openinference.span.kind", "traceloop.span.kind",
		"traceloop.entity.name", "traceloop.entity.input", "traceloop.association.properties.user_id",
		"traceloop.workflow.name", "metadata", "tag.tags", "query_source", "turn",
	})
}

// markedLogs has one record of each of some event names; spoil makes all of
// them unusable.
func (m *marker) markedLogs(spoil bool) plog.Logs {
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.SetSchemaUrl(m.put("log schema url"))
	rl.Resource().Attributes().PutStr("service.name", "claude-code")
	m.all("log resource", rl.Resource().Attributes(), append(claudeKeys(), "service.version", "service.namespace")...)
	sl := rl.ScopeLogs().AppendEmpty()
	sl.Scope().SetName("com.anthropic.claude_code.events")
	sl.Scope().SetVersion(m.put("log scope version"))
	m.all("log scope", sl.Scope().Attributes())
	for _, name := range []string{"api_request", "api_error", "user_prompt", "tool_result", "tool_decision", "assistant_response", "api_request_body", "compaction", m.put("log unknown event")} {
		r := sl.LogRecords().AppendEmpty()
		r.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
		r.SetSeverityText(m.put("log severity"))
		r.Body().SetStr("claude_code." + name)
		r.Attributes().PutStr("event.name", name)
		for i, key := range []string{"input_tokens", "output_tokens", "duration_ms", "event.sequence"} {
			r.Attributes().PutInt(key, int64(i+1))
		}
		if spoil {
			r.SetTimestamp(pcommon.NewTimestampFromTime(time.Unix(1, 0)))
		}
		m.all("log", r.Attributes(), claudeKeys()...)
	}
	stranger := sl.LogRecords().AppendEmpty()
	stranger.Body().SetStr(m.put("log body"))
	m.all("log of nobody", stranger.Attributes(), claudeKeys()...)
	return ld
}

func (m *marker) markedTraces(spoil bool) ptrace.Traces {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	m.all("span resource", rs.Resource().Attributes(), append(genAIKeys(), "service.name", "service.version")...)
	ss := rs.ScopeSpans().AppendEmpty()
	ss.Scope().SetName(m.put("span scope"))
	ss.Scope().SetVersion(m.put("span scope version"))
	for i, operation := range []string{"chat", "execute_tool", "invoke_agent", m.put("span operation")} {
		s := ss.Spans().AppendEmpty()
		s.SetName(m.put("span name"))
		s.SetTraceID(pcommon.TraceID{9, byte(i)})
		s.SetSpanID(pcommon.SpanID{9, byte(i)})
		s.TraceState().FromRaw("a=" + m.put("span state"))
		s.Status().SetMessage(m.put("span status"))
		s.Status().SetCode(ptrace.StatusCodeError)
		s.SetStartTimestamp(pcommon.NewTimestampFromTime(time.Now().Add(-time.Second)))
		s.SetEndTimestamp(pcommon.NewTimestampFromTime(time.Now()))
		if spoil {
			s.SetStartTimestamp(pcommon.NewTimestampFromTime(time.Unix(1, 0)))
			s.SetEndTimestamp(pcommon.NewTimestampFromTime(time.Unix(2, 0)))
		}
		e := s.Events().AppendEmpty()
		e.SetName(m.put("span event"))
		m.all("span event", e.Attributes(), "exception.message", "exception.stacktrace", "gen_ai.prompt")
		m.all("span link", s.Links().AppendEmpty().Attributes())
		s.Attributes().PutStr("gen_ai.operation.name", operation)
		s.Attributes().PutInt("gen_ai.usage.input_tokens", 3)
		s.Attributes().PutInt("gen_ai.usage.output_tokens", 4)
		m.all("span", s.Attributes(), genAIKeys()...)
	}
	return td
}

func (m *marker) markedMetrics(spoil bool) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", "claude-code")
	m.all("metric resource", rm.Resource().Attributes(), append(claudeKeys(), "service.version")...)
	sm := rm.ScopeMetrics().AppendEmpty()
	sm.Scope().SetName("com.anthropic.claude_code")
	for _, name := range []string{"claude_code.token.usage", "claude_code.cost.usage", "claude_code.session.count", "claude_code.commit.count", "claude_code.code_edit_tool.decision", "gen_ai.client.inference.usage.input_tokens", m.put("metric name")} {
		x := sm.Metrics().AppendEmpty()
		x.SetName(name)
		x.SetUnit(m.put("metric unit"))
		x.SetDescription(m.put("metric description"))
		sum := x.SetEmptySum()
		sum.SetIsMonotonic(true)
		sum.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
		p := sum.DataPoints().AppendEmpty()
		p.SetIntValue(7)
		p.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
		if spoil {
			p.SetIntValue(-7)
		}
		if name == "claude_code.token.usage" {
			p.Attributes().PutStr("type", "input")
		}
		m.all("metric", p.Attributes(), claudeKeys()...)
		m.all("exemplar", p.Exemplars().AppendEmpty().FilteredAttributes())
	}
	return md
}

// markedEvents are CloudEvents with a mark in every member that takes a string.
func (m *marker) markedEvents(spoil bool) []byte {
	put := func(obj map[string]any, where string, keys ...string) map[string]any {
		for _, key := range append(keys, "unknown_member") {
			obj[key] = m.put(where + " " + key)
		}
		obj[m.put(where+" name of a member")] = 1
		return obj
	}
	person := func(where string) map[string]any {
		return put(map[string]any{}, where, "email", "login", "account_id", "user_id", "declared", "team")
	}
	envelope := func(kind string, data map[string]any) map[string]any {
		e := put(map[string]any{"specversion": "1.0", "type": kind, "time": time.Now().UTC().Format(time.RFC3339), "data": data},
			"cloudevent", "id", "source", "subject", "dataschema", "traceparent", "extension")
		if spoil {
			e["time"] = "1970-01-01T00:00:05Z"
		}
		return e
	}
	usage := put(map[string]any{
		"gen_ai.operation.name": "chat", "tokens": put(map[string]any{"output_total": 5}, "tokens"), "actor": person("actor"),
	}, "usage", "tool", "tool_version", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model", "gen_ai.response.id",
		"request_id", "gen_ai.conversation.id", "parent_conversation_id", "prompt_id", "repository", "query_source", "gen_ai.agent.name",
		"error.type", "finish_reason", "price_tier", "prompt", "completion", "gen_ai.input.messages")
	outcome := put(map[string]any{
		"kind": "pr_merged", "author": person("author"), "merged_by": person("merged_by"), "reviewers": []any{person("reviewer")},
		"subject":        put(map[string]any{"merge_sha": strings.Repeat("ab", 20)}, "subject", "host", "repo_id", "project", "pr_id", "pr_number", "issue_id", "env", "deployment_id"),
		"links":          put(map[string]any{"closes": []any{m.put("closes")}}, "links"),
		"evidence_of_ai": put(map[string]any{}, "evidence", "trailer", "label"),
	}, "outcome", "conclusion", "tool", "tool_version", "title", "description", "branch")
	raw, err := json.Marshal([]any{envelope("ai.usage.v1", usage), envelope("ai.outcome.v1", outcome), envelope(m.put("cloudevent type"), usage)})
	if err != nil {
		panic(err)
	}
	return raw
}

// passing lists the only fields whose values may reach Kafka, and only in the
// shape of a label.
func passing() []string {
	return []string{
		"log agent.name",
		"log error_type",
		"log model",
		"log query_source",
		"log resource service.version",
		"log stop_reason",
		"metric agent.name",
		"metric language",
		"metric model",
		"metric query_source",
		"metric resource service.version",
		"outcome conclusion",
		"outcome tool",
		"outcome tool_version",
		"span error.type",
		"span gen_ai.agent.name",
		"span gen_ai.provider.name",
		"span gen_ai.request.model",
		"span gen_ai.request.service_tier",
		"span gen_ai.response.finish_reasons",
		"span gen_ai.response.model",
		"span resource service.name",
		"span resource service.version",
		"subject env",
		"usage error.type",
		"usage finish_reason",
		"usage gen_ai.agent.name",
		"usage gen_ai.provider.name",
		"usage gen_ai.request.model",
		"usage gen_ai.response.model",
		"usage price_tier",
		"usage query_source",
		"usage tool",
		"usage tool_version",
	}
}

// TestMarks sends marks in everything that can hold one, in records that are
// accepted and in records that are not, and looks for them in every byte of every
// topic.
func TestMarks(t *testing.T) {
	for _, shape := range []struct{ name, format string }{
		{"label", "%s"}, {"address", "%s@acme.example"}, {"prose", "please fix %s in the code"}, {"unicode", "%s\u00e9"},
	} {
		t.Run(shape.name, func(t *testing.T) {
			r := start(t, nil)
			m := &marker{shape: shape.format, field: map[string]string{}}
			for _, spoil := range []bool{false, true} {
				m.send(t, r, spoil)
			}
			accepted, refused := len(r.events()), len(r.deadLetters())
			if accepted < 15 || refused < 15 {
				t.Errorf("%d events and %d dead letters: the test shows little", accepted, refused)
			}
			derived := 0
			for _, e := range r.events() {
				if u := e.GetUsage(); u.GetH64() != 0 && u.GetTargetH64() != 0 && u.GetKappaPpm() != 0 && u.GetNewTurnTokens() > 2000 {
					derived++
				}
				if slices.ContainsFunc(e.GetActivity().GetNumbers(), func(n *goodhartv1.Number) bool { return n.Key == event.KappaPPM }) {
					derived++
				}
			}
			if derived < 2 {
				t.Errorf("%d events with numbers made of content: want a request and a prompt at least", derived)
			}
			found := m.find(r)
			want := passing()
			if shape.name != "label" {
				want = nil
			}
			if diff := cmp.Diff(want, found); diff != "" {
				t.Errorf("fields whose values reached Kafka (-allowed +found):\n%s", diff)
			}
			if strings.Contains(r.log.String(), "zqx") {
				t.Errorf("the log quotes a client: %s", r.log)
			}
		})
	}
}

// With the switch off nothing is made of content.
func TestContentOff(t *testing.T) {
	r := start(t, func(c *Config) { c.Content = ContentOff })
	m := &marker{shape: "%s", field: map[string]string{}}
	m.send(t, r, false)
	n := 0
	for _, e := range r.events() {
		if u := e.GetUsage(); u != nil {
			n++
			if u.H64 != nil || u.TargetH64 != nil || u.KappaPpm != nil || u.NewTurnTokens != nil {
				t.Errorf("turn %v, target %v, ratio %v, tokens %v", u.H64, u.TargetH64, u.KappaPpm, u.NewTurnTokens)
			}
		}
		if slices.ContainsFunc(e.GetActivity().GetNumbers(), func(n *goodhartv1.Number) bool { return n.Key == event.KappaPPM }) {
			t.Errorf("%v", e.Activity)
		}
	}
	if n == 0 {
		t.Error("no usage")
	}
}

// send sends everything in every encoding.
func (m *marker) send(t *testing.T, r *rig, spoil bool) {
	t.Helper()
	type export interface {
		MarshalProto() ([]byte, error)
		MarshalJSON() ([]byte, error)
	}
	post := func(path string, e export) {
		t.Helper()
		for mediaType, marshal := range map[string]func() ([]byte, error){typeProtobuf: e.MarshalProto, typeJSON: e.MarshalJSON} {
			raw, err := marshal()
			if err != nil {
				t.Fatal(err)
			}
			res := r.post(call{
				path: path, contentType: mediaType, body: bytes.NewReader(raw),
				headers: map[string]string{"User-Agent": m.put("header User-Agent"), "Baggage": "a=" + m.put("header Baggage"), "X-Forwarded-For": m.put("header X-Forwarded-For")},
			})
			if res.code != http.StatusOK {
				t.Fatalf("%s: status %d: %s", path, res.code, res.body)
			}
			// A broken copy becomes one dead letter as a whole.
			if res := r.post(call{path: path, contentType: mediaType, body: bytes.NewReader(raw[:len(raw)-9])}); res.code != http.StatusBadRequest {
				t.Fatalf("%s cut short: status %d: %s", path, res.code, res.body)
			}
		}
	}
	post("/v1/logs", plogotlp.NewExportRequestFromLogs(m.markedLogs(spoil)))
	post("/v1/traces", ptraceotlp.NewExportRequestFromTraces(m.markedTraces(spoil)))
	post("/v1/metrics", pmetricotlp.NewExportRequestFromMetrics(m.markedMetrics(spoil)))
	res := r.post(call{path: eventsPath, secret: ciKey, contentType: typeBatch, body: bytes.NewReader(m.markedEvents(spoil))})
	if res.code/100 == 5 {
		t.Fatalf("events: status %d: %s", res.code, res.body)
	}
}

// find looks for marks in all topics and names the fields, sorted.
func (m *marker) find(r *rig) []string {
	var found []string
	for _, topic := range schemas.Topics() {
		for _, rec := range r.read(topic.Name) {
			raw := slices.Concat(rec.Key, []byte{0}, rec.Value)
			for _, h := range rec.Headers {
				raw = append(append(raw, h.Key...), h.Value...)
			}
			for at := bytes.Index(raw, []byte("zqx")); at >= 0; {
				found = append(found, m.field[string(raw[at:min(len(raw), at+9)])])
				next := bytes.Index(raw[at+1:], []byte("zqx"))
				if next < 0 {
					break
				}
				at += 1 + next
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

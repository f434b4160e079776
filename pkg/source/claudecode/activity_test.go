package claudecode_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/source/otlp"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// text spells an activity on one line: name number=value label=value.
func text(e *goodhartv1.Event) string {
	parts := []string{e.Activity.GetName()}
	for _, n := range e.Activity.GetNumbers() {
		raw, _ := json.Marshal(n.Value)
		parts = append(parts, n.Key+"="+string(raw))
	}
	for _, l := range e.Activity.GetLabels() {
		parts = append(parts, l.Key+"="+l.Value)
	}
	return strings.Join(parts, " ")
}

func TestActivities(t *testing.T) {
	for name, c := range map[string]struct {
		in   attrs
		want string
	}{
		"prompt": {
			attrs{"event.name": "user_prompt", "prompt_length": "42", "prompt": "secret", "command_name": "deploy-acme", "command_source": "custom"},
			"user_prompt prompt_length=42 command_source=custom",
		},
		"tool": {
			attrs{
				"event.name": "tool_result", "tool_name": "Bash", "success": "true", "duration_ms": 12, "error": "secret", "decision_source": "config",
				"tool_result_size_bytes": 7, "tool_input": "secret", "tool_parameters": `{"bash_command":"secret"}`, "secret_number": 5,
			},
			"tool_result duration_ms=12 tool_result_size_bytes=7 decision_source=config success=true tool_name=Bash",
		},
		"tool that writes": {
			attrs{"event.name": "tool_result", "tool_name": "Edit", "success": "true", "duration_ms": 12, "tool_result_size_bytes": 7},
			"tool_result duration_ms=12 side_effects=1 tool_result_size_bytes=7 success=true tool_name=Edit",
		},
		"tool that looks": {
			attrs{"event.name": "tool_result", "tool_name": "Read", "success": "true"}, "tool_result side_effects=0 success=true tool_name=Read",
		},
		"write that failed":      {attrs{"event.name": "tool_result", "tool_name": "Write", "success": false}, "tool_result side_effects=0 success=false tool_name=Write"},
		"write that may have":    {attrs{"event.name": "tool_result", "tool_name": "Write"}, "tool_result tool_name=Write"},
		"write through a server": {attrs{"event.name": "tool_result", "tool_name": "mcp__gh__create_pull_request", "success": true}, "tool_result side_effects=1 success=true tool_name=mcp"},
		"padded prompt": {
			attrs{"event.name": "user_prompt", "prompt": strings.Repeat("again and ", 1000), "prompt_length": 10000}, "user_prompt kappa_ppm=5800 prompt_length=10000",
		},
		"tool of a server":  {attrs{"event.name": "tool_decision", "tool_name": "mcp__acme_vault__read", "decision": "accept", "source": "hook"}, "tool_decision decision=accept source=hook tool_name=mcp"},
		"unheard-of values": {attrs{"event.name": "tool_decision", "tool_name": "AcmeSecret", "decision": "perhaps"}, "tool_decision decision=other tool_name=other"},
		"mode":              {attrs{"event.name": "permission_mode_changed", "from_mode": "plan", "to_mode": "acceptEdits", "trigger": "shift_tab"}, "permission_mode_changed from_mode=plan to_mode=acceptEdits trigger=shift_tab"},
		"body":              {attrs{"event.name": "api_request_body", "body": "secret", "body_ref": "/home/ada/x", "body_length": 100, "body_truncated": "true"}, "api_request_body body_length=100 body_truncated=true"},
		"connection":        {attrs{"event.name": "mcp_server_connection", "status": "failed", "server_name": "vault", "server_scope": "project", "error_code": "ECONN", "error": "secret"}, "mcp_server_connection error_code=ECONN server_scope=project status=failed"},
		"hook":              {attrs{"event.name": "hook_execution_complete", "hook_event": "PreToolUse", "hook_name": "PreToolUse:Acme", "num_hooks": "2", "num_blocking": "1"}, "hook_execution_complete num_blocking=1 num_hooks=2 hook_event=PreToolUse"},
		"compaction":        {attrs{"event.name": "compaction", "trigger": "auto", "success": true, "pre_tokens": 100, "post_tokens": 10, "summary": "secret"}, "compaction post_tokens=10 pre_tokens=100 success=true trigger=auto"},
		"skill":             {attrs{"event.name": "skill_activated", "skill.name": "secret", "invocation_trigger": "user-slash"}, "skill_activated invocation_trigger=user-slash"},
		"unknown event":     {attrs{"event.name": "brand_new", "duration_ms": 5, "success": "true"}, "other"},
		"no attributes":     {attrs{"event.name": "auth"}, "auth"},
	} {
		e := one(t, otlp.DecodeLogs, logBody(c.in.with(attrs{"session.id": session, "event.sequence": 1})))
		if got := text(e); got != c.want || e.Kind != goodhartv1.EventKind_EVENT_KIND_ACTIVITY {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	_, rejected := decode(t, otlp.DecodeLogs, logBody(attrs{"event.name": "user_prompt", "prompt_length": json.RawMessage(`{"doubleValue":"NaN"}`)}))
	if len(rejected) != 1 || rejected[0].Reason != event.ReasonBadNumber || rejected[0].Field != "prompt_length" {
		t.Errorf("NaN: %v", rejected)
	}
}

func TestCommitOfATool(t *testing.T) {
	sha := strings.Repeat("0aB1", 10)
	commit := func(parameters string) string {
		e := one(t, otlp.DecodeLogs, logBody(attrs{"event.name": "tool_result", "tool_name": "Bash", "tool_parameters": parameters}))
		_, hash, _ := strings.Cut(text(e), "commit_sha=")
		return hash
	}
	hash := commit(`{"full_command":"git commit -m secret","git_commit_id":"` + sha + `"}`)
	if len(hash) != 32 || hash == sha[:32] || hash != commit(`{"git_commit_id":"`+strings.ToLower(sha)+`"}`) {
		t.Errorf("commit %q", hash)
	}
	for _, bad := range []string{`{"git_commit_id":"0123456"}`, `{"git_commit_id":5}`, `{"git_commit_id"`, `{"x":"git_commit_id"}`, `{"git_commit_id":"` + strings.Repeat("x", 40) + `"}`} {
		if hash := commit(bad); hash != "" {
			t.Errorf("%s: commit %q", bad, hash)
		}
	}
}

func TestSpans(t *testing.T) {
	log := one(t, otlp.DecodeLogs, logBody(request()))
	a := attrs{
		"session.id": session, "model": "claude-opus-4-6", "gen_ai.system": "anthropic", "gen_ai.request.model": "claude-opus-4-6",
		"input_tokens": 3, "output_tokens": 250, "cache_read_tokens": 11648, "cache_creation_tokens": 24205, "duration_ms": 4120,
		"ttft_ms": 800, "request_id": "req_011CXabcdefghijklmnop", "attempt": 2, "success": true, "stop_reason": "end_turn",
		"response.model_output": "secret", "goodhart.h64": "00000000000000ff", "goodhart.kappa": 0.25, "goodhart.new_turn_tokens": 3,
	}
	e := one(t, otlp.DecodeTraces, spanBody("claude_code.llm_request", a))
	if string(e.RequestKey) != string(log.RequestKey) || e.Conversation != log.Conversation || string(e.EventId) == string(log.EventId) {
		t.Error("span and log do not announce one request")
	}
	u := e.Usage
	if u.GetInputUncachedTokens() != 3 || u.GetCostNanos() != log.Usage.GetCostNanos() || u.GetTtftMs() != 800 || u.GetAttempt() != 2 ||
		u.FinishReason != "end_turn" || u.GetH64() != 255 || u.GetKappaPpm() != 250_000 || u.GetNewTurnTokens() != 3 {
		t.Errorf("usage %v", u)
	}
	delete(a, "request_id")
	a["gen_ai.response.id"] = "req_011CXabcdefghijklmnop"
	if e := one(t, otlp.DecodeTraces, spanBody("claude_code.llm_request", a)); string(e.RequestKey) != string(log.RequestKey) {
		t.Error("the response id is not the request id")
	}
	failed := one(t, otlp.DecodeTraces, spanBody("claude_code.llm_request", attrs{"success": false, "status_code": 529, "error": "secret", "model": "claude-opus-4-6"}))
	if failed.Usage.Status != goodhartv1.Status_STATUS_ERROR || failed.Usage.ErrorType != "529" || failed.Usage.InputUncachedTokens != nil ||
		!slices.Contains(failed.Quality, goodhartv1.Quality_QUALITY_MISSING_REQUEST_ID) {
		t.Errorf("failed: %v", failed)
	}
	for name, want := range map[string]string{
		"claude_code.tool":        "span.tool duration_ms=5 tool_name=Read",
		"claude_code.interaction": "span.interaction",
		"claude_code.new_thing":   "span.other",
	} {
		e := one(t, otlp.DecodeTraces, spanBody(name, attrs{"duration_ms": 5, "tool_name": "Read", "file_path": "/secret"}))
		if got := text(e); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestMetrics(t *testing.T) {
	log := one(t, otlp.DecodeLogs, logBody(request()))
	point := func(metric, value string, a attrs) *goodhartv1.Event {
		return one(t, otlp.DecodeMetrics, metricBody(metric, delta, value, a.with(attrs{"session.id": session, "user.email": "ada@example.com"})))
	}
	const tokens, cost = "claude_code.token.usage", "claude_code.cost.usage"
	opus := attrs{"model": "claude-opus-4-6", "query_source": "main"}
	for kind, nanos := range map[string]int64{"input": 50_000, "output": 250_000, "cacheRead": 5_000, "cacheCreation": 62_500} {
		e := point(tokens, `"asDouble":10`, opus.with(attrs{"type": kind}))
		u := e.Usage
		sum := u.GetInputUncachedTokens() + u.GetOutputTokens() + u.GetCacheReadTokens() + u.GetCacheWriteTokens()
		if u.Granularity != goodhartv1.Granularity_GRANULARITY_DELTA || sum != 10 || u.GetCostNanos() != nanos ||
			e.Conversation != log.Conversation || len(e.RequestKey) != 0 {
			t.Errorf("%s: %v", kind, e)
		}
	}
	if u := point(cost, `"asDouble":0.1018777`, opus).Usage; u.GetReportedCostNanos() != 101_877_700 || u.CostNanos != nil ||
		u.CostBasis != goodhartv1.CostBasis_COST_BASIS_UNSPECIFIED {
		t.Errorf("cost of a priced model: %v", u)
	}
	if u := point(cost, `"asInt":"2"`, attrs{"model": "x-1"}).Usage; u.GetCostNanos() != 2e9 || u.CostBasis != goodhartv1.CostBasis_COST_BASIS_REPORTED {
		t.Errorf("cost of an unpriced model: %v", u)
	}
	for metric, want := range map[string]string{
		"claude_code.commit.count":        "commit.count value=2",
		"claude_code.pull_request.count":  "pull_request.count value=2",
		"claude_code.lines_of_code.count": "lines_of_code.count value=2 type=added",
		"claude_code.session.count":       "session.count value=2",
		"claude_code.new.metric":          "other value=2",
	} {
		if got := text(point(metric, `"asInt":"2"`, attrs{"type": "added"})); got != want {
			t.Errorf("%s: %s, want %s", metric, got, want)
		}
	}
	a := point(tokens, `"asDouble":10`, opus.with(attrs{"type": "input"}))
	b := point(tokens, `"asDouble":11`, opus.with(attrs{"type": "input"}))
	c := point(tokens, `"asDouble":10`, opus.with(attrs{"type": "output"}))
	if string(a.EventId) != string(b.EventId) || string(a.EventId) == string(c.EventId) {
		t.Error("a point is its series and its time")
	}
}

func TestBadPoints(t *testing.T) {
	input := attrs{"type": "input", "model": "claude-opus-4-6"}
	for name, c := range map[string]struct {
		body, reason, field string
	}{
		"cumulative":          {metricBody("claude_code.token.usage", `"aggregationTemporality":2,`, `"asInt":"1"`, input), event.ReasonTemporality, "aggregationTemporality"},
		"no temporality":      {metricBody("claude_code.token.usage", ``, `"asInt":"1"`, input), event.ReasonTemporality, "aggregationTemporality"},
		"counter since start": {metricBody("claude_code.commit.count", `"aggregationTemporality":2,`, `"asInt":"1"`, input), event.ReasonTemporality, "aggregationTemporality"},
		"negative":            {metricBody("claude_code.token.usage", delta, `"asInt":"-1"`, input), event.ReasonBadNumber, "value"},
		"fraction":            {metricBody("claude_code.token.usage", delta, `"asDouble":1.5`, input), event.ReasonBadNumber, "value"},
		"NaN":                 {metricBody("claude_code.cost.usage", delta, `"asDouble":"NaN"`, input), event.ReasonBadNumber, "value"},
		"no value":            {metricBody("claude_code.token.usage", delta, `"flags":1`, input), event.ReasonMissing, "value"},
		"no type":             {metricBody("claude_code.token.usage", delta, `"asInt":"1"`, attrs{}), event.ReasonBadValue, "type"},
		"gauge":               {strings.Replace(metricBody("claude_code.token.usage", "", `"asInt":"1"`, input), `"sum"`, `"gauge"`, 1), event.ReasonTemporality, "aggregationTemporality"},
	} {
		events, rejected := decode(t, otlp.DecodeMetrics, c.body)
		if len(events) != 0 || len(rejected) != 1 || rejected[0].Reason != c.reason || rejected[0].Field != c.field ||
			rejected[0].Path != "resourceMetrics[0].scopeMetrics[0].metrics[0].dataPoints[0]" {
			t.Errorf("%s: %d events, rejected %v", name, len(events), rejected)
		}
	}
}

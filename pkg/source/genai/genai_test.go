package genai_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/price"
	"github.com/goodhartlabs/goodhart/pkg/source/otlp"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

var now = time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)

type attrs map[string]any

func (a attrs) put(t *testing.T, m pcommon.Map) {
	t.Helper()
	for key, value := range a {
		if list, ok := value.([]string); ok {
			s := m.PutEmptySlice(key)
			for _, v := range list {
				s.AppendEmpty().SetStr(v)
			}
			continue
		}
		if err := m.PutEmpty(key).FromRaw(value); err != nil {
			t.Fatal(err)
		}
	}
}

// span decodes one span of an instrumented service.
func span(t *testing.T, a attrs, change ...func(ptrace.Span)) ([]*goodhartv1.Event, []event.Rejection) {
	t.Helper()
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "checkout")
	s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	s.SetName("chat gpt")
	s.SetTraceID([16]byte{1})
	s.SetSpanID([8]byte{2})
	s.SetStartTimestamp(pcommon.NewTimestampFromTime(now.Add(-3 * time.Second)))
	s.SetEndTimestamp(pcommon.NewTimestampFromTime(now.Add(-time.Second)))
	a.put(t, s.Attributes())
	for _, c := range change {
		c(s)
	}
	return stamp(otlp.FromTraces(td))
}

func stamp(drafts []event.Draft, rejected []event.Rejection) ([]*goodhartv1.Event, []event.Rejection) {
	s := event.NewStamper(event.Keyring{"acme": make([]byte, 32)}, price.Embedded(), nil)
	var events []*goodhartv1.Event
	for i := range drafts {
		if _, rej := s.Stamp(&drafts[i], &event.Credential{ID: "k", Tenant: "acme"}, now); rej != nil {
			rejected = append(rejected, *rej)
			continue
		}
		events = append(events, drafts[i].Event)
	}
	return events, rejected
}

func one(t *testing.T, events []*goodhartv1.Event, rejected []event.Rejection) *goodhartv1.Event {
	t.Helper()
	if len(events) != 1 || len(rejected) != 0 {
		t.Fatalf("%d events, rejected %v", len(events), rejected)
	}
	return events[0]
}

// The same request in every generation of the conventions.
func TestGenerations(t *testing.T) {
	generations := map[string]attrs{
		"v1.42": {
			"gen_ai.operation.name": "chat", "gen_ai.provider.name": "gcp.vertex_ai", "gen_ai.request.model": "claude-opus-4-6",
			"gen_ai.response.model": "claude-opus-4-6@20260205", "gen_ai.response.id": "msg_01abcdefghijklmnop", "gen_ai.conversation.id": "c-1",
			"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 200, "gen_ai.usage.cache_read.input_tokens": 600,
			"gen_ai.usage.cache_write.input_tokens": 100, "gen_ai.usage.reasoning.output_tokens": 50,
			"gen_ai.response.finish_reasons": []string{"stop", "length"},
		},
		"v1.40": {
			"gen_ai.operation.name": "chat", "gen_ai.provider.name": "gcp.vertex_ai", "gen_ai.request.model": "claude-opus-4-6",
			"gen_ai.response.model": "claude-opus-4-6@20260205", "gen_ai.response.id": "msg_01abcdefghijklmnop", "gen_ai.conversation.id": "c-1",
			"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 200, "gen_ai.usage.cache_read.input_tokens": 600,
			"gen_ai.usage.cache_creation.input_tokens": 100, "gen_ai.usage.reasoning_tokens": 50,
			"gen_ai.response.finish_reasons": []string{"stop"},
		},
		"v1.26": {
			"llm.request.type": "chat", "gen_ai.system": "vertex_ai", "gen_ai.request.model": "claude-opus-4-6",
			"gen_ai.response.model": "claude-opus-4-6@20260205", "gen_ai.response.id": "msg_01abcdefghijklmnop",
			"traceloop.association.properties.session_id": "c-1", "traceloop.span.kind": "task",
			"gen_ai.usage.prompt_tokens": "1000", "gen_ai.usage.completion_tokens": "200", "llm.usage.total_tokens": 1200,
			"gen_ai.usage.cache_read_input_tokens": 600, "gen_ai.usage.cache_creation_input_tokens": 100, "gen_ai.usage.reasoning_tokens": 50,
			"gen_ai.response.finish_reasons": "stop",
		},
		"OpenInference": {
			"openinference.span.kind": "LLM", "llm.provider": "vertexai", "llm.model_name": "claude-opus-4-6", "session.id": "c-1",
			"gen_ai.response.model": "claude-opus-4-6@20260205", "gen_ai.response.id": "msg_01abcdefghijklmnop",
			"llm.token_count.prompt": 1000, "llm.token_count.completion": 200, "llm.token_count.total": 1200,
			"llm.token_count.prompt_details.cache_read": 600, "llm.token_count.prompt_details.cache_write": 100,
			"llm.token_count.completion_details.reasoning": 50, "gen_ai.response.finish_reasons": "stop",
		},
	}
	want := `operation_name:"chat" provider_name:"gcp.vertex_ai" request_model:"claude-opus-4-6" ` +
		`response_model:"claude-opus-4-6-20260205" model:"claude-opus-4-6" input_uncached_tokens:300 cache_read_tokens:600 ` +
		`cache_write_tokens:100 output_tokens:200 reasoning_tokens:50 cost_nanos:7425000 cost_basis:COST_BASIS_ESTIMATED ` +
		`price_version:"2026-11-01" price_tier:"standard" duration_ms:2000 status:STATUS_OK finish_reason:"stop" granularity:GRANULARITY_REQUEST`
	var ids []string
	for name, a := range generations {
		events, rejected := span(t, a)
		e := one(t, events, rejected)
		if diff := cmp.Diff(want, strings.ReplaceAll(e.Usage.String(), "  ", " ")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if slices.Contains(e.Quality, goodhartv1.Quality_QUALITY_TOTAL_MISMATCH) || e.Conversation == "" || e.Tool != "checkout" {
			t.Errorf("%s: %v", name, e)
		}
		ids = append(ids, fmt.Sprintf("%x %x %s", e.EventId, e.RequestKey, e.Conversation))
	}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 1 {
		t.Errorf("one request has several ids: %v", ids)
	}
}

func TestOperations(t *testing.T) {
	for name, c := range map[string]struct {
		in   attrs
		want string // usage, an activity, or a reason
	}{
		"chat":             {attrs{"gen_ai.operation.name": "chat"}, "usage chat"},
		"text":             {attrs{"gen_ai.operation.name": "text_completion"}, "usage text_completion"},
		"content":          {attrs{"gen_ai.operation.name": "generate_content"}, "usage generate_content"},
		"embeddings":       {attrs{"gen_ai.operation.name": "embeddings"}, "usage embeddings"},
		"embedding":        {attrs{"openinference.span.kind": "EMBEDDING"}, "usage embeddings"},
		"rerank":           {attrs{"llm.request.type": "rerank"}, "usage rerank"},
		"agent":            {attrs{"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 9}, "invoke_agent"},
		"agent, otherwise": {attrs{"openinference.span.kind": "AGENT", "llm.token_count.prompt": 9}, "invoke_agent"},
		"tool":             {attrs{"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "secret", "gen_ai.tool.type": "function"}, "execute_tool"},
		"workflow":         {attrs{"traceloop.span.kind": "workflow", "gen_ai.usage.input_tokens": 9}, "invoke_workflow"},
		"fetch":            {attrs{"gen_ai.operation.name": "fetch_response", "gen_ai.usage.input_tokens": 9}, "fetch_response"},
		"old client":       {attrs{"gen_ai.system": "openai", "gen_ai.request.model": "m", "gen_ai.usage.prompt_tokens": 9}, "usage "},
		"new operation":    {attrs{"gen_ai.operation.name": "dream"}, "other"},
		"new and counting": {attrs{"gen_ai.operation.name": "dream", "gen_ai.usage.input_tokens": 9}, event.ReasonUnknownRecord},
		"counts alone":     {attrs{"gen_ai.usage.input_tokens": 9}, event.ReasonUnknownRecord},
		"negative":         {attrs{"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": -9}, event.ReasonBadNumber},
		"not AI":           {attrs{"http.method": "GET"}, event.ReasonNotAI},
		"another tool":     {attrs{"github.copilot.cost": 1}, event.ReasonUnknownRecord},
	} {
		events, rejected := span(t, c.in)
		got := "nothing"
		switch {
		case len(rejected) == 1:
			got = rejected[0].Reason
		case len(events) == 1 && events[0].Usage != nil:
			got = "usage " + events[0].Usage.OperationName
		case len(events) == 1:
			got = events[0].Activity.Name
		}
		if got != c.want || len(events)+len(rejected) != 1 {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestProviders(t *testing.T) {
	for in, want := range map[string]string{
		"az.ai.openai": "azure.ai.openai", "az.ai.inference": "azure.ai.inference", "xai": "x_ai", "vertex_ai": "gcp.vertex_ai",
		"gemini": "gcp.gemini", "Anthropic": "anthropic", "OpenAI": "openai", "aws.bedrock": "aws.bedrock", "own thing": event.Other,
	} {
		events, rejected := span(t, attrs{"gen_ai.operation.name": "chat", "gen_ai.system": in})
		if got := one(t, events, rejected).Usage.ProviderName; got != want {
			t.Errorf("%s is %s, want %s", in, got, want)
		}
	}
	events, rejected := span(t, attrs{"gen_ai.operation.name": "chat", "gen_ai.system": "vertex_ai", "gen_ai.provider.name": "anthropic"})
	if got := one(t, events, rejected).Usage.ProviderName; got != "anthropic" {
		t.Errorf("the older name wins: %s", got)
	}
}

func TestTokenTotals(t *testing.T) {
	for name, c := range map[string]struct {
		in       attrs
		uncached int64
		mismatch bool
	}{
		"parts within":   {attrs{"gen_ai.usage.input_tokens": 100, "gen_ai.usage.cache_read.input_tokens": 90}, 10, false},
		"parts beyond":   {attrs{"gen_ai.usage.input_tokens": 5, "gen_ai.usage.cache_read.input_tokens": 90}, 0, true},
		"total agrees":   {attrs{"gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 6, "gen_ai.usage.total_tokens": 11}, 5, false},
		"total differs":  {attrs{"gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 6, "gen_ai.usage.total_tokens": 12}, 5, true},
		"much reasoning": {attrs{"gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 6, "gen_ai.usage.reasoning_tokens": 7}, 5, true},
	} {
		c.in["gen_ai.operation.name"] = "chat"
		events, rejected := span(t, c.in)
		e := one(t, events, rejected)
		if got := slices.Contains(e.Quality, goodhartv1.Quality_QUALITY_TOTAL_MISMATCH); got != c.mismatch || e.Usage.GetInputUncachedTokens() != c.uncached {
			t.Errorf("%s: mismatch %v, uncached %d", name, got, e.Usage.GetInputUncachedTokens())
		}
	}
	events, rejected := span(t, attrs{"gen_ai.operation.name": "chat", "error.type": "timeout"}, func(s ptrace.Span) {
		s.Status().SetCode(ptrace.StatusCodeError)
		s.Status().SetMessage("secret")
	})
	u := one(t, events, rejected).Usage
	if u.Status != goodhartv1.Status_STATUS_ERROR || u.ErrorType != "timeout" || u.InputUncachedTokens != nil || u.CostNanos != nil {
		t.Errorf("failed request: %v", u)
	}
	events, rejected = span(t, attrs{"gen_ai.operation.name": "chat", "gen_ai.usage.total_cost": "0.25", "llm.cost.total": 9.0})
	if u := one(t, events, rejected).Usage; u.GetReportedCostNanos() != 250_000_000 {
		t.Errorf("cost %d", u.GetReportedCostNanos())
	}
}

// inferenceLog decodes the event that repeats a span.
func inferenceLog(t *testing.T, name string, a attrs) ([]*goodhartv1.Event, []event.Rejection) {
	t.Helper()
	ld := plog.NewLogs()
	r := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	r.SetEventName(name)
	r.SetTraceID([16]byte{1})
	r.SetSpanID([8]byte{2})
	r.SetTimestamp(pcommon.NewTimestampFromTime(now))
	r.Body().SetStr("secret")
	a.put(t, r.Attributes())
	return stamp(otlp.FromLogs(ld))
}

func TestEventAndSpanShareTheRequest(t *testing.T) {
	const name = "gen_ai.client.inference.operation.details"
	for id, flagged := range map[string]bool{"chatcmpl-AbCdEfGhIjKlMn": false, "chatcmpl-7": true, "": true} {
		a := attrs{
			"gen_ai.operation.name": "chat", "gen_ai.response.id": id, "gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 6,
			"gen_ai.input.messages": "secret",
		}
		events, rejected := span(t, a)
		s := one(t, events, rejected)
		events, rejected = inferenceLog(t, name, a)
		l := one(t, events, rejected)
		if string(s.RequestKey) != string(l.RequestKey) || len(s.RequestKey) == 0 || string(s.EventId) == string(l.EventId) {
			t.Errorf("%q: request %x and %x", id, s.RequestKey, l.RequestKey)
		}
		if slices.Contains(s.Quality, goodhartv1.Quality_QUALITY_MISSING_REQUEST_ID) != flagged {
			t.Errorf("%q: %v", id, s.Quality)
		}
	}
	// A response id of three digits is not the same request twice.
	other := func(s ptrace.Span) { s.SetSpanID([8]byte{3}) }
	a := attrs{"gen_ai.operation.name": "chat", "gen_ai.response.id": "chatcmpl-7"}
	first, _ := span(t, a)
	second, _ := span(t, a, other)
	if string(first[0].RequestKey) == string(second[0].RequestKey) {
		t.Error("two requests became one")
	}
	events, rejected := inferenceLog(t, "gen_ai.user.message", attrs{"content": "secret"})
	if e := one(t, events, rejected); e.Activity.GetName() != "gen_ai.user.message" || len(e.Activity.Numbers)+len(e.Activity.Labels) != 0 {
		t.Errorf("message: %v", e)
	}
	if _, rejected := span(t, a, func(s ptrace.Span) { s.SetTraceID([16]byte{}) }); len(rejected) != 1 || rejected[0].Reason != event.ReasonMissing {
		t.Errorf("no ids: %v", rejected)
	}
}

// metric decodes one point.
func metric(t *testing.T, name string, temporality pmetric.AggregationTemporality, a attrs) ([]*goodhartv1.Event, []event.Rejection) {
	t.Helper()
	md := pmetric.NewMetrics()
	m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName(name)
	var p interface {
		SetTimestamp(pcommon.Timestamp)
		Attributes() pcommon.Map
	}
	if strings.Contains(name, "usage.input_tokens") {
		sum := m.SetEmptySum()
		sum.SetAggregationTemporality(temporality)
		number := sum.DataPoints().AppendEmpty()
		number.SetIntValue(70)
		p = number
	} else {
		h := m.SetEmptyHistogram()
		h.SetAggregationTemporality(temporality)
		point := h.DataPoints().AppendEmpty()
		point.SetCount(2)
		point.SetSum(70)
		p = point
	}
	p.SetTimestamp(pcommon.NewTimestampFromTime(now))
	a.put(t, p.Attributes())
	return stamp(otlp.FromMetrics(md))
}

func TestMetrics(t *testing.T) {
	const (
		delta      = pmetric.AggregationTemporalityDelta
		cumulative = pmetric.AggregationTemporalityCumulative
	)
	opus := attrs{"gen_ai.request.model": "claude-opus-4-6", "gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic", "gen_ai.token.type": "output"}
	events, rejected := metric(t, "gen_ai.client.token.usage", delta, opus)
	u := one(t, events, rejected).Usage
	if u.GetOutputTokens() != 70 || u.InputUncachedTokens != nil || u.GetCostNanos() != 70*25_000 ||
		u.Granularity != goodhartv1.Granularity_GRANULARITY_DELTA || u.OperationName != "chat" {
		t.Errorf("histogram: %v", u)
	}
	events, rejected = metric(t, "gen_ai.client.inference.usage.input_tokens", delta, opus)
	if u := one(t, events, rejected).Usage; u.GetInputUncachedTokens() != 70 || u.OutputTokens != nil {
		t.Errorf("counter: %v", u)
	}
	for _, part := range []string{
		"gen_ai.client.inference.usage.cache_read.input_tokens", "gen_ai.client.inference.usage.reasoning.output_tokens",
		"gen_ai.client.inference.operation.output_tokens", "gen_ai.client.operation.duration",
	} {
		events, rejected = metric(t, part, delta, opus)
		e := one(t, events, rejected)
		raw, _ := json.Marshal(e.Activity.GetNumbers())
		if e.Usage != nil || e.Activity.GetName() != part || !strings.Contains(string(raw), "70") {
			t.Errorf("%s: %v", part, e)
		}
	}
	for name, c := range map[string]struct {
		metric      string
		temporality pmetric.AggregationTemporality
		a           attrs
		reason      string
	}{
		"cumulative":     {"gen_ai.client.token.usage", cumulative, opus, event.ReasonTemporality},
		"no temporality": {"gen_ai.client.token.usage", pmetric.AggregationTemporalityUnspecified, opus, event.ReasonTemporality},
		"no type":        {"gen_ai.client.token.usage", delta, attrs{}, event.ReasonBadValue},
		"not AI":         {"http.server.duration", delta, attrs{}, event.ReasonNotAI},
		"another tool":   {"copilot_chat.edit.acceptance.count", delta, attrs{}, event.ReasonUnknownRecord},
	} {
		if events, rejected := metric(t, c.metric, c.temporality, c.a); len(events) != 0 || len(rejected) != 1 || rejected[0].Reason != c.reason {
			t.Errorf("%s: %d events, rejected %v", name, len(events), rejected)
		}
	}
}

// What places a request among others has attributes of the conventions, or ours.
func TestPlaceOfARequest(t *testing.T) {
	a := attrs{
		"gen_ai.operation.name": "chat", "gen_ai.conversation.id": "child", "gen_ai.usage.output_tokens": 6,
		"goodhart.parent_conversation_id": "parent", "goodhart.sequence": 7, "vcs.repository.url.full": "https://git.example/acme/api.git",
	}
	events, rejected := span(t, a)
	e := one(t, events, rejected)
	parent := one(t, first(span(t, attrs{"gen_ai.operation.name": "chat", "gen_ai.conversation.id": "parent"})), nil)
	if e.ParentConversation != parent.Conversation || e.ParentConversation == "" || e.GetSequence() != 7 || len(e.Repository) != 32 {
		t.Errorf("parent %q of %q, sequence %d, repository %q", e.ParentConversation, parent.Conversation, e.GetSequence(), e.Repository)
	}
	delete(a, "vcs.repository.url.full")
	events, rejected = span(t, a)
	if e := one(t, events, rejected); e.Repository != "" {
		t.Errorf("repository %q where none is named", e.Repository)
	}
}

func first(events []*goodhartv1.Event, _ []event.Rejection) []*goodhartv1.Event { return events }

// A tool that ran says by its name what it left behind.
func TestToolSpans(t *testing.T) {
	fail := func(s ptrace.Span) { s.Status().SetCode(ptrace.StatusCodeError) }
	for name, c := range map[string]struct {
		tool   string
		change []func(ptrace.Span)
		want   []float64
	}{
		"writes": {"write_file", nil, []float64{1}}, "fails": {"write_file", []func(ptrace.Span){fail}, []float64{0}},
		"looks": {"read_file", nil, []float64{0}}, "may do anything": {"run_shell_command", nil, nil},
	} {
		events, rejected := span(t, attrs{"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": c.tool}, c.change...)
		var got []float64
		for _, n := range one(t, events, rejected).Activity.Numbers {
			if n.Key == event.SideEffects {
				got = append(got, n.Value)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

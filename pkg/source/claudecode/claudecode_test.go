package claudecode_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/price"
	"github.com/goodhartlabs/goodhart/pkg/source/otlp"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

var now = time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)

const (
	nanos   = "1793611800000000000" // 2026-11-02T09:30:00Z
	session = "3f0c2a7e-1111-4222-8333-944455556666"
)

type attrs map[string]any

// list spells attributes in OTLP's JSON; a json.RawMessage is a whole value.
func (a attrs) list() string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(a)) {
		var value string
		switch v := a[key].(type) {
		case string:
			raw, _ := json.Marshal(v)
			value = `{"stringValue":` + string(raw) + `}`
		case int:
			value = fmt.Sprintf(`{"intValue":"%d"}`, v)
		case float64:
			value = fmt.Sprintf(`{"doubleValue":%v}`, v)
		case bool:
			value = fmt.Sprintf(`{"boolValue":%v}`, v)
		case json.RawMessage:
			value = string(v)
		}
		parts = append(parts, fmt.Sprintf(`{"key":%q,"value":%s}`, key, value))
	}
	return "[" + strings.Join(parts, ",") + "]"
}

func (a attrs) with(more attrs) attrs {
	b := maps.Clone(a)
	maps.Copy(b, more)
	return b
}

const resource = `"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"claude-code"}},{"key":"service.version","value":{"stringValue":"2.1.214"}}]}`

func logBody(a attrs) string {
	return `{"resourceLogs":[{` + resource + `,"scopeLogs":[{"scope":{"name":"com.anthropic.claude_code.events"},"logRecords":[
		{"timeUnixNano":"` + nanos + `","body":{"stringValue":"claude_code.x"},"attributes":` + a.list() + `}]}]}]}`
}

func spanBody(name string, a attrs) string {
	return `{"resourceSpans":[{` + resource + `,"scopeSpans":[{"scope":{"name":"com.anthropic.claude_code.tracing"},"spans":[
		{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"` + name + `",
		 "startTimeUnixNano":"1793611798000000000","endTimeUnixNano":"` + nanos + `","attributes":` + a.list() + `}]}]}]}`
}

func metricBody(name, temporality, point string, a attrs) string {
	return `{"resourceMetrics":[{` + resource + `,"scopeMetrics":[{"scope":{"name":"com.anthropic.claude_code"},"metrics":[
		{"name":"` + name + `","sum":{` + temporality + `"isMonotonic":true,"dataPoints":[
		{"startTimeUnixNano":"1793611740000000000","timeUnixNano":"` + nanos + `",` + point + `,"attributes":` + a.list() + `}]}}]}]}]}`
}

const delta = `"aggregationTemporality":1,`

// decode stamps what a body brings.
func decode(t *testing.T, f func(string, []byte) ([]event.Draft, []event.Rejection, error), body string) ([]*goodhartv1.Event, []event.Rejection) {
	t.Helper()
	drafts, rejected, err := f(otlp.JSON, []byte(body))
	if err != nil {
		t.Fatalf("%v in %s", err, body)
	}
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

func one(t *testing.T, f func(string, []byte) ([]event.Draft, []event.Rejection, error), body string) *goodhartv1.Event {
	t.Helper()
	events, rejected := decode(t, f, body)
	if len(events) != 1 || len(rejected) != 0 {
		t.Fatalf("%d events, rejected %v", len(events), rejected)
	}
	return events[0]
}

func request() attrs {
	return attrs{
		"event.name": "api_request", "event.timestamp": "2026-11-02T09:30:00.000Z", "event.sequence": 93,
		"session.id": session, "prompt.id": "p-1", "user.id": "install-1", "user.email": "ada@example.com",
		"user.account_uuid": "acc-1", "terminal.type": "vscode",
		"model": "claude-opus-4-6[1m]", "input_tokens": 3, "output_tokens": 250, "cache_read_tokens": 11648,
		"cache_creation_tokens": 24205, "cost_usd": 0.163383, "duration_ms": 4120, "request_id": "req_011CXabcdefghijklmnop",
		"client_request_id": "c-1", "speed": "normal", "query_source": "repl_main_thread", "agent.name": "Explore", "effort": "high",
	}
}

func TestAPIRequest(t *testing.T) {
	e := one(t, otlp.DecodeLogs, logBody(request()))
	u := e.Usage
	got := []any{
		e.Kind, e.Source, e.Signal, e.TimeMs, e.Tool, e.ToolVersion, e.GetSequence(), len(e.Conversation), len(e.Prompt),
		u.Model, u.RequestModel, u.ProviderName, u.OperationName, u.GetInputUncachedTokens(), u.GetOutputTokens(),
		u.GetCacheReadTokens(), u.GetCacheWriteTokens(), u.CacheWrite_5MTokens, u.ReasoningTokens, u.GetReportedCostNanos(),
		u.GetDurationMs(), u.TtftMs, u.Status, u.Granularity, u.QuerySource, u.AgentName, u.PriceTier, len(e.Quality),
		u.GetCostNanos(), u.CostBasis,
	}
	want := []any{
		goodhartv1.EventKind_EVENT_KIND_USAGE, "claude-code", goodhartv1.Signal_SIGNAL_LOG, int64(1793611800000), "claude-code",
		"2.1.214", uint64(93), 32, 32,
		"claude-opus-4-6", "claude-opus-4-6", "anthropic", "chat", int64(3), int64(250),
		int64(11648), int64(24205), (*int64)(nil), (*int64)(nil), int64(163_383_000),
		int64(4120), (*int64)(nil), goodhartv1.Status_STATUS_OK, goodhartv1.Granularity_GRANULARITY_REQUEST, "repl_main_thread",
		"Explore", "standard", 0,
		int64(3*5000 + 250*25000 + 11648*500 + 24205*6250), goodhartv1.CostBasis_COST_BASIS_ESTIMATED,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestNumbersInAnyType(t *testing.T) {
	want := one(t, otlp.DecodeLogs, logBody(request()))
	for name, change := range map[string]attrs{
		"strings": {"input_tokens": "3", "output_tokens": "250", "cost_usd": "0.163383", "event.sequence": "93"},
		"doubles": {"input_tokens": 3.0, "output_tokens": 250.0},
		"numbers": {"input_tokens": json.RawMessage(`{"intValue":3}`), "cache_read_tokens": json.RawMessage(`{"intValue":"11648"}`)},
		"nothing": {"ttft_ms": "", "attempt": json.RawMessage(`{}`)},
	} {
		got := one(t, otlp.DecodeLogs, logBody(request().with(change)))
		if diff := cmp.Diff(want.Usage.String(), got.Usage.String()); diff != "" || !bytes.Equal(want.EventId, got.EventId) {
			t.Errorf("%s: %s", name, diff)
		}
		flagged := slices.Contains(got.Quality, goodhartv1.Quality_QUALITY_STRING_NUMBERS)
		if flagged != (name == "strings") {
			t.Errorf("%s: flags %v", name, got.Quality)
		}
	}
}

func TestAbsentIsUnknown(t *testing.T) {
	a := request()
	for _, key := range []string{"input_tokens", "cache_read_tokens", "cost_usd", "duration_ms", "model"} {
		delete(a, key)
	}
	u := one(t, otlp.DecodeLogs, logBody(a)).Usage
	if u.InputUncachedTokens != nil || u.CacheReadTokens != nil || u.ReportedCostNanos != nil || u.DurationMs != nil || u.CostNanos != nil {
		t.Errorf("absent numbers became %v", u)
	}
	if u.Model != price.Unknown || u.CostBasis != goodhartv1.CostBasis_COST_BASIS_UNPRICED {
		t.Errorf("model %q basis %v", u.Model, u.CostBasis)
	}
	a = request().with(attrs{"cost_usd_micros": 163383})
	delete(a, "cost_usd")
	if u := one(t, otlp.DecodeLogs, logBody(a)).Usage; u.GetReportedCostNanos() != 163_383_000 {
		t.Errorf("micros: %d", u.GetReportedCostNanos())
	}
}

func TestBadNumbers(t *testing.T) {
	for name, c := range map[string]struct {
		field string
		value any
	}{
		"negative":   {"input_tokens", -1},
		"fraction":   {"output_tokens", 1.5},
		"NaN":        {"cache_read_tokens", json.RawMessage(`{"doubleValue":"NaN"}`)},
		"infinite":   {"cost_usd", json.RawMessage(`{"doubleValue":"Infinity"}`)},
		"text":       {"input_tokens", "many"},
		"hidden NaN": {"input_tokens", "NaN"},
		"too many":   {"output_tokens", 10_000_000_001},
		"overflow":   {"output_tokens", "1e400"},
		"bool":       {"duration_ms", true},
		"cost":       {"cost_usd", -0.01},
	} {
		events, rejected := decode(t, otlp.DecodeLogs, logBody(request().with(attrs{c.field: c.value})))
		if len(events) != 0 || len(rejected) != 1 || rejected[0].Reason != event.ReasonBadNumber || rejected[0].Field != c.field ||
			rejected[0].Path != "resourceLogs[0].scopeLogs[0].logRecords[0]" || rejected[0].Source != "claude-code" {
			t.Errorf("%s: %d events, rejected %v", name, len(events), rejected)
		}
	}
}

func TestIdentityOfRequests(t *testing.T) {
	id := func(change attrs, without ...string) (string, string) {
		a := request().with(change)
		for _, key := range without {
			delete(a, key)
		}
		e := one(t, otlp.DecodeLogs, logBody(a))
		return string(e.EventId), string(e.RequestKey)
	}
	event1, request1 := id(nil)
	if e, r := id(attrs{"event.sequence": 94, "session.id": "other", "input_tokens": 4}); e != event1 || r != request1 {
		t.Error("one request id, two events")
	}
	if e, r := id(attrs{"request_id": "req_011CXother"}); e == event1 || r == request1 {
		t.Error("two request ids, one event")
	}
	byClient, clientKey := id(nil, "request_id")
	if byClient == event1 || clientKey == "" || clientKey == request1 {
		t.Error("the client's id is not used")
	}
	none, noKey := id(nil, "request_id", "client_request_id")
	if noKey != "" {
		t.Error("a request key without an id")
	}
	if again, _ := id(nil, "request_id", "client_request_id"); again != none {
		t.Error("a re-send has another id")
	}
	if other, _ := id(attrs{"event.sequence": 94}, "request_id", "client_request_id"); other == none {
		t.Error("two places in a session, one event")
	}
	bare, _ := id(nil, "request_id", "client_request_id", "event.sequence")
	if other, _ := id(attrs{"output_tokens": 251}, "request_id", "client_request_id", "event.sequence"); other == bare || bare == none {
		t.Error("two records without ids, one event")
	}
}

func TestFailedAndFastRequests(t *testing.T) {
	u := one(t, otlp.DecodeLogs, logBody(request().with(attrs{"speed": "fast"}))).Usage
	if u.PriceTier != "fast" || u.GetCostNanos() != 6*(3*5000+250*25000+11648*500+24205*6250) {
		t.Errorf("tier %q, cost %d", u.PriceTier, u.GetCostNanos())
	}
	e := one(t, otlp.DecodeLogs, logBody(attrs{
		"event.name": "api_error", "session.id": session, "model": "claude-opus-4-6", "error": "Overloaded: prompt was hello",
		"status_code": "529", "duration_ms": 900, "attempt": 11, "request_id": "req_1", "error_type": "overloaded_error",
	}))
	want := `name:"api_error" numbers:{key:"attempt" value:11} numbers:{key:"duration_ms" value:900} numbers:{key:"status_code" value:529} labels:{key:"error_type" value:"overloaded_error"} labels:{key:"model" value:"claude-opus-4-6"}`
	if got := strings.ReplaceAll(e.Activity.String(), "  ", " "); got != want || len(e.RequestKey) != 0 {
		t.Errorf("api_error: %s", got)
	}
}

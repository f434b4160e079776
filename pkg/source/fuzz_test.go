package source_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/source/cloudevents"
	"github.com/goodhartlabs/goodhart/pkg/source/otlp"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// sound stamps drafts twice over and checks what must hold for any input.
func sound(t *testing.T, decode func() ([]event.Draft, []event.Rejection, error)) {
	t.Helper()
	drafts, rejected, err := decode()
	again, rejectedAgain, errAgain := decode()
	if (err == nil) != (errAgain == nil) || len(drafts) != len(again) || len(rejected) != len(rejectedAgain) {
		t.Fatal("decoding twice gives two results")
	}
	if err != nil && len(drafts)+len(rejected) > 0 {
		t.Fatal("an error and records")
	}
	for i := range rejected {
		if rejected[i].Reason == "" || rejected[i].Detail == "" || rejected[i].Source == "" {
			t.Errorf("incomplete rejection %+v", rejected[i])
		}
	}
	for i := range drafts {
		key, rej := stamper().Stamp(&drafts[i], credential(), now)
		keyAgain, rejAgain := stamper().Stamp(&again[i], credential(), now)
		if (rej == nil) != (rejAgain == nil) || !bytes.Equal(key, keyAgain) {
			t.Fatal("stamping twice gives two results")
		}
		if rej == nil {
			holds(t, key, drafts[i].Event)
		}
	}
}

// holds checks a stamped event.
func holds(t *testing.T, key []byte, e *goodhartv1.Event) {
	t.Helper()
	raw, err := e.MarshalVT()
	if err != nil || len(raw) > event.MaxEncoded {
		t.Errorf("encoded: %d bytes, %v", len(raw), err)
	}
	if len(e.EventId) != event.IDSize || len(e.RequestKey) != 0 && len(e.RequestKey) != event.IDSize || !strings.HasPrefix(string(key), "acme|") {
		t.Errorf("ids %x %x key %q", e.EventId, e.RequestKey, key)
	}
	if e.TimeMs > e.ReceivedMs+event.MaxAhead.Milliseconds() || e.TimeMs < e.ReceivedMs-event.MaxAge.Milliseconds() {
		t.Errorf("time %d received %d", e.TimeMs, e.ReceivedMs)
	}
	labels := []string{e.Tool, e.ToolVersion, e.Source, e.Subject, e.Conversation, e.Repository, e.Prompt}
	if u := e.Usage; u != nil {
		labels = append(labels, u.OperationName, u.ProviderName, u.RequestModel, u.ResponseModel, u.Model, u.PriceTier,
			u.ErrorType, u.FinishReason, u.QuerySource, u.AgentName)
		for _, n := range []*int64{
			u.InputUncachedTokens, u.CacheReadTokens, u.CacheWriteTokens, u.CacheWrite_5MTokens, u.CacheWrite_1HTokens,
			u.OutputTokens, u.ReasoningTokens, u.CostNanos, u.ReportedCostNanos, u.DurationMs, u.TtftMs,
		} {
			if n != nil && *n < 0 {
				t.Errorf("negative number in %v", u)
			}
		}
		if (u.CostNanos != nil) != (u.CostBasis == 1 || u.CostBasis == 2 || u.CostBasis == 3) {
			t.Errorf("cost %v with basis %v", u.CostNanos, u.CostBasis)
		}
	}
	for _, l := range e.GetActivity().GetLabels() {
		labels = append(labels, l.Key, l.Value)
	}
	for _, n := range e.GetActivity().GetNumbers() {
		if event.Measure(n.Value) != "" {
			t.Errorf("number %v", n)
		}
	}
	for _, l := range labels {
		if l != "" && !event.IsLabel(l) {
			t.Errorf("label %q", l)
		}
	}
}

// seeds adds bodies in both encodings.
func seeds(f *testing.F, protobuf, json []byte) {
	f.Helper()
	f.Add(true, json)
	f.Add(false, protobuf)
	f.Add(true, bytes.ReplaceAll(json, []byte(`"intValue":"3"`), []byte(`"intValue":1.5`)))
	f.Add(true, bytes.ReplaceAll(json, []byte(`"intValue":"3"`), []byte(`"doubleValue":"NaN"`)))
	f.Add(true, []byte(`{}`))
	f.Add(true, []byte(`[]`))
	f.Add(false, []byte{})
}

func contentType(json bool) string {
	if json {
		return otlp.JSON
	}
	return otlp.Protobuf
}

func FuzzLogs(f *testing.F) {
	ld := logs(f, claudeResource(), claudeRequest(1), toolResult(2))
	json, err := (&plog.JSONMarshaler{}).MarshalLogs(ld)
	if err != nil {
		f.Fatal(err)
	}
	seeds(f, marshal(f, ld), json)
	f.Fuzz(func(t *testing.T, json bool, body []byte) {
		sound(t, func() ([]event.Draft, []event.Rejection, error) { return otlp.DecodeLogs(contentType(json), body) })
	})
}

func FuzzTraces(f *testing.F) {
	td := traces(f, "com.anthropic.claude_code.tracing", "claude_code.llm_request", claudeResource(), claudeRequest(1), genaiSpan())
	json, err := (&ptrace.JSONMarshaler{}).MarshalTraces(td)
	if err != nil {
		f.Fatal(err)
	}
	seeds(f, marshal(f, td), json)
	f.Fuzz(func(t *testing.T, json bool, body []byte) {
		sound(t, func() ([]event.Draft, []event.Rejection, error) { return otlp.DecodeTraces(contentType(json), body) })
	})
}

func FuzzMetrics(f *testing.F) {
	md := counters(f, "com.anthropic.claude_code", "claude_code.token.usage", claudeResource(), attrs{"type": "input", "model": "claude-opus-4-6"})
	json, err := (&pmetric.JSONMarshaler{}).MarshalMetrics(md)
	if err != nil {
		f.Fatal(err)
	}
	seeds(f, marshal(f, md), json)
	seeds(f, nil, bytes.ReplaceAll(json, []byte("claude_code.token.usage"), []byte("gen_ai.client.token.usage")))
	f.Fuzz(func(t *testing.T, json bool, body []byte) {
		sound(t, func() ([]event.Draft, []event.Rejection, error) { return otlp.DecodeMetrics(contentType(json), body) })
	})
}

func FuzzCloudEvents(f *testing.F) {
	const usage = `{"specversion":"1.0","id":"1","source":"s","type":"ai.usage.v1","time":"2026-11-02T09:30:00Z","data":{"tokens":{"input_total":5,"cache_read":3},"cost":{"amount_nanos":7,"basis":"billed"},"h64":"00000000000000ff","kappa":0.5}}`
	const outcome = `{"specversion":"1.0","id":"2","source":"s","type":"ai.outcome.v1","data":{"kind":"pr_merged","subject":{"host":"h","repo_id":"r","pr_number":1},"author":"ada","links":{"reverts":["pr:2"]},"value":1.5}}`
	f.Add("application/cloudevents+json", "", []byte(usage))
	f.Add("application/cloudevents-batch+json", "", []byte("["+usage+","+outcome+",5]"))
	f.Add("application/json", "%31", []byte(`{"tokens":{"output_total":5}}`))
	f.Add("application/json; charset=utf-8", `"a\"b"`, []byte(`{`))
	f.Fuzz(func(t *testing.T, contentType, id string, body []byte) {
		h := http.Header{}
		h.Set("Content-Type", contentType)
		if id != "" {
			for name, value := range map[string]string{"Ce-Id": id, "Ce-Source": id, "Ce-Specversion": "1.0", "Ce-Type": "ai.usage.v1"} {
				h.Set(name, value)
			}
		}
		sound(t, func() ([]event.Draft, []event.Rejection, error) { return cloudevents.Decode(h, body) })
	})
}

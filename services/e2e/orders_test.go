package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/ledger"
	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/price"
	"github.com/goodhartlabs/goodhart/pkg/source/otlp"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// A session of Claude Code with two requests, as its three exporters send it.
// In all: input 30+12, cache read 9000+4000, cache creation 500+0, output
// 210+90.
var session = map[string]string{
	"log": `{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"claude-code"}}]},
		"scopeLogs":[{"scope":{"name":"com.anthropic.claude_code.events"},"logRecords":[` +
		logRecord(0, "req_1", 30, 9000, 500, 210) + "," + logRecord(20, "req_2", 12, 4000, 0, 90) + `]}]}]}`,
	"span": `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"claude-code"}}]},
		"scopeSpans":[{"scope":{"name":"com.anthropic.claude_code.tracing"},"spans":[` +
		span(0, "req_1", 30, 9000, 500, 210) + "," + span(20, "req_2", 12, 4000, 0, 90) + `]}]}]}`,
	"metric": `{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"claude-code"}}]},
		"scopeMetrics":[{"scope":{"name":"com.anthropic.claude_code"},"metrics":[{"name":"claude_code.token.usage","unit":"tokens",
		"sum":{"aggregationTemporality":1,"isMonotonic":true,"dataPoints":[` +
		strings.Join([]string{point("input", 42), point("cacheRead", 13000), point("cacheCreation", 500), point("output", 300)}, ",") + `]}}]}]}]}`,
}

// began is when the session began: 2026-09-07 09:00 UTC.
const began = int64(1788771600000)

func nanos(second int) string { return fmt.Sprint((began + int64(second)*1000) * 1_000_000) }

func number(key string, n int) string {
	return fmt.Sprintf(`{"key":%q,"value":{"intValue":"%d"}}`, key, n)
}

func text(key, s string) string { return fmt.Sprintf(`{"key":%q,"value":{"stringValue":%q}}`, key, s) }

func counts(input, read, creation, output int) string {
	return strings.Join([]string{
		number("input_tokens", input), number("cache_read_tokens", read),
		number("cache_creation_tokens", creation), number("output_tokens", output),
	}, ",")
}

func logRecord(second int, request string, input, read, creation, output int) string {
	return fmt.Sprintf(`{"timeUnixNano":%q,"body":{"stringValue":"claude_code.api_request"},"attributes":[%s,%s,%s,%s,%s]}`,
		nanos(second), text("event.name", "api_request"), text("session.id", "s-1"), text("model", "claude-sonnet-4-5"),
		text("request_id", request), counts(input, read, creation, output))
}

func span(second int, request string, input, read, creation, output int) string {
	return fmt.Sprintf(`{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"01020304050607%02x","name":"claude_code.llm_request",
		"startTimeUnixNano":%q,"endTimeUnixNano":%q,"attributes":[%s,%s,%s,%s]}`,
		second, nanos(second-2), nanos(second), text("session.id", "s-1"), text("model", "claude-sonnet-4-5"),
		text("request_id", request), counts(input, read, creation, output))
}

func point(kind string, n int) string {
	return fmt.Sprintf(`{"attributes":[%s,%s,%s],"startTimeUnixNano":%q,"timeUnixNano":%q,"asDouble":%d}`,
		text("session.id", "s-1"), text("model", "claude-sonnet-4-5"), text("type", kind), nanos(0), nanos(30), n)
}

// totals is what counts in the end.
type totals struct {
	Requests, Input, CacheRead, CacheWrite, Output int64
	CostNanos                                      int64
}

// ingest decodes and folds the announcements in the order given, each a minute
// of the log apart, and lets the holds run out.
func ingest(t *testing.T, order []string) (counted totals, merged int) {
	t.Helper()
	stamper := event.NewStamper(event.Keyring{"acme": []byte(strings.Repeat("k", 32))}, price.Embedded(), nil)
	credential := &event.Credential{ID: "k1", Tenant: "acme", Accounting: goodhartv1.Accounting_ACCOUNTING_BILLABLE}
	cfg := ledger.Default()
	fold, out := ledger.New(cfg), &machine.Outputs{}
	offset := uint64(0)
	step := func(key []byte, e *goodhartv1.Event, at int64) {
		value, err := e.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		offset++
		fold.Step(&machine.Record{Position: machine.Position{Seq: offset}, Time: at, Offset: int64(offset) - 1, Key: key, Value: value}, out)
	}
	now := began + 60_000
	for _, kind := range order {
		decode := map[string]func(string, []byte) ([]event.Draft, []event.Rejection, error){
			"log": otlp.DecodeLogs, "span": otlp.DecodeTraces, "metric": otlp.DecodeMetrics,
		}[kind]
		drafts, rejected, err := decode(otlp.JSON, []byte(session[kind]))
		if err != nil || len(rejected) > 0 {
			t.Fatalf("decode %s: %v %v", kind, err, rejected)
		}
		for i := range drafts {
			key, rejection := stamper.Stamp(&drafts[i], credential, time.UnixMilli(now))
			if rejection != nil {
				t.Fatalf("stamp %s: %+v", kind, rejection)
			}
			step(key, drafts[i].Event, now)
		}
		now += 5_000
	}
	for i := range int64(2) {
		now += 20 * 60_000
		step(nil, &goodhartv1.Event{
			Kind: goodhartv1.EventKind_EVENT_KIND_TICK, TimeMs: now, ReceivedMs: now,
			Tick: &goodhartv1.Tick{Collector: "c", Sequence: uint64(i) + 1},
		}, now)
	}
	return sum(t, out)
}

func sum(t *testing.T, out *machine.Outputs) (counted totals, merged int) {
	t.Helper()
	records := out.Records()
	for i := range records {
		var f goodhartv1.Fact
		if records[i].Topic != schemas.TopicFacts {
			t.Fatalf("output for %s", records[i].Topic)
		}
		if err := f.UnmarshalVT(records[i].Body()); err != nil {
			t.Fatal(err)
		}
		if f.Kind != goodhartv1.FactKind_FACT_KIND_USAGE {
			continue
		}
		if f.Observational {
			merged++
			continue
		}
		u := f.Event.Usage
		if u.Granularity == goodhartv1.Granularity_GRANULARITY_REQUEST {
			counted.Requests++
		}
		counted.Input += u.GetInputUncachedTokens()
		counted.CacheRead += u.GetCacheReadTokens()
		counted.CacheWrite += u.GetCacheWriteTokens() + u.GetCacheWrite_5MTokens() + u.GetCacheWrite_1HTokens()
		counted.Output += u.GetOutputTokens()
		counted.CostNanos += u.GetCostNanos()
	}
	return counted, merged
}

// A session counts once, whatever announces it and in whatever order.
func TestOneSessionCountsOnce(t *testing.T) {
	// 42 × $3 + 13,000 × $0.30 + 500 × $3.75 + 300 × $15 per million, in nano-USD.
	want := totals{Requests: 2, Input: 42, CacheRead: 13000, CacheWrite: 500, Output: 300, CostNanos: 126_000 + 3_900_000 + 1_875_000 + 4_500_000}
	f := func(order []string, want totals, wantMerged int) {
		t.Helper()
		got, merged := ingest(t, order)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v: totals (-want +got):\n%s", order, diff)
		}
		if merged != wantMerged {
			t.Errorf("%v: %d merged, want %d", order, merged, wantMerged)
		}
	}
	kinds := []string{"log", "span", "metric"}
	for _, a := range kinds {
		for _, b := range kinds {
			for _, c := range kinds {
				if order := []string{a, b, c}; len(slices.Compact(slices.Sorted(slices.Values(order)))) == 3 {
					f(order, want, 2+4)
				}
			}
		}
	}
	f([]string{"log"}, want, 0)
	f([]string{"span"}, want, 0)
	f([]string{"span", "metric"}, want, 4)
	f([]string{"metric", "span"}, want, 4)
	// The counters know tokens, not requests.
	metric := want
	metric.Requests = 0
	f([]string{"metric"}, metric, 0)
	// Everything again, as a client re-sends: nothing changes.
	f([]string{"metric", "log", "span", "metric", "log", "span"}, want, 2+4)
}

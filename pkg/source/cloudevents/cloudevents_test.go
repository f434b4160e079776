package cloudevents_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/price"
	"github.com/goodhartlabs/goodhart/pkg/source/cloudevents"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

var now = time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)

const (
	structured = "application/cloudevents+json"
	batch      = "application/cloudevents-batch+json"

	usageData = `{"tool":"nightly-review","tool_version":"1.2","actor":{"email":"ada@example.com"},"gen_ai.operation.name":"chat",
	"gen_ai.provider.name":"Anthropic","gen_ai.request.model":"claude-sonnet-4-6","gen_ai.response.model":"claude-sonnet-4-6",
	"request_id":"r-1","gen_ai.conversation.id":"c-1","parent_conversation_id":"c-0","prompt_id":"p-1","repository":"git.example/api",
	"query_source":"main","gen_ai.agent.name":"reviewer",
	"tokens":{"input_total":1000,"cache_read":600,"cache_write_5m":100,"cache_write_1h":50,"output_total":"200","reasoning":20},
	"cost":{"amount_nanos":4000000,"currency":"USD","basis":"reported"},"duration_ms":1500,"ttft_ms":300,"status":"ok",
	"attempt":1,"turn":4,"sequence":9,"finish_reason":"stop","tz_offset_min":120,"new_turn_tokens":80,
	"h64":"00000000000000ff","target_h64":"18446744073709551615","kappa":0.5,"side_effects":2,"prompt":"secret"}`
)

func envelope(change string, data string) string {
	e := `{"specversion":"1.0","id":"e-1","source":"//ci/review","type":"ai.usage.v1","time":"2026-11-02T09:30:00Z","myextension":"secret"`
	if change != "" {
		e = `{` + change
	}
	return e + `,"data":` + data + `}`
}

func header(contentType string, more ...string) http.Header {
	h := http.Header{}
	h.Set("Content-Type", contentType)
	for i := 0; i < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return h
}

func decode(t *testing.T, h http.Header, body string) ([]*goodhartv1.Event, []event.Rejection) {
	t.Helper()
	drafts, rejected, err := cloudevents.Decode(h, []byte(body))
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

func one(t *testing.T, h http.Header, body string) *goodhartv1.Event {
	t.Helper()
	events, rejected := decode(t, h, body)
	if len(events) != 1 || len(rejected) != 0 {
		t.Fatalf("%d events, rejected %v", len(events), rejected)
	}
	return events[0]
}

func TestThreeModes(t *testing.T) {
	want := one(t, header(structured), envelope("", usageData))
	e := envelope("", usageData)
	encoded := strings.Replace(e, `"data":`+usageData, `"data_base64":"`+base64.StdEncoding.EncodeToString([]byte(usageData))+`"`, 1)
	for name, c := range map[string]struct {
		h    http.Header
		body string
	}{
		"charset":   {header(structured + "; charset=UTF-8"), e},
		"batch":     {header(batch), "[" + e + "]"},
		"base64":    {header(structured), encoded},
		"JSON":      {header("application/json"), e},
		"JSON list": {header("application/json"), " [" + e + "]"},
		"binary": {header("application/json; charset=utf-8", "ce-specversion", "1.0", "ce-id", "e-1", "ce-source", "//ci/review",
			"ce-type", "ai.usage.v1", "ce-time", "2026-11-02T09:30:00Z", "ce-myextension", "secret"), usageData},
		"binary, encoded": {header("application/json", "ce-specversion", "1.0", "ce-id", "%65-1", "ce-source", "%2F/ci/review",
			"ce-type", `"ai.usage.v1"`, "ce-time", "2026-11-02T09:30:00.000Z"), usageData},
	} {
		got := one(t, c.h, c.body)
		if diff := cmp.Diff(want.String(), got.String()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestUsage(t *testing.T) {
	e := one(t, header(structured), envelope("", usageData))
	want := `operation_name:"chat" provider_name:"anthropic" request_model:"claude-sonnet-4-6" response_model:"claude-sonnet-4-6" ` +
		`model:"claude-sonnet-4-6" input_uncached_tokens:250 cache_read_tokens:600 cache_write_5m_tokens:100 cache_write_1h_tokens:50 ` +
		`output_tokens:200 reasoning_tokens:20 cost_nanos:4605000 cost_basis:COST_BASIS_ESTIMATED price_version:"2026-11-01" ` +
		`reported_cost_nanos:4000000 price_tier:"standard" duration_ms:1500 ttft_ms:300 status:STATUS_OK attempt:1 finish_reason:"stop" ` +
		`granularity:GRANULARITY_REQUEST query_source:"main" agent_name:"reviewer" turn:4 new_turn_tokens:80 h64:255 ` +
		`target_h64:18446744073709551615 kappa_ppm:500000 side_effects:2`
	if diff := cmp.Diff(want, strings.ReplaceAll(e.Usage.String(), "  ", " ")); diff != "" {
		t.Error(diff)
	}
	if e.Tool != "nightly-review" || e.GetTzOffsetMin() != 120 || e.GetSequence() != 9 || e.Conversation == "" || e.Prompt == "" ||
		e.ParentConversation == "" || e.Repository == "" || !strings.HasPrefix(e.Subject, "a_") || e.Signal != goodhartv1.Signal_SIGNAL_CLOUDEVENT {
		t.Errorf("event %v", e)
	}
	minimal := one(t, header(structured), envelope("", `{}`))
	if minimal.Usage.InputUncachedTokens != nil || minimal.Usage.Model != price.Unknown ||
		!slices.Contains(minimal.Quality, goodhartv1.Quality_QUALITY_MISSING_REQUEST_ID) {
		t.Errorf("minimal: %v", minimal)
	}
}

func TestUsageVariants(t *testing.T) {
	usage := func(data string) *goodhartv1.Event { return one(t, header(structured), envelope("", data)) }
	if u := usage(`{"gen_ai.request.model":"x","cost":{"amount_nanos":5,"basis":"billed"}}`).Usage; u.GetCostNanos() != 5 || u.CostBasis != goodhartv1.CostBasis_COST_BASIS_BILLED {
		t.Errorf("billed: %v", u)
	}
	if u := usage(`{"cost":{"amount_nanos":5,"unit":"premium_request"}}`).Usage; u.CostNanos != nil || u.ReportedCostNanos != nil {
		t.Errorf("premium requests became money: %v", u)
	}
	for data, mismatch := range map[string]bool{
		`{"tokens":{"input_total":10,"input_uncached":4,"cache_read":6}}`: false,
		`{"tokens":{"input_total":10,"input_uncached":5,"cache_read":6}}`: true,
		`{"tokens":{"input_total":10,"cache_read":11}}`:                   true,
		`{"tokens":{"input_uncached":4,"cache_read":6}}`:                  false,
	} {
		e := usage(data)
		if got := slices.Contains(e.Quality, goodhartv1.Quality_QUALITY_TOTAL_MISMATCH); got != mismatch {
			t.Errorf("%s: mismatch %v", data, got)
		}
	}
	byRequest := usage(`{"request_id":"msg_0123456789abcdef"}`)
	if byResponse := usage(`{"gen_ai.response.id":"msg_0123456789abcdef"}`); string(byResponse.RequestKey) != string(byRequest.RequestKey) {
		t.Error("response id and request id name different requests")
	}
	if weak := usage(`{"gen_ai.response.id":"7"}`); len(weak.RequestKey) != 0 {
		t.Error("a response id of one digit names a request")
	}
	if number := usage(`{"request_id":7}`); len(number.RequestKey) == 0 {
		t.Error("a number names no request")
	}
	e := usage(`{"actor":"ada@example.com"}`)
	if f := usage(`{"actor":{"email":"ADA@example.com"}}`); e.Subject != f.Subject {
		t.Error("an actor as a string is another")
	}
}

func TestRejectedEvents(t *testing.T) {
	data := func(s string) string { return envelope("", s) }
	for name, c := range map[string]struct {
		body, reason, field string
	}{
		"no id":           {envelope(`"specversion":"1.0","source":"s","type":"ai.usage.v1"`, `{}`), event.ReasonMissing, "id"},
		"no source":       {envelope(`"specversion":"1.0","id":"1","type":"ai.usage.v1"`, `{}`), event.ReasonMissing, "source"},
		"no type":         {envelope(`"specversion":"1.0","id":"1","source":"s"`, `{}`), event.ReasonMissing, "type"},
		"no version":      {envelope(`"id":"1","source":"s","type":"ai.usage.v1"`, `{}`), event.ReasonMissing, "specversion"},
		"old version":     {envelope(`"specversion":"0.3","id":"1","source":"s","type":"ai.usage.v1"`, `{}`), event.ReasonBadValue, "specversion"},
		"unknown type":    {envelope(`"specversion":"1.0","id":"1","source":"s","type":"com.example"`, `{}`), event.ReasonUnknownType, "type"},
		"bad time":        {envelope(`"specversion":"1.0","id":"1","source":"s","type":"ai.usage.v1","time":"yesterday"`, `{}`), event.ReasonBadTime, "time"},
		"1970":            {envelope(`"specversion":"1.0","id":"1","source":"s","type":"ai.usage.v1","time":"1970-01-01T00:00:00Z"`, `{}`), event.ReasonBadTime, "time"},
		"XML":             {envelope(`"specversion":"1.0","id":"1","source":"s","type":"ai.usage.v1","datacontenttype":"text/xml"`, `"<x/>"`), event.ReasonBadValue, "datacontenttype"},
		"id is an object": {envelope(`"specversion":"1.0","id":{},"source":"s","type":"ai.usage.v1"`, `{}`), event.ReasonMalformed, "id"},
		"bad base64":      {`{"specversion":"1.0","id":"1","source":"s","type":"ai.usage.v1","data_base64":"..."}`, event.ReasonMalformed, "data_base64"},
		"both data":       {`{"specversion":"1.0","id":"1","source":"s","type":"ai.usage.v1","data":{},"data_base64":""}`, event.ReasonBadValue, "data_base64"},
		"no data":         {`{"specversion":"1.0","id":"1","source":"s","type":"ai.usage.v1"}`, event.ReasonMalformed, ""},
		"data is a list":  {data(`[]`), event.ReasonMalformed, ""},
		"negative":        {data(`{"tokens":{"input_total":-1}}`), event.ReasonBadNumber, "tokens.input_total"},
		"fraction":        {data(`{"tokens":{"output_total":1.5}}`), event.ReasonBadNumber, "tokens.output_total"},
		"NaN":             {data(`{"tokens":{"cache_read":"NaN"}}`), event.ReasonBadNumber, "tokens.cache_read"},
		"huge":            {data(`{"tokens":{"reasoning":1e400}}`), event.ReasonBadNumber, "tokens.reasoning"},
		"words":           {data(`{"duration_ms":"long"}`), event.ReasonBadNumber, "duration_ms"},
		"object":          {data(`{"attempt":{}}`), event.ReasonBadNumber, "attempt"},
		"bad hash":        {data(`{"h64":"xyz"}`), event.ReasonBadNumber, "h64"},
		"bad ratio":       {data(`{"kappa":-0.5}`), event.ReasonBadNumber, "kappa"},
		"bad zone":        {data(`{"tz_offset_min":5000}`), event.ReasonBadNumber, "tz_offset_min"},
		"bad status":      {data(`{"status":"fine"}`), event.ReasonBadValue, "status"},
		"bad operation":   {data(`{"gen_ai.operation.name":"invoke_agent"}`), event.ReasonBadValue, "gen_ai.operation.name"},
		"euros":           {data(`{"cost":{"amount_nanos":1,"currency":"EUR"}}`), event.ReasonBadValue, "cost.currency"},
		"odd basis":       {data(`{"cost":{"amount_nanos":1,"basis":"free"}}`), event.ReasonBadValue, "cost.basis"},
		"model is a list": {data(`{"gen_ai.request.model":["m"]}`), event.ReasonMalformed, "gen_ai.request.model"},
	} {
		events, rejected := decode(t, header(structured), c.body)
		if len(events) != 0 || len(rejected) != 1 {
			t.Errorf("%s: %d events, rejected %v", name, len(events), rejected)
			continue
		}
		r := rejected[0]
		if r.Reason != c.reason || r.Field != c.field || r.Source != "cloudevents" || r.Path != "" || r.Hash == [32]byte{} || r.Detail == "" {
			t.Errorf("%s: %+v, want %s of %s", name, r, c.reason, c.field)
		}
	}
}

func TestBadBodies(t *testing.T) {
	for name, c := range map[string]struct {
		h    http.Header
		body string
		want error
	}{
		"not JSON":          {header(structured), `{`, cloudevents.ErrMalformed},
		"empty":             {header(structured), ``, cloudevents.ErrMalformed},
		"list as one":       {header(structured), `[]`, cloudevents.ErrMalformed},
		"batch of nothing":  {header(batch), ``, cloudevents.ErrMalformed},
		"batch is null":     {header(batch), `null`, cloudevents.ErrMalformed},
		"batch is one":      {header(batch), envelope("", "{}"), cloudevents.ErrMalformed},
		"batch, cut":        {header(batch), `[{}`, cloudevents.ErrMalformed},
		"avro":              {header("application/cloudevents+avro"), ``, cloudevents.ErrContentType},
		"batch of protobuf": {header("application/cloudevents-batch+protobuf"), ``, cloudevents.ErrContentType},
		"text":              {header("text/plain"), ``, cloudevents.ErrContentType},
		"none":              {http.Header{}, `{}`, cloudevents.ErrContentType},
		"bad":               {header("application/json; charset=;"), `{}`, cloudevents.ErrContentType},
		"latin 1":           {header(structured + "; charset=iso-8859-1"), envelope("", "{}"), cloudevents.ErrContentType},
	} {
		drafts, rejected, err := cloudevents.Decode(c.h, []byte(c.body))
		if !errors.Is(err, c.want) || len(drafts)+len(rejected) != 0 {
			t.Errorf("%s: %v with %d drafts, %d rejected, want %v", name, err, len(drafts), len(rejected), c.want)
		}
	}
	if drafts, rejected, err := cloudevents.Decode(header(batch), []byte(`[]`)); err != nil || len(drafts)+len(rejected) != 0 {
		t.Errorf("an empty batch is valid: %v", err)
	}
	events, rejected := decode(t, header("text/plain", "ce-specversion", "1.0", "ce-id", "1", "ce-source", "s", "ce-type", "ai.usage.v1"), "hello")
	if len(events) != 0 || len(rejected) != 1 || rejected[0].Field != "datacontenttype" {
		t.Errorf("binary text: %v", rejected)
	}
}

func TestBatchKeepsNeighbours(t *testing.T) {
	var items []string
	for i := range 10 {
		e := strings.Replace(envelope("", `{}`), "e-1", fmt.Sprint("e-", i), 1)
		if i%2 == 1 {
			e = []string{`5`, `{"id":{}}`, `null`, `{"specversion":"1.0"}`, `[]`}[i/2]
		}
		items = append(items, e)
	}
	events, rejected := decode(t, header(batch), "["+strings.Join(items, ",")+"]")
	var paths []string
	for _, r := range rejected {
		paths = append(paths, r.Path)
	}
	if diff := cmp.Diff([]string{"[1]", "[3]", "[5]", "[7]", "[9]"}, paths); diff != "" || len(events) != 5 {
		t.Errorf("%d events, rejected %v", len(events), rejected)
	}
}

func TestIdentityIsSourceAndID(t *testing.T) {
	id := func(source, id, data string) string {
		return string(one(t, header(structured), envelope(fmt.Sprintf(`"specversion":"1.0","id":%q,"source":%q,"type":"ai.usage.v1"`, id, source), data)).EventId)
	}
	if id("a", "1", `{}`) != id("a", "1", `{"tool":"x"}`) {
		t.Error("the data is part of the id")
	}
	if id("a", "1", `{}`) == id("a", "2", `{}`) || id("a", "12", `{}`) == id("a1", "2", `{}`) {
		t.Error("two events, one id")
	}
}

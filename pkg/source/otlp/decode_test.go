package otlp_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/price"
	"github.com/goodhartlabs/goodhart/pkg/source/otlp"
)

var now = time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)

const (
	at       = `"1793611800000000000"` // 2026-11-02T09:30:00Z
	resource = `"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"claude-code"}}]}`
)

// logRecord is an api_request; extra attributes come last.
func logRecord(request, time string, extra ...string) string {
	attributes := append([]string{
		`{"key":"event.name","value":{"stringValue":"api_request"}}`,
		`{"key":"session.id","value":{"stringValue":"s-1"}}`,
		`{"key":"model","value":{"stringValue":"claude-opus-4-6"}}`,
		`{"key":"request_id","value":{"stringValue":"` + request + `"}}`,
		`{"key":"output_tokens","value":{"intValue":"200"}}`,
	}, extra...)
	return `{"timeUnixNano":` + time + `,"body":{"stringValue":"claude_code.api_request"},"attributes":[` + strings.Join(attributes, ",") + `]}`
}

func number(key, value string) string { return `{"key":"` + key + `","value":` + value + `}` }

func logsBody(records ...string) string {
	return `{"resourceLogs":[{` + resource + `,"scopeLogs":[{"scope":{"name":"com.anthropic.claude_code.events"},"logRecords":[` +
		strings.Join(records, ",") + `]}]}]}`
}

func spansBody(spans ...string) string {
	return `{"resourceSpans":[{` + resource + `,"scopeSpans":[{"spans":[` + strings.Join(spans, ",") + `]}]}]}`
}

func spanRecord(id, extra string) string {
	return `{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"` + id + `","name":"chat","endTimeUnixNano":` + at +
		`,"attributes":[` + number("gen_ai.operation.name", `{"stringValue":"chat"}`) + extra + `]}`
}

func metricsBody(metrics ...string) string {
	return `{"resourceMetrics":[{` + resource + `,"scopeMetrics":[{"metrics":[` + strings.Join(metrics, ",") + `]}]}]}`
}

func tokenMetric(points ...string) string {
	return `{"name":"claude_code.token.usage","description":"d","sum":{"aggregationTemporality":1,"isMonotonic":true,"dataPoints":[` + strings.Join(points, ",") + `]}}`
}

func tokenPoint(kind, value string) string {
	return `{"timeUnixNano":` + at + `,` + value + `,"attributes":[` + number("type", `{"stringValue":"`+kind+`"}`) + `]}`
}

type decodeFunc = func(string, []byte) ([]event.Draft, []event.Rejection, error)

// result says what became of a body: event ids, and place, reason and field of
// what was rejected.
func result(t *testing.T, decode decodeFunc, contentType string, body []byte) (ids, rejected []string) {
	t.Helper()
	drafts, rejections, err := decode(contentType, body)
	if err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	s := event.NewStamper(event.Keyring{"acme": make([]byte, 32)}, price.Embedded(), nil)
	for i := range drafts {
		if _, rej := s.Stamp(&drafts[i], &event.Credential{ID: "k", Tenant: "acme"}, now); rej != nil {
			rejections = append(rejections, *rej)
			continue
		}
		ids = append(ids, hex.EncodeToString(drafts[i].Event.EventId))
	}
	for _, r := range rejections {
		place := r.Path
		for _, long := range []string{"resourceLogs", "scopeLogs", "logRecords", "resourceSpans", "scopeSpans", "spans", "resourceMetrics", "scopeMetrics", "metrics", "dataPoints", "."} {
			place = strings.ReplaceAll(place, long, "")
		}
		rejected = append(rejected, strings.TrimSuffix(place+" "+r.Reason+" "+r.Field, " "))
	}
	return ids, rejected
}

func TestEncodingsAgree(t *testing.T) {
	toProto := func(decode decodeFunc, body string) []byte {
		var raw []byte
		var err error
		switch {
		case strings.HasPrefix(body, `{"resourceLogs"`):
			var ld plog.Logs
			if ld, err = (&plog.JSONUnmarshaler{}).UnmarshalLogs([]byte(body)); err == nil {
				raw, err = (&plog.ProtoMarshaler{}).MarshalLogs(ld)
			}
		case strings.HasPrefix(body, `{"resourceSpans"`):
			var td ptrace.Traces
			if td, err = (&ptrace.JSONUnmarshaler{}).UnmarshalTraces([]byte(body)); err == nil {
				raw, err = (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
			}
		default:
			var md pmetric.Metrics
			if md, err = (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics([]byte(body)); err == nil {
				raw, err = (&pmetric.ProtoMarshaler{}).MarshalMetrics(md)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	for name, c := range map[string]struct {
		decode decodeFunc
		body   string
		events int
	}{
		"logs": {otlp.DecodeLogs, logsBody(logRecord("r1", at), logRecord("r2", at, number("input_tokens", `{"stringValue":"3"}`)),
			logRecord("", at, number("event.sequence", `{"intValue":4}`)), logRecord("", at, number("cost_usd", `{"doubleValue":0.1}`))), 4},
		"traces":  {otlp.DecodeTraces, spansBody(spanRecord("eee19b7ec3c1b174", ""), spanRecord("eee19b7ec3c1b175", "")), 2},
		"metrics": {otlp.DecodeMetrics, metricsBody(tokenMetric(tokenPoint("input", `"asDouble":3`), tokenPoint("output", `"asInt":"4"`))), 2},
	} {
		want, rejected := result(t, c.decode, otlp.JSON, []byte(c.body))
		if len(want) != c.events || len(rejected) != 0 {
			t.Fatalf("%s: %v, rejected %v", name, want, rejected)
		}
		raw := toProto(c.decode, c.body)
		for _, contentType := range []string{otlp.Protobuf, "application/protobuf", "application/x-protobuf; proto=x"} {
			if got, _ := result(t, c.decode, contentType, raw); !slices.Equal(got, want) {
				t.Errorf("%s as %s: ids %v, want %v", name, contentType, got, want)
			}
		}
		if got, _ := result(t, c.decode, "application/json; charset=UTF-8", []byte(" \n"+c.body+"\n")); !slices.Equal(got, want) {
			t.Errorf("%s with white space: ids %v, want %v", name, got, want)
		}
		snake := strings.NewReplacer("resourceLogs", "resource_logs", "scopeLogs", "scope_logs", "logRecords", "log_records",
			"timeUnixNano", "time_unix_nano", "resourceSpans", "resource_spans", "resourceMetrics", "resource_metrics").Replace(c.body)
		if got, _ := result(t, c.decode, otlp.JSON, []byte(snake)); !slices.Equal(got, want) {
			t.Errorf("%s in snake case: ids %v, want %v", name, got, want)
		}
	}
}

func TestBadRecordsAmongGoodOnes(t *testing.T) {
	const longAgo, far = `"1"`, `"4070908800000000000"`
	for name, c := range map[string]struct {
		decode   decodeFunc
		body     string
		events   int
		rejected []string
	}{
		"negative, NaN, 1970 and 2099": {
			otlp.DecodeLogs,
			logsBody(logRecord("r1", at, number("input_tokens", `{"intValue":"-1"}`)), logRecord("r2", at), logRecord("r3", longAgo),
				logRecord("r4", far), logRecord("r5", at, number("cost_usd", `{"doubleValue":"NaN"}`))),
			2,
			[]string{"[0][0][0] bad_number input_tokens", "[0][0][4] bad_number cost_usd", "[0][0][2] bad_time time"},
		},
		"what pdata refuses": {
			otlp.DecodeLogs,
			logsBody(logRecord("r1", at), logRecord("r2", at, number("input_tokens", `{"intValue":1.5}`)),
				logRecord("r3", at, number("input_tokens", `{"intValue":99999999999999999999}`)), logRecord("r4", at, number("input_tokens", `{"intValue":5.0}`)),
				logRecord("r5", at), `"text"`, `{"timeUnixNano":{}}`, `null`, logRecord("r6", at)),
			3,
			[]string{
				"[0][0][1] malformed_record", "[0][0][2] malformed_record", "[0][0][3] malformed_record",
				"[0][0][5] malformed_record", "[0][0][6] malformed_record", "[0][0][7] unknown_record event.name",
			},
		},
		"a bad resource": {
			otlp.DecodeLogs,
			`{"resourceLogs":[{"resource":{"attributes":[{"key":"x","value":{"intValue":1.5}}]},"scopeLogs":[{"logRecords":[` + logRecord("r1", at) + `,` + logRecord("r2", at) + `]}]},` +
				strings.TrimPrefix(logsBody(logRecord("r3", at)), `{"resourceLogs":[`),
			1,
			[]string{"[0][0][0] malformed_record", "[0][0][1] malformed_record"},
		},
		"a bad scope": {
			otlp.DecodeLogs,
			`{"resourceLogs":[{"scopeLogs":[{"scope":{"name":5},"logRecords":[` + logRecord("r1", at) + `]},{"logRecords":[` + logRecord("r2", at) + `]}]}]}`,
			1,
			[]string{"[0][0][0] malformed_record"},
		},
		"bad levels": {
			otlp.DecodeLogs,
			`{"resourceLogs":[5,{"scopeLogs":5},{"scopeLogs":[5,{"logRecords":5},{"logRecords":[5,` + logRecord("r1", at) + `]}]}]}`,
			1,
			[]string{"[0] malformed_record", "[1] malformed_record", "[2][0] malformed_record", "[2][1] malformed_record", "[2][2][0] malformed_record"},
		},
		"foreign records": {
			otlp.DecodeLogs,
			logsBody(logRecord("r1", at))[:len(logsBody(logRecord("r1", at)))-2] + `,{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"GET /"}},{"attributes":[` +
				number("event.name", `{"stringValue":"gemini_cli.api_response"}`) + `]}]}]}]}`,
			1,
			[]string{"[1][0][0] not_ai_telemetry", "[1][0][1] unknown_record"},
		},
		"spans": {
			otlp.DecodeTraces,
			spansBody(spanRecord("eee19b7ec3c1b174", ""), spanRecord("zzz", ""), spanRecord("eee19b7ec3c1b175", `,`+number("gen_ai.usage.input_tokens", `{"doubleValue":1.5}`)), `7`),
			1,
			[]string{"[0][0][1] malformed_record", "[0][0][2] bad_number gen_ai.usage.input_tokens", "[0][0][3] malformed_record"},
		},
		"data points": {
			otlp.DecodeMetrics,
			metricsBody(tokenMetric(tokenPoint("input", `"asInt":5.0`), tokenPoint("input", `"asInt":"5"`), tokenPoint("output", `"asDouble":-1`)), `5`,
				`{"name":"x"}`, `{"name":"claude_code.token.usage","sum":{"dataPoints":[5]}}`, tokenMetric(tokenPoint("output", `"asInt":"6"`)),
				`{"name":7,"sum":{"dataPoints":[{}]}}`),
			2,
			[]string{
				"[0][0][0][0] malformed_record", "[0][0][0][2] bad_number value", "[0][0][1] malformed_record",
				"[0][0][3][0] malformed_record", "[0][0][5] malformed_record",
			},
		},
	} {
		ids, rejected := result(t, c.decode, otlp.JSON, []byte(c.body))
		if diff := cmp.Diff(c.rejected, rejected); diff != "" || len(ids) != c.events {
			t.Errorf("%s: %d events, want %d; rejected %s", name, len(ids), c.events, diff)
		}
	}
}

// What a bad neighbour does to a good record: nothing.
func TestFallbackGivesTheSameIDs(t *testing.T) {
	good := []string{logRecord("r1", at), logRecord("", at, number("event.sequence", `{"intValue":4}`)), logRecord("", at)}
	want, _ := result(t, otlp.DecodeLogs, otlp.JSON, []byte(logsBody(good...)))
	got, rejected := result(t, otlp.DecodeLogs, otlp.JSON, []byte(logsBody(slices.Insert(slices.Clone(good), 1, `{"timeUnixNano":true}`)...)))
	if !slices.Equal(got, want) || len(rejected) != 1 {
		t.Errorf("ids %v, want %v; rejected %v", got, want, rejected)
	}
	m := metricsBody(tokenMetric(tokenPoint("input", `"asInt":"5"`), tokenPoint("output", `"asInt":"6"`)))
	want, _ = result(t, otlp.DecodeMetrics, otlp.JSON, []byte(m))
	bad := strings.Replace(m, `"dataPoints":[`, `"dataPoints":[`+tokenPoint("input", `"asInt":1.5`)+`,`, 1)
	got, rejected = result(t, otlp.DecodeMetrics, otlp.JSON, []byte(bad))
	if !slices.Equal(got, want) || len(rejected) != 1 {
		t.Errorf("ids %v, want %v; rejected %v", got, want, rejected)
	}
}

func TestHalfOfALargeBatchIsBad(t *testing.T) {
	const n = 5000
	records := make([]string, n)
	for i := range records {
		value := `{"intValue":1}`
		if i%2 == 1 {
			value = `{"intValue":1.5}`
		}
		records[i] = logRecord(fmt.Sprint("r", i), at, number("input_tokens", value))
	}
	ids, rejected := result(t, otlp.DecodeLogs, otlp.JSON, []byte(logsBody(records...)))
	if len(ids) != n/2 || len(rejected) != n/2 || rejected[n/2-1] != "[0][0][4999] malformed_record" {
		t.Errorf("%d events, %d rejected", len(ids), len(rejected))
	}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != n/2 {
		t.Error("events share ids")
	}
}

func TestBadBodies(t *testing.T) {
	valid := logsBody(logRecord("r1", at))
	for name, c := range map[string]struct {
		contentType, body string
		want              error
	}{
		"not JSON":         {otlp.JSON, `{"resourceLogs":[`, otlp.ErrMalformed},
		"two documents":    {otlp.JSON, valid + valid, otlp.ErrMalformed},
		"a list":           {otlp.JSON, `[` + valid + `]`, otlp.ErrMalformed},
		"a word":           {otlp.JSON, `hello`, otlp.ErrMalformed},
		"nothing":          {otlp.JSON, ``, otlp.ErrMalformed},
		"not a list":       {otlp.JSON, `{"resourceLogs":5}`, otlp.ErrMalformed},
		"no wrapper":       {otlp.JSON, valid[len(`{"resourceLogs":[`) : len(valid)-2], otlp.ErrNoRecords},
		"other signal":     {otlp.JSON, spansBody(spanRecord("eee19b7ec3c1b174", "")), otlp.ErrNoRecords},
		"not protobuf":     {otlp.Protobuf, `{"resourceLogs":[]}`, otlp.ErrMalformed},
		"protobuf, cut":    {otlp.Protobuf, "\x0a\xff\x01", otlp.ErrMalformed},
		"unknown protobuf": {otlp.Protobuf, "\x78\x01", otlp.ErrNoRecords},
		"text":             {"text/plain", valid, otlp.ErrContentType},
		"no type":          {"", valid, otlp.ErrContentType},
		"bad type":         {"application/json; charset", valid, otlp.ErrContentType},
		"latin 1":          {"application/json; charset=iso-8859-1", valid, otlp.ErrContentType},
	} {
		drafts, rejected, err := otlp.DecodeLogs(c.contentType, []byte(c.body))
		if !errors.Is(err, c.want) || len(drafts)+len(rejected) != 0 {
			t.Errorf("%s: %v with %d drafts and %d rejected, want %v", name, err, len(drafts), len(rejected), c.want)
		}
	}
	for _, c := range [][2]string{{otlp.JSON, `{}`}, {otlp.JSON, `{"resourceLogs":[]}`}, {otlp.JSON, `{"resource_logs":[{}]}`}, {otlp.Protobuf, ``}} {
		drafts, rejected, err := otlp.DecodeLogs(c[0], []byte(c[1]))
		if err != nil || len(drafts)+len(rejected) != 0 {
			t.Errorf("%q: %d drafts, %d rejected, %v; want nothing at all", c[1], len(drafts), len(rejected), err)
		}
	}
}

func TestRejectionsDescribeWithoutQuoting(t *testing.T) {
	secret := number("input_tokens", `{"intValue":1.5}`) + `,` + number("my.secret.key", `{"stringValue":"secret"}`)
	_, rejected, err := otlp.DecodeLogs(otlp.JSON, []byte(logsBody(logRecord("r1", at, secret), logRecord("r2", at, number("input_tokens", `{"intValue":-1}`), number("my.secret.key", `{"stringValue":"secret"}`)))))
	if err != nil || len(rejected) != 2 {
		t.Fatalf("rejected %v, err %v", rejected, err)
	}
	for _, r := range rejected {
		if r.Hash == [32]byte{} || r.Size == 0 || r.Shape == "" || len(r.Shape) > event.MaxShape {
			t.Errorf("incomplete: %+v", r)
		}
		if strings.Contains(fmt.Sprintf("%+v", r), "secret") {
			t.Errorf("quotes the record: %+v", r)
		}
	}
	if want := "{event.name:str,session.id:str,model:str,request_id:str,output_tokens:int,input_tokens:int,others:1}"; rejected[1].Shape != want {
		t.Errorf("shape %s, want %s", rejected[1].Shape, want)
	}
}

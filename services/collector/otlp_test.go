package collector

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
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
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// session is a request body of Claude Code: n api_request records of a session.
func session(name string, n int, change func(i int, r plog.LogRecord)) plog.Logs {
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("service.name", "claude-code")
	sl := rl.ScopeLogs().AppendEmpty()
	sl.Scope().SetName("com.anthropic.claude_code.events")
	for i := range n {
		r := sl.LogRecords().AppendEmpty()
		r.SetTimestamp(pcommon.NewTimestampFromTime(time.Now().Add(-time.Minute)))
		r.Body().SetStr("claude_code.api_request")
		a := r.Attributes()
		a.PutStr("event.name", "api_request")
		a.PutStr("session.id", name)
		a.PutStr("user.email", "ada@acme.example")
		a.PutStr("model", "claude-sonnet-4-5-20250929")
		a.PutStr("request_id", fmt.Sprintf("req_%s_%d", name, i))
		a.PutInt("event.sequence", int64(i))
		a.PutInt("input_tokens", 100)
		a.PutInt("output_tokens", int64(10+i))
		a.PutInt("cache_read_tokens", 1000)
		a.PutInt("cache_creation_tokens", 50)
		a.PutDouble("cost_usd", 0.0123)
		a.PutInt("duration_ms", 900)
		if change != nil {
			change(i, r)
		}
	}
	return ld
}

func logsProto(tb testing.TB, ld plog.Logs) []byte {
	tb.Helper()
	raw, err := plogotlp.NewExportRequestFromLogs(ld).MarshalProto()
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

func logsJSON(tb testing.TB, ld plog.Logs) []byte {
	tb.Helper()
	raw, err := plogotlp.NewExportRequestFromLogs(ld).MarshalJSON()
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// accepted wants a full success.
func accepted(t *testing.T, res reply) {
	t.Helper()
	if res.code != http.StatusOK {
		t.Fatalf("status %d: %s", res.code, res.body)
	}
	if n, message := partial(t, res); n != 0 || message != "" {
		t.Fatalf("partial success: %d rejected: %s", n, message)
	}
}

// partial reads the partial success of a logs response.
func partial(t *testing.T, res reply) (int64, string) {
	t.Helper()
	r := plogotlp.NewExportResponse()
	var err error
	switch res.header.Get("Content-Type") {
	case typeJSON:
		err = r.UnmarshalJSON(res.body)
	case typeProtobuf:
		err = r.UnmarshalProto(res.body)
	default:
		t.Fatalf("response of type %q", res.header.Get("Content-Type"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return r.PartialSuccess().RejectedLogRecords(), r.PartialSuccess().ErrorMessage()
}

// names are the ids, keys and partitions of events, sorted.
func names(events []stored) []string {
	out := make([]string, len(events))
	for i, e := range events {
		out[i] = fmt.Sprintf("%s %s %d", hex.EncodeToString(e.EventId), e.key, e.partition)
	}
	slices.Sort(out)
	return out
}

func TestSameBodyInEveryForm(t *testing.T) {
	ld := session("s-forms", 5, nil)
	pb, js := logsProto(t, ld), logsJSON(t, ld)
	chunked := func(b []byte) io.Reader { return io.MultiReader(bytes.NewReader(b)) } // of unknown length
	forms := map[string]call{
		"protobuf":         {contentType: typeProtobuf, body: bytes.NewReader(pb)},
		"json":             {contentType: typeJSON, body: bytes.NewReader(js)},
		"json charset":     {contentType: "application/json; charset=UTF-8", body: bytes.NewReader(js)},
		"protobuf gzip":    {contentType: typeProtobuf, encoding: "gzip", body: bytes.NewReader(gzipped(t, pb))},
		"json gzip":        {contentType: typeJSON, encoding: "gzip", body: bytes.NewReader(gzipped(t, js))},
		"protobuf zstd":    {contentType: typeProtobuf, encoding: "zstd", body: bytes.NewReader(zstandard(t, pb))},
		"json deflate":     {contentType: typeJSON, encoding: "deflate", body: bytes.NewReader(deflated(t, js))},
		"protobuf chunked": {contentType: typeProtobuf, body: chunked(pb)},
		"json gzip chunks": {contentType: typeJSON, encoding: "gzip", body: chunked(gzipped(t, js))},
	}
	var want []string
	for _, name := range append([]string{"protobuf"}, slices.Sorted(maps.Keys(forms))...) {
		c := forms[name]
		if s, ok := c.body.(io.Seeker); ok {
			_, _ = s.Seek(0, io.SeekStart)
		}
		c.path = "/v1/logs"
		r := start(t, nil)
		accepted(t, r.post(c))
		got := names(r.events())
		if want == nil {
			want = got
			if len(want) != 5 {
				t.Fatalf("%d events, want 5", len(want))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-protobuf +%s):\n%s", name, name, diff)
		}
	}
	r := start(t, nil)
	for _, gzip := range []bool{false, true} {
		if _, err := plogotlp.NewGRPCClient(r.dial(gzip)).Export(r.authorized(), plogotlp.NewExportRequestFromLogs(ld)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(append(want, want...))), names(r.events())); diff != "" {
		t.Errorf("gRPC, plain and gzip (-protobuf twice +grpc):\n%s", diff)
	}
}

func TestEventsCarryWhatTheKeyAndTheFilesSay(t *testing.T) {
	r := start(t, nil)
	accepted(t, r.post(call{path: "/v1/logs", contentType: typeProtobuf, body: bytes.NewReader(logsProto(t, session("s1", 1, nil)))}))
	events := r.events()
	if len(events) != 1 {
		t.Fatalf("%d events", len(events))
	}
	e := events[0]
	if e.Tenant != testTenant || e.Credential != "ada-laptop" || e.Team != "compilers" || e.Role != "developer" ||
		!strings.HasPrefix(e.Subject, "p_") || e.Accounting != goodhartv1.Accounting_ACCOUNTING_BILLABLE ||
		e.Transport != goodhartv1.Transport_TRANSPORT_OTLP_HTTP || e.key != testTenant+"|"+e.Conversation {
		t.Errorf("event %v", e.Event)
	}
	if e.Usage.CostBasis != goodhartv1.CostBasis_COST_BASIS_ESTIMATED || e.Usage.GetCostNanos() == 0 {
		t.Errorf("usage %v", e.Usage)
	}
	if age := time.Since(time.UnixMilli(e.ReceivedMs)); age < 0 || age > time.Minute {
		t.Errorf("received %s ago", age)
	}
}

// TestBadBodies wants every body that is bad as a whole refused for good, named,
// counted and described, and the collector as healthy as before.
func TestBadBodies(t *testing.T) {
	r := start(t, nil)
	good := logsProto(t, session("good", 1, nil))
	big := append(logsProto(t, session("big", 1, nil)), make([]byte, 65<<20)...)
	bomb := gzipped(t, make([]byte, 200<<20))
	cases := []struct {
		name   string
		call   call
		code   int
		reason string
		dead   bool
	}{
		{"malformed JSON", call{contentType: typeJSON, body: strings.NewReader(`{"resourceLogs":[`)}, 400, reasonMalformed, true},
		{"not JSON at all", call{contentType: typeJSON, body: strings.NewReader("\x00\xff\xfe")}, 400, reasonMalformed, true},
		{"malformed protobuf", call{contentType: typeProtobuf, body: bytes.NewReader(good[:len(good)-7])}, 400, reasonMalformed, true},
		{"protobuf noise", call{contentType: typeProtobuf, body: bytes.NewReader(noise(5000))}, 400, reasonMalformed, true},
		{"JSON called protobuf", call{contentType: typeProtobuf, body: strings.NewReader(`{"resourceLogs":[]}`)}, 400, reasonMalformed, true},
		{"no wrapper", call{contentType: typeJSON, body: strings.NewReader(`{"resource":{},"scopeLogs":[]}`)}, 400, reasonMalformed, true},
		{"65 MiB", call{contentType: typeProtobuf, body: bytes.NewReader(big)}, 413, reasonBodyTooLarge, true},
		{"65 MiB chunked", call{contentType: typeProtobuf, body: io.MultiReader(bytes.NewReader(big))}, 413, reasonBodyTooLarge, true},
		{"gzip bomb", call{contentType: typeProtobuf, encoding: "gzip", body: bytes.NewReader(bomb)}, 413, reasonBodyTooLarge, true},
		{"broken gzip", call{contentType: typeProtobuf, encoding: "gzip", body: bytes.NewReader(good)}, 400, reasonBadEncoding, true},
		{"unknown encoding", call{contentType: typeProtobuf, encoding: "br", body: bytes.NewReader(good)}, 415, reasonEncoding, true},
		{"unknown type", call{contentType: "text/plain", body: bytes.NewReader(good)}, 415, reasonContentType, true},
		{"unreadable type", call{contentType: "a/b/c;;", body: bytes.NewReader(good)}, 415, reasonContentType, true},
		{"unknown charset", call{contentType: "application/json; charset=utf-16", body: bytes.NewReader(good)}, 415, reasonContentType, true},
		{"no type", call{body: bytes.NewReader(good)}, 415, reasonContentType, true},
		{"no key", call{contentType: typeProtobuf, secret: "-", body: bytes.NewReader(good)}, 401, reasonUnauthenticated, false},
		{"wrong key", call{contentType: typeJSON, secret: "Bearer nobody", body: bytes.NewReader(good)}, 401, reasonUnauthenticated, false},
	}
	type count struct{ requests, rejected, dead int }
	counted := map[string]count{}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			test.call.path = "/v1/logs"
			res := r.post(test.call)
			if res.code != test.code {
				t.Errorf("status %d, want %d: %.200s", res.code, test.code, res.body)
			}
			checkStatus(t, res, test.reason)
			c := counted[test.reason]
			c.requests++
			if test.dead {
				c.rejected++
				c.dead++
			}
			counted[test.reason] = c
		})
	}
	for _, path := range []string{"/v1/log", "/", "/v1/logs/"} {
		if res := r.post(call{path: path, contentType: typeJSON, body: strings.NewReader("{}")}); res.code != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", path, res.code)
		}
	}
	accepted(t, r.post(call{path: "/v1/logs", contentType: typeProtobuf, body: bytes.NewReader(good)}))
	if n := len(r.events()); n != 1 {
		t.Errorf("%d events in Kafka, want the good one", n)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	dead := map[string]int{}
	for _, d := range r.deadLetters() {
		dead[d.Reason]++
		if d.Tenant != testTenant || d.Source != otlpSource || d.Stage != goodhartv1.Stage_STAGE_COLLECTOR || len(d.Value) > 0 || d.Credential != "ada-laptop" {
			t.Errorf("dead letter %v", d)
		}
	}
	tallied := r.tallied()
	for reason, want := range counted {
		got := count{r.requests("otlp_http", reason), r.rejected(otlpSource, reason), dead[reason]}
		if got != want {
			t.Errorf("%s: counted %+v, want %+v", reason, got, want)
		}
		if n := tallied[otlpSource+"/"+reason]; n != int64(want.rejected) {
			t.Errorf("%s: ticks carried %d, want %d", reason, n, want.rejected)
		}
	}
}

// checkStatus wants a google.rpc.Status in the type of the request.
func checkStatus(t *testing.T, res reply, reason string) {
	t.Helper()
	st := new(spb.Status)
	var err error
	switch res.header.Get("Content-Type") {
	case typeJSON:
		err = protojson.Unmarshal(res.body, st)
	case typeProtobuf:
		err = proto.Unmarshal(res.body, st)
	default:
		t.Errorf("answer of type %q", res.header.Get("Content-Type"))
	}
	if err != nil || !strings.HasPrefix(st.Message, reason+": ") {
		t.Errorf("status %v, error %v, want %s", st, err, reason)
	}
	if retry := res.header.Get("Retry-After"); (retry != "") != (res.code == http.StatusServiceUnavailable) {
		t.Errorf("Retry-After %q with status %d", retry, res.code)
	}
	if (res.header.Get("WWW-Authenticate") != "") != (res.code == http.StatusUnauthorized) {
		t.Errorf("WWW-Authenticate %q with status %d", res.header.Get("WWW-Authenticate"), res.code)
	}
}

// TestBadRecordsLoseNoNeighbour makes every second record bad, in one way after
// the other, in both encodings.
func TestBadRecordsLoseNoNeighbour(t *testing.T) {
	at := func(day string) pcommon.Timestamp {
		when, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		return pcommon.NewTimestampFromTime(when)
	}
	for _, test := range []struct {
		name    string
		spoil   func(plog.LogRecord)
		reason  string
		skewed  bool
		replace string // in the JSON body, in place of spoil's marker
	}{
		{name: "negative", spoil: func(r plog.LogRecord) { r.Attributes().PutInt("input_tokens", -5) }, reason: "bad_number"},
		{name: "NaN", spoil: func(r plog.LogRecord) { r.Attributes().PutDouble("output_tokens", nan()) }, reason: "bad_number"},
		{name: "NaN as text", spoil: func(r plog.LogRecord) { r.Attributes().PutStr("cost_usd", "NaN") }, reason: "bad_number"},
		{name: "infinite cost", spoil: func(r plog.LogRecord) { r.Attributes().PutDouble("cost_usd", 1/zero()) }, reason: "bad_number"},
		{name: "1970", spoil: func(r plog.LogRecord) { r.SetTimestamp(at("1970-01-02")) }, reason: "bad_time"},
		{name: "2099", spoil: func(r plog.LogRecord) { r.SetTimestamp(at("2099-01-01")) }, skewed: true},
		{name: "fraction", spoil: func(r plog.LogRecord) { r.Attributes().PutDouble("input_tokens", 1.5) }, reason: "bad_number"},
		{name: "not AI", spoil: func(r plog.LogRecord) {
			r.Body().SetStr("GET /index.html")
			r.Attributes().Clear()
			r.Attributes().PutStr("event.name", "other.thing")
		}, reason: "*"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := start(t, nil)
			ld := session("s", 10, func(i int, rec plog.LogRecord) {
				if i%2 == 1 {
					test.spoil(rec)
				}
			})
			bodies := []call{{contentType: typeProtobuf, body: bytes.NewReader(logsProto(t, ld))}}
			if js := logsJSON(t, ld); !bytes.Contains(js, []byte(`"doubleValue":null`)) {
				bodies = append(bodies, call{contentType: typeJSON, body: bytes.NewReader(js)})
			}
			for _, c := range bodies {
				c.path = "/v1/logs"
				res := r.post(c)
				if res.code != http.StatusOK {
					t.Fatalf("status %d: %s", res.code, res.body)
				}
				n, message := partial(t, res)
				if test.reason == "" || test.reason == "*" {
					continue
				}
				if n != 5 || !strings.Contains(message, "logRecords[1]") || !strings.Contains(message, test.reason) {
					t.Errorf("%s: %d rejected: %s", c.contentType, n, message)
				}
			}
			good := 0
			for _, e := range r.events() {
				if e.GetUsage().GetOutputTokens()%2 == 0 && e.Usage != nil {
					good++
				}
				if skewed := slices.Contains(e.Quality, goodhartv1.Quality_QUALITY_CLOCK_SKEW); test.skewed && e.GetUsage().GetOutputTokens()%2 == 1 && (!skewed || e.TimeMs != e.ReceivedMs) {
					t.Errorf("a time in 2099 became %d, received %d, %v", e.TimeMs, e.ReceivedMs, e.Quality)
				}
			}
			if want := 5 * len(bodies); good != want {
				t.Errorf("%d good neighbours in Kafka, want %d", good, want)
			}
			if test.reason == "" || test.reason == "*" {
				return
			}
			want := 5 * len(bodies)
			if got := r.rejected("claude-code", test.reason); got != want {
				t.Errorf("%d counted, want %d", got, want)
			}
			if got := len(r.deadLetters()); got != want {
				t.Errorf("%d dead letters, want %d", got, want)
			}
		})
	}
}

func zero() float64 { return 0 }
func nan() float64  { return zero() / zero() }

func TestBrokenRecordInJSON(t *testing.T) {
	r := start(t, nil)
	js := logsJSON(t, session("s", 3, nil))
	// pdata itself refuses the whole of such a body.
	js = bytes.Replace(js, []byte(`"intValue":"11"`), []byte(`"intValue":1.5e400`), 1)
	res := r.post(call{path: "/v1/logs", contentType: typeJSON, body: bytes.NewReader(js)})
	if n, message := partial(t, res); res.code != http.StatusOK || n != 1 || !strings.Contains(message, "logRecords[1]") {
		t.Errorf("status %d, %d rejected: %s", res.code, n, message)
	}
	if n := len(r.events()); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
}

func TestMetricsAndTraces(t *testing.T) {
	r := start(t, nil)
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", "claude-code")
	sm := rm.ScopeMetrics().AppendEmpty()
	sm.Scope().SetName("com.anthropic.claude_code")
	for _, temporality := range []pmetric.AggregationTemporality{pmetric.AggregationTemporalityDelta, pmetric.AggregationTemporalityCumulative} {
		m := sm.Metrics().AppendEmpty()
		m.SetName("claude_code.token.usage")
		sum := m.SetEmptySum()
		sum.SetIsMonotonic(true)
		sum.SetAggregationTemporality(temporality)
		p := sum.DataPoints().AppendEmpty()
		p.SetIntValue(42)
		p.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
		p.SetStartTimestamp(pcommon.NewTimestampFromTime(time.Now().Add(-time.Minute)))
		p.Attributes().PutStr("session.id", "s-metrics")
		p.Attributes().PutStr("type", "input")
		p.Attributes().PutStr("model", "claude-sonnet-4-5")
	}
	raw, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	res := r.post(call{path: "/v1/metrics", contentType: typeProtobuf, body: bytes.NewReader(raw)})
	mr := pmetricotlp.NewExportResponse()
	if err := mr.UnmarshalProto(res.body); err != nil || res.code != http.StatusOK || mr.PartialSuccess().RejectedDataPoints() != 1 {
		t.Errorf("metrics: status %d, %v, %s", res.code, err, mr.PartialSuccess().ErrorMessage())
	}

	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	ss := rs.ScopeSpans().AppendEmpty()
	for i, name := range []string{"chat claude-sonnet-4-5", "GET /"} {
		s := ss.Spans().AppendEmpty()
		s.SetName(name)
		s.SetTraceID(pcommon.TraceID{1, byte(i)})
		s.SetSpanID(pcommon.SpanID{2, byte(i)})
		s.SetStartTimestamp(pcommon.NewTimestampFromTime(time.Now().Add(-time.Second)))
		s.SetEndTimestamp(pcommon.NewTimestampFromTime(time.Now()))
		if i > 0 {
			continue
		}
		s.Attributes().PutStr("gen_ai.operation.name", "chat")
		s.Attributes().PutStr("gen_ai.provider.name", "anthropic")
		s.Attributes().PutStr("gen_ai.request.model", "claude-sonnet-4-5")
		s.Attributes().PutInt("gen_ai.usage.input_tokens", 10)
		s.Attributes().PutInt("gen_ai.usage.output_tokens", 20)
	}
	exported, err := ptraceotlp.NewGRPCClient(r.dial(false)).Export(r.authorized(), ptraceotlp.NewExportRequestFromTraces(td))
	if err != nil || exported.PartialSuccess().RejectedSpans() != 1 {
		t.Errorf("traces: %v, %d rejected: %s", err, exported.PartialSuccess().RejectedSpans(), exported.PartialSuccess().ErrorMessage())
	}
	signals := map[goodhartv1.Signal]int{}
	for _, e := range r.events() {
		signals[e.Signal]++
		if e.Signal == goodhartv1.Signal_SIGNAL_SPAN && (e.Transport != goodhartv1.Transport_TRANSPORT_OTLP_GRPC || !e.CountsAlone) {
			t.Errorf("span %v", e.Event)
		}
	}
	want := map[goodhartv1.Signal]int{goodhartv1.Signal_SIGNAL_METRIC: 1, goodhartv1.Signal_SIGNAL_SPAN: 1}
	if diff := cmp.Diff(want, signals); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestCredentialBoundToAnotherSource(t *testing.T) {
	r := start(t, nil)
	res := r.post(call{path: "/v1/logs", contentType: typeProtobuf, secret: "Bearer " + ciSecret, body: bytes.NewReader(logsProto(t, session("s", 2, nil)))})
	if n, message := partial(t, res); res.code != http.StatusOK || n != 2 || !strings.Contains(message, reasonSource) {
		t.Errorf("status %d, %d rejected: %s", res.code, n, message)
	}
	if n := len(r.events()); n != 0 {
		t.Errorf("%d events, want none", n)
	}
}

func TestRefusalsMapToBothProtocols(t *testing.T) {
	f := func(reason string, status int, code codes.Code) {
		t.Helper()
		ref := refuse(reason, "")
		if ref.status() != status || ref.code() != code {
			t.Errorf("%s: %d %v, want %d %v", reason, ref.status(), ref.code(), status, code)
		}
		if hasRetry := len(ref.rpcStatus().Details) > 0; hasRetry != (status == 503) {
			t.Errorf("%s: RetryInfo %v", reason, hasRetry)
		}
	}
	f(reasonUnauthenticated, 401, codes.Unauthenticated)
	f(reasonContentType, 415, codes.InvalidArgument)
	f(reasonBodyTooLarge, 413, codes.ResourceExhausted)
	f(reasonMalformed, 400, codes.InvalidArgument)
	f(reasonBadEncoding, 400, codes.InvalidArgument)
	f(reasonBadClock, 400, codes.InvalidArgument)
	f(reasonIncomplete, 400, codes.InvalidArgument)
	f(reasonSlow, 408, codes.DeadlineExceeded)
	f(reasonNoClock, 503, codes.Unavailable)
	f(reasonOverloaded, 503, codes.Unavailable)
	f(reasonUnavailable, 503, codes.Unavailable)
}

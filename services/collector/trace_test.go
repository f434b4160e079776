package collector

import (
	"bytes"
	"encoding/hex"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/goodhartlabs/goodhart/pkg/tracing"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// value returns an attribute as text, "" if there is none.
func value(attributes []attribute.KeyValue, key string) string {
	for _, kv := range attributes {
		if string(kv.Key) == key {
			return kv.Value.String()
		}
	}
	return ""
}

// Every event of a followed request has a span under its own id, says where it
// lies in Kafka, is linked to the request and from it, and its record says the same.
func TestFollowedEvents(t *testing.T) {
	r := start(t, nil)
	spans := tracetest.NewSpanRecorder()
	r.tel.Tracer = tracing.New(spans, 1, nil)
	accepted(t, r.post(call{path: "/v1/logs", contentType: typeProtobuf, body: bytes.NewReader(logsProto(t, session("s-traced", 5, nil)))}))

	byTrace := map[string]sdktrace.ReadOnlySpan{}
	var request sdktrace.ReadOnlySpan
	for _, s := range spans.Ended() {
		if s.Name() == "POST /v1/logs" {
			request = s
			continue
		}
		byTrace[s.SpanContext().TraceID().String()] = s
	}
	if request == nil || len(byTrace) != 5 || len(request.Links()) != 5 {
		t.Fatalf("%d spans of events, request %v", len(byTrace), request)
	}
	if got := value(request.Attributes(), "messaging.batch.message_count"); got != "5" || value(request.Attributes(), "http.route") != "/v1/logs" {
		t.Errorf("request: %v", request.Attributes())
	}
	linked := map[string]bool{}
	for _, l := range request.Links() {
		linked[l.SpanContext.TraceID().String()] = true
	}
	for _, rec := range r.read(schemas.TopicEvents) {
		e := new(goodhartv1.Event)
		if err := e.UnmarshalVT(rec.Value); err != nil {
			t.Fatal(err)
		}
		if e.Kind == goodhartv1.EventKind_EVENT_KIND_TICK {
			if len(rec.Headers) > 0 {
				t.Error("a tick carries headers")
			}
			continue
		}
		id := hex.EncodeToString(e.EventId)
		span := byTrace[id]
		followed, ok := tracing.Followed(rec)
		if span == nil || !ok || !followed.Equal(span.SpanContext().WithRemote(true)) || !linked[id] {
			t.Errorf("event %s: followed %v as %v, span %v, linked %v", id, ok, followed, span, linked[id])
			continue
		}
		a := span.Attributes()
		if value(a, "messaging.destination.partition.id") != strconv.Itoa(int(rec.Partition)) ||
			value(a, "messaging.kafka.offset") != strconv.FormatInt(rec.Offset, 10) ||
			value(a, "messaging.destination.name") != schemas.TopicEvents || value(a, "messaging.system") != "kafka" {
			t.Errorf("event %s at %d/%d: %v", id, rec.Partition, rec.Offset, a)
		}
		if l := span.Links(); len(l) != 1 || l[0].SpanContext.SpanID() != request.SpanContext().SpanID() {
			t.Errorf("event %s is not linked to its request", id)
		}
	}
}

// A request that Kafka did not acknowledge says so, and claims no offsets.
func TestFollowedEventsOfAFailedRequest(t *testing.T) {
	r := start(t, func(c *Config) { c.Timeouts.Produce = time.Second })
	spans := tracetest.NewSpanRecorder()
	r.tel.Tracer = tracing.New(spans, 1, nil)
	fault := r.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: schemas.TopicEvents, Err: kerr.NotLeaderForPartition, Count: -1})
	send := func() reply {
		return r.post(call{path: "/v1/logs", contentType: typeProtobuf, body: bytes.NewReader(logsProto(t, session("s-lost", 2, nil)))})
	}
	res := send()
	if res.code != http.StatusServiceUnavailable || len(spans.Ended()) != 3 {
		t.Fatalf("status %d, %d spans", res.code, len(spans.Ended()))
	}
	failed := spans.Ended()
	fault.Remove()
	waitFor(t, "the broker to take events again", func() bool { return send().code == http.StatusOK })
	for _, s := range failed {
		if s.Status().Code != codes.Error || value(s.Attributes(), "messaging.kafka.offset") != "" {
			t.Errorf("%s: %v %v", s.Name(), s.Status(), s.Attributes())
		}
	}
}

// What is not followed leaves no mark, and spans about the pipeline itself that
// somebody sends to it lead to no further ones.
func TestNoSpansOfSpans(t *testing.T) {
	r := start(t, nil)
	spans := tracetest.NewSpanRecorder()
	r.tel.Tracer = tracing.New(spans, 0, nil)
	accepted(t, r.post(call{path: "/v1/logs", contentType: typeProtobuf, body: bytes.NewReader(logsProto(t, session("s-plain", 5, nil)))}))
	for _, rec := range r.read(schemas.TopicEvents) {
		if len(rec.Headers) > 0 {
			t.Error("an event that is not followed carries headers")
		}
	}
	r.tel.Tracer = tracing.New(spans, 1, nil)
	td := ptrace.NewTraces()
	s := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	s.SetName("process " + schemas.TopicEvents)
	s.SetTraceID([16]byte{1})
	s.SetSpanID([8]byte{1})
	s.Attributes().PutStr("messaging.system", "kafka")
	raw, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	if res := r.post(call{path: "/v1/traces", contentType: typeProtobuf, body: bytes.NewReader(raw)}); res.code != http.StatusOK {
		t.Errorf("status %d: %s", res.code, res.body)
	}
	if n := len(spans.Ended()); n != 0 {
		t.Errorf("%d spans", n)
	}
}

// BenchmarkLoadTraced is BenchmarkLoad with tracing off and on: what it costs an
// event that is not followed.
func BenchmarkLoadTraced(b *testing.B) {
	r := start(b, nil)
	body := logsProto(b, session("bench", 1000, nil))
	d := delivery{books: r.s.library.current.Load()}
	var ref *refusal
	if d.cred, ref = d.books.keys.authenticate("Bearer " + testSecret); ref != nil {
		b.Fatal(ref.detail)
	}
	d.now, _ = r.s.clock.observe("")
	decode := signals()[0].decode
	f := func(name string, t *tracing.Tracer) {
		b.Run(name, func(b *testing.B) {
			r.tel.Tracer = t
			b.ReportAllocs()
			for b.Loop() {
				drafts, rejections, err := decode(typeProtobuf, body)
				if err != nil {
					b.Fatal(err)
				}
				if c := r.s.load(d, drafts, rejections); len(c.records) != 1000 {
					b.Fatalf("%d records", len(c.records))
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
		})
	}
	f("off", nil)
	f("1-in-1000", tracing.New(sdktrace.NewSimpleSpanProcessor(tracetest.NewNoopExporter()), 0.001, nil))
}

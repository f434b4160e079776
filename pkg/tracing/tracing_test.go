package tracing

import (
	"crypto/rand"
	"math"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

func id(t *testing.T) []byte {
	t.Helper()
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return b
}

// Every stage decides alike: by the event id, as the SDK would by the trace id.
func TestFollowsAsTheSamplerDoes(t *testing.T) {
	const ratio, events = 0.01, 100_000
	tracer := New(tracetest.NewSpanRecorder(), ratio, nil)
	reference := sdktrace.TraceIDRatioBased(ratio)
	followed := 0
	for range events {
		event := id(t)
		want := reference.ShouldSample(sdktrace.SamplingParameters{TraceID: trace.TraceID(event)}).Decision == sdktrace.RecordAndSample
		if tracer.Follows(event) != want {
			t.Fatalf("%x: followed %v, sampled %v", event, !want, want)
		}
		if want {
			followed++
		}
	}
	if off := math.Abs(float64(followed) - ratio*events); off > 6*math.Sqrt(ratio*events) {
		t.Errorf("%d of %d followed", followed, events)
	}
	f := func(tracer *Tracer, event []byte, want bool) {
		t.Helper()
		if tracer.Follows(event) != want {
			t.Errorf("followed %v", !want)
		}
	}
	f(nil, id(t), false)
	f(New(tracetest.NewSpanRecorder(), 0, nil), id(t), false)
	f(New(tracetest.NewSpanRecorder(), 1, nil), id(t), true)
	f(New(tracetest.NewSpanRecorder(), 1, nil), []byte("short"), false)
}

// The header of an event leads to the span that its trace begins with.
func TestHeaderLeadsToTheEvent(t *testing.T) {
	event := id(t)
	recorder := tracetest.NewSpanRecorder()
	tracer := New(recorder, 1, nil)
	tracer.StartEvent(event, "send").End()
	followed, ok := Followed(&kgo.Record{Headers: []kgo.RecordHeader{{Key: "other"}, Header(event)}})
	span := recorder.Ended()[0].SpanContext()
	if !ok || !followed.IsRemote() || followed.TraceID() != span.TraceID() || followed.SpanID() != span.SpanID() || span.TraceID() != trace.TraceID(event) {
		t.Errorf("header of %x, span of %s", followed.TraceID(), span.TraceID())
	}
	valid := string(Header(event).Value)
	f := func(header string) {
		t.Helper()
		if _, ok := Followed(&kgo.Record{Headers: []kgo.RecordHeader{{Key: headerKey, Value: []byte(header)}}}); ok {
			t.Errorf("%q is followed", header)
		}
	}
	f("")
	f("00-0-0-01")
	f(valid[:len(valid)-1])
	f(valid + "0")
	f("01" + valid[2:])
	f(valid[:len(valid)-2] + "00") // not sampled
	f("00-00000000000000000000000000000000-" + valid[36:])
	f("00-zz" + valid[5:])
}

// A batch with a followed event in it is kept whatever the ratio.
func TestBatchesOfFollowedEventsAreKept(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	tracer := New(recorder, 0, nil)
	tracer.Start("unlinked").End()
	tracer.Start("linked", trace.WithLinks(Link(EventContext(id(t)), Place{Topic: "t", Partition: 3, Offset: 7}))).End()
	if ended := recorder.Ended(); len(ended) != 1 || ended[0].Name() != "linked" {
		t.Errorf("%d spans kept", len(ended))
	}
	var off *Tracer
	off.Start("nothing").End()
	off.StartEvent(id(t), "nothing").End()
	if err := off.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// BenchmarkFollows is all that an event costs that is not followed.
func BenchmarkFollows(b *testing.B) {
	event := []byte("0123456789abcdef")
	f := func(name string, t *Tracer) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if t.Follows(event) {
					b.Fatal("followed")
				}
			}
		})
	}
	f("off", nil)
	f("1-in-1000", New(tracetest.NewSpanRecorder(), 0.001, nil))
}

// Package tracing follows events through the pipeline with OpenTelemetry.
//
// Spans are made per batch: a request of the collector, a transaction of a fold,
// a batch of the sink. A sample of the events, chosen by their ids, is followed:
// each has a trace of its own, with the event id as its trace id, and every batch
// that it passes through carries a link to that trace, with the topic, partition
// and offset it had there.
//
// Since the event id decides both whether an event is followed and under which
// ids, stages agree without telling each other: facts, features and scores carry
// nothing of tracing and are the same with and without it. Events alone carry a
// W3C traceparent header, for the ledger fold and for consumers that are not ours.
package tracing

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Tracer makes the spans of a process. A nil Tracer is tracing switched off: its
// methods do nothing and cost a comparison. Safe for concurrent use.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	ratio    float64
}

// New returns a tracer whose spans go to processor. Ratio is the share of events
// that are followed, 0 to 1; all processes of a pipeline should have the same,
// else links may lead to traces that nobody has kept. Close it.
func New(processor sdktrace.SpanProcessor, ratio float64, of *resource.Resource) *Tracer {
	opts := []sdktrace.TracerProviderOption{
		sdktrace.WithSpanProcessor(processor),
		sdktrace.WithIDGenerator(identifiers{}),
		sdktrace.WithSampler(sampler{sdktrace.TraceIDRatioBased(ratio)}),
	}
	if of != nil {
		opts = append(opts, sdktrace.WithResource(of))
	}
	p := sdktrace.NewTracerProvider(opts...)
	return &Tracer{provider: p, tracer: p.Tracer("github.com/goodhartlabs/goodhart"), ratio: ratio}
}

// Close exports what is left, as far as ctx allows.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// Follows reports whether an event is followed. Ids that are not 16 bytes long
// are not.
func (t *Tracer) Follows(eventID []byte) bool {
	return t != nil && len(eventID) == 16 && t.chosen(eventID)
}

// chosen decides as the SDK's ratio sampler does for the same trace id.
func (t *Tracer) chosen(eventID []byte) bool {
	switch {
	case t.ratio <= 0:
		return false
	case t.ratio >= 1:
		return true
	default:
		return binary.BigEndian.Uint64(eventID[8:])>>1 < uint64(t.ratio*(1<<63))
	}
}

// Start begins a span of a batch; End it. Its links decide whether it is kept:
// always, if one of them leads to a followed event, else by chance.
func (t *Tracer) Start(name string, opts ...trace.SpanStartOption) trace.Span {
	if t == nil {
		return trace.SpanFromContext(context.Background()) // one that does nothing
	}
	_, span := t.tracer.Start(context.Background(), name, append(opts, trace.WithNewRoot())...)
	return span
}

// StartEvent begins the first span of a followed event's trace, the one that all
// links to the event lead to. An event that is sent again has another such span
// under the same ids.
func (t *Tracer) StartEvent(eventID []byte, name string, opts ...trace.SpanStartOption) trace.Span {
	if t == nil {
		return trace.SpanFromContext(context.Background())
	}
	ctx := context.WithValue(context.Background(), identity{}, EventContext(eventID))
	_, span := t.tracer.Start(ctx, name, append(opts, trace.WithNewRoot())...)
	return span
}

// EventContext is what a followed event's trace begins with: the event id is the
// trace id, its first half the span id.
func EventContext(eventID []byte) trace.SpanContext {
	var c trace.SpanContextConfig
	copy(c.TraceID[:], eventID)
	copy(c.SpanID[:], eventID)
	c.TraceFlags, c.Remote = trace.FlagsSampled, true
	return trace.NewSpanContext(c)
}

// Place is where a record lies in Kafka.
type Place struct {
	Topic     string
	Partition int32
	Offset    int64 // -1 where it is unknown
}

// PlaceOf returns the place of a record that was fetched, or acknowledged.
func PlaceOf(r *kgo.Record) Place { return Place{r.Topic, r.Partition, r.Offset} }

// Attributes describe the place by OpenTelemetry's conventions for messaging.
func (p Place) Attributes() []attribute.KeyValue {
	all := []attribute.KeyValue{
		semconv.MessagingSystemKafka,
		semconv.MessagingDestinationName(p.Topic),
		semconv.MessagingDestinationPartitionID(strconv.Itoa(int(p.Partition))),
	}
	if p.Offset >= 0 {
		all = append(all, semconv.MessagingKafkaOffset(int(p.Offset)))
	}
	return all
}

// Link leads to a followed event that lies at a place.
func Link(event trace.SpanContext, at Place) trace.Link {
	return trace.Link{SpanContext: event, Attributes: at.Attributes()}
}

// headerKey and headerPrefix are those of a W3C traceparent of version 0.
const (
	headerKey    = "traceparent"
	headerLength = len("00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")
)

// Header is what the record of a followed event carries.
func Header(eventID []byte) kgo.RecordHeader {
	c := EventContext(eventID)
	return kgo.RecordHeader{Key: headerKey, Value: []byte("00-" + c.TraceID().String() + "-" + c.SpanID().String() + "-01")}
}

// Followed returns the context of the event that a record carries, if the record
// says that it is followed. What is no traceparent says nothing.
func Followed(r *kgo.Record) (trace.SpanContext, bool) {
	for _, h := range r.Headers {
		if h.Key == headerKey {
			return parse(h.Value)
		}
	}
	return trace.SpanContext{}, false
}

func parse(v []byte) (trace.SpanContext, bool) {
	var c trace.SpanContextConfig
	var flags [1]byte
	if len(v) != headerLength || v[0] != '0' || v[1] != '0' || v[2] != '-' || v[35] != '-' || v[52] != '-' {
		return trace.SpanContext{}, false
	}
	for _, part := range []struct{ into, from []byte }{{c.TraceID[:], v[3:35]}, {c.SpanID[:], v[36:52]}, {flags[:], v[53:]}} {
		if _, err := hex.Decode(part.into, part.from); err != nil {
			return trace.SpanContext{}, false
		}
	}
	c.TraceFlags, c.Remote = trace.TraceFlags(flags[0]), true
	event := trace.NewSpanContext(c)
	return event, event.IsValid() && event.IsSampled()
}

// identity is the context key of the ids that StartEvent wants.
type identity struct{}

// identifiers makes the SDK take the ids of an event from its context.
type identifiers struct{}

// NewIDs implements sdktrace.IDGenerator.
func (g identifiers) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if event, ok := ctx.Value(identity{}).(trace.SpanContext); ok {
		return event.TraceID(), event.SpanID()
	}
	var id trace.TraceID
	_, _ = rand.Read(id[:]) // never fails
	return id, g.NewSpanID(ctx, id)
}

// NewSpanID implements sdktrace.IDGenerator.
func (identifiers) NewSpanID(context.Context, trace.TraceID) trace.SpanID {
	var id trace.SpanID
	_, _ = rand.Read(id[:]) // never fails
	return id
}

// sampler keeps what links to something that is kept; the rest by its own rule.
type sampler struct{ sdktrace.Sampler }

// ShouldSample implements sdktrace.Sampler.
func (s sampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	for _, l := range p.Links {
		if l.SpanContext.IsSampled() {
			return sdktrace.SamplingResult{Decision: sdktrace.RecordAndSample}
		}
	}
	return s.Sampler.ShouldSample(p)
}

package chsink

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/goodhartlabs/goodhart/pkg/tracing"
)

// Identified is a Decoder whose records are events.
type Identified interface {
	// EventID returns the id of the event that was decoded last, empty if it was
	// none. It is valid until the next is decoded.
	EventID() []byte
}

// links lead to the followed events of a batch.
type links struct {
	tracer *tracing.Tracer
	events Identified // nil where nothing can be followed
	found  []trace.Link
}

func newLinks(t *tracing.Tracer, d Decoder) links {
	l := links{tracer: t}
	if t != nil {
		l.events, _ = d.(Identified)
	}
	return l
}

// decoded notes the record if its event is followed.
func (l *links) decoded(rec *kgo.Record) {
	if l.events == nil {
		return
	}
	if id := l.events.EventID(); l.tracer.Follows(id) {
		l.found = append(l.found, tracing.Link(tracing.EventContext(id), tracing.PlaceOf(rec)))
	}
}

// trace makes the span of a batch that is stored: from its first row to now.
func (p *partition) trace(b *batch, now time.Time) {
	if b.links.tracer == nil || b.begun.IsZero() {
		return
	}
	at := tracing.Place{Topic: p.at.topic, Partition: p.at.partition, Offset: b.first}
	b.links.tracer.Start("process "+p.at.topic, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithTimestamp(b.begun),
		trace.WithLinks(b.links.found...), trace.WithAttributes(at.Attributes()...), trace.WithAttributes(
			semconv.MessagingOperationTypeProcess,
			semconv.MessagingOperationName("store"),
			semconv.MessagingConsumerGroupName(p.ss.cfg.Group),
			semconv.MessagingBatchMessageCount(b.records),
		)).End(trace.WithTimestamp(now))
	b.links.found = nil // the span has them now
}

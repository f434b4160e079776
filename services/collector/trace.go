package collector

import (
	"encoding/hex"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/goodhartlabs/goodhart/pkg/tracing"
	"github.com/goodhartlabs/goodhart/schemas"
)

// followed is an event that is followed by traces, and where it lies.
type followed struct {
	event  []byte
	record *kgo.Record
	at     tracing.Place
}

// mark makes the record of a followed event say so.
func (c *cargo) mark(t *tracing.Tracer, eventID []byte, r *kgo.Record) {
	if !t.Follows(eventID) {
		return
	}
	r.Headers = []kgo.RecordHeader{tracing.Header(eventID)}
	c.followed = append(c.followed, followed{eventID, r, tracing.Place{Topic: r.Topic, Partition: r.Partition, Offset: -1}})
}

// landed notes where the followed events lie, once all are acknowledged; before,
// the client may still write to their records.
func (c *cargo) landed() {
	for i := range c.followed {
		f := &c.followed[i]
		f.at.Offset = f.record.Offset
	}
}

// trace makes the spans of a request that brought followed events: its own, and
// for each event the one that its trace begins with. A request without any is
// not traced, so neither are the exports of our own spans, should somebody send
// them here: they hold no events.
func (s *service) trace(d delivery, c *cargo, ref *refusal) {
	if len(c.followed) == 0 {
		return
	}
	links := make([]trace.Link, 0, len(c.followed))
	for _, f := range c.followed {
		links = append(links, tracing.Link(tracing.EventContext(f.event), f.at))
	}
	request := s.tel.Tracer.Start(d.route, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(d.started),
		trace.WithLinks(links...), trace.WithAttributes(
			semconv.HTTPRequestMethodPost,
			semconv.HTTPRoute(strings.TrimPrefix(d.route, "POST ")),
			semconv.MessagingSystemKafka,
			semconv.MessagingDestinationName(schemas.TopicEvents),
			semconv.MessagingBatchMessageCount(len(c.records)),
		))
	defer request.End()
	for i, f := range c.followed {
		event := s.tel.Tracer.StartEvent(f.event, "send "+schemas.TopicEvents, trace.WithSpanKind(trace.SpanKindProducer),
			trace.WithTimestamp(c.shipped), trace.WithLinks(trace.Link{SpanContext: request.SpanContext()}),
			trace.WithAttributes(links[i].Attributes...), trace.WithAttributes(
				semconv.MessagingOperationTypeSend,
				semconv.MessagingOperationName("send"),
				semconv.MessagingMessageID(hex.EncodeToString(f.event)),
			))
		if ref != nil {
			event.SetStatus(codes.Error, ref.reason)
		}
		event.End()
	}
	if ref != nil {
		request.SetStatus(codes.Error, ref.reason)
		request.SetAttributes(semconv.ErrorTypeKey.String(ref.reason))
	}
}

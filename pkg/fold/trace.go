package fold

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/goodhartlabs/goodhart/pkg/tracing"
)

// follow notes a record whose header says that its event is followed. The
// machine never sees headers: what it emits is the same without them.
func (p *partition) follow(rec *kgo.Record) {
	if event, ok := tracing.Followed(rec); ok {
		p.followed = append(p.followed, tracing.Link(event, tracing.PlaceOf(rec)))
	}
}

// trace makes the span of a transaction that has ended.
func (s *session) trace(began time.Time, result string) {
	if s.cfg.Tracer == nil {
		return
	}
	var links []trace.Link
	for _, p := range s.partitions {
		links = append(links, p.followed...)
		p.followed = p.followed[:0]
	}
	span := s.cfg.Tracer.Start("process "+s.cfg.Stage.Input, trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithTimestamp(began), trace.WithLinks(links...), trace.WithAttributes(
			semconv.MessagingSystemKafka,
			semconv.MessagingOperationTypeProcess,
			semconv.MessagingOperationName("fold"),
			semconv.MessagingDestinationName(s.cfg.Stage.Input),
			semconv.MessagingConsumerGroupName(s.cfg.Stage.Group),
			semconv.MessagingBatchMessageCount(s.records),
			attribute.String("goodhart.stage", s.cfg.Stage.Name),
			attribute.String("goodhart.transaction.result", result),
		))
	if result == resultAborted {
		span.SetStatus(codes.Error, result) // the same records come again
	}
	span.End()
}

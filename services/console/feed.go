package console

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/schemas"
	"github.com/goodhartlabs/goodhart/services/kafka"
	"github.com/goodhartlabs/goodhart/services/probe"
)

// component is what of the console may not be ready.
const component = "console"

// feed reads goodhart.self.v1 from its beginning into the book, and goes on, until
// ctx ends. It is in no consumer group: every console reads all of it.
func (s *service) feed(ctx context.Context, tel *probe.Telemetry) error {
	spans, err := s.spans(ctx, tel)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	from, ends := map[int32]kgo.Offset{}, map[int32]int64{}
	for _, span := range spans {
		from[span.Partition] = kgo.NewOffset().AtStart()
		if span.From < span.To {
			ends[span.Partition] = span.To
		}
	}
	cl, err := kgo.NewClient(append(s.cfg.Kafka.Options(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{schemas.TopicSelf: from}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(250*time.Millisecond),
	)...)
	if err != nil {
		return fmt.Errorf("open kafka: %w", err)
	}
	defer cl.Close()
	for {
		s.ready(ends, tel)
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		fetches.EachError(func(topic string, partition int32, err error) {
			tel.Log.WarnContext(ctx, "read what concerns people", "topic", topic, "partition", partition, "error", err)
		})
		for _, rec := range fetches.Records() {
			if end, waits := ends[rec.Partition]; waits && rec.Offset+1 >= end {
				delete(ends, rec.Partition)
			}
			if rec.Attrs.IsControl() {
				continue
			}
			if err := s.book.add(rec); err != nil {
				s.metrics.bad.Inc()
				tel.Log.ErrorContext(ctx, "a record is left out", "topic", rec.Topic, "partition", rec.Partition, "offset", rec.Offset, "error", err)
			}
		}
		s.book.sweep(s.cfg.now())
	}
}

// ready says so once all that was there at the start has been read.
func (s *service) ready(ends map[int32]int64, tel *probe.Telemetry) {
	if len(ends) == 0 && !s.caughtUp.Swap(true) {
		tel.Ready(component)
	}
}

// spans are what the topic holds at the start.
func (s *service) spans(ctx context.Context, tel *probe.Telemetry) ([]kafka.Span, error) {
	cl, err := kgo.NewClient(s.cfg.Kafka.Options()...)
	if err != nil {
		return nil, fmt.Errorf("open kafka: %w", err)
	}
	defer cl.Close()
	_, err = kschema.Await(ctx, cl, func(err error, pause time.Duration) {
		tel.Log.WarnContext(ctx, "waiting for kafka", "error", err, "pause", pause)
	})
	if err != nil {
		return nil, err
	}
	return kafka.Spans(ctx, cl, schemas.TopicSelf, time.Time{})
}

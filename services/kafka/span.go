package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Span is a range of offsets of a partition, [From, To).
type Span struct {
	Topic     string
	Partition int32
	From, To  int64
}

// stall is how long a reader waits for the next record before it gives up.
const stall = 15 * time.Second

// Spans returns what a topic holds now, partition by partition: from its oldest
// record, or from the first one with a timestamp of since or later, to its last
// stable offset. A zero since means from the oldest.
func Spans(ctx context.Context, cl *kgo.Client, topic string, since time.Time) ([]Span, error) {
	adm := kadm.NewClient(cl)
	ends, err := adm.ListCommittedOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	switch {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return nil, fmt.Errorf("no topic %s: run goodhart migrate", topic)
	case err != nil:
		return nil, fmt.Errorf("list end offsets of %s: %w", topic, err)
	}
	starts, err := adm.ListStartOffsets(ctx, topic)
	if !since.IsZero() {
		starts, err = adm.ListOffsetsAfterMilli(ctx, since.UnixMilli(), topic)
	}
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("list start offsets of %s: %w", topic, err)
	}
	var spans []Span
	for _, end := range ends.Offsets().Sorted() {
		start, _ := starts.Lookup(topic, end.Partition)
		spans = append(spans, Span{Topic: topic, Partition: end.Partition, From: start.Offset, To: end.At})
	}
	return spans, nil
}

// Read calls apply with the committed records of the span, in order, and ends at
// its last offset: behind the last record may lie control records. An error of
// apply ends it.
func (s Span) Read(ctx context.Context, opts []kgo.Opt, apply func(*kgo.Record) error) error {
	if s.From >= s.To {
		return nil
	}
	cl, err := kgo.NewClient(append(opts[:len(opts):len(opts)],
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{s.Topic: {s.Partition: kgo.NewOffset().At(s.From)}}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.KeepControlRecords(),
	)...)
	if err != nil {
		return fmt.Errorf("open reader: %w", err)
	}
	defer cl.Close()
	for next := s.From; next < s.To; {
		fetches, err := s.poll(ctx, cl, next)
		if err != nil {
			return err
		}
		for _, rec := range fetches.Records() {
			if next = rec.Offset + 1; rec.Offset >= s.To {
				break
			}
			if rec.Attrs.IsControl() {
				continue
			}
			if err := apply(rec); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s Span) poll(ctx context.Context, cl *kgo.Client, next int64) (kgo.Fetches, error) {
	waiting, cancel := context.WithTimeout(ctx, stall)
	defer cancel()
	fetches := cl.PollFetches(waiting)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case waiting.Err() != nil:
		return nil, fmt.Errorf("read %s/%d: no record within %v at offset %d of %d", s.Topic, s.Partition, stall, next, s.To)
	case fetches.Err() != nil:
		return nil, fmt.Errorf("read %s/%d: %w", s.Topic, s.Partition, fetches.Err())
	default:
		return fetches, nil
	}
}

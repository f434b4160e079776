package faults

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/schemas"
)

// transaction names one in the log: a producer's epoch grows with each.
type transaction struct {
	producer int64
	epoch    int16
}

// abortMarkers counts the aborted transactions by the marks that they left in the
// log: also those of killed processes, which nobody else can tell of.
func abortMarkers(ctx context.Context, brokers []string) (int, error) {
	topics := []string{
		schemas.TopicFacts, schemas.TopicFeatures, schemas.TopicScores,
		schemas.TopicLedgerState, schemas.TopicSubjectState, schemas.TopicTenantState,
	}
	ends, err := logEnds(ctx, brokers, topics)
	if err != nil {
		return 0, err
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(topics...), kgo.KeepControlRecords(),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return 0, fmt.Errorf("read marks: %w", err)
	}
	defer cl.Close()
	aborted := map[transaction]bool{} // each has a mark in every partition it wrote to
	for len(ends) > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return 0, fmt.Errorf("read marks: %w", err)
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			place := fmt.Sprint(rec.Topic, rec.Partition)
			if rec.Offset+1 >= ends[place] {
				delete(ends, place)
			}
			if isAbort(rec) {
				aborted[transaction{rec.ProducerID, rec.ProducerEpoch}] = true
			}
		})
	}
	return len(aborted), nil
}

// isAbort reads the key of a control record: version and type, 0 for an abort.
func isAbort(rec *kgo.Record) bool {
	return rec.Attrs.IsControl() && len(rec.Key) == 4 && binary.BigEndian.Uint16(rec.Key[2:]) == 0
}

// logEnds returns the end of every partition that holds something.
func logEnds(ctx context.Context, brokers, topics []string) (map[string]int64, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		return nil, fmt.Errorf("list ends: %w", err)
	}
	defer cl.Close()
	listed, err := kadm.NewClient(cl).ListEndOffsets(ctx, topics...)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("list ends: %w", err)
	}
	ends := map[string]int64{}
	listed.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			ends[fmt.Sprint(o.Topic, o.Partition)] = o.Offset
		}
	})
	return ends, nil
}

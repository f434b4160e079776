package ktest

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// patience is how long something may take that happens elsewhere.
const patience = 3 * time.Minute

// Eventually returns once ok does, which is asked again and again; it fails the
// test after three minutes and says what never came.
func Eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); !ok(); {
		select {
		case <-tick.C:
		case <-deadline:
			tb.Fatalf("never: %s", what)
		}
	}
}

// Closed waits until no transaction is open in a topic that nobody writes to any
// more, and returns where its partitions end. On Apache Kafka the markers of a
// transaction come to its partitions one after the other: that a group has
// committed says nothing of what was written with it.
func (c *Cluster) Closed(tb testing.TB, topic string) kadm.ListedOffsets {
	tb.Helper()
	adm := kadm.NewClient(c.Client(tb))
	var ends kadm.ListedOffsets
	Eventually(tb, "no transaction is open in "+topic, func() bool {
		stable, err := adm.ListCommittedOffsets(tb.Context(), topic)
		if err != nil {
			tb.Fatal(err)
		}
		if ends, err = adm.ListEndOffsets(tb.Context(), topic); err != nil {
			tb.Fatal(err)
		}
		closed := true
		ends.Each(func(end kadm.ListedOffset) {
			at, _ := stable.Lookup(topic, end.Partition)
			closed = closed && at.Offset == end.Offset
		})
		return closed
	})
	return ends
}

// Records returns the committed records of a topic that nobody writes to any
// more, each partition in order, once its last transaction has ended.
func (c *Cluster) Records(tb testing.TB, topic string) []*kgo.Record {
	tb.Helper()
	client := c.Client(tb,
		kgo.ConsumeTopics(topic), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		// Behind the last record lie markers: without them there is no telling the end.
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	ends := c.Closed(tb, topic)
	left := map[int32]int64{}
	ends.Each(func(end kadm.ListedOffset) {
		if end.Offset > 0 {
			left[end.Partition] = end.Offset
		}
	})
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	var records []*kgo.Record
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			tb.Fatalf("read %s: %v", topic, err)
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			if rec.Offset+1 >= left[rec.Partition] {
				delete(left, rec.Partition)
			}
			if !rec.Attrs.IsControl() {
				records = append(records, rec)
			}
		})
	}
	return records
}

// Await returns once the group has committed past the last record of a topic that
// nobody writes to any more.
func (c *Cluster) Await(tb testing.TB, group, topic string) {
	tb.Helper()
	ends := map[int32]int64{}
	for _, rec := range c.Records(tb, topic) {
		ends[rec.Partition] = rec.Offset + 1
	}
	adm := kadm.NewClient(c.Client(tb))
	Eventually(tb, group+" has committed all of "+topic, func() bool {
		offsets, err := adm.FetchOffsets(tb.Context(), group)
		if err != nil { // a group that nobody has joined yet, a coordinator that moves
			return false
		}
		for p, end := range ends {
			if at, ok := offsets.Lookup(topic, p); !ok || at.At < end {
				return false
			}
		}
		return true
	})
}

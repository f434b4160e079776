package faults

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/schemas"
)

// Aborted transactions are counted by what is in the log: also one that its
// producer never ended.
func TestAbortMarkers(t *testing.T) {
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
		t.Helper()
		migrate := c.Client(t)
		if _, err := kschema.Migrate(t.Context(), migrate, kschema.Options{Counts: kschema.DefaultCounts(), Replication: c.Replication}); err != nil {
			t.Fatal(err)
		}
		producer := func() *kgo.Client {
			return c.Client(t, kgo.TransactionalID("p"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		}
		begin := func(cl *kgo.Client) {
			t.Helper()
			if err := cl.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			for _, rec := range []*kgo.Record{{Topic: schemas.TopicFacts, Partition: 1}, {Topic: schemas.TopicFacts, Partition: 2}, {Topic: schemas.TopicSubjectState, Partition: 1, Key: []byte("h")}} {
				if err := cl.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
		}
		end := func(cl *kgo.Client, try kgo.TransactionEndTry) {
			t.Helper()
			if err := cl.EndTransaction(t.Context(), try); err != nil {
				t.Fatal(err)
			}
		}
		want := func(n int) {
			t.Helper()
			c.Closed(t, schemas.TopicFacts)
			c.Closed(t, schemas.TopicSubjectState)
			if got, err := abortMarkers(t.Context(), c.Addrs); err != nil || got != n {
				t.Errorf("%d aborted transactions, %v; want %d", got, err, n)
			}
		}
		want(0)
		first := producer()
		begin(first)
		end(first, kgo.TryCommit)
		want(0)
		for range 2 {
			begin(first)
			end(first, kgo.TryAbort)
		}
		begin(first)
		end(first, kgo.TryCommit)
		want(2)
		begin(first) // and is never heard of again
		second := producer()
		begin(second)
		end(second, kgo.TryCommit)
		want(3)
	})
}

package ktest

import (
	"errors"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// batchOverhead is more than a batch of one record takes beside its value, bytes.
const batchOverhead = 200

// SmallestLimit leaves room for the markers of transactions, 78 bytes: one that
// cannot be written keeps its transaction open for ever.
const SmallestLimit = 80

// LimitMessages sets the largest batch of a topic, in bytes, and returns once the
// leaders of all its partitions obey: they hear of it some time after the answer.
// They are asked in transactions that are aborted.
func (c *Cluster) LimitMessages(tb testing.TB, topic string, bytes int) {
	tb.Helper()
	if bytes < SmallestLimit {
		tb.Fatalf("a limit of %d bytes: must be at least %d", bytes, SmallestLimit)
	}
	value := strconv.Itoa(bytes)
	cl := c.Client(tb, kgo.TransactionalID("limit "+topic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(int32(bytes+1<<10))) // else the client refuses
	adm := kadm.NewClient(cl)
	answers, err := adm.AlterTopicConfigs(tb.Context(), []kadm.AlterConfig{{Name: "max.message.bytes", Value: &value}}, topic)
	if err == nil {
		_, err = answers.On(topic, func(r *kadm.AlterConfigsResponse) error { return r.Err })
	}
	if err != nil {
		tb.Fatal(err)
	}
	topics, err := adm.ListTopics(tb.Context(), topic)
	if err != nil {
		tb.Fatal(err)
	}
	for _, p := range topics[topic].Partitions.Numbers() {
		Eventually(tb, "the leader of a partition obeys max.message.bytes", func() bool {
			return !accepts(tb, cl, topic, p, bytes) && (bytes <= batchOverhead || accepts(tb, cl, topic, p, bytes-batchOverhead))
		})
	}
}

// accepts reports whether a leader takes a value of so many bytes.
func accepts(tb testing.TB, cl *kgo.Client, topic string, partition int32, bytes int) bool {
	tb.Helper()
	value := make([]byte, bytes)
	_, _ = rand.NewChaCha8([32]byte{}).Read(value) // never fails
	if err := cl.BeginTransaction(); err != nil {
		tb.Fatal(err)
	}
	refused := cl.ProduceSync(tb.Context(), &kgo.Record{Topic: topic, Partition: partition, Value: value}).FirstErr()
	if refused != nil && !errors.Is(refused, kerr.MessageTooLarge) {
		tb.Fatal(refused)
	}
	if err := cl.EndTransaction(tb.Context(), kgo.TryAbort); err != nil {
		tb.Fatal(err)
	}
	return refused == nil
}

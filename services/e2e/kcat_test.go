package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/services/broker"
	"github.com/goodhartlabs/goodhart/services/probe"
)

// onBrokers runs the test on the embedded broker, as `goodhart broker` runs it,
// and on Apache Kafka.
func onBrokers(t *testing.T, run func(t *testing.T, c *ktest.Cluster)) {
	t.Helper()
	t.Run("broker", func(t *testing.T) {
		cfg := broker.Default()
		cfg.Listen, cfg.Data, cfg.Admin = (&fleet{}).address(t), t.TempDir(), ""
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- broker.Run(ctx, cfg, probe.New(slog.New(slog.DiscardHandler))) }()
		t.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
		eventually(t, "the broker", func() bool {
			conn, err := net.DialTimeout("tcp", cfg.Listen, time.Second)
			return err == nil && conn.Close() == nil
		})
		run(t, &ktest.Cluster{Addrs: []string{cfg.Listen}, Replication: 1})
	})
	t.Run("kafka", func(t *testing.T) { run(t, ktest.Apache(t)) })
}

// kcat runs the client of librdkafka. The test is skipped without it, or fails if
// REQUIRE_TOOLS=1.
func kcat(t *testing.T, args ...string) []string {
	t.Helper()
	path, err := exec.LookPath("kcat")
	if err != nil {
		const reason = "no kcat: make tools, and put .bin on the PATH"
		if os.Getenv("REQUIRE_TOOLS") == "1" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, &stderr)
	}
	return strings.Fields(string(out))
}

// seenByKcat lists partition:offset of what kcat finds in a topic, sorted.
func seenByKcat(t *testing.T, brokers []string, topic, isolation string) []string {
	t.Helper()
	seen := kcat(t, "-C", "-e", "-q", "-o", "beginning", "-b", strings.Join(brokers, ","), "-t", topic,
		"-X", "isolation.level="+isolation, "-f", "%p:%o\n")
	slices.Sort(seen)
	return seen
}

// seenByUs is the same through our client.
func seenByUs(t *testing.T, c *ktest.Cluster, topic string, isolation kgo.IsolationLevel) []string {
	t.Helper()
	adm := kadm.NewClient(c.Client(t))
	list := adm.ListEndOffsets
	if isolation == kgo.ReadCommitted() {
		list = adm.ListCommittedOffsets
	}
	ends, err := list(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	client := c.Client(t, kgo.ConsumeTopics(topic), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(isolation), kgo.KeepControlRecords())
	seen := []string{}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("%s: %v; still to come: %v", topic, err, left)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				seen = append(seen, fmt.Sprintf("%d:%d", r.Partition, r.Offset))
			}
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		})
	}
	slices.Sort(seen)
	return seen
}

// A client that is not ours sees the transactions as we do: what is committed,
// nothing that was aborted, and nothing from the first open one on.
func TestKcatSeesTheSameTransactions(t *testing.T) {
	onBrokers(t, func(t *testing.T, c *ktest.Cluster) {
		const topic, partitions, perPartition = "transactions", 3, 5
		plain := c.Client(t, kgo.RecordPartitioner(kgo.ManualPartitioner()))
		if _, err := kadm.NewClient(plain).CreateTopic(t.Context(), partitions, c.Replication, nil, topic); err != nil {
			t.Fatal(err)
		}
		produce := func(client *kgo.Client) {
			t.Helper()
			for p := range int32(partitions) {
				for i := range perPartition {
					if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: p, Value: fmt.Append(nil, i)}).FirstErr(); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		writer := c.Client(t, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID("writer"))
		transaction := func(end kgo.TransactionEndTry) {
			t.Helper()
			if err := writer.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			produce(writer)
			if err := writer.EndTransaction(t.Context(), end); err != nil {
				t.Fatal(err)
			}
		}
		agree := func(wantCommitted, wantAll int) {
			t.Helper()
			for _, f := range []struct {
				name      string
				isolation kgo.IsolationLevel
				want      int
			}{
				{"read_committed", kgo.ReadCommitted(), wantCommitted},
				{"read_uncommitted", kgo.ReadUncommitted(), wantAll},
			} {
				ours := seenByUs(t, c, topic, f.isolation)
				if len(ours) != f.want*partitions*perPartition {
					t.Errorf("%s: we see %d records, want %d rounds of %d", f.name, len(ours), f.want, partitions*perPartition)
				}
				if diff := cmp.Diff(ours, seenByKcat(t, c.Addrs, topic, f.name)); diff != "" {
					t.Errorf("%s (-ours +kcat):\n%s", f.name, diff)
				}
			}
		}
		produce(plain)
		transaction(kgo.TryCommit)
		transaction(kgo.TryAbort)
		transaction(kgo.TryCommit)
		settled(t, c, topic)
		agree(3, 4)
		// Behind an open transaction nothing is committed yet, whoever wrote it.
		if err := writer.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		produce(writer)
		produce(plain)
		agree(3, 6)
		if err := writer.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
			t.Fatal(err)
		}
		settled(t, c, topic)
		agree(4, 6)
	})
}

// settled waits until the markers of ended transactions have reached every
// partition: a broker may answer the end of a transaction before.
func settled(t *testing.T, c *ktest.Cluster, topic string) {
	t.Helper()
	adm := kadm.NewClient(c.Client(t))
	eventually(t, "the transactions' markers", func() bool {
		stable, err := adm.ListCommittedOffsets(t.Context(), topic)
		if err != nil {
			return false
		}
		ends, err := adm.ListEndOffsets(t.Context(), topic)
		if err != nil {
			return false
		}
		done := true
		ends.Each(func(end kadm.ListedOffset) {
			at, ok := stable.Lookup(end.Topic, end.Partition)
			done = done && ok && errors.Join(at.Err, end.Err) == nil && at.Offset == end.Offset
		})
		return done
	})
}

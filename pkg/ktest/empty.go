package ktest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// exclusive holds a lock for the brokers until the test has ended; tests of
// other processes wait. It is registered before any client of the test, so it
// is released after all of them are closed.
func exclusive(tb testing.TB, brokers string) {
	tb.Helper()
	h := fnv.New64a()
	_, _ = h.Write([]byte(brokers)) // never fails
	path := filepath.Join(os.TempDir(), fmt.Sprintf("goodhart-kafka-%016x.lock", h.Sum64()))
	lock, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = lock.Close() })
	for {
		err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
		if err == nil {
			return
		}
		if !errors.Is(err, syscall.EINTR) {
			tb.Fatal(err)
		}
	}
}

// Empty removes what is left on Apache Kafka by other tests, or by an earlier part
// of this one: first what may still write (members of groups, transactions), then
// groups and topics.
func (c *Cluster) Empty(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 2*time.Minute)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs...), kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		tb.Fatal(err)
	}
	defer client.Close()
	adm := kadm.NewClient(client)
	brokers, err := adm.ListBrokers(ctx)
	if err != nil {
		tb.Fatalf("Apache Kafka at %s: %v", strings.Join(c.Addrs, ","), err)
	}
	c.Replication = int16(min(len(brokers), 3)) //nolint:gosec // at most 3
	policy := backoff.NewExponentialBackOff(backoff.WithInitialInterval(20*time.Millisecond),
		backoff.WithMaxInterval(500*time.Millisecond), backoff.WithMaxElapsedTime(0))
	for _, step := range []func(context.Context, *kgo.Client, *kadm.Client) error{abortTransactions, deleteGroups, deleteTopics} {
		if err := backoff.Retry(func() error { return step(ctx, client, adm) }, backoff.WithContext(policy, ctx)); err != nil {
			tb.Fatalf("empty the cluster of KAFKA_BROKERS: %v", err)
		}
	}
}

var errRemains = errors.New("there are some left")

// abortTransactions ends what is open, as a new producer of the same id does. An
// open transaction outlives its topics: its markers would end up in topics of
// the same name.
func abortTransactions(ctx context.Context, client *kgo.Client, adm *kadm.Client) error {
	open, err := adm.ListTransactions(ctx, nil, []string{"Ongoing", "PrepareAbort", "PrepareCommit"})
	if err != nil {
		return fmt.Errorf("list transactions: %w", err)
	}
	for id := range open {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionalID, req.TransactionTimeoutMillis = &id, 10_000
		req.ProducerID, req.ProducerEpoch = -1, -1
		resp, err := req.RequestWith(ctx, client)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		if err != nil && !errors.Is(err, kerr.ConcurrentTransactions) {
			return fmt.Errorf("abort transaction %s: %w", id, err)
		}
	}
	if len(open) > 0 {
		return fmt.Errorf("transactions: %w", errRemains)
	}
	return nil
}

// deleteGroups takes the members out first: a killed one is a member until its
// session times out.
func deleteGroups(ctx context.Context, client *kgo.Client, adm *kadm.Client) error {
	groups, err := adm.DescribeGroups(ctx)
	if err != nil {
		return fmt.Errorf("describe groups: %w", err)
	}
	for name, group := range groups {
		req := kmsg.NewPtrLeaveGroupRequest()
		req.Group = name
		for _, member := range group.Members {
			leaving := kmsg.NewLeaveGroupRequestMember()
			leaving.MemberID, leaving.InstanceID = member.MemberID, member.InstanceID
			req.Members = append(req.Members, leaving)
		}
		if len(req.Members) == 0 {
			continue
		}
		if _, err := req.RequestWith(ctx, client); err != nil {
			return fmt.Errorf("empty group %s: %w", name, err)
		}
	}
	if len(groups) == 0 {
		return nil
	}
	if _, err := adm.DeleteGroups(ctx, groups.Names()...); err != nil {
		return fmt.Errorf("delete groups: %w", err)
	}
	return fmt.Errorf("groups: %w", errRemains)
}

// deleteTopics is done when no broker lists a topic any more; the one that
// answers is chosen at random.
func deleteTopics(ctx context.Context, _ *kgo.Client, adm *kadm.Client) error {
	topics, err := adm.ListTopics(ctx) // without internal ones
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	if len(topics) == 0 {
		return nil
	}
	if _, err := adm.DeleteTopics(ctx, topics.Names()...); err != nil {
		return fmt.Errorf("delete topics: %w", err)
	}
	return fmt.Errorf("topics %s: %w", strings.Join(topics.Names(), " "), errRemains)
}

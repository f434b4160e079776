package ktest_test

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
)

// What a test leaves behind is gone before the next one: topics, groups whose
// members never said goodbye, open transactions.
func TestApacheIsEmpty(t *testing.T) {
	t.Run("leaves", func(t *testing.T) {
		c := ktest.Apache(t)
		adm := kadm.NewClient(c.Client(t))
		if _, err := adm.CreateTopic(t.Context(), 2, c.Replication, nil, "left"); err != nil {
			t.Fatal(err)
		}
		line := &ktest.Line{}
		session, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(c.Addrs...), kgo.Dialer(line.Dial), kgo.TransactionalID("left"),
			kgo.TransactionTimeout(time.Minute), kgo.ConsumerGroup("left"), kgo.InstanceID("left"), kgo.ConsumeTopics("left"),
			kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(session.Close)
		if err := c.Client(t).ProduceSync(t.Context(), &kgo.Record{Topic: "left", Value: []byte("a")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		for session.PollFetches(t.Context()).NumRecords() == 0 {
			if t.Context().Err() != nil {
				t.Fatal("nothing came")
			}
		}
		if err := session.Begin(); err != nil {
			t.Fatal(err)
		}
		if err := session.ProduceSync(t.Context(), &kgo.Record{Topic: "left", Value: []byte("b")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		line.Cut()
	})
	t.Run("finds", func(t *testing.T) {
		c := ktest.Apache(t)
		adm := kadm.NewClient(c.Client(t))
		topics, err := adm.ListTopics(t.Context())
		if err != nil || len(topics) != 0 {
			t.Errorf("topics %v (%v)", topics.Names(), err)
		}
		groups, err := adm.ListGroups(t.Context())
		if err != nil || len(groups) != 0 {
			t.Errorf("groups %v (%v)", groups.Groups(), err)
		}
		open, err := adm.ListTransactions(t.Context(), nil, []string{"Ongoing"})
		if err != nil || len(open) != 0 {
			t.Errorf("open transactions %v (%v)", open.TransactionalIDs(), err)
		}
	})
}

// A node answers but while it is killed or stands still.
func TestNodesComeAndGo(t *testing.T) {
	c := ktest.Apache(t)
	answers := func(node int) bool {
		client := c.Client(t, kgo.SeedBrokers(c.Addrs[node-1]))
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := client.SeedBrokers()[0].Request(ctx, kmsg.NewPtrApiVersionsRequest())
		return err == nil
	}
	f := func(change func(testing.TB, int), node int, want bool) {
		t.Helper()
		change(t, node)
		if got := answers(node); got != want {
			t.Errorf("node %d answers: %v, want %v", node, got, want)
		}
	}
	f(func(testing.TB, int) {}, 2, true)
	f(c.Kill, 2, false)
	f(c.Restart, 2, true)
	f(c.Pause, 3, false)
	f(c.Resume, 3, true)
}

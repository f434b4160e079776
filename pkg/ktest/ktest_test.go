package ktest_test

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

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

// One of three nodes may go, by kill or by standing still: acks=all still comes
// with the two that are left.
func TestNodesComeAndGo(t *testing.T) {
	c := ktest.Apache(t)
	client := c.Client(t, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), 3, c.Replication, nil, "nodes"); err != nil {
		t.Fatal(err)
	}
	produce := func(what string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for p := range int32(3) {
			if err := client.ProduceSync(ctx, &kgo.Record{Topic: "nodes", Partition: p, Value: []byte(what)}).FirstErr(); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
	}
	produce("all three")
	c.Kill(t, 2)
	produce("one killed")
	c.Restart(t, 2)
	produce("restarted")
	c.Pause(t, 3)
	produce("one stands still")
	c.Resume(t, 3)
	produce("all again")
}

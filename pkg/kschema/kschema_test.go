package kschema

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/schemas"
)

func TestMigrateTwiceIsOnce(t *testing.T) { ktest.Each(t, testMigrateTwiceIsOnce) }

func testMigrateTwiceIsOnce(t *testing.T, c *ktest.Cluster) {
	cl, ctx := c.Client(t), t.Context()
	if _, err := Load(ctx, cl); !errors.Is(err, ErrNoMeta) {
		t.Fatalf("before migration: %v, want ErrNoMeta", err)
	}
	opt := Options{Counts: Counts{Events: 3, Facts: 2, Features: 1, Dead: 1}, Replication: c.Replication}
	planned, err := Migrate(ctx, cl, Options{Counts: opt.Counts, Replication: c.Replication, DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	done, err := Migrate(ctx, cl, opt)
	if err != nil {
		t.Fatal(err)
	}
	if len(planned) != len(done) || len(done) != len(schemas.Topics())+1 {
		t.Errorf("planned %d steps, did %d, want %d", len(planned), len(done), len(schemas.Topics())+1)
	}
	again, err := Migrate(ctx, cl, opt)
	if err != nil || len(again) != 0 {
		t.Errorf("second migration did %v, err %v", again, err)
	}
	layout, err := Load(ctx, cl)
	if err != nil {
		t.Fatal(err)
	}
	if got := layout.Partitions(schemas.TopicEvents); got != 3 {
		t.Errorf("events has %d partitions, want 3", got)
	}
	if got := layout.Partitions(schemas.TopicTenantState); got != 1 {
		t.Errorf("tenant state has %d partitions, want 1", got)
	}
	markers := kadm.TxnMarkers{ProducerID: 1, Topics: kadm.TopicsSet{schemas.TopicMeta: {0: {}}}}
	if _, err := kadm.NewClient(cl).WriteTxnMarkers(ctx, markers); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(ctx, cl); err != nil {
		t.Errorf("behind a control record: %v", err)
	}
	opt.Counts.Events = 4
	if _, err := Migrate(ctx, cl, opt); err == nil || !strings.Contains(err.Error(), "new generation") {
		t.Errorf("other counts: %v, want a refusal", err)
	}
}

func TestLoadRefusesGrownTopic(t *testing.T) { ktest.Each(t, testLoadRefusesGrownTopic) }

func testLoadRefusesGrownTopic(t *testing.T, c *ktest.Cluster) {
	cl, ctx := c.Client(t), t.Context()
	if _, err := Migrate(ctx, cl, Options{Counts: DefaultCounts(), Replication: c.Replication}); err != nil {
		t.Fatal(err)
	}
	if _, err := kadm.NewClient(cl).CreatePartitions(ctx, 1, schemas.TopicFacts); err != nil {
		t.Fatal(err)
	}
	// The broker that is asked may not have heard of them yet, or of a topic at all.
	var err error
	ktest.Eventually(t, "the layout is contradicted", func() bool {
		_, err = Load(ctx, cl)
		return errors.Is(err, ErrContradicted)
	})
	if !strings.Contains(err.Error(), schemas.TopicFacts+" has 9 partitions on the broker and 8 on record") {
		t.Errorf("Load = %v, want the grown topic named", err)
	}
}

// What a topic is created with is what the broker then says of it.
func TestTopicsKeepTheirSettings(t *testing.T) { ktest.Each(t, testTopicsKeepTheirSettings) }

func testTopicsKeepTheirSettings(t *testing.T, c *ktest.Cluster) {
	cl := c.Client(t)
	adm := kadm.NewClient(cl)
	if _, err := Migrate(t.Context(), cl, Options{Counts: DefaultCounts(), Replication: -1}); err != nil {
		t.Fatal(err)
	}
	for _, topic := range schemas.Topics() {
		// A broker may hear of a new topic later than the one that made it.
		ktest.Eventually(t, fmt.Sprintf("%s has the settings %v", topic.Name, Settings(topic)), func() bool {
			configs, err := adm.DescribeTopicConfigs(t.Context(), topic.Name)
			if err == nil {
				_, err = configs.On(topic.Name, nil)
			}
			if err != nil {
				return false
			}
			have := map[string]string{}
			for _, config := range configs[0].Configs {
				have[config.Key] = config.MaybeValue()
			}
			for key, want := range Settings(topic) {
				if have[key] != want {
					return false
				}
			}
			return true
		})
	}
	topics, err := adm.ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range topics {
		if n := topic.Partitions.NumReplicas(); n != int(c.Replication) {
			t.Errorf("%s has %d replicas, want the broker's default %d", topic.Topic, n, c.Replication)
		}
	}
}

// A topic whose leader is being elected has no partitions in the broker's word:
// that is waited for, and is no reason to give up.
func TestAwaitOutlastsAnElection(t *testing.T) {
	c := ktest.Fake(t)
	cl := c.Client(t)
	if _, err := Migrate(t.Context(), cl, Options{Counts: DefaultCounts(), Replication: 1}); err != nil {
		t.Fatal(err)
	}
	election := c.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: schemas.TopicFeatures, Err: kerr.LeaderNotAvailable, Count: -1})
	var waited []error
	layout, err := Await(t.Context(), cl, func(err error, _ time.Duration) {
		waited = append(waited, err)
		election.Remove()
	})
	if err != nil || layout.Partitions(schemas.TopicFeatures) != DefaultCounts().Features {
		t.Errorf("Await = %v, %v", layout, err)
	}
	if len(waited) == 0 || !strings.Contains(waited[0].Error(), schemas.TopicFeatures) {
		t.Errorf("waited for %v, want the topic named", waited)
	}
}

func TestCountsValidate(t *testing.T) {
	err := Counts{Events: 0, Facts: 2000, Features: 1, Dead: 1}.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"partitions.events: 0", "partitions.facts: 2000"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
}

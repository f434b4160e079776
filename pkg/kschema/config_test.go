package kschema

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// tenantPartitions: globex has one, all others have the other.
const tenantPartitions = 2

func config(tenant string, version uint64) *goodhartv1.Event {
	return &goodhartv1.Event{
		Kind: goodhartv1.EventKind_EVENT_KIND_CONFIG, Tenant: tenant, EventId: []byte((tenant + "................")[:16]),
		Config: &goodhartv1.Config{Version: version, Document: []byte(`{"tenant":"` + tenant + `"}`)},
	}
}

// open publishes a configuration in a transaction, which end commits or not.
func open(t *testing.T, c *ktest.Cluster, event *goodhartv1.Event) (end func(kgo.TransactionEndTry) error) {
	t.Helper()
	cl := c.Client(t, kgo.TransactionalID(event.Tenant), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	records, err := ConfigRecords(event, tenantPartitions)
	if err == nil {
		err = cl.BeginTransaction()
	}
	if err == nil {
		err = cl.ProduceSync(t.Context(), records...).FirstErr()
	}
	if err != nil {
		t.Fatal(err)
	}
	return func(how kgo.TransactionEndTry) error { return cl.EndTransaction(t.Context(), how) }
}

func publish(t *testing.T, c *ktest.Cluster, event *goodhartv1.Event, how kgo.TransactionEndTry) {
	t.Helper()
	if err := open(t, c, event)(how); err != nil {
		t.Fatal(err)
	}
}

// versions of the configurations on record.
func versions(t *testing.T, cl *kgo.Client) map[string]uint64 {
	t.Helper()
	configs, err := Configs(t.Context(), cl)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{}
	for tenant, event := range configs {
		got[tenant] = event.GetConfig().GetVersion()
	}
	return got
}

// The last committed configuration of each tenant is on record, and the layout
// does not mind what lies beside it.
func TestConfigs(t *testing.T) { ktest.Each(t, testConfigs) }

func testConfigs(t *testing.T, c *ktest.Cluster) {
	cl := c.Client(t)
	opt := Options{Counts: Counts{Events: tenantPartitions, Facts: 1, Features: 1, Dead: 1}, Replication: c.Replication}
	if _, err := Configs(t.Context(), cl); err == nil {
		t.Error("configurations before the migration")
	}
	if _, err := Migrate(t.Context(), cl, opt); err != nil {
		t.Fatal(err)
	}
	publish(t, c, config("acme", 1), kgo.TryCommit)
	publish(t, c, config("globex", 1), kgo.TryCommit)
	publish(t, c, config("acme", 2), kgo.TryCommit)
	publish(t, c, config("acme", 3), kgo.TryAbort)
	if diff := cmp.Diff(map[string]uint64{"acme": 2, "globex": 1}, versions(t, cl)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	layout, err := Load(t.Context(), cl)
	if err != nil || layout.Generation != 1 || layout.Partitions(schemas.TopicEvents) != tenantPartitions {
		t.Errorf("%+v, %v", layout, err)
	}
}

// reading calls fetched when its client has read for the first time.
type reading struct {
	once    sync.Once
	fetched func()
}

func (r *reading) OnBrokerRead(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, _ error) {
	if key == kmsg.Fetch.Int16() {
		r.once.Do(r.fetched)
	}
}

// What is committed behind a transaction that is still open is waited for: else
// its version would be given again. The layout needs no waiting.
func TestConfigsBehindAnOpenTransaction(t *testing.T) {
	ktest.Each(t, testConfigsBehindAnOpenTransaction)
}

func testConfigsBehindAnOpenTransaction(t *testing.T, c *ktest.Cluster) {
	cl := c.Client(t)
	opt := Options{Counts: Counts{Events: tenantPartitions, Facts: 1, Features: 1, Dead: 1}, Replication: c.Replication}
	if _, err := Migrate(t.Context(), cl, opt); err != nil {
		t.Fatal(err)
	}
	end := open(t, c, config("globex", 1))
	publish(t, c, config("acme", 1), kgo.TryCommit)
	if _, err := Read(t.Context(), cl); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	reader := c.Client(t, kgo.WithHooks(&reading{fetched: func() {
		go func() { ended <- end(kgo.TryAbort) }()
	}}))
	got := versions(t, reader)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(map[string]uint64{"acme": 1}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Partitions of topics that were made just now may have no leader yet: that is
// waited for.
func TestMigrateAmidElections(t *testing.T) {
	c := ktest.Fake(t)
	opt := Options{Counts: Counts{Events: tenantPartitions, Facts: 1, Features: 1, Dead: 1}, Replication: 1}
	if _, err := Migrate(t.Context(), c.Client(t), opt); err != nil {
		t.Fatal(err)
	}
	publish(t, c, config("acme", 1), kgo.TryCommit)
	for _, topic := range []string{schemas.TopicMeta, schemas.TopicEvents} {
		c.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: topic, Err: kerr.NotLeaderForPartition, Count: 3})
	}
	if done, err := Migrate(t.Context(), c.Client(t, kgo.RequestRetries(0)), opt); err != nil || len(done) != 0 {
		t.Errorf("Migrate = %q, %v", done, err)
	}
}

// Topics that are made anew begin with the configurations in force, once.
func TestNewTopicsBeginWithTheConfigurations(t *testing.T) {
	ktest.Each(t, testNewTopicsBeginWithTheConfigurations)
}

func testNewTopicsBeginWithTheConfigurations(t *testing.T, c *ktest.Cluster) {
	ctx, cl := t.Context(), c.Client(t)
	opt := Options{Counts: Counts{Events: tenantPartitions, Facts: 1, Features: 1, Dead: 1}, Replication: c.Replication}
	if _, err := Migrate(ctx, cl, opt); err != nil {
		t.Fatal(err)
	}
	for _, tenant := range []string{"acme", "globex", "gamma"} {
		publish(t, c, config(tenant, 1), kgo.TryCommit)
	}
	publish(t, c, config("globex", 2), kgo.TryCommit)
	var topics []string
	for _, topic := range schemas.Topics() {
		if topic.Name != schemas.TopicMeta {
			topics = append(topics, topic.Name)
		}
	}
	if deleted, err := kadm.NewClient(cl).DeleteTopics(ctx, topics...); err != nil || deleted.Error() != nil {
		t.Fatal(err, deleted.Error())
	}
	want := []string{
		"publish configuration 1 of acme in goodhart.events.v1",
		"publish configuration 1 of gamma in goodhart.events.v1",
		"publish configuration 2 of globex in goodhart.events.v1",
	}
	published := func(opt Options) []string {
		t.Helper()
		done, err := Migrate(ctx, c.Client(t), opt)
		if err != nil {
			t.Fatal(err)
		}
		return slices.DeleteFunc(done, func(step string) bool { return !strings.HasPrefix(step, "publish ") })
	}
	dry := opt
	dry.DryRun = true
	if diff := cmp.Diff(want, published(dry)); diff != "" {
		t.Errorf("planned (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(want, published(opt)); diff != "" {
		t.Errorf("done (-want +got)\n%s", diff)
	}
	if again := published(opt); len(again) != 0 {
		t.Errorf("once more: %v", again)
	}
	got := map[string]uint64{}
	for _, rec := range c.Records(t, schemas.TopicEvents) {
		var event goodhartv1.Event
		if err := event.UnmarshalVT(rec.Value); err != nil {
			t.Fatal(err)
		}
		got[event.Tenant] = event.GetConfig().GetVersion()
		if want := schemas.Partition([]byte(event.Tenant), tenantPartitions); rec.Partition != want || string(rec.Key) != event.Tenant {
			t.Errorf("%s lies in partition %d under %q, want %d", event.Tenant, rec.Partition, rec.Key, want)
		}
	}
	if diff := cmp.Diff(map[string]uint64{"acme": 1, "globex": 2, "gamma": 1}, got); diff != "" {
		t.Errorf("events.v1 (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(got, versions(t, cl)); diff != "" {
		t.Errorf("on record (-events +record)\n%s", diff)
	}
}

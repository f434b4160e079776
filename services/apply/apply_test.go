package apply

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

func sized(size int) string {
	return fmt.Sprintf("tenant: acme\nteams: [{id: payments, size: %d}]\n", size)
}

// Versions follow each other, one for each change; what is in force is not
// published again, and a diff publishes nothing.
func TestVersions(t *testing.T) {
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) { testVersions(newBed(t, c)) })
}

func testVersions(b *bed) {
	first := b.config(write(b.T, sized(12)))
	look := first
	look.Diff = true
	different := func(want string, version uint64) {
		b.Helper()
		out, err := b.run(look)
		var d *DifferentError
		if !errors.As(err, &d) || d.ExitCode() != 1 || d.Version != version || out != want {
			b.Errorf("diff: %q, %v; want %q", out, err, want)
		}
	}
	different("+ teams[payments]: id payments, size 12\n", 0)
	b.says(first, "acme: published version 1")
	b.says(first, "acme: version 1 says the same: nothing published")
	if out, err := b.run(look); err != nil || out != "" {
		b.Errorf("diff to what is in force: %q, %v", out, err)
	}
	b.says(b.config(write(b.T, "tenant: globex\n")), "globex: published version 1")
	look.File = write(b.T, sized(14))
	different("~ teams[payments].size: 12 → 14\n", 1)
	if got := b.versions(schemas.TopicEvents, "acme"); !cmp.Equal(got, []uint64{1}) {
		b.Errorf("a diff has published: %v", got)
	}
	second := look
	second.Diff = false
	out, err := b.run(second)
	if want := "acme: published version 2\n~ teams[payments].size: 12 → 14\n"; err != nil || out != want {
		b.Errorf("%q, %v; want %q", out, err, want)
	}
	b.says(first, "acme: published version 3") // back again is a change too
	first.Again = true
	b.says(first, "acme: published version 4")

	for _, topic := range []string{schemas.TopicEvents, schemas.TopicMeta} {
		if diff := cmp.Diff([]uint64{1, 2, 3, 4}, b.versions(topic, "acme")); diff != "" {
			b.Errorf("%s (-want +got)\n%s", topic, diff)
		}
		if diff := cmp.Diff([]uint64{1}, b.versions(topic, "globex")); diff != "" {
			b.Errorf("%s (-want +got)\n%s", topic, diff)
		}
	}
	ids := map[string]bool{}
	for _, e := range b.events(schemas.TopicEvents) {
		p, err := policy.Parse(e.Config.Document)
		if err != nil || string(p.Document()) != string(e.Config.Document) || p.Tenant != e.Tenant {
			b.Errorf("%s: %v", e.Config.Document, err)
		}
		if e.TimeMs != 0 || e.ReceivedMs == 0 || len(e.EventId) != 16 || ids[string(e.EventId)] {
			b.Errorf("%+v", e)
		}
		ids[string(e.EventId)] = true
	}
	for _, rec := range b.Records(b.T, schemas.TopicEvents) {
		if want := schemas.Partition(rec.Key, b.counts.Events); rec.Partition != want {
			b.Errorf("%s lies in partition %d, want %d", rec.Key, rec.Partition, want)
		}
	}
}

// A file decides the disputes that people have raised; it does not forget them
// before they end.
func TestDisputesStay(t *testing.T) {
	b := newBed(t, ktest.Fake(t))
	with := func(disputes string) Config { return b.config(write(t, sized(12)+"disputes: ["+disputes+"]\n")) }
	b.says(with("{signal: mine, state: open, until: 2099-01-01, reason: work}, {signal: past, state: open, until: 2026-01-01}"), "acme: published version 1")
	b.says(with("{signal: other, state: open, until: 2099-01-01}"), "acme: published version 2")
	b.says(with("{signal: mine, state: rejected, until: 2099-02-01}"), "acme: published version 3")
	look := with("{signal: mine, state: rejected, until: 2099-02-01}")
	look.Diff = true
	if out, err := b.run(look); err != nil || out != "" {
		t.Errorf("diff to what is in force: %q, %v", out, err)
	}
	var got []string
	for _, e := range b.events(schemas.TopicMeta) {
		p, err := policy.Parse(e.Config.Document)
		if err != nil {
			t.Fatal(err)
		}
		line := ""
		for _, d := range p.Disputes {
			line += fmt.Sprintf("%s %s %s %s; ", d.Signal, d.State, d.Until, d.Reason)
		}
		got = append(got, line)
	}
	want := []string{
		"mine open 2099-01-01 work; past open 2026-01-01 ; ",
		"mine open 2099-01-01 work; other open 2099-01-01 ; ",
		"mine rejected 2099-02-01 ; other open 2099-01-01 ; ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Of two runs at once the later one goes on; the earlier one fails, and nothing
// of it is ever seen.
func TestConflict(t *testing.T) {
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) { testConflict(newBed(t, c)) })
}

func testConflict(b *bed) {
	early, late := b.config(write(b.T, sized(12))), b.config(write(b.T, sized(14)))
	early.decided = func() { b.says(late, "acme: published version 1") }
	if out, err := b.run(early); !errors.Is(err, ErrConflict) || out != "" {
		b.Errorf("%q, %v; want %v", out, err, ErrConflict)
	}
	for _, topic := range []string{schemas.TopicEvents, schemas.TopicMeta} {
		if diff := cmp.Diff([]uint64{1}, b.versions(topic, "acme")); diff != "" {
			b.Errorf("%s (-want +got)\n%s", topic, diff)
		}
	}
	early.decided = nil
	b.says(early, "acme: published version 2")
}

// A run that died in the middle leaves nothing, and the next one need not wait
// for it.
func TestNextAfterADeadOne(t *testing.T) {
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) { testNextAfterADeadOne(newBed(t, c)) })
}

func testNextAfterADeadOne(b *bed) {
	b.open("acme", 1)
	b.says(b.config(write(b.T, sized(12))), "acme: published version 1")
	if diff := cmp.Diff([]uint64{1}, b.versions(schemas.TopicEvents, "acme")); diff != "" {
		b.Errorf("(-want +got)\n%s", diff)
	}
	if p, err := policy.Parse(b.events(schemas.TopicEvents)[0].Config.Document); err != nil || len(p.Teams) != 1 {
		b.Errorf("in force is what the dead one left: %+v, %v", p, err)
	}
}

// newEvent is the event that publishes a policy.
func newEvent(p *policy.Policy, version uint64, at time.Time) *goodhartv1.Event {
	return (&kschema.Publication{Tenant: p.Tenant, Source: "apply", Now: at}).Event(version, p.Document())
}

// open begins the transaction of a run and leaves it open.
func (b *bed) open(tenant string, version uint64) (end func(kgo.TransactionEndTry)) {
	b.Helper()
	cl := b.Client(b.T, kgo.TransactionalID("goodhart.apply."+tenant), kgo.TransactionTimeout(10*time.Second), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	records, err := kschema.ConfigRecords(newEvent(policy.Default(tenant), version, b.now), b.counts.Events)
	if err == nil {
		err = cl.BeginTransaction()
	}
	if err == nil {
		err = cl.ProduceSync(b.Context(), records...).FirstErr()
	}
	if err != nil {
		b.Fatal(err)
	}
	return func(how kgo.TransactionEndTry) {
		if err := cl.EndTransaction(b.Context(), how); err != nil {
			b.Error(err)
		}
	}
}

// Through the real folds: each version is one fact in every partition and one
// feature in the partition of its tenant, in the order of publication, whatever is
// sent again; and scores name the version that is in force.
func TestReachesTheTenantFold(t *testing.T) {
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) { testReachesTheTenantFold(newBed(t, c)) })
}

func testReachesTheTenantFold(b *bed) {
	b.process()
	b.says(b.config(write(b.T, sized(12))), "acme: published version 1") // before any watermark
	b.usage()
	b.pass(3)
	b.says(b.config(write(b.T, sized(14))), "acme: published version 2")
	b.pass(3)
	for _, e := range b.events(schemas.TopicEvents) { // as a replay would
		if e.Config != nil {
			b.produce(e, e.Tenant, 0)
		}
	}
	b.pass(10)
	b.settle()

	byPartition := map[int32][]uint64{}
	for _, rec := range b.Records(b.T, schemas.TopicFacts) {
		var f goodhartv1.Fact
		if err := f.UnmarshalVT(rec.Value); err != nil {
			b.Fatal(err)
		}
		if f.Kind == goodhartv1.FactKind_FACT_KIND_CONFIG {
			byPartition[rec.Partition] = append(byPartition[rec.Partition], f.GetEvent().GetConfig().GetVersion())
		}
	}
	if diff := cmp.Diff(map[int32][]uint64{0: {1, 2}, 1: {1, 2}, 2: {1, 2}}, byPartition); diff != "" {
		b.Errorf("facts (-want +got)\n%s", diff)
	}
	features := b.features()
	if len(features) != 2 || features[0].GetConfig().GetVersion() != 1 || features[1].GetConfig().GetVersion() != 2 {
		b.Fatalf("features: %v", features)
	}
	p, err := policy.Parse(features[1].GetConfig().GetDocument())
	if team, ok := p.Team("payments"); err != nil || !ok || team.Size != 14 {
		b.Errorf("%+v, %v", team, err)
	}
	inScores := map[uint64]int{}
	for _, rec := range b.Records(b.T, schemas.TopicScores) {
		var score struct {
			Kind    string `json:"kind"`
			Version uint64 `json:"config_version"`
		}
		if err := json.Unmarshal(rec.Value, &score); err != nil {
			b.Fatal(err)
		}
		if score.Kind == "rolling" {
			inScores[score.Version]++
		}
	}
	if inScores[0] != 0 || inScores[1] == 0 || inScores[2] == 0 {
		b.Errorf("scores by version: %v", inScores)
	}
	if dead := b.Records(b.T, schemas.TopicDead); len(dead) != 0 {
		b.Errorf("%d dead letters", len(dead))
	}
}

// settle waits until the folds have taken everything.
func (b *bed) settle() {
	b.Helper()
	b.Await(b.T, schemas.GroupLedger, schemas.TopicEvents)
	b.Await(b.T, schemas.GroupSubject, schemas.TopicFacts)
	b.Await(b.T, schemas.GroupTenant, schemas.TopicFeatures)
}

// features are the configurations in features.v1, all of acme.
func (b *bed) features() []*goodhartv1.Feature {
	b.Helper()
	var features []*goodhartv1.Feature
	for _, rec := range b.Records(b.T, schemas.TopicFeatures) {
		f := &goodhartv1.Feature{}
		if err := f.UnmarshalVT(rec.Value); err != nil {
			b.Fatal(err)
		}
		if f.Kind != goodhartv1.FeatureKind_FEATURE_KIND_CONFIG {
			continue
		}
		if want := schemas.Partition([]byte("acme"), b.counts.Features); rec.Partition != want || f.Tenant != "acme" {
			b.Errorf("a configuration of %s in partition %d, want %d", f.Tenant, rec.Partition, want)
		}
		features = append(features, f)
	}
	return features
}

// Topics that are made anew begin with what is in force, and the folds take it.
func TestNewGeneration(t *testing.T) {
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) { testNewGeneration(newBed(t, c)) })
}

func testNewGeneration(b *bed) {
	for _, size := range []int{12, 13, 14} {
		if _, err := b.run(b.config(write(b.T, sized(size)))); err != nil {
			b.Fatal(err)
		}
	}
	var topics []string
	for _, topic := range schemas.Topics() {
		if topic.Name != schemas.TopicMeta {
			topics = append(topics, topic.Name)
		}
	}
	if deleted, err := kadm.NewClient(b.client).DeleteTopics(b.Context(), topics...); err != nil || deleted.Error() != nil {
		b.Fatal(err, deleted.Error())
	}
	want := []string{"publish configuration 3 of acme in goodhart.events.v1"}
	if diff := cmp.Diff(want, b.migrate()); diff != "" {
		b.Errorf("(-want +got)\n%s", diff)
	}
	if done := b.migrate(); len(done) != 0 {
		b.Errorf("once more: %v", done)
	}
	b.says(b.config(write(b.T, sized(14))), "acme: version 3 says the same: nothing published")
	b.process()
	b.usage()
	b.pass(5)
	b.settle()
	if f := b.features(); len(f) != 1 || f[0].GetConfig().GetVersion() != 3 {
		b.Errorf("features: %v", f)
	}
}

// The id of the event is the version's, whatever it says and whenever.
func TestEventID(t *testing.T) {
	p := policy.Default("acme")
	now := time.UnixMilli(1)
	id := func(p *policy.Policy, version uint64, at time.Time) string {
		return string(newEvent(p, version, at).EventId)
	}
	one := id(p, 1, now)
	other, err := policy.Parse([]byte(`{"tenant":"acme","teams":[{"id":"x","size":3}]}`))
	if err != nil || id(other, 1, now.Add(time.Hour)) != one {
		t.Errorf("two ids of one version, %v", err)
	}
	if one == id(p, 2, now) || one == id(policy.Default("globex"), 1, now) {
		t.Error("one id of two versions")
	}
}

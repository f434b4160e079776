package schedule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/schemas"
)

// Addresses on the virtual network.
const (
	collectorAddr = "127.0.0.1:4318"
	engineAddr    = "127.0.0.1:8123"
)

var brokerPorts = []int{9092, 9093, 9094}

// world is one schedule as it runs, in a bubble of its own.
type world struct {
	t       *testing.T
	plan    *plan
	log     *slog.Logger
	network kfake.VirtualNetwork
	cluster *kfake.Cluster
	addrs   []string
	// client is the test's own; no fault is meant for it.
	client *kgo.Client
	engine *engine
	crews  map[string]*crew
	struck *counts
	files  struct{ keys, people, spill string }

	mu    sync.Mutex
	asked map[string]int // requests seen, by role and key, for cuts
	cuts  []cut          // those that have not struck
}

func newWorld(t *testing.T, p *plan, log *slog.Logger) *world {
	t.Helper()
	w := &world{t: t, plan: p, log: log, struck: &counts{}, crews: map[string]*crew{}, asked: map[string]int{}, cuts: p.cuts}
	var err error
	opts := []kfake.Opt{kfake.NumBrokers(p.brokers), kfake.Ports(brokerPorts[:p.brokers]...), kfake.ListenFn(w.network.Listen)}
	if p.aged {
		opts = append(opts, kfake.MaxVersions(kversion.V3_9_0()))
	}
	w.cluster, err = kfake.NewCluster(opts...)
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range brokerPorts[:p.brokers] {
		w.addrs = append(w.addrs, fmt.Sprintf("127.0.0.1:%d", port))
	}
	w.client, err = kgo.NewClient(kgo.SeedBrokers(w.addrs...), kgo.Dialer(w.network.DialContext), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MetadataMinAge(10*time.Millisecond), kgo.DisableClientMetrics())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kschema.Migrate(t.Context(), w.client, kschema.Options{Counts: p.counts, Replication: int16(p.brokers)}); err != nil {
		t.Fatal(err)
	}
	w.write()
	return w
}

func (w *world) write() {
	w.t.Helper()
	dir := w.t.TempDir()
	w.files.keys, w.files.people, w.files.spill = filepath.Join(dir, "keys.yaml"), filepath.Join(dir, "people.yaml"), dir
	keys, err1 := w.plan.org.KeysYAML()
	people, err2 := w.plan.org.PeopleYAML()
	err := errors.Join(err1, err2, os.WriteFile(w.files.keys, keys, 0o600), os.WriteFile(w.files.people, people, 0o600))
	if err != nil {
		w.t.Fatal(err)
	}
}

// close ends everything that is left.
func (w *world) close() {
	for _, c := range w.crews {
		for _, p := range c.all {
			c.kill(p)
			<-p.ended
		}
	}
	w.client.Close()
	w.cluster.Close()
}

// arm installs the schedule's faults.
func (w *world) arm() {
	for _, f := range w.plan.faults {
		var last kmsg.Request
		seen := 0
		w.cluster.Fault(kfake.Fault{
			Keys: []kmsg.Key{f.key}, Topic: f.topic, Group: f.group, Err: f.err, Count: 1,
			// Asked once for each partition, say, of a request.
			When: func(req kmsg.Request) bool {
				if req != last {
					last = req
					if seen++; seen == f.nth+1 {
						w.struck.add(f.kind())
						w.log.Info("fault", "kind", f.kind())
					}
				}
				return seen > f.nth
			},
		})
	}
}

// severs decides about a request of a role's.
func (w *world) severs(role string, key int16) severance {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := fmt.Sprint(role, key)
	n := w.asked[id]
	w.asked[id]++
	for i, c := range w.cuts {
		if c.role == role && int16(c.key) == key && c.nth == n {
			w.cuts = slices.Delete(slices.Clone(w.cuts), i, i+1)
			w.struck.add(c.kind())
			w.log.Info("cut", "kind", c.kind())
			return c.when
		}
	}
	return never
}

// perform starts an act.
func (w *world) perform(a act) {
	switch a.kind {
	case moveLeaders:
		w.cluster.ShufflePartitionLeaders()
	case moveCoordinators:
		w.cluster.RehashCoordinators()
	default:
		_, role, _ := strings.Cut(a.kind, ":")
		w.crews[role].acts <- a
		return
	}
	if w.plan.brokers > 1 {
		w.struck.add(a.kind)
	}
}

// await waits for a condition, for ten minutes of the bubble's clock.
func (w *world) await(what string, holds func() (bool, error)) error {
	for deadline := time.Now().Add(10 * time.Minute); ; {
		ok, err := holds()
		if ok {
			return nil
		}
		for _, c := range w.crews {
			err = errors.Join(append(c.complaints(), err)...)
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("waited in vain until %s", what), err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// wrote is what the pipeline wrote into Kafka, by topic, committed records only.
type wrote map[string][]*kgo.Record

// drain waits until everything that was sent is through, stage by stage, and
// returns the topics' records.
func (w *world) drain() (wrote, error) {
	out := wrote{}
	for _, stage := range []struct {
		input, group string
	}{
		{schemas.TopicEvents, schemas.GroupLedger},
		{schemas.TopicFacts, schemas.GroupSubject},
		{schemas.TopicFeatures, schemas.GroupTenant},
		{schemas.TopicFacts, schemas.GroupSink},
		{schemas.TopicScores, schemas.GroupSink},
		{schemas.TopicSignals, schemas.GroupSink},
		{schemas.TopicKPI, schemas.GroupSink},
		{schemas.TopicSelf, schemas.GroupSink},
		{schemas.TopicDead, schemas.GroupSink},
	} {
		if err := w.await(stage.input+" has no open transaction", func() (bool, error) { return w.closed(stage.input) }); err != nil {
			return out, err
		}
		var records []*kgo.Record
		err := w.await(stage.input+" is read", func() (_ bool, err error) {
			records, err = w.read(stage.input)
			return err == nil, err
		})
		if err != nil {
			return out, err
		}
		out[stage.input] = records
		tries := 0
		err = w.await(stage.group+" has all of "+stage.input, func() (bool, error) {
			if tries++; tries%50 == 0 {
				w.crews[processorRole].mend()
			}
			return w.reached(stage.group, records)
		})
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// closed reports whether nothing that is written to a topic is undecided.
func (w *world) closed(topic string) (bool, error) {
	adm := kadm.NewClient(w.client)
	stable, err := adm.ListCommittedOffsets(w.t.Context(), topic)
	if err != nil {
		return false, err
	}
	ends, err := adm.ListEndOffsets(w.t.Context(), topic)
	if err != nil {
		return false, err
	}
	ok := true
	ends.Each(func(o kadm.ListedOffset) {
		s, found := stable.Lookup(o.Topic, o.Partition)
		ok = ok && found && o.Err == nil && s.Offset == o.Offset
	})
	return ok, errors.Join(stable.Error(), ends.Error())
}

// reached reports whether a group has committed past the records and has
// nothing under way.
func (w *world) reached(group string, records []*kgo.Record) (bool, error) {
	past := map[int32]int64{}
	for _, rec := range records {
		past[rec.Partition] = rec.Offset + 1
	}
	if len(past) == 0 {
		return true, nil
	}
	offsets, err := kadm.NewClient(w.client).FetchOffsets(w.t.Context(), group)
	if err != nil {
		return false, err
	}
	var missing []error
	for p, offset := range past {
		at, ok := offsets.Lookup(records[0].Topic, p)
		if !ok || at.At < offset || strings.Contains(at.Metadata, ";p=") {
			missing = append(missing, fmt.Errorf("partition %d is at %d of %d, %q", p, at.At, offset, at.Metadata))
		}
	}
	return len(missing) == 0, errors.Join(missing...)
}

// read returns the committed records of a topic, in the order of each partition.
func (w *world) read(topic string) ([]*kgo.Record, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	ends, err := kadm.NewClient(w.client).ListCommittedOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	left, start := map[int32]int64{}, map[int32]kgo.Offset{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition], start[o.Partition] = o.Offset, kgo.NewOffset().AtStart()
		}
	})
	if len(left) == 0 {
		return nil, nil
	}
	cl, err := kgo.NewClient(append(w.client.Opts(), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: start}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())...)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	var records []*kgo.Record
	for len(left) > 0 {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("read %s: %w", topic, ctx.Err())
		}
		for _, rec := range fetches.Records() {
			if rec.Offset+1 >= left[rec.Partition] {
				delete(left, rec.Partition)
			}
			if !rec.Attrs.IsControl() {
				records = append(records, rec)
			}
		}
	}
	return records, nil
}

package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
	"github.com/goodhartlabs/goodhart/services/collector"
	"github.com/goodhartlabs/goodhart/services/kafka"
	"github.com/goodhartlabs/goodhart/services/probe"
	"github.com/goodhartlabs/goodhart/services/simulate"
)

// The same log under the same record timestamps, in which the configuration is
// changed halfway, gives the same bytes: from one processor, from one that is
// killed and cuts its batches elsewhere, and from two that pass the partitions to
// and fro.
func TestByteIdentical(t *testing.T) {
	if testing.Short() {
		t.Skip("half a million records: TestProcessorIsDeterministic is the short one")
	}
	bin, _ := binaries(t)
	records := declared(t, record(t))
	var first *written
	aborts := 0
	for _, way := range []struct {
		name string
		run  func(*folding)
	}{
		{"one", func(f *folding) { f.start("one", "250ms") }},
		{"killed", killedAgainAndAgain},
		{"two", passedToAndFro},
	} {
		t.Run(way.name, func(t *testing.T) {
			ktest.Each(t, func(t *testing.T, cluster *ktest.Cluster) {
				t.Helper()
				got := refold(t, cluster, bin, records, way.run)
				t.Log(got)
				aborts += got.aborts
				if first == nil {
					first = got
				}
				first.compare(t, got)
			})
		})
	}
	for what, n := range map[string]int{
		"duplicates": first.duplicates, "merged": first.merged, "late": first.late, "fast clocks": first.fast,
		"corrections": first.corrections, "aborts": aborts,
		"scores of the first configuration": first.configured[1], "scores of the second": first.configured[2],
		"signals and cards": first.judgements,
	} {
		if n == 0 {
			t.Errorf("%s: 0: the run does not provoke what it should", what)
		}
	}
}

var recordedCounts = kschema.Counts{Events: 8, Facts: 8, Features: 4, Dead: 1}

// record lets an invented company send its traffic to a real collector and
// returns what then lies in events.v1, in the order of each partition.
func record(t *testing.T) []*kgo.Record {
	t.Helper()
	cluster := ktest.Fake(t)
	client := cluster.Client(t)
	if _, err := kschema.Migrate(t.Context(), client, kschema.Options{Counts: recordedCounts, Replication: 1}); err != nil {
		t.Fatal(err)
	}
	plan := simulate.Default()
	plan.Dir, plan.Seed, plan.People, plan.Days, plan.Events = t.TempDir(), 11, 120, 28, 540_000
	if err := simulate.Plan(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	fleet := &fleet{}
	plan.Phase, plan.GRPC = simulate.PhaseSend, fleet.address(t)
	cfg := collector.Default()
	cfg.Kafka = kafka.Config{Brokers: cluster.Addrs}
	cfg.Listen = collector.Listen{HTTP: fleet.address(t), GRPC: plan.GRPC}
	cfg.Admin, cfg.Clock = "", collector.ClockHeader
	cfg.Keys, cfg.People = filepath.Join(plan.Dir, "keys.yaml"), filepath.Join(plan.Dir, "people.yaml")
	cfg.Keyring = map[string]string{"demo": strings.Repeat("5a", 32)}
	plan.HTTP = "http://" + cfg.Listen.HTTP
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- collector.Run(ctx, cfg, probe.New(slog.New(slog.DiscardHandler))) }()
	if err := simulate.Send(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	records, _ := contents(t, cluster, schemas.TopicEvents)
	if len(records) < 500_000 {
		t.Fatalf("only %d records", len(records))
	}
	return records
}

// declared puts two versions of a configuration into the log: one at its start,
// and halfway one in which everything is different that scores, signals and
// cards rest on.
func declared(t *testing.T, records []*kgo.Record) []*kgo.Record {
	t.Helper()
	key := []byte("demo")
	p := schemas.Partition(key, recordedCounts.Events)
	var own []int // places of the records of that partition
	for i, r := range records {
		if r.Partition == p {
			own = append(own, i)
		}
	}
	insert := func(at int, version uint64, document string) {
		id := sha256.Sum256(fmt.Append(nil, "config|", version))
		value, err := (&goodhartv1.Event{
			Kind: goodhartv1.EventKind_EVENT_KIND_CONFIG, Tenant: "demo", Source: "apply", EventId: id[:16], SchemaVersion: 1,
			Config: &goodhartv1.Config{Version: version, Document: []byte(document)},
		}).MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		records = slices.Insert(records, at, &kgo.Record{
			Topic: schemas.TopicEvents, Partition: p, Key: key, Value: value, Timestamp: records[at].Timestamp,
		})
	}
	announced := records[own[0]].Timestamp.AddDate(0, 0, 7).Format(time.DateOnly)
	insert(own[len(own)/2], 2, fmt.Sprintf(`{"tenant":"demo","outcomes":[{"kind":"pr_merged","weight":3000}],
		"targets":[{"id":"tokens","metric":"tokens","threshold":30000000,"period":"week","announced_at":%q}]}`, announced))
	insert(own[0], 1, fmt.Sprintf(`{"tenant":"demo","targets":[{"id":"use","metric":"weekly_use","threshold":800,"period":"week","announced_at":%q}]}`, announced))
	return records
}

// folding is one pass of the processors over a copy of the log.
type folding struct {
	t       *testing.T
	fleet   *fleet
	brokers []string
	bin     string
	client  *kgo.Client
	total   int64
	running map[string]*exec.Cmd
}

// start runs a processor of that name, in transactions of that length.
func (f *folding) start(name, interval string) {
	f.t.Helper()
	admin := f.fleet.address(f.t)
	config := f.fleet.file(f.t, name+".yaml", fmt.Sprintf(`instance: %s
kafka: {brokers: [%s]}
interval: %s
snapshot_period: 2s
spill_dir: %s
rules: {out_of_orderness: 65m}
admin: %s
`, name, strings.Join(f.brokers, ", "), interval, f.fleet.dir, admin))
	log, err := os.OpenFile(filepath.Join(f.fleet.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		f.t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(f.bin, "goodhart"), "processor", "--config", config)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	_ = log.Close()
	f.running[name] = cmd
}

// end signals the processor and waits until it is gone.
func (f *folding) end(name string, signal syscall.Signal) {
	f.t.Helper()
	cmd := f.running[name]
	delete(f.running, name)
	if err := cmd.Process.Signal(signal); err != nil {
		f.t.Fatalf("%s has ended before it was told to: %v", name, err)
	}
	if err := cmd.Wait(); err != nil && signal != syscall.SIGKILL {
		f.t.Errorf("%s: %v", name, err)
	}
}

// until waits until that share of the log is folded by the ledger.
func (f *folding) until(percent int64) {
	f.t.Helper()
	f.await(fmt.Sprintf("%d %% of the log", percent), func() bool {
		offsets, err := kadm.NewClient(f.client).FetchOffsets(f.t.Context(), schemas.GroupLedger)
		if err != nil {
			return false
		}
		var at int64
		offsets.Each(func(o kadm.OffsetResponse) { at += max(o.At, 0) })
		return at*100 >= f.total*percent
	})
}

// amidst waits until a transaction is open that has written facts: a processor
// that is killed now leaves it to be aborted.
func (f *folding) amidst() {
	f.t.Helper()
	adm := kadm.NewClient(f.client)
	f.await("an open transaction", func() bool {
		stable, err := adm.ListCommittedOffsets(f.t.Context(), schemas.TopicFacts)
		if err != nil {
			return false
		}
		ends, err := adm.ListEndOffsets(f.t.Context(), schemas.TopicFacts)
		if err != nil {
			return false
		}
		open := false
		ends.Each(func(end kadm.ListedOffset) {
			at, ok := stable.Lookup(end.Topic, end.Partition)
			open = open || ok && at.Offset < end.Offset
		})
		return open
	})
}

func (f *folding) await(what string, done func() bool) {
	f.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(4 * time.Minute); !done(); {
		select {
		case <-tick.C:
		case <-deadline:
			f.t.Fatalf("waited four minutes for %s", what)
		}
	}
}

func killedAgainAndAgain(f *folding) {
	for i, interval := range []string{"30ms", "400ms", "70ms", "150ms", "20ms"} {
		f.start("one", interval)
		f.until(int64(i+1) * 15)
		f.amidst()
		f.end("one", syscall.SIGKILL)
	}
	f.start("one", "110ms")
}

func passedToAndFro(f *folding) {
	f.start("a", "60ms")
	f.until(15)
	f.start("b", "90ms")
	f.until(40)
	f.end("a", syscall.SIGTERM)
	f.until(55)
	f.start("a", "200ms")
	f.until(70)
	f.amidst()
	f.end("b", syscall.SIGKILL)
	f.until(80)
	f.start("b", "50ms")
}

// refold copies the log into fresh topics under its own timestamps, lets run
// start and stop processors, and returns what they wrote once nothing is left.
func refold(t *testing.T, cluster *ktest.Cluster, bin string, records []*kgo.Record, run func(*folding)) *written {
	t.Helper()
	f := &folding{t: t, fleet: &fleet{dir: t.TempDir(), bin: bin}, brokers: cluster.Addrs, bin: bin, client: cluster.Client(t, kgo.RecordPartitioner(kgo.ManualPartitioner())), running: map[string]*exec.Cmd{}}
	if _, err := kadm.NewClient(f.client).CreateTopic(t.Context(), recordedCounts.Events, cluster.Replication, nil, schemas.TopicEvents); err != nil {
		t.Fatal(err)
	}
	if _, err := kschema.Migrate(t.Context(), f.client, kschema.Options{Counts: recordedCounts, Replication: cluster.Replication}); err != nil {
		t.Fatal(err)
	}
	copied := make([]*kgo.Record, len(records))
	for i, r := range records {
		copied[i] = &kgo.Record{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers, Timestamp: r.Timestamp}
	}
	if err := f.client.ProduceSync(t.Context(), copied...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	f.total = int64(len(records))
	t.Cleanup(func() {
		for _, cmd := range f.running {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		if t.Failed() {
			for _, path := range must(filepath.Glob(filepath.Join(f.fleet.dir, "*.log"))) {
				t.Logf("%s:\n%.20000s", path, must(os.ReadFile(path)))
			}
		}
	})
	run(f)
	w := &written{facts: map[string][]string{}, features: map[string][]string{}, scores: map[string][]string{}, judged: map[string][]string{}}
	f.drained(schemas.GroupLedger, copied)
	facts, aborts := contents(t, cluster, schemas.TopicFacts)
	w.aborts += aborts
	f.drained(schemas.GroupSubject, facts)
	features, aborts := contents(t, cluster, schemas.TopicFeatures)
	w.aborts += aborts
	f.drained(schemas.GroupTenant, features)
	scores, aborts := contents(t, cluster, schemas.TopicScores)
	w.aborts += aborts
	for _, topic := range []string{schemas.TopicSignals, schemas.TopicSelf, schemas.TopicKPI} {
		judgements, _ := contents(t, cluster, topic)
		w.judgements += len(judgements)
		for _, r := range judgements {
			part := fmt.Sprint(topic, "/", r.Partition)
			w.judged[part] = append(w.judged[part], flat(r))
		}
	}
	for name := range maps.Clone(f.running) {
		f.end(name, syscall.SIGTERM)
	}
	w.add(t, facts, features, scores)
	return w
}

// drained waits until the group has committed all records of its input.
func (f *folding) drained(group string, input []*kgo.Record) {
	f.t.Helper()
	ends := map[int32]int64{}
	for _, r := range input {
		ends[r.Partition] = max(ends[r.Partition], r.Offset+1)
	}
	f.await(group+" to read everything", func() bool {
		offsets, err := kadm.NewClient(f.client).FetchOffsets(f.t.Context(), group)
		if err != nil {
			return false
		}
		for p, end := range ends {
			if at, ok := offsets.Lookup(input[0].Topic, p); !ok || at.At < end {
				return false
			}
		}
		return true
	})
}

// written is what the folds wrote.
type written struct {
	// facts and features by pair of upstream and own partition, in the order of
	// seq; scores by partition; signals, also those of persons, and cards by topic
	// and partition.
	facts, features, scores, judged                                 map[string][]string
	duplicates, merged, late, fast, corrections, aborts, judgements int
	// configured counts the scores under each version of the configuration.
	configured [3]int
}

func (w *written) add(t *testing.T, facts, features, scores []*kgo.Record) {
	t.Helper()
	for _, r := range facts {
		var f goodhartv1.Fact
		if err := f.UnmarshalVT(r.Value); err != nil {
			t.Fatal(err)
		}
		put(t, w.facts, r, f.P, f.Seq)
		w.count(&f)
	}
	for _, r := range features {
		var f goodhartv1.Feature
		if err := f.UnmarshalVT(r.Value); err != nil {
			t.Fatal(err)
		}
		put(t, w.features, r, f.P, f.Seq)
	}
	for _, r := range scores {
		pair := fmt.Sprint("partition ", r.Partition)
		w.scores[pair] = append(w.scores[pair], flat(r))
		if bytes.Contains(r.Value, []byte(`"rev":`)) && !bytes.Contains(r.Value, []byte(`"rev":0`)) {
			w.corrections++
		}
		for version := range w.configured {
			if bytes.Contains(r.Value, fmt.Appendf(nil, `"config_version":%d}`, version)) {
				w.configured[version]++
			}
		}
	}
}

func (w *written) count(f *goodhartv1.Fact) {
	switch {
	case f.Kind == goodhartv1.FactKind_FACT_KIND_TALLY:
		w.duplicates += int(f.Tally.GetDuplicate())
	case f.Observational:
		w.merged++
	}
	if f.Late {
		w.late++
	}
	if slices.Contains(f.Event.GetQuality(), goodhartv1.Quality_QUALITY_CLOCK_SKEW) {
		w.fast++
	}
}

// put appends a record to its pair, whose numbers must have no gap.
func put(t *testing.T, into map[string][]string, r *kgo.Record, p uint32, seq uint64) {
	t.Helper()
	pair := fmt.Sprintf("%d to %d", p, r.Partition)
	if n := uint64(len(into[pair])) + 1; seq != n {
		t.Fatalf("%s %s: record %d has seq %d", r.Topic, pair, n, seq)
	}
	into[pair] = append(into[pair], flat(r))
}

// flat is a record as it is compared: key, headers, value.
func flat(r *kgo.Record) string {
	line := string(r.Key)
	for _, h := range r.Headers {
		line += "\x00" + h.Key + "=" + string(h.Value)
	}
	return line + "\x00" + string(r.Value)
}

// compare fails the test at the first difference of each pair of partitions.
func (w *written) compare(t *testing.T, other *written) {
	t.Helper()
	for _, topic := range []struct {
		name      string
		want, got map[string][]string
	}{{"facts", w.facts, other.facts}, {"features", w.features, other.features}, {"scores", w.scores, other.scores}, {"signals and cards", w.judged, other.judged}} {
		if len(topic.want) != len(topic.got) {
			t.Errorf("%s of %d pairs, want %d", topic.name, len(topic.got), len(topic.want))
		}
		for _, pair := range slices.Sorted(maps.Keys(topic.want)) {
			want, got := topic.want[pair], topic.got[pair]
			if len(want) != len(got) {
				t.Errorf("%s %s: %d records, want %d", topic.name, pair, len(got), len(want))
			}
			for i := range min(len(want), len(got)) {
				if want[i] != got[i] {
					t.Errorf("%s %s, record %d:\n want %s\n  got %s", topic.name, pair, i, hex.EncodeToString([]byte(want[i])), hex.EncodeToString([]byte(got[i])))
					break
				}
			}
		}
	}
}

func (w *written) String() string {
	size := func(m map[string][]string) (n int) {
		for _, lines := range m {
			n += len(lines)
		}
		return n
	}
	return fmt.Sprintf("%d facts, %d features, %d scores, %d signals and cards; %d duplicates, %d merged, %d late, %d fast clocks, %d corrections; %d aborted transactions",
		size(w.facts), size(w.features), size(w.scores), w.judgements, w.duplicates, w.merged, w.late, w.fast, w.corrections, w.aborts)
}

// contents reads what is committed in a topic now, and how many transactions it
// saw aborted, counted by their markers.
func contents(t *testing.T, cluster *ktest.Cluster, topic string) (records []*kgo.Record, aborts int) {
	t.Helper()
	left := map[int32]int64{}
	cluster.Closed(t, topic).Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	reader := cluster.Client(t, kgo.ConsumeTopics(topic), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	for len(left) > 0 {
		fetches := reader.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			switch {
			case !r.Attrs.IsControl():
				records = append(records, r)
			case isAbort(r):
				aborts++
			}
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		})
	}
	return records, aborts
}

// isAbort tells the marker of an abort from that of a commit.
func isAbort(r *kgo.Record) bool {
	var key kmsg.ControlRecordKey
	return key.ReadFrom(r.Key) == nil && key.Type == kmsg.ControlRecordKeyTypeAbort
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

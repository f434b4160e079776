package alerts

import (
	"encoding/binary"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Each alert follows from a fault of the real pipeline, as a real Prometheus sees
// it with the rules of deploy/prometheus, and is gone when the fault is mended.
//
// Faults are provoked together where they do not hide one another, in two waves:
// first what is wrong with data and partitions, then what is away.
func TestEveryAlertIsProvoked(t *testing.T) {
	disk, small := smallDisk(t)
	b := newBed(t, func(b *bed) { b.spill = disk.dir })
	// Records keep the time that a producer gives them, so that hours can pass.
	b.topicConfig(schemas.TopicEvents, "message.timestamp.type", "CreateTime")
	for i := range 20 {
		if code := b.post(typeEvent, usage(fmt.Sprint("honest-", i))); code != 200 {
			t.Fatalf("status %d", code)
		}
	}
	eventually(t, "the events to be stored", func() bool { return b.count("SELECT toUInt64(sum(records)) FROM core.usage_hour") == 20 })
	w := watch(b)
	w.wantQuiet()
	// Not everybody may mount a small disk: without one a disk alert is not provoked.
	seen := map[string]bool{"GoodhartDiskLow": !small}
	fires := func(names ...string) {
		t.Helper()
		w.wantFiring(names...)
		for _, name := range names {
			seen[name] = true
		}
	}

	t.Log("first wave: a wrong rollup, a lost hour, suspect months, small windows, rubbish, a chat that takes nothing, a refused output, a full disk")
	mend := []func(){b.wrongRollup(), b.lostRecords(), b.suspectMonth(), b.smallWindow(), b.rubbish(), b.deafChat(), disk.fill(t)}
	b.stop("processor")
	b.startProcessor(1) // remembers one event id of a shard
	for range 2 {
		b.forge(time.Now().Add(-2 * time.Hour))
	}
	fires("GoodhartReconcileMismatch", "GoodhartNotConserved", "GoodhartDedupHorizonShort", "GoodhartAlerterOverdue")
	if small {
		fires("GoodhartDiskLow")
	}
	b.topicConfig(schemas.TopicFacts, "max.message.bytes", "64")
	fires("GoodhartPartitionStopped", "GoodhartSinkDedupWindowShort", "GoodhartMonthsSuspect", "GoodhartDeadLetters")
	for _, undo := range mend {
		undo()
	}
	b.topicConfig(schemas.TopicFacts, "max.message.bytes", "1048588")
	b.stop("processor")
	b.startProcessor(1 << 16)
	b.forge(time.Now()) // the horizon has passed since something was forgotten
	w.wantQuiet()

	t.Log("second wave: no ClickHouse, a collector without Kafka")
	b.clickhouse.Kill()
	fires("GoodhartRoleDown")
	b.line.cut()
	stopSending := b.keepSending()
	fires("GoodhartCollectorRefusing", "GoodhartTicksMissing", "GoodhartFoldLag", "GoodhartWatermarkStalled",
		"GoodhartDataStale", "GoodhartSinkLag", "GoodhartSinkStalled", "GoodhartReconcileStale")
	stopSending()
	b.line.mend()
	b.clickhouse.Restart()
	fires("GoodhartTicksLate")
	for range 3 {
		started := w.query(`process_start_time_seconds{role="chserve"}`)
		b.clickhouse.Restart()
		eventually(t, "the restart to be seen", func() bool {
			now := w.query(`process_start_time_seconds{role="chserve"}`)
			return len(now) == 1 && !slices.Equal(now, started)
		})
	}
	fires("GoodhartRoleRestarting")
	eventually(t, "the collector to accept again", func() bool { return b.post(typeEvent, usage("late")) == 200 })
	w.wantQuiet()

	b.runQueries(w)
	for _, name := range alertNames(t) {
		if !seen[name] {
			t.Errorf("%s was not provoked", name)
		}
	}
	if n := b.count("SELECT count() FROM core.usage WHERE observational = 0"); n != 24 {
		t.Errorf("%d requests are stored after all that, want the 24 that were accepted, each once", n)
	}
}

var alertLine = regexp.MustCompile(`(?m)^ +- alert: (\w+)$`)

// alertNames are the alerts of the rules, in order.
func alertNames(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, m := range alertLine.FindAllStringSubmatch(rules(t), -1) {
		names = append(names, m[1])
	}
	return names
}

// runQueries runs what the runbooks tell to run.
func (b *bed) runQueries(w *watcher) {
	b.t.Helper()
	books, err := filepath.Glob(filepath.Join(repository, "docs/runbooks/*.md"))
	if err != nil || len(books) == 0 {
		b.t.Fatalf("%d runbooks: %v", len(books), err)
	}
	for _, path := range books {
		text, err := os.ReadFile(path)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, m := range sqlBlock.FindAllStringSubmatch(string(text), -1) {
			if err := b.conn.Exec(b.t.Context(), m[1]); err != nil {
				b.t.Errorf("%s: %v\n%s", filepath.Base(path), err, m[1])
			}
		}
		for _, m := range promqlBlock.FindAllStringSubmatch(string(text), -1) {
			for query := range strings.Lines(m[1]) {
				if !w.ask("/api/v1/query?query="+url.QueryEscape(query), new(any)) {
					b.t.Errorf("%s: Prometheus refuses %s", filepath.Base(path), query)
				}
			}
		}
	}
}

// wrongRollup deletes rows of a rollup.
func (b *bed) wrongRollup() (mend func()) {
	b.t.Helper()
	b.exec("CREATE TABLE core.usage_hour_saved AS core.usage_hour")
	b.exec("INSERT INTO core.usage_hour_saved SELECT * FROM core.usage_hour")
	b.exec("ALTER TABLE core.usage_hour DELETE WHERE 1 SETTINGS mutations_sync = 2")
	return func() { b.exec("INSERT INTO core.usage_hour SELECT * FROM core.usage_hour_saved") }
}

// lostRecords are accepted records of a closed hour without any row.
func (b *bed) lostRecords() (mend func()) {
	b.t.Helper()
	tally := func(accepted int) {
		b.exec(`INSERT INTO core.tallies (tenant, source, hour, accepted) SELECT 'acme', 'cloudevents', toStartOfHour(now() - INTERVAL 5 HOUR), ?`, accepted)
	}
	tally(5)
	return func() { tally(-5) }
}

// suspectMonth is what the sink marks when it has completed an old insert.
func (b *bed) suspectMonth() (mend func()) {
	b.t.Helper()
	b.exec("INSERT INTO core.suspect_months (month, base_table, reason, marked_at) SELECT toYYYYMM(now()), 'core.usage', 'a test', now64(3)")
	return func() {
		b.exec("INSERT INTO core.suspect_months (month, base_table, reason, marked_at, repaired_at) SELECT toYYYYMM(now()), 'core.usage', 'a test', toDateTime64(0, 3), now64(3) + 1")
	}
}

// smallWindow makes ClickHouse forget the inserts of ticks early.
func (b *bed) smallWindow() (mend func()) {
	b.t.Helper()
	set := func(n int) {
		b.exec(fmt.Sprintf("ALTER TABLE core.ticks MODIFY SETTING non_replicated_deduplication_window = %d", n))
	}
	set(1)
	return func() { set(20_000) }
}

// deafChat takes no message, though there is a signal to tell of.
func (b *bed) deafChat() (mend func()) {
	b.t.Helper()
	b.refuses.Store(true)
	if err := b.kafka.ProduceSync(b.t.Context(), question("of-a-test")).FirstErr(); err != nil {
		b.t.Fatal(err)
	}
	return func() { b.refuses.Store(false) }
}

// question is a signal that has just opened, in a topic of one partition.
func question(id string) *kgo.Record {
	value := fmt.Sprintf(`{"kind":"signal","tenant":%q,"scope_kind":"tool","scope":"ci-agent","team":"","signal_id":%q,"rev":0,"w":%d,"code":"R1",`+
		`"title":"A test","label":"runaway","severity":"critical","status":"opened","opened_at":%[3]d,"updated_at":%[3]d,"resolved_at":null,`+
		`"question":"Does this arrive?","cost_at_stake_nanos":null,"evidence":[],"formula":"test/1","config_version":0}`, tenant, id, time.Now().UnixMilli())
	return &kgo.Record{Topic: schemas.TopicSignals, Key: []byte(id), Value: []byte(value)}
}

// rubbish is a sender whose bodies cannot be read.
func (b *bed) rubbish() (mend func()) {
	return b.background(func() { b.post(typeEvent, "{") })
}

// keepSending sends events as a client does that sends again.
func (b *bed) keepSending() (stop func()) {
	return b.background(func() { b.post(typeEvent, usage("late")) })
}

// background does something ten times a second until it is told to stop.
func (b *bed) background(what func()) (stop func()) {
	done := make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			what()
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	})
	stop = sync.OnceFunc(func() { close(done); work.Wait() })
	b.t.Cleanup(stop)
	return stop
}

// forged is how many events forge has made.
var forged atomic.Uint64

// forge takes an event from the log and sends it once more, as another event of
// another conversation, with a record time of its own.
func (b *bed) forge(at time.Time) {
	b.t.Helper()
	records := b.records(schemas.TopicEvents, 1)
	rec := records[slices.IndexFunc(records, func(r *kgo.Record) bool { return len(r.Key) > 0 })]
	e := new(goodhartv1.Event)
	if err := e.UnmarshalVT(rec.Value); err != nil {
		b.t.Fatal(err)
	}
	e.EventId, e.RequestKey = make([]byte, 16), nil
	binary.BigEndian.PutUint64(e.EventId, forged.Add(1))
	e.TimeMs = time.Now().UnixMilli()
	e.ReceivedMs = e.TimeMs
	value, err := e.MarshalVT()
	if err != nil {
		b.t.Fatal(err)
	}
	key := []byte(tenant + "|forged")
	r := &kgo.Record{Topic: rec.Topic, Partition: schemas.Partition(key, 2), Key: key, Value: value, Timestamp: at}
	if err := b.kafka.ProduceSync(b.t.Context(), r).FirstErr(); err != nil {
		b.t.Fatal(err)
	}
}

// topicConfig sets a configuration of a topic.
func (b *bed) topicConfig(topic, key, value string) {
	b.t.Helper()
	set := []kadm.AlterConfig{{Op: kadm.SetConfig, Name: key, Value: &value}}
	resp, err := kadm.NewClient(b.kafka).AlterTopicConfigs(b.t.Context(), set, topic)
	if err == nil {
		err = resp[0].Err
	}
	if err != nil {
		b.t.Fatalf("%s of %s: %v", key, topic, err)
	}
}

// smallDisk is a disk of 16 MiB. Without the right to mount one it is a
// directory, and small is false.
func smallDisk(t *testing.T) (d disk, small bool) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs a whole pipeline")
	}
	dir := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16m"); err != nil {
		t.Logf("no small disk: %v", err)
		return disk{dir}, false
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return disk{dir}, true
}

type disk struct{ dir string }

// fill leaves a twentieth of the disk free.
func (d disk) fill(t *testing.T) (mend func()) {
	t.Helper()
	path := filepath.Join(d.dir, "ballast")
	if err := os.WriteFile(path, make([]byte, 16<<20*19/20), 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
}

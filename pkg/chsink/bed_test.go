package chsink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/pprof"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/chtest"
	"github.com/goodhartlabs/goodhart/pkg/ktest"
)

// The test stream: a record is an event of a time; it becomes a row of hits
// and, if it has a note, one of notes. Both feed rollups; daily is fed by both.
type event struct {
	Ms     int64  `json:"ms"`
	Amount int64  `json:"amount"`
	Who    string `json:"who"`
	Note   string `json:"note,omitempty"`
	Quiet  bool   `json:"quiet,omitempty"` // no row at all
}

var schema = []string{
	`CREATE TABLE hits (t DateTime64(3, 'UTC'), who LowCardinality(String), amount Int64,
		k_topic LowCardinality(String), k_partition UInt16, k_offset UInt64)
	 ENGINE = MergeTree PARTITION BY toYYYYMM(t) ORDER BY (who, t) SETTINGS non_replicated_deduplication_window = 10000`,
	`CREATE TABLE notes (t DateTime64(3, 'UTC'), note String,
		k_topic LowCardinality(String), k_partition UInt16, k_offset UInt64)
	 ENGINE = MergeTree PARTITION BY toYYYYMM(t) ORDER BY t SETTINGS non_replicated_deduplication_window = 10000`,
	`CREATE TABLE hits_by_who (who LowCardinality(String), month UInt32, n SimpleAggregateFunction(sum, UInt64), amount SimpleAggregateFunction(sum, Int64))
	 ENGINE = AggregatingMergeTree PARTITION BY month ORDER BY who SETTINGS non_replicated_deduplication_window = 10000`,
	`CREATE MATERIALIZED VIEW mv_hits TO hits_by_who AS SELECT h.who AS who, toYYYYMM(h.t) AS month, count() AS n, sum(h.amount) AS amount FROM hits AS h GROUP BY who, month`,
	`CREATE TABLE everything (kind LowCardinality(String), n SimpleAggregateFunction(sum, UInt64))
	 ENGINE = AggregatingMergeTree ORDER BY kind SETTINGS non_replicated_deduplication_window = 20000`,
	`CREATE MATERIALIZED VIEW mv_hits_all TO everything AS SELECT 'all' AS kind, count() AS n FROM hits GROUP BY kind`,
	`CREATE MATERIALIZED VIEW mv_notes_all TO everything AS SELECT 'all' AS kind, count() AS n FROM notes GROUP BY kind`,
}

type decoder struct {
	hits, notes *Block
	t, noteT    *Fixed[int64]
	who         *Words
	amount      *Fixed[int64]
	note        *String
	accepted    []int64
}

func newDecoder(db string, o Origin) *decoder {
	d := &decoder{hits: NewBlock(Table{Name: db + ".hits"}, o), notes: NewBlock(Table{Name: db + ".notes"}, o)}
	d.t, d.who, d.amount = d.hits.Millis("t"), d.hits.Words("who"), d.hits.Int64("amount")
	d.noteT, d.note = d.notes.Millis("t"), d.notes.String("note")
	return d
}

func (d *decoder) Blocks() []*Block { return []*Block{d.hits, d.notes} }

func (d *decoder) Accepted() []int64 {
	out := d.accepted
	d.accepted = nil
	return out
}

func (d *decoder) Decode(rec *kgo.Record) error {
	var e event
	if err := json.Unmarshal(rec.Value, &e); err != nil {
		return errors.New("not an event")
	}
	if e.Quiet {
		return nil
	}
	d.t.Append(e.Ms)
	d.who.Append(e.Who)
	d.amount.Append(e.Amount)
	d.hits.EndIn(e.Ms)
	if e.Note == "torn" { // half a row, then a complaint
		d.noteT.Append(e.Ms)
		return errors.New("torn")
	}
	if e.Note != "" {
		d.noteT.Append(e.Ms)
		d.note.Append(e.Note)
		d.notes.EndIn(e.Ms)
	}
	d.accepted = append(d.accepted, e.Ms)
	return nil
}

// bed is a broker, a database and a stream between them.
type bed struct {
	tb     testing.TB
	kafka  *ktest.Cluster
	client *kgo.Client
	server *chtest.Server
	conn   driver.Conn
	db     string
	// moved is added to the wall clock that sinks see.
	moved    atomic.Int64
	suspects chan string
}

const (
	topic     = "events"
	deadTopic = "dead"
)

// each runs a test on a bed with kfake and on one with Apache Kafka.
func each(t *testing.T, partitions int32, run func(b *bed)) {
	t.Helper()
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
		t.Helper()
		run(newBedOn(t, c, partitions))
	})
}

// newBed is a bed with kfake.
func newBed(tb testing.TB, partitions int32) *bed {
	tb.Helper()
	return newBedOn(tb, ktest.Fake(tb), partitions)
}

func newBedOn(tb testing.TB, kafka *ktest.Cluster, partitions int32) *bed {
	tb.Helper()
	b := &bed{tb: tb, kafka: kafka, db: "core", suspects: make(chan string, 100)}
	b.server = chtest.StartServer(tb)
	b.client = kafka.Client(tb, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	b.createTopic(topic, partitions)
	b.createTopic(deadTopic, 1)
	b.conn = b.open("default")
	b.exec("CREATE DATABASE " + b.db)
	b.conn = b.open(b.db)
	for _, s := range schema {
		b.exec(s)
	}
	return b
}

// createTopic waits for a topic of the same name to be gone.
func (b *bed) createTopic(name string, partitions int32) {
	b.tb.Helper()
	adm := kadm.NewClient(b.client)
	b.until("topic "+name+" to be created", func() bool {
		_, err := adm.CreateTopic(context.Background(), partitions, b.kafka.Replication, nil, name)
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			b.tb.Fatal(err)
		}
		return err == nil
	})
}

func (b *bed) open(database string) driver.Conn {
	b.tb.Helper()
	return b.openAt(b.server.Addr, database)
}

func (b *bed) openAt(addr, database string) driver.Conn {
	b.tb.Helper()
	conn, err := connect(addr, database)
	if err != nil {
		b.tb.Fatal(err)
	}
	b.tb.Cleanup(func() { _ = conn.Close() })
	return conn
}

func connect(addr, database string) (driver.Conn, error) {
	opts, err := clickhouse.ParseDSN("http://default@" + addr + "/" + database)
	if err != nil {
		return nil, err
	}
	return clickhouse.Open(opts)
}

func (b *bed) exec(sql string) {
	b.tb.Helper()
	ctx := context.Background()
	if err := b.conn.Exec(ctx, sql); err != nil {
		b.tb.Fatalf("%s: %v", sql, err)
	}
}

func (b *bed) config(name string) Config {
	cfg := testConfig(b.kafka.Addrs, b.conn, b.db, name)
	cfg.Suspect = func(_ context.Context, table string, months []uint32) error {
		b.suspects <- fmt.Sprint(table, months)
		return nil
	}
	cfg.now = func() time.Time { return time.Now().Add(time.Duration(b.moved.Load())) }
	if testing.Verbose() {
		cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("sink", name)
	}
	return cfg
}

func testConfig(brokers []string, conn driver.Conn, db, name string) Config {
	cfg := Config{
		Client:     []kgo.Opt{kgo.SeedBrokers(brokers...)},
		Group:      "sink",
		InstanceID: name,
		Streams: []Stream{{
			Topic:  topic,
			Tables: []Table{{Name: db + ".hits"}, {Name: db + ".notes"}},
			Open:   func(o Origin) Decoder { return newDecoder(db, o) },
		}},
		Conn:   conn,
		Limits: Limits{Age: 50 * time.Millisecond},
		DeadLetter: func(rec *kgo.Record, why error) *kgo.Record {
			return &kgo.Record{Topic: deadTopic, Value: fmt.Appendf(nil, "%d/%d: %v", rec.Partition, rec.Offset, why)}
		},
		Metrics: prometheus.NewRegistry(),
	}
	cfg.backoff.first, cfg.backoff.most = 20*time.Millisecond, 200*time.Millisecond
	return cfg
}

// running is a sink in the background.
type running struct {
	bed    *bed
	cancel context.CancelFunc
	ended  chan error
	sink   *Sink
}

func (b *bed) start(cfg Config) *running {
	b.tb.Helper()
	s, err := New(cfg)
	if err != nil {
		b.tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{bed: b, cancel: cancel, ended: make(chan error, 1), sink: s}
	go func() { r.ended <- s.Run(ctx) }()
	b.tb.Cleanup(cancel)
	return r
}

// stop ends the sink gracefully.
func (r *running) stop() {
	r.bed.tb.Helper()
	r.cancel()
	select {
	case err := <-r.ended:
		if err != nil {
			r.bed.tb.Fatalf("sink: %v", err)
		}
	case <-time.After(3 * time.Minute):
		r.bed.tb.Fatal("the sink does not stop")
	}
}

// kill ends the sink without any further commit, as kill -9 does to a process:
// its line to the brokers must be cut.
func (r *running) kill() {
	r.bed.tb.Helper()
	late := time.After(3 * time.Minute)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		if ss := r.sink.current.Load(); ss != nil {
			ss.fail(errKilled)
		} else { // between two memberships nothing is under way
			r.cancel()
		}
		select {
		case err := <-r.ended:
			if err != nil && !errors.Is(err, errKilled) {
				r.bed.tb.Errorf("the killed sink ends with %v", err)
			}
			return
		case <-again.C: // a membership that has ended meanwhile may have a successor
		case <-late:
			_ = pprof.Lookup("goroutine").WriteTo(r.bed.tb.Output(), 1)
			r.bed.tb.Fatal("the sink does not end")
		}
	}
}

var errKilled = errors.New("killed")

func (b *bed) produce(partition int32, events ...event) {
	b.tb.Helper()
	values := make([][]byte, len(events))
	for i, e := range events {
		values[i], _ = json.Marshal(e)
	}
	b.produceRaw(partition, values...)
}

func (b *bed) produceRaw(partition int32, values ...[]byte) {
	b.tb.Helper()
	records := make([]*kgo.Record, len(values))
	for i, v := range values {
		records[i] = &kgo.Record{Topic: topic, Partition: partition, Value: v}
	}
	if err := b.client.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
		b.tb.Fatal(err)
	}
}

// month returns an event in a month counted from January 2020.
func month(n int, who string) event {
	return event{Ms: time.Date(2020, time.Month(1+n), 15, 12, 0, n%60, 0, time.UTC).UnixMilli(), Amount: 10, Who: who}
}

// totals is what the database says of the test stream.
type totals struct{ Rows, Offsets, Amount, Rollup, RollupAmount, Notes, Everything int64 }

func (b *bed) totals() totals {
	b.tb.Helper()
	var t totals
	if err := b.conn.QueryRow(context.Background(), `SELECT
		(SELECT toInt64(count()) FROM core.hits), (SELECT toInt64(uniqExact(k_partition, k_offset)) FROM core.hits), (SELECT sum(amount) FROM core.hits),
		(SELECT toInt64(sum(n)) FROM core.hits_by_who), (SELECT sum(amount) FROM core.hits_by_who),
		(SELECT toInt64(count()) FROM core.notes), (SELECT toInt64(sum(n)) FROM core.everything)`).Scan(
		&t.Rows, &t.Offsets, &t.Amount, &t.Rollup, &t.RollupAmount, &t.Notes, &t.Everything); err != nil {
		b.tb.Fatal(err)
	}
	return t
}

// exact is what the totals are when every event is counted once.
func exact(rows, notes int64) totals {
	return totals{rows, rows, rows * 10, rows, rows * 10, notes, rows + notes}
}

// until waits for a condition that something else brings about.
func (b *bed) until(what string, holds func() bool) {
	b.tb.Helper()
	b.untilMoving(what, func() any { return nil }, holds)
}

// untilMoving waits for as long as something changes: a busy machine is slow, a
// sink that does nothing for three minutes stands still. It then shows
// where.
func (b *bed) untilMoving(what string, state func() any, holds func() bool) {
	b.tb.Helper()
	before, since := state(), time.Now()
	for !holds() {
		if now := state(); now != before {
			before, since = now, time.Now()
		}
		if time.Since(since) > 3*time.Minute {
			_ = pprof.Lookup("goroutine").WriteTo(b.tb.Output(), 1)
			b.tb.Fatalf("waited in vain: %s", what)
		}
		sleep(context.Background(), 10*time.Millisecond)
	}
}

func (b *bed) untilStored(want totals) {
	b.tb.Helper()
	var got totals
	b.tb.Cleanup(func() {
		if got != want {
			b.tb.Errorf("stored %+v, want %+v", got, want)
		}
	})
	look := func() any {
		got = b.totals()
		return got
	}
	b.untilMoving("everything stored", look, func() bool { return got == want })
}

// committed is the group's offset and progress of a partition.
func (b *bed) committed(partition int32) (int64, string) {
	b.tb.Helper()
	all, err := kadm.NewClient(b.client).FetchOffsets(context.Background(), "sink")
	if errors.Is(err, kerr.GroupIDNotFound) {
		return -1, ""
	}
	if err != nil {
		b.tb.Fatal(err)
	}
	o, ok := all.Lookup(topic, partition)
	if !ok {
		return -1, ""
	}
	return o.At, o.Metadata
}

// untilDone waits until all before an offset is committed and nothing pends.
func (b *bed) untilDone(partition int32, offset int64) {
	b.tb.Helper()
	b.until(fmt.Sprintf("offset %d of partition %d done", offset, partition), func() bool {
		at, metadata := b.committed(partition)
		if at != offset {
			return false
		}
		got, err := parseProgress(metadata)
		return err == nil && got.pending == nil
	})
}

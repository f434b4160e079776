package doctor_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
	"github.com/goodhartlabs/goodhart/services/doctor"
)

// One engine serves these in turn; what spoils it comes last.
func TestOnOneEngine(t *testing.T) {
	p := whole(t)
	for _, c := range []struct {
		name string
		run  func(*patient)
	}{
		{"broker away", testBrokerAway},
		{"broker silent", testBrokerSilent},
		{"clickhouse away", testClickHouseAway},
		{"insert settings", testInsertSettings},
		{"disks", testDisks},
		{"ticks", testTicks},
		{"parts", testParts},
		{"windows", testWindows},
		{"schema", testSchema},
	} {
		t.Run(c.name, func(t *testing.T) {
			own := *p
			own.T = t
			c.run(&own)
		})
	}
}

func testBrokerAway(p *patient) {
	p.Helper()
	p.cfg.Kafka.Brokers = []string{"127.0.0.1:1"}
	p.finds("broker", "fail", "no broker answers at 127.0.0.1:1", "refused", "start the broker")
	for _, check := range []string{"broker-settings", "topics", "topic-settings", "groups", "intents", "dead-letters", "broker-clock"} {
		p.finds(check, "fail", "cannot tell", "mend what the check broker says first")
	}
	p.finds("schema", "ok", "as this version has them")
	p.finds("dedup-windows", "ok", "remembers inserts")
}

// A port that takes connections and says nothing costs the time of one check.
func testBrokerSilent(p *patient) {
	p.Helper()
	p.cfg.Kafka.Brokers = []string{p.silent()}
	p.cfg.Timeout = 500 * time.Millisecond
	p.finds("broker", "fail", "no broker answers")
	p.finds("topics", "fail", "no answer within 500ms")
	p.finds("clickhouse", "ok", "answers")
}

// silent listens and never answers.
func (p *patient) silent() string {
	p.Helper()
	l, err := (&net.ListenConfig{}).Listen(p.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

func testClickHouseAway(p *patient) {
	p.Helper()
	p.cfg.ClickHouse.DSN = "http://default@127.0.0.1:1/default"
	p.finds("clickhouse", "fail", "does not answer", "refused", "start it")
	for _, check := range []string{"schema", "dedup-windows", "parts", "insert-settings", "ticks", "watermarks", "clickhouse-clock", "clickhouse-disks"} {
		p.finds(check, "fail", "cannot tell", "mend what the check clickhouse says first")
	}
	p.finds("topics", "ok", "as on record")
	if r := p.examine(); r.Status != "fail" || !has(r, "topics", "ok", "as on record") { // all at once
		p.Errorf("%+v", r)
	}
}

func TestOldBroker(t *testing.T) {
	p := fake(t)
	p.finds("broker", "ok", "1 broker answers")
	old := fakeOld(t)
	old.finds("broker", "warn", "does not speak the", "upgrade the brokers")
}

func fakeOld(t *testing.T) *patient {
	t.Helper()
	return fake(t, kfake.MaxVersions(kversion.V3_6_0()))
}

func TestNotMigrated(t *testing.T) {
	each(t, func(p *patient) {
		if err := firstErr(p.adm.DeleteTopics(p.Context(), schemas.TopicMeta)); err != nil {
			p.Fatal(err)
		}
		p.until(func(r report) bool { return has(r, "topics", "fail", "no partition counts in goodhart.meta.v1") }, "topics")
		p.finds("topics", "fail", "run goodhart migrate")
	})
}

func firstErr(answers kadm.DeleteTopicResponses, err error) error {
	if err != nil {
		return err
	}
	return answers.Error()
}

// has says whether a report has a finding.
func has(r report, check, status, words string) bool {
	for _, f := range r.Findings {
		if f.Check == check && f.Status == status && strings.Contains(f.Found, words) {
			return true
		}
	}
	return false
}

func TestTopics(t *testing.T) {
	each(t, func(p *patient) {
		if answers, err := p.adm.CreatePartitions(p.Context(), 1, schemas.TopicFacts); err != nil || answers.Error() != nil {
			p.Fatal(err, answers.Error())
		}
		if err := firstErr(p.adm.DeleteTopics(p.Context(), schemas.TopicSelf)); err != nil {
			p.Fatal(err)
		}
		set := func(topic, key, value string) {
			p.Helper()
			answers, err := p.adm.AlterTopicConfigs(p.Context(), []kadm.AlterConfig{{Name: key, Value: &value}}, topic)
			if err != nil {
				p.Fatal(err)
			}
			for _, a := range answers {
				if a.Err != nil {
					p.Fatal(a.Err)
				}
			}
		}
		set(schemas.TopicEvents, "message.timestamp.type", "CreateTime")
		set(schemas.TopicFacts, "retention.ms", "3600000")
		set(schemas.TopicLedgerState, "cleanup.policy", "delete")
		set(schemas.TopicFeatures, "max.message.bytes", "100000")
		set(schemas.TopicScores, "retention.bytes", "1000000")
		set(schemas.TopicSubjectState, "segment.ms", "604800000")
		set(schemas.TopicDead, "retention.ms", "-1") // longer is no fault
		p.until(func(r report) bool {
			return has(r, "topics", "fail", "has 3 partitions") && has(r, "topics", "fail", "does not exist") && has(r, "topic-settings", "warn", "segment.ms")
		}, "topics", "topic-settings")
		p.finds("topics", "fail", "topic goodhart.facts.v1 has 3 partitions", "stop all services")
		p.finds("topics", "fail", "topic goodhart.self.v1 does not exist", "goodhart migrate")
		p.finds("topic-settings", "fail", "goodhart.events.v1: message.timestamp.type=CreateTime", "the broker's clock")
		p.finds("topic-settings", "fail", "goodhart.facts.v1: retention.ms=3600000", "raise it")
		p.finds("topic-settings", "fail", "goodhart.ledger.state.v1: cleanup.policy=delete", "set it back")
		p.finds("topic-settings", "fail", "goodhart.features.v1: max.message.bytes=100000", "refuse full batches")
		p.finds("topic-settings", "warn", "goodhart.scores.v1: retention.bytes=1000000", "remove it")
		p.finds("topic-settings", "warn", "goodhart.subject.state.v1: segment.ms=604800000")
		if has(p.examine("topic-settings"), "topic-settings", "fail", schemas.TopicDead) {
			p.Error("a longer retention is a fault")
		}
	})
}

func TestBrokerSettings(t *testing.T) {
	p := fake(t)
	for key, value := range map[string]string{"group.max.session.timeout.ms": "10000", "offsets.retention.minutes": "60", "transaction.max.timeout.ms": "1000"} {
		if _, err := p.adm.AlterBrokerConfigs(t.Context(), []kadm.AlterConfig{{Name: key, Value: &value}}); err != nil {
			t.Fatal(err)
		}
	}
	p.finds("broker-settings", "fail", "group.max.session.timeout.ms=10000", "raise it")
	p.finds("broker-settings", "warn", "offsets.retention.minutes=60", "loses its place")
	p.finds("broker-settings", "fail", "transaction.max.timeout.ms=1000", "raise it")
}

// On three brokers one copy is too few.
func TestCopies(t *testing.T) {
	p := fake(t, kfake.NumBrokers(3))
	p.finds("topic-settings", "warn", "goodhart.events.v1: 1 replica on 3 brokers", "kafka-reassign-partitions")
	p.finds("topic-settings", "warn", "min.insync.replicas=1")
}

func TestGroups(t *testing.T) {
	each(t, func(p *patient) {
		p.finds("groups", "fail", "goodhart.ledger: ", "0 members", "start goodhart processor")
		p.finds("groups", "fail", "goodhart.sink: ", "start goodhart sink")
		// A member that stands still, with records that have waited for a while.
		p.produce(&kgo.Record{Topic: schemas.TopicFacts, Partition: 1, Value: []byte("x"), Timestamp: time.Now().Add(-time.Minute)})
		member, err := kgo.NewClient(append(p.cfg.Kafka.Options(), kgo.ConsumerGroup(schemas.GroupSink), kgo.ConsumeTopics(schemas.TopicFacts))...)
		if err != nil {
			p.Fatal(err)
		}
		defer member.Close()
		p.until(func(r report) bool { return has(r, "groups", "warn", "goodhart.sink: stable, 1 member") }, "groups")
		p.finds("groups", "warn", "1 record behind, the oldest waits for 1m", "stands still")
		p.cfg.Limits.Lag.Fail = 50 * time.Second
		p.finds("groups", "fail", "1 record behind, the oldest waits for 1m")
		p.finds("groups", "fail", "goodhart.tenant: ") // its own finding all the same
	})
}

// A receiver of an alerter is a group like the others, which nobody announces.
func TestReceivers(t *testing.T) {
	each(t, func(p *patient) {
		name := schemas.GroupAlerter + ".oncall"
		if r := p.examine("groups"); has(r, "groups", "fail", schemas.GroupAlerter) {
			p.Errorf("an alerter is missed that nobody runs: %+v", r)
		}
		p.produce(&kgo.Record{Topic: schemas.TopicSignals, Key: []byte("s"), Value: []byte("x"), Timestamp: time.Now().Add(-time.Hour)})
		member, err := kgo.NewClient(append(p.cfg.Kafka.Options(), kgo.ConsumerGroup(name), kgo.ConsumeTopics(schemas.TopicSignals), kgo.DisableAutoCommit())...)
		if err != nil {
			p.Fatal(err)
		}
		defer member.Close()
		p.until(func(r report) bool { return has(r, "groups", "warn", name+": stable, 1 member") }, "groups")
		p.finds("groups", "warn", name, "1 record behind, the oldest waits for 1h", "goodhart_alerter_overdue_seconds")
		fetched := member.PollFetches(p.Context())
		if err := member.CommitRecords(p.Context(), fetched.Records()...); err != nil || len(fetched.Records()) != 1 {
			p.Fatalf("%d records: %v", len(fetched.Records()), err)
		}
		p.finds("groups", "ok", name+": stable, 1 member, 0 records behind")
		member.Close()
		p.finds("groups", "fail", name+": empty", "start goodhart alerter", "delete the group")
	})
}

func TestIntents(t *testing.T) {
	each(t, func(p *patient) {
		topics, err := p.adm.ListTopics(p.Context(), schemas.TopicFacts, schemas.TopicScores)
		if err != nil {
			p.Fatal(err)
		}
		note := func(topic string, partition int32, metadata string) {
			p.Helper()
			var offsets kadm.Offsets
			offsets.Add(kadm.Offset{Topic: topic, Partition: partition, At: 0, LeaderEpoch: -1, Metadata: metadata})
			if err := p.adm.CommitAllOffsets(p.Context(), schemas.GroupSink, offsets); err != nil {
				p.Fatal(err)
			}
		}
		id := fmt.Sprintf("%x", func() []byte { i := topics[schemas.TopicFacts].ID; return i[:4] }())
		note(schemas.TopicFacts, 0, "v1;t="+id)
		p.finds("intents", "ok", "1 offset with the sink's notes, no batch")
		note(schemas.TopicFacts, 1, fmt.Sprintf("v1;t=%s;p=7-41@%d", id, time.Now().Add(-10*time.Second).UnixMilli()))
		p.finds("intents", "ok", "2 offsets with the sink's notes, 1 batch on the way, the oldest for 1")
		note(schemas.TopicFacts, 1, fmt.Sprintf("v1;t=%s;p=7-41@%d", id, time.Now().Add(-2*time.Minute).UnixMilli()))
		p.finds("intents", "warn", "goodhart.facts.v1/1: offsets 7 to 41 have been on their way for 2m0s", "partition stalled")
		note(schemas.TopicFacts, 1, fmt.Sprintf("v1;t=%s;p=7-41@%d", id, time.Now().Add(-time.Hour).UnixMilli()))
		p.finds("intents", "fail", "on their way for 1h0m0s")
		note(schemas.TopicFacts, 0, "")
		p.finds("intents", "warn", `goodhart.facts.v1/0: offset metadata "" is not the sink's`, "somebody moved the offset")
		note(schemas.TopicScores, 0, "v1;t=00000000")
		p.finds("intents", "fail", "the offset belongs to the topic with id 00000000", "restart the sink")
	})
}

func TestDeadLetters(t *testing.T) {
	p := fake(t)
	write := func(n int, ago time.Duration, l *goodhartv1.DeadLetter) {
		t.Helper()
		value, err := l.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			p.produce(&kgo.Record{Topic: schemas.TopicDead, Value: value, Timestamp: time.Now().Add(-ago)})
		}
	}
	for range 1000 {
		p.client.Produce(t.Context(), &kgo.Record{Topic: schemas.TopicEvents, Value: []byte("x")}, nil)
	}
	if err := p.client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	collector := goodhartv1.Stage_STAGE_COLLECTOR
	write(1, 0, &goodhartv1.DeadLetter{Stage: collector, Reason: "not_ai_telemetry", Records: 5000})
	write(7, 2*time.Hour, &goodhartv1.DeadLetter{Stage: collector, Reason: "bad_time"})
	p.finds("dead-letters", "ok", "0 of 1000 records of the last hour died")
	write(1, 0, &goodhartv1.DeadLetter{Stage: collector, Reason: "bad_time", Records: 9})
	p.finds("dead-letters", "warn", "9 of 1009 records", "9 collector bad_time", "goodhart dead list --since 1h --count")
	write(1, 0, &goodhartv1.DeadLetter{Stage: collector, Reason: "too_large", Records: 200})
	p.finds("dead-letters", "fail", "200 collector too_large, 9 collector bad_time")
	p.cfg.Limits.DeadShare = doctor.Limit[float64]{Warn: 90, Fail: 90}
	p.finds("dead-letters", "ok")
	write(1, 0, &goodhartv1.DeadLetter{Stage: goodhartv1.Stage_STAGE_LEDGER, Reason: "undecodable"}) // it was accepted
	p.finds("dead-letters", "warn", "1 ledger undecodable", "replay")
}

func testSchema(p *patient) {
	p.Helper()
	p.exec("ALTER TABLE core.usage ADD COLUMN mine String")
	p.finds("schema", "warn", "core.usage.mine: unknown to this binary", "drop it")
	p.exec("ALTER TABLE core.usage_hour MODIFY COMMENT 'another'")
	p.exec("DROP TABLE core.mv_usage_day SYNC")
	p.finds("schema", "fail", "core.mv_usage_day: missing", "run goodhart migrate")
	p.finds("schema", "warn", "core.usage_hour: comment is")
	p.exec("DROP DATABASE goodhart SYNC")
	p.finds("schema", "fail", "more differences")
}

func testWindows(p *patient) {
	p.Helper()
	p.finds("dedup-windows", "ok", "every table remembers inserts; none came in 3s")
	p.exec("ALTER TABLE core.usage_hour MODIFY SETTING non_replicated_deduplication_window = 0")
	p.finds("dedup-windows", "fail", "core.usage_hour remembers no insert", "ALTER TABLE core.usage_hour MODIFY SETTING", "reconcile --repair")
	p.exec("ALTER TABLE core.usage_hour MODIFY SETTING non_replicated_deduplication_window = 20000")
	// Inserts at a rate, while the check looks.
	ctx, stop := context.WithCancel(p.Context())
	inserting := make(chan struct{})
	go func() {
		defer close(inserting)
		for ctx.Err() == nil {
			_ = p.conn.Exec(ctx, "INSERT INTO core.ticks (p, event_time, received_at, accepted_at, w) SELECT 0, now64(3), now64(3), now64(3), now64(3)")
		}
	}()
	defer func() { stop(); <-inserting }()
	p.exec("ALTER TABLE core.ticks_minute MODIFY SETTING non_replicated_deduplication_window = 100")
	p.finds("dedup-windows", "fail", "core.ticks_minute remembers an insert for", "raise max_age")
	p.exec("ALTER TABLE core.ticks_minute MODIFY SETTING non_replicated_deduplication_window = 2000000")
	p.exec("ALTER TABLE core.ticks MODIFY SETTING non_replicated_deduplication_window = 2000000")
	p.finds("dedup-windows", "ok", "at the rate of now")
}

func testParts(p *patient) {
	p.Helper()
	p.exec("SYSTEM STOP MERGES core.ticks")
	for range 12 {
		p.exec("INSERT INTO core.ticks (p, event_time, received_at, accepted_at, w) SELECT 0, now64(3), now64(3), now64(3), now64(3)")
	}
	p.cfg.Limits.Parts = doctor.Limit[float64]{Warn: 1, Fail: 1.1}
	p.finds("parts", "fail", "core.ticks has a partition of 1", " parts: inserts are slowed at 1000", "raise max_age")
}

func testInsertSettings(p *patient) {
	p.Helper()
	p.finds("insert-settings", "ok", "async_insert is 1 by default")
	p.cfg.ClickHouse.DSN += "?max_partitions_per_insert_block=10"
	p.finds("insert-settings", "fail", "max_partitions_per_insert_block=10 for this user", "raise it")
}

func testTicks(p *patient) {
	p.Helper()
	p.finds("ticks", "fail", "no tick of the last day is stored", "start a collector")
	p.finds("watermarks", "fail", "no tick", "the check ticks")
	p.exec("INSERT INTO core.ticks (p, event_time, received_at, accepted_at, w) SELECT 0, t, t, t, t - toIntervalSecond(300) FROM (SELECT now64(3) - toIntervalSecond(100) AS t)")
	p.finds("ticks", "fail", "1 partitions of goodhart.events.v1 have no stored tick")
	p.exec("INSERT INTO core.ticks (p, event_time, received_at, accepted_at, w) SELECT 1, now64(3), now64(3), now64(3), now64(3)")
	p.finds("ticks", "warn", "2 partitions; the furthest behind, 0, has its newest stored tick from 1m4", "the sink is not stalled")
	p.finds("watermarks", "warn", "the watermark of partition 0 is 6m4")
}

// Timestamps that a broker would give whose clock is ten minutes fast, and a
// collector's that is a minute slow.
func TestClocks(t *testing.T) {
	each(t, func(p *patient) {
		p.finds("broker-clock", "ok", "no record yet")
		createTime := "CreateTime"
		if _, err := p.adm.AlterTopicConfigs(p.Context(), []kadm.AlterConfig{{Name: "message.timestamp.type", Value: &createTime}}, schemas.TopicEvents); err != nil {
			p.Fatal(err)
		}
		tick := func(collector string, at, record time.Time) {
			p.Helper()
			value, err := (&goodhartv1.Event{
				Kind: goodhartv1.EventKind_EVENT_KIND_TICK, TimeMs: at.UnixMilli(), Tick: &goodhartv1.Tick{Collector: collector, Sequence: 1},
			}).MarshalVT()
			if err != nil {
				p.Fatal(err)
			}
			p.produce(&kgo.Record{Topic: schemas.TopicEvents, Value: value, Timestamp: record})
		}
		now := time.Now()
		tick("c-1", now, now)
		p.until(func(r report) bool { return has(r, "broker-clock", "ok", "1 collector ticks within 0s") }, "broker-clock")
		tick("c-2", now.Add(-time.Minute), now)
		p.finds("broker-clock", "fail", "the clock of collector c-2 and the broker's are 1m0s apart", "NTP")
		tick("c-1", now.Add(10*time.Minute), now.Add(10*time.Minute))
		p.finds("broker-clock", "fail", "ahead of this machine's clock", "what comes later is late")
	})
}

func testDisks(p *patient) {
	p.Helper()
	p.finds("clickhouse-disks", "ok", "GiB free")
	p.cfg.Limits.DiskFree = doctor.Limit[float64]{Warn: 100, Fail: 0}
	p.finds("clickhouse-disks", "warn", "disk default of ClickHouse", "make room")
	p.cfg.Limits.DiskFree.Fail = 100
	p.finds("local-disks", "fail", "disk of "+p.cfg.Data[0], "make room")
	p.cfg.Data = []string{"/nonexistent/dir"}
	p.finds("local-disks", "fail", "/nonexistent/dir: no such file", "mend data")
	p.cfg.Data = nil
	p.finds("local-disks", "ok", "no data directory on this machine")
}

func TestFiles(t *testing.T) {
	p := fake(t)
	c := p.collector()
	p.cfg.Collector = t.TempDir() + "/collector.yaml"
	p.finds("collector-files", "fail", "no such file", "mend "+p.cfg.Collector)
	p.write(p.cfg.Collector, "keys_file: "+c.Keys+"\nkeyring_file: "+c.KeyringFile+"\npeople_file: "+c.People+"\n")
	p.finds("collector-files", "ok", "people_file "+c.People+" was written 0 days ago")
	old := time.Now().Add(-100 * 24 * time.Hour)
	for _, path := range []string{c.People, c.KeyringFile} {
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	p.finds("collector-files", "warn", "people_file "+c.People+" was written 100 days ago", "bring it up to date")
	p.finds("collector-files", "ok", "keyring_file")
	if err := os.Chmod(c.KeyringFile, 0o644); err != nil {
		t.Fatal(err)
	}
	p.write(c.People, "people: [{id: ada}, {id: ada}]\n")
	p.finds("collector-files", "fail", "lets others read it: chmod 0600", "mend the file")
	p.finds("collector-files", "fail", "people_file")
	p.write(p.cfg.Collector, "keys: nonsense\n")
	p.finds("collector-files", "fail", "field keys not found")
}

package chsink

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
)

func TestEveryInsertCarriesItsSettings(t *testing.T) {
	b := newBed(t, 1)
	cfg := b.config("a")
	p := b.through(&cfg)
	s := b.start(cfg)
	b.produce(0, month(0, "ann"))
	b.untilDone(0, 1)
	s.stop()
	got := map[string]string{}
	for k := range p.inserts()[0].settings {
		got[k] = p.inserts()[0].settings.Get(k)
	}
	for k, want := range map[string]string{
		"async_insert": "0", "insert_deduplicate": "1", "deduplicate_blocks_in_dependent_materialized_views": "1",
		"materialized_views_ignore_errors": "0", "wait_end_of_query": "1",
	} {
		if got[k] != want {
			t.Errorf("%s=%q, want %q", k, got[k], want)
		}
	}
	if secs := got["max_execution_time"]; secs != "29" && secs != "30" {
		t.Errorf("max_execution_time=%q, want at most 30, below the session timeout", secs)
	}
}

func TestRetryRepeatsTheSameBytes(t *testing.T) {
	b := newBed(t, 1)
	cfg := b.config("a")
	p := b.through(&cfg)
	p.rule(func(n int, _ sent) fate { return []fate{loseAnswer, lose, loseAnswer, pass}[min(n, 3)] })
	b.produce(0, month(0, "ann"), month(1, "ben"), month(2, "cem"))
	s := b.start(cfg)
	b.until("the third attempt", func() bool { return len(p.inserts()) >= 3 })
	b.produce(0, month(3, "dan")) // more arrives while the range is retried
	b.untilDone(0, 4)
	s.stop()
	all := p.inserts()
	for _, again := range all[1:4] {
		if again.token != all[0].token || again.body != all[0].body {
			t.Errorf("retried %s as %s, same bytes: %v", all[0].token, again.token, again.body == all[0].body)
		}
	}
	if diff := cmp.Diff(exact(4, 0), b.totals()); diff != "" {
		t.Error(diff)
	}
}

func TestServerDownThenUp(t *testing.T) {
	each(t, 2, func(b *bed) {
		t := b.tb
		cfg := b.config("a")
		cfg.stalledAfter = 100 * time.Millisecond
		s := b.start(cfg)
		b.produce(0, month(0, "ann"))
		b.untilDone(0, 1)
		b.server.Kill()
		b.produce(0, month(0, "ann"), month(1, "ben"))
		b.produce(1, month(0, "cem"))
		stalled := func(p int32) float64 {
			return testutil.ToFloat64(s.sink.metrics.stalled.WithLabelValues(topic, fmt.Sprint(p)))
		}
		b.until("both partitions stall", func() bool { return stalled(0) == 1 && stalled(1) == 1 })
		b.server.Restart()
		b.untilStored(exact(4, 0))
		b.untilDone(0, 3)
		b.untilDone(1, 1)
		if stalled(0) != 0 || stalled(1) != 0 {
			t.Error("a partition that goes on still counts as stalled")
		}
		s.stop()
	})
}

// A batch that the server refuses stands still; nothing of it is skipped or cut
// up, and the other partition goes on.
func TestRefusedBatchStallsItsPartitionAlone(t *testing.T) {
	b := newBed(t, 2)
	b.exec("ALTER TABLE hits ADD CONSTRAINT honest CHECK who != 'mallory'")
	cfg := b.config("a")
	p := b.through(&cfg)
	s := b.start(cfg)
	b.produce(0, month(0, "ann"), month(0, "mallory"), month(1, "ben"))
	b.until("partition 0 stalls", func() bool {
		return testutil.ToFloat64(s.sink.metrics.stalled.WithLabelValues(topic, "0")) == 1
	})
	b.produce(1, month(0, "cem"), month(2, "dan"))
	b.untilDone(1, 2)
	if diff := cmp.Diff(exact(2, 0), b.totals()); diff != "" {
		t.Error(diff)
	}
	b.exec("ALTER TABLE hits DROP CONSTRAINT honest")
	b.untilStored(exact(5, 0))
	b.untilDone(0, 3)
	s.stop()
	for _, i := range p.inserts() {
		if strings.Contains(i.token, ":0:0-") && !strings.HasSuffix(i.token, ":0:0-2") {
			t.Errorf("the range 0-2 was cut up: %s", i.token)
		}
	}
}

// The server takes 100 partitions in an insert: a batch of more months would be
// refused for ever.
func TestBatchOverManyMonths(t *testing.T) {
	each(t, 1, func(b *bed) {
		t := b.tb
		var events []event
		for n := range 120 {
			events = append(events, month(n-60, "ann"), month(n-60, "ben"))
		}
		b.produce(0, events...)
		cfg := b.config("a")
		p := b.through(&cfg)
		s := b.start(cfg)
		b.untilStored(exact(240, 0))
		b.untilDone(0, 240)
		s.stop()
		var ranges []string
		for _, i := range p.inserts() {
			ranges = append(ranges, i.token[strings.LastIndexByte(i.token, ':')+1:])
		}
		// Up to the record that brings the 50th month.
		if diff := cmp.Diff([]string{"0-98", "99-196", "197-239"}, ranges); diff != "" {
			t.Error(diff)
		}
	})
}

// A view that throws leaves the rows of its batch in the table and nothing in
// its rollup: the batch stands, is sent again under its token and, once the view
// is mended, completes what is missing without counting anything twice.
func TestViewThatThrows(t *testing.T) {
	each(t, 2, func(b *bed) {
		t := b.tb
		b.exec("CREATE TABLE shout (n SimpleAggregateFunction(sum, UInt64)) ENGINE = AggregatingMergeTree ORDER BY tuple() SETTINGS non_replicated_deduplication_window = 10000")
		b.exec("CREATE MATERIALIZED VIEW mv_shout TO shout AS SELECT count() AS n FROM hits AS h WHERE NOT throwIf(h.who = 'mallory')")
		s := b.start(b.config("a"))
		b.produce(0, month(0, "ann"), month(0, "mallory"), month(1, "ben"))
		b.until("partition 0 stalls", func() bool {
			return testutil.ToFloat64(s.sink.metrics.stalled.WithLabelValues(topic, "0")) == 1
		})
		b.produce(1, month(0, "cem"))
		b.untilDone(1, 1)
		retried := testutil.ToFloat64(s.sink.metrics.retries)
		b.until("another attempt", func() bool { return testutil.ToFloat64(s.sink.metrics.retries) > retried })
		if at, _ := b.committed(0); at > 0 {
			t.Errorf("offset %d is committed though the batch is not stored", at)
		}
		b.exec("DROP TABLE mv_shout")
		b.exec("CREATE MATERIALIZED VIEW mv_shout TO shout AS SELECT count() AS n FROM hits")
		b.untilDone(0, 3)
		s.stop()
		if diff := cmp.Diff(exact(4, 0), b.totals()); diff != "" {
			t.Error(diff)
		}
		var shouted uint64
		if err := b.conn.QueryRow(t.Context(), "SELECT sum(n) FROM shout").Scan(&shouted); err != nil || shouted != 4 {
			t.Errorf("the view's rollup counts %d of 4 rows (%v)", shouted, err)
		}
	})
}

func TestBadRecordsAmongGoodOnes(t *testing.T) {
	b := newBed(t, 1)
	b.produce(0, month(0, "ann"))
	b.produceRaw(0, []byte("{"))
	torn := month(5, "torn")
	torn.Note = "torn"
	b.produce(0, torn, month(1, "ben"))
	cfg := b.config("a")
	cfg.Limits.Age = 300 * time.Millisecond
	s := b.start(cfg)
	b.untilStored(exact(2, 0))
	b.untilDone(0, 4)
	s.stop()
	if diff := cmp.Diff([]string{"0/1: not an event", "0/2: torn"}, b.letters()); diff != "" {
		t.Error(diff)
	}
}

// letters reads the dead-letter topic.
func (b *bed) letters() []string {
	b.tb.Helper()
	var out []string
	for _, r := range b.kafka.Records(b.tb, deadTopic) {
		out = append(out, string(r.Value))
	}
	return out
}

// A dead letter that the broker refuses holds its range up: the record would be
// in no table and in no topic.
func TestRangeWaitsForItsDeadLetters(t *testing.T) {
	each(t, 1, func(b *bed) {
		t := b.tb
		b.kafka.LimitMessages(t, deadTopic, ktest.SmallestLimit)
		b.produce(0, month(0, "ann"))
		b.produceRaw(0, []byte("{"))
		s := b.start(b.config("a"))
		b.until("two refusals", func() bool { return testutil.ToFloat64(s.sink.metrics.retries) > 1 })
		if at, metadata := b.committed(0); at > 0 {
			t.Errorf("offset %d %q is committed before the dead letter is acknowledged", at, metadata)
		}
		b.kafka.LimitMessages(t, deadTopic, 1_000_000)
		b.untilDone(0, 2)
		s.stop()
		if diff := cmp.Diff(exact(1, 0), b.totals()); diff != "" {
			t.Error(diff)
		}
		if got := b.letters(); len(got) == 0 || got[0] != "0/1: not an event" {
			t.Errorf("dead letters %q", got)
		}
	})
}

// A record that may not have a dead letter, because it is one, is counted and
// passed.
func TestDeadLetterThatCannotBeStored(t *testing.T) {
	b := newBed(t, 1)
	b.produceRaw(0, []byte("{"), []byte("["))
	b.produce(0, month(0, "ann"))
	cfg := b.config("a")
	cfg.DeadLetter = func(*kgo.Record, error) *kgo.Record { return nil }
	s := b.start(cfg)
	b.untilStored(exact(1, 0))
	b.untilDone(0, 3)
	s.stop()
	if got := testutil.ToFloat64(s.sink.metrics.dead.WithLabelValues(topic)); got != 2 {
		t.Errorf("%v bad records counted, want 2", got)
	}
	if got := b.letters(); len(got) != 0 {
		t.Errorf("dead letters %q, want none", got)
	}
}

func TestPartitionsMoveBetweenSinks(t *testing.T) {
	each(t, 4, func(b *bed) {
		t := b.tb
		stopProducing, done := make(chan struct{}), make(chan int64)
		go func() {
			n := int64(0)
			for {
				select {
				case <-stopProducing:
					done <- n
					return
				case <-time.After(5 * time.Millisecond):
					b.produce(int32(n/2%4), month(int(n%7), "ann"), month(int(n%3), "ben"))
					n += 2
				}
			}
		}()
		join := func(name string) *running {
			cfg := b.config(name)
			cfg.InstanceID = "" // leaves at once, so that partitions move
			cfg.Client = append(cfg.Client, kgo.HeartbeatInterval(100*time.Millisecond))
			cfg.Limits.Age = 10 * time.Millisecond
			s := b.start(cfg)
			return s
		}
		stores := func(s *running) func() bool {
			return func() bool { return testutil.ToFloat64(s.sink.metrics.rows.WithLabelValues("core.hits")) > 0 }
		}
		first := join("first")
		b.until("the first sink stores", stores(first))
		second := join("second")
		b.until("the second sink stores", stores(second))
		third := join("third")
		b.until("the third sink stores", stores(third))
		first.stop()
		second.stop()
		close(stopProducing)
		want := exact(<-done, 0)
		b.untilStored(want)
		third.stop()
		if diff := cmp.Diff(want, b.totals()); diff != "" {
			t.Error(diff)
		}
	})
}

// A sink hangs in an insert while the group gives its partition to another one.
// The hanging insert arrives after all, beside that of the successor.
func TestLateInsertOfTheFormerOwner(t *testing.T) {
	each(t, 1, func(b *bed) {
		t := b.tb
		cfg := b.config("a")
		cfg.InstanceID = ""
		cfg.Client = append(cfg.Client, kgo.HeartbeatInterval(100*time.Millisecond))
		p := b.through(&cfg)
		s := b.start(cfg)
		b.produce(0, month(0, "ann"))
		b.untilDone(0, 1)

		p.rule(func(n int, _ sent) fate {
			if n == 1 {
				return late
			}
			return pass
		})
		b.produce(0, month(1, "ben"), month(2, "cem"))
		b.until("the hanging insert", func() bool { return len(p.inserts()) == 2 })
		b.expel() // the sink loses everything, joins again and finds its own intent
		b.untilDone(0, 3)
		close(p.gate)
		<-p.landed
		s.stop()
		all := p.inserts()
		if all[1].token != all[2].token || all[1].body != all[2].body {
			t.Errorf("the successor sent %s for %s", all[2].token, all[1].token)
		}
		if diff := cmp.Diff(exact(3, 0), b.totals()); diff != "" {
			t.Error(diff)
		}
	})
}

// members are those of the group.
func (b *bed) members() []kadm.DescribedGroupMember {
	b.tb.Helper()
	groups, err := kadm.NewClient(b.client).DescribeGroups(context.Background(), "sink")
	if err != nil {
		b.tb.Fatal(err)
	}
	return groups["sink"].Members
}

// expel throws every member out of the group, as its coordinator does with one
// that has been silent for too long.
func (b *bed) expel() {
	b.tb.Helper()
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = "sink"
	for _, m := range b.members() {
		leaving := kmsg.NewLeaveGroupRequestMember()
		leaving.MemberID, leaving.InstanceID = m.MemberID, m.InstanceID
		req.Members = append(req.Members, leaving)
	}
	if len(req.Members) == 0 {
		b.tb.Fatal("the group has no member to expel")
	}
	if _, err := req.RequestWith(context.Background(), b.client); err != nil {
		b.tb.Fatal(err)
	}
}

func TestFenceKeepsOutWhoeverWasReplaced(t *testing.T) {
	here, gone := context.Background(), canceled()
	ask := func(ctx context.Context, partition int32, member string) commit {
		return commit{p: &partition0(ctx, partition, member).partition, offset: 1, progress: "x"}
	}
	asked := map[place]commit{
		{topic, 0}: ask(here, 0, "me"), {topic, 1}: ask(here, 1, "my former self"), {topic, 2}: ask(gone, 2, "me"),
	}
	req := kmsg.NewPtrOffsetCommitRequest()
	req.MemberID = "me"
	rt := kmsg.NewOffsetCommitRequestTopic()
	rt.Topic = topic
	for n := range int32(3) {
		rp := kmsg.NewOffsetCommitRequestTopicPartition()
		rp.Partition = n
		rt.Partitions = append(rt.Partitions, rp)
	}
	req.Topics = append(req.Topics, rt)
	results := map[place]error{}
	if err := fence(req, asked, results); err != nil {
		t.Fatal(err)
	}
	if got := req.Topics[0].Partitions; len(got) != 1 || got[0].Partition != 0 || *got[0].Metadata != "x" {
		t.Errorf("partitions %v pass, want 0 alone with its metadata", got)
	}
	if results[place{topic, 1}] == nil || results[place{topic, 2}] == nil || results[place{topic, 0}] != nil {
		t.Errorf("results %v", results)
	}
}

type testPartition struct{ partition }

func partition0(ctx context.Context, number int32, member string) *testPartition {
	return &testPartition{partition{at: place{topic, number}, memberID: member, ctx: ctx}}
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// Two processes under one name: the older one is fenced and says so.
func TestTwoSinksOfOneName(t *testing.T) {
	each(t, 1, func(b *bed) {
		t := b.tb
		cfg := b.config("a")
		cfg.Client = append(cfg.Client, kgo.HeartbeatInterval(100*time.Millisecond))
		older := b.start(cfg)
		b.produce(0, month(0, "ann"))
		b.untilDone(0, 1)
		newer := b.start(b.config("a"))
		select {
		case err := <-older.ended:
			if !errors.Is(err, kerr.FencedInstanceID) {
				t.Errorf("the older sink ends with %v", err)
			}
		case <-time.After(3 * time.Minute):
			t.Fatal("the older sink goes on")
		}
		b.produce(0, month(1, "ben"))
		b.untilDone(0, 2)
		newer.stop()
		if diff := cmp.Diff(exact(2, 0), b.totals()); diff != "" {
			t.Error(diff)
		}
	})
}

package chsink

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
)

// withoutOffsets is a bed with stored rows whose group is gone.
func withoutOffsets(t *testing.T, kafka *ktest.Cluster) *bed {
	t.Helper()
	b := newBedOn(t, kafka, 1)
	s := b.start(b.config("a"))
	b.produce(0, month(0, "ann"), month(1, "ben"))
	b.untilDone(0, 2)
	b.produce(0, month(0, "cem"))
	b.untilDone(0, 3)
	s.stop()
	b.dropGroup()
	b.produce(0, month(2, "dan"))
	return b
}

func (b *bed) dropGroup() {
	b.tb.Helper()
	adm := kadm.NewClient(b.client)
	ctx := context.Background()
	if _, err := adm.LeaveGroup(ctx, kadm.LeaveGroup("sink").InstanceIDs("a")); err != nil {
		b.tb.Fatal(err)
	}
	if _, err := adm.DeleteGroup(ctx, "sink"); err != nil {
		b.tb.Fatal(err)
	}
}

func TestRefusesToStartWithoutItsOffsets(t *testing.T) {
	ktest.Each(t, refusesToStart)
}

func refusesToStart(t *testing.T, kafka *ktest.Cluster) {
	t.Helper()
	b := withoutOffsets(t, kafka)
	s := b.start(b.config("a"))
	select {
	case err := <-s.ended:
		if err == nil || !strings.Contains(err.Error(), "rows up to offset 2 are stored") {
			t.Errorf("got %v, want a refusal that names the last stored offset", err)
		}
	case <-time.After(3 * time.Minute):
		t.Fatal("the sink goes on")
	}
	if diff := cmp.Diff(exact(3, 0), b.totals()); diff != "" {
		t.Error(diff)
	}
}

func TestStartsFromWhereItIsTold(t *testing.T) {
	for _, from := range []From{FromStart, FromStored} {
		t.Run(string(from), func(t *testing.T) {
			ktest.Each(t, func(t *testing.T, kafka *ktest.Cluster) {
				t.Helper()
				b := withoutOffsets(t, kafka)
				b.forget() // a range inserted again would count twice
				cfg := b.config("a")
				cfg.From = from
				cfg.settleFor = time.Millisecond
				s := b.start(cfg)
				b.produce(0, month(3, "eve"))
				b.untilDone(0, 5)
				s.stop()
				if diff := cmp.Diff(exact(5, 0), b.totals()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// What was produced while no group existed is lost, as told; nothing is twice.
func TestStartsFromTheEnd(t *testing.T) {
	ktest.Each(t, func(t *testing.T, kafka *ktest.Cluster) {
		t.Helper()
		b := withoutOffsets(t, kafka)
		b.forget()
		cfg := b.config("a")
		cfg.From = FromEnd
		s := b.start(cfg)
		b.until("the group to be at its start", func() bool {
			groups, err := kadm.NewClient(b.client).DescribeGroups(context.Background(), "sink")
			return err == nil && groups["sink"].State == "Stable"
		})
		b.until("a fetch from the end", func() bool {
			b.produce(0, month(3, "eve"))
			return b.totals().Rows > 3
		})
		s.stop()
		if got := b.totals(); got.Rows != got.Offsets || got.Rollup != got.Rows {
			t.Errorf("%+v: something is there twice", got)
		}
	})
}

// Somebody resets the group's offset with another tool: what is stored is not
// stored again.
func TestOffsetMovedByOthers(t *testing.T) {
	each(t, 1, func(b *bed) {
		t := b.tb
		s := b.start(b.config("a"))
		b.produce(0, month(0, "ann"), month(1, "ben"))
		b.untilDone(0, 2)
		s.stop()
		b.forget()
		adm := kadm.NewClient(b.client)
		if _, err := adm.LeaveGroup(context.Background(), kadm.LeaveGroup("sink").InstanceIDs("a")); err != nil {
			t.Fatal(err)
		}
		var offsets kadm.Offsets
		offsets.AddOffset(topic, 0, 0, -1)
		if err := adm.CommitAllOffsets(context.Background(), "sink", offsets); err != nil {
			t.Fatal(err)
		}
		b.produce(0, month(2, "cem"))
		cfg := b.config("a")
		cfg.settleFor = time.Millisecond
		s = b.start(cfg)
		b.untilDone(0, 3)
		s.stop()
		if diff := cmp.Diff(exact(3, 0), b.totals()); diff != "" {
			t.Error(diff)
		}
	})
}

// A topic deleted and made anew starts at offset 0 again: its ranges are not
// those of its predecessor.
func TestTopicMadeAnew(t *testing.T) {
	each(t, 1, func(b *bed) {
		t := b.tb
		s := b.start(b.config("a"))
		b.produce(0, month(0, "ann"), month(1, "ben"))
		b.untilDone(0, 2)
		s.stop()
		b.makeAnew()
		b.produce(0, month(0, "ann"), month(1, "ben"), month(2, "cem"))
		s = b.start(b.config("a"))
		b.until("both generations", func() bool { return b.totals().Rows == 5 })
		b.untilDone(0, 3)
		s.stop()
		if got := b.totals(); got.Rows != 5 || got.Rollup != 5 {
			t.Errorf("%+v: want 2 rows of the old topic and 3 of the new", got)
		}
	})
}

// A sink under which the topic is exchanged ends: its offsets are those of the
// old one. Started again, it begins the new one.
func TestTopicMadeAnewUnderARunningSink(t *testing.T) {
	each(t, 1, func(b *bed) {
		t := b.tb
		cfg := b.config("a")
		cfg.Client = append(cfg.Client, kgo.MetadataMinAge(10*time.Millisecond), kgo.MetadataMaxAge(100*time.Millisecond))
		s := b.start(cfg)
		b.produce(0, month(0, "ann"), month(1, "ben"))
		b.untilDone(0, 2)
		b.makeAnew()
		b.produce(0, month(0, "cem"), month(1, "dan"), month(2, "eve"))
		select {
		case err := <-s.ended:
			if err == nil || !strings.Contains(err.Error(), "topic events was deleted") {
				t.Errorf("the sink ends with %v", err)
			}
		case <-time.After(3 * time.Minute):
			t.Fatalf("the sink goes on with a topic that is gone: %+v", b.totals())
		}
		if diff := cmp.Diff(exact(2, 0), b.totals()); diff != "" {
			t.Error(diff)
		}
		s = b.start(b.config("a"))
		b.until("both generations", func() bool { return b.totals().Rows == 5 })
		b.untilDone(0, 3)
		s.stop()
		if got := b.totals(); got.Rows != 5 || got.Rollup != 5 {
			t.Errorf("%+v: want 2 rows of the old topic and 3 of the new", got)
		}
	})
}

// makeAnew deletes the topic and creates it again.
func (b *bed) makeAnew() {
	b.tb.Helper()
	if _, err := kadm.NewClient(b.client).DeleteTopic(context.Background(), topic); err != nil {
		b.tb.Fatal(err)
	}
	b.client.PurgeTopicsFromClient(topic)
	b.createTopic(topic, 1)
}

func TestTablesThatDoNotFit(t *testing.T) {
	b := newBed(t, 1)
	b.exec("ALTER TABLE notes MODIFY COLUMN note LowCardinality(String)")
	b.exec("DROP TABLE mv_hits")
	b.exec("DROP TABLE mv_hits_all")
	b.exec("DROP TABLE hits")
	s, err := New(b.config("a"))
	if err != nil {
		t.Fatal(err)
	}
	err = s.Run(context.Background())
	for _, want := range []string{"core.hits does not exist", `column note is "LowCardinality(String)"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %s", err, want)
		}
	}
}

func TestConfigNamesEveryProblem(t *testing.T) {
	err := Config{Limits: Limits{Rows: -1, Months: 200}, SessionTimeout: time.Second, From: "yesterday"}.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, key := range []string{"group", "streams", "conn", "dead_letter", "limits.rows", "limits.months", "session_timeout", "from"} {
		if !strings.Contains(err.Error(), key+":") {
			t.Errorf("%v does not name %s", err, key)
		}
	}
}

// A sink that finds no broker goes on trying, and ends when it is asked to.
func TestStopsWithoutBrokers(t *testing.T) {
	b := newBed(t, 1)
	line := &ktest.Line{}
	line.Cut()
	cfg := b.config("a")
	tried := make(chan struct{}, 1)
	cfg.Client = append(cfg.Client, kgo.RetryTimeout(time.Second), kgo.Dialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
		select {
		case tried <- struct{}{}:
		default:
		}
		return line.Dial(ctx, network, addr)
	}))
	s := b.start(cfg)
	<-tried
	s.stop()
}

// A letter that was sent and never answered may be in the topic or not; a sink
// that is to end does not wait for brokers that are gone to say which.
func TestStopsWithALetterUnderWay(t *testing.T) {
	each(t, 1, func(b *bed) {
		b.produceRaw(0, []byte("{"))
		line := &ktest.Line{}
		cut := make(chan struct{})
		said := sync.OnceFunc(func() { line.Cut(); close(cut) })
		cfg := b.config("a")
		cfg.Client = append(cfg.Client, kgo.RetryTimeout(time.Second), kgo.Dialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := line.Dial(ctx, network, addr)
			return lastWords{conn, said}, err
		}))
		s := b.start(cfg)
		<-cut
		s.stop()

		again := b.start(b.config("a"))
		b.untilDone(0, 1)
		again.stop()
		if got := b.letters(); len(got) == 0 || got[0] != "0/0: not an event" {
			b.tb.Errorf("dead letters %q", got)
		}
	})
}

// lastWords calls said when a produce request has gone out.
type lastWords struct {
	net.Conn
	said func()
}

func (c lastWords) Write(request []byte) (int, error) {
	n, err := c.Conn.Write(request)
	if err == nil && asks(request, kmsg.Produce) {
		c.said()
	}
	return n, err
}

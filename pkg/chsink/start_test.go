package chsink

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
)

// withoutOffsets is a bed with stored rows whose group is gone.
func withoutOffsets(t *testing.T) *bed {
	t.Helper()
	b := newBed(t, 1)
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
	b := withoutOffsets(t)
	s := b.start(b.config("a"))
	select {
	case err := <-s.ended:
		if err == nil || !strings.Contains(err.Error(), "rows up to offset 2 are stored") {
			t.Errorf("got %v, want a refusal that names the last stored offset", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the sink goes on")
	}
	if diff := cmp.Diff(exact(3, 0), b.totals()); diff != "" {
		t.Error(diff)
	}
}

func TestStartsFromWhereItIsTold(t *testing.T) {
	for from, want := range map[From]totals{
		FromStart:  exact(5, 0),
		FromStored: exact(5, 0),
		FromEnd:    exact(4, 0), // dan was produced while no group existed: lost, as told
	} {
		t.Run(string(from), func(t *testing.T) {
			b := withoutOffsets(t)
			b.forget() // a range inserted again would count twice
			cfg := b.config("a")
			cfg.From = from
			s := b.start(cfg)
			if from == FromEnd {
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
				return
			}
			b.produce(0, month(3, "eve"))
			b.untilDone(0, 5)
			s.stop()
			if diff := cmp.Diff(want, b.totals()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Somebody resets the group's offset with another tool: what is stored is not
// stored again.
func TestOffsetMovedByOthers(t *testing.T) {
	b := newBed(t, 1)
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
	s = b.start(b.config("a"))
	b.untilDone(0, 3)
	s.stop()
	if diff := cmp.Diff(exact(3, 0), b.totals()); diff != "" {
		t.Error(diff)
	}
}

// A topic deleted and made anew starts at offset 0 again: its ranges are not
// those of its predecessor.
func TestTopicMadeAnew(t *testing.T) {
	b := newBed(t, 1)
	s := b.start(b.config("a"))
	b.produce(0, month(0, "ann"), month(1, "ben"))
	b.untilDone(0, 2)
	s.stop()
	adm := kadm.NewClient(b.client)
	ctx := context.Background()
	if _, err := adm.DeleteTopic(ctx, topic); err != nil {
		t.Fatal(err)
	}
	b.client.PurgeTopicsFromClient(topic)
	if _, err := adm.CreateTopic(ctx, 1, 1, nil, topic); err != nil {
		t.Fatal(err)
	}
	b.produce(0, month(0, "ann"), month(1, "ben"), month(2, "cem"))
	s = b.start(b.config("a"))
	b.until("both generations", func() bool { return b.totals().Rows == 5 })
	b.untilDone(0, 3)
	s.stop()
	if got := b.totals(); got.Rows != 5 || got.Rollup != 5 {
		t.Errorf("%+v: want 2 rows of the old topic and 3 of the new", got)
	}
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

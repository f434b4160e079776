package fold

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Expired group offsets must not make the folds start over: the state topic
// knows where they were.
func TestGroupOffsetsGone(t *testing.T) {
	const n = 2000
	_, want := clean(t, input(5, n), n, machine.Shards)
	b, records := newBed(t), input(5, n)
	p := b.start(t, "a", machine.Shards, nil)
	b.send(t, records[:1500])
	b.read(t, "out", func(m map[int32][]string) bool { return running(m) > 1000 })
	p.stop(t)
	adm := kadm.NewClient(b.client)
	for _, group := range []string{"first", "second"} {
		b.empty(t, adm, group)
		if _, err := adm.DeleteGroup(t.Context(), group); err != nil {
			t.Fatal(err)
		}
	}
	p = b.start(t, "a", machine.Shards, nil)
	b.send(t, records[1500:])
	got := b.read(t, "out", settled(n))
	p.stop(t)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("out differs from the undisturbed run (-want +got):\n%s", diff)
	}
}

// empty removes the static members that a stopped process leaves behind.
func (b *bed) empty(t *testing.T, adm *kadm.Client, group string) {
	t.Helper()
	described, err := adm.DescribeGroups(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	leave := kadm.LeaveGroup(group)
	for _, m := range described[group].Members {
		if m.InstanceID != nil {
			leave = leave.InstanceIDs(*m.InstanceID)
		}
	}
	if _, err := adm.LeaveGroup(t.Context(), leave); err != nil {
		t.Fatal(err)
	}
}

// A group offset that somebody moved contradicts the state: going on would lose
// or double records.
func TestMovedGroupOffsetIsRefused(t *testing.T) {
	b, records := newBed(t), input(5, 500)
	p := b.start(t, "a", machine.Shards, nil)
	b.send(t, records)
	b.read(t, "out", settled(500))
	p.stop(t)
	adm := kadm.NewClient(b.client)
	b.empty(t, adm, "first")
	var offsets kadm.Offsets
	offsets.AddOffset("in", 0, 3, -1)
	if err := adm.CommitAllOffsets(t.Context(), "first", offsets); err != nil {
		t.Fatal(err)
	}
	p = b.start(t, "a", machine.Shards, nil)
	select {
	case err := <-p.done:
		if err == nil || !strings.Contains(err.Error(), "somebody moved the group's offset") {
			t.Errorf("error %v, want one that says what happened", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the fold runs on a moved offset")
	}
}

// A state topic that was lost while the group remembers its offset is an error,
// never a silent start from nothing.
func TestLostStateIsRefused(t *testing.T) {
	b := newBed(t)
	adm := kadm.NewClient(b.client)
	var offsets kadm.Offsets
	offsets.AddOffset("in", 2, 7, -1)
	if err := adm.CommitAllOffsets(t.Context(), "first", offsets); err != nil {
		t.Fatal(err)
	}
	p := b.start(t, "a", machine.Shards, nil)
	select {
	case err := <-p.done:
		if err == nil || !strings.Contains(err.Error(), "its state is lost") {
			t.Errorf("error %v, want one that says what happened", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the fold runs without its state")
	}
}

// shouter emits what it gets, as long as the record's value asks for.
type shouter struct{ *counter }

func (s shouter) Step(r *machine.Record, out *machine.Outputs) {
	s.counter.Step(r, out)
	if string(r.Key) == "key-loud" && !s.replay {
		out.EmitBytes("out", machine.ByKey, r.Key, s.w, make([]byte, maxOutput+1), nil)
	}
}

// An output that is too large becomes a dead letter and stops nothing.
func TestOutputTooLarge(t *testing.T) {
	b, records := newBed(t), input(5, 300)
	loud := *records[10]
	loud.Key = []byte("key-loud")
	records[10] = &loud
	p := b.start(t, "a", machine.Shards, func(cfg *Config) {
		if cfg.Stage.Name == "ledger" {
			cfg.Stage.New = func(int32) machine.Machine { return shouter{newCounter(true, "mid", machine.Shards)} }
		}
	})
	b.send(t, records)
	b.read(t, "out", settled(300))
	dead := b.read(t, "dead", func(m map[int32][]string) bool { return count(m) > 0 })
	p.stop(t)
	for _, values := range dead {
		var letter goodhartv1.DeadLetter
		if err := letter.UnmarshalVT([]byte(values[0])); err != nil {
			t.Fatal(err)
		}
		if letter.Reason != "output_too_large" || letter.SizeBytes != maxOutput+1 || len(letter.Value) != 0 {
			t.Errorf("dead letter %v", &letter)
		}
	}
}

// A record that the broker refuses for good stops its partition, commits nothing
// of it, and leaves the others working.
func TestRefusedRecordStopsItsPartition(t *testing.T) {
	b, records := newBed(t), input(5, 400)
	const sick = 1
	b.cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		produce := req.(*kmsg.ProduceRequest)
		if produce.TransactionID == nil || !strings.HasPrefix(*produce.TransactionID, "first.") {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.ProduceResponse)
		hit := false
		for _, topic := range produce.Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
			for _, part := range topic.Partitions {
				rp := kmsg.NewProduceResponseTopicPartition()
				rp.Partition = part.Partition
				rp.ErrorCode = kerr.NotLeaderForPartition.Code // to be sent again
				// The snapshot header of the sick partition is too large, say.
				if b.isState(topic) && part.Partition == sick {
					rp.ErrorCode, hit = kerr.MessageTooLarge.Code, true
				}
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, hit
	})
	p := b.start(t, "a", machine.Shards, nil)
	b.send(t, records)
	healthy := 0
	for _, rec := range records {
		if rec.Partition != sick && len(rec.Key) > 0 {
			healthy++
		}
	}
	mid := b.read(t, "mid", func(m map[int32][]string) bool { return running(m) >= healthy })
	if got := running(mid); got != healthy {
		t.Errorf("%d records of the healthy partitions, want %d", got, healthy)
	}
	offsets, err := kadm.NewClient(b.client).FetchOffsets(t.Context(), "first")
	if err != nil {
		t.Fatal(err)
	}
	if at, ok := offsets.Lookup("in", sick); ok && at.At > 0 {
		t.Errorf("the sick partition committed offset %d", at.At)
	}
	p.cancel()
	for range 2 {
		if err := <-p.done; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("stop: %v", err)
		}
	}
}

// isState reports whether a produce request's topic is the first stage's state
// topic; newer clients name topics by id.
func (b *bed) isState(topic kmsg.ProduceRequestTopic) bool {
	if topic.Topic != "" {
		return topic.Topic == "first.state"
	}
	return topic.TopicID == b.stateID
}

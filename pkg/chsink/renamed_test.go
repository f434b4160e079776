package chsink

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A member that joins under another name keeps its partitions, but no commit in
// the name under which it got them passes any more: it must join anew, though all
// that is left to do is the commit of what has been stored.
func TestCommitsUnderAnotherName(t *testing.T) {
	b := newBed(t, 1)
	g := b.gateCommits()
	g.allow(1) // the intent
	cfg := b.config("a")
	cfg.Client = append(cfg.Client, kgo.HeartbeatInterval(50*time.Millisecond))
	s := b.start(cfg)
	b.produce(0, month(0, "ann"), month(1, "ben"))
	b.untilStored(exact(2, 0))

	join := b.kafka.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, TopLevel: true, Err: kerr.UnknownMemberID})
	b.kafka.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, TopLevel: true, Err: kerr.RebalanceInProgress})
	if err := join.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	g.open()
	b.untilDone(0, 2)
	b.produce(0, month(2, "cem"))
	b.untilStored(exact(3, 0))
	b.untilDone(0, 3)
	s.stop()
}

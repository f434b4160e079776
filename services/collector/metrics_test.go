package collector

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/goodhartlabs/goodhart/schemas"
)

// The time of the last tick moves on only when every partition has it.
func TestLastTickStandsStillWithOnePartition(t *testing.T) {
	r := start(t, nil)
	m := r.s.metrics
	last := func() float64 { return testutil.ToFloat64(m.lastTick) }
	waitFor(t, "the first ticks", func() bool { return last() > 0 })
	before := last()
	if age := float64(time.Now().UnixNano())/1e9 - before; age < 0 || age > 20 {
		t.Errorf("first ticks %v s ago", age)
	}
	fault := r.cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Produce}, Topic: schemas.TopicEvents, Partitions: []int32{2}, Err: kerr.InvalidRequiredAcks, Count: -1,
	})
	if err := r.s.ticker.beat(t.Context(), 5*time.Second, time.Now); err == nil || last() != before {
		t.Errorf("a round that one partition refused: %v, last tick moved by %v s", err, last()-before)
	}
	fault.Remove()
	if err := r.s.ticker.beat(t.Context(), 5*time.Second, time.Now); err != nil || last() <= before {
		t.Errorf("a round that all have: %v, last tick moved by %v s", err, last()-before)
	}
	if sent, failed := testutil.ToFloat64(m.ticks.WithLabelValues(ticksSent)), testutil.ToFloat64(m.ticks.WithLabelValues(ticksFailed)); sent != 2 || failed != 1 {
		t.Errorf("%v rounds sent, %v failed", sent, failed)
	}
}

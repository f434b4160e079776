package fold

import (
	"encoding/binary"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/machine"
)

func newTestPartition() *partition {
	cfg := &Config{
		Stage: Stage{
			Name: "ledger", Input: "in", State: "state", Stamped: "mid", Dead: "dead",
			New: func(int32) machine.Machine { return newCounter(true, "mid", machine.Shards) },
		},
		Partitions: func(string) int32 { return partitions },
		Log:        slog.New(slog.DiscardHandler),
		Metrics:    prometheus.NewRegistry(),
	}
	cfg.setDefaults()
	return newPartition(cfg, 0)
}

// A record that the machine has nothing to say to costs no memory.
func TestTakeDoesNotAllocate(t *testing.T) {
	p := newTestPartition()
	tick := &kgo.Record{Topic: "in", Value: binary.BigEndian.AppendUint64(nil, 1_000_000)}
	if n := testing.AllocsPerRun(100, func() {
		if err := p.take(tick); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// What an aborted transaction held goes into the next one as it was, whatever is
// folded in between and whatever the client wrote on the records.
func TestPendingSurvivesAborts(t *testing.T) {
	records := input(3, 3000)
	for i, rec := range records {
		rec.Offset = int64(i)
	}
	p := newTestPartition()
	step := func(part []*kgo.Record) {
		t.Helper()
		if err := p.fold(part); err != nil {
			t.Fatal(err)
		}
	}
	step(records[:500])
	p.committed() // and its memory serves what follows
	step(records[500:1000])
	var want []string
	for _, rec := range p.pending {
		want = append(want, string(rec.Key)+" "+string(rec.Value))
		rec.Timestamp, rec.Offset, rec.ProducerID = time.UnixMilli(1), 7, 7 // as the client does
	}
	p.aborted()
	step(records[1000:])
	for i, was := range want {
		rec := p.pending[i]
		if got := string(rec.Key) + " " + string(rec.Value); got != was {
			t.Fatalf("record %d of the aborted transaction changed from %q to %q", i, was, got)
		}
		if !rec.Timestamp.IsZero() || rec.Offset != 0 || rec.ProducerID != 0 {
			t.Fatalf("record %d carries marks of the aborted transaction: %+v", i, rec)
		}
	}
}

package processor

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// metric is the sum of a metric's series of a stage; of all with stage "".
func (r *runner) metric(t *testing.T, name, stage string) (sum float64) {
	t.Helper()
	families, err := r.tel.Metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			of := ""
			for _, l := range m.GetLabel() {
				if l.GetName() == "stage" {
					of = l.GetValue()
				}
			}
			if stage == "" || of == stage {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// spans are conversations announced by spans alone: the ledger holds them for a
// minute of watermark, in case a log announces the same.
func (r *recorder) spans(conversations, each int) {
	for c := range conversations {
		session := hex.EncodeToString(id("held", uint64(c)))
		for range each {
			r.serial++
			r.now += 10
			e := r.usage(c%30, session)
			e.Signal, e.EventId = goodhartv1.Signal_SIGNAL_SPAN, id("span", r.serial)
			r.put(e, "acme|"+session)
		}
	}
}

// Records that the ledger holds outlive a kill, whether they are in a snapshot or
// have to be read again from the restart offset: they count once, and when they
// would have.
func TestHeldRecordsOutliveAKill(t *testing.T) {
	const conversations, each = 60, 3
	r := &recorder{random: rand.New(rand.NewPCG(1, 1)), now: start}
	r.spans(conversations, each)
	r.ticks(1)
	held := r.records
	r.records = nil
	for i := range uint64(5) {
		r.now += 100
		r.ticks(2 + i)
	}
	little := r.records // moves the watermark, but makes nothing due
	r.records = nil
	r.request() // of others
	for i := range uint64(10) {
		r.now += 60_000
		r.ticks(10 + i)
	}
	rest := r.records

	calm := newBed(t, ktest.Fake(t))
	for _, part := range [][]*kgo.Record{held, little, rest} {
		calm.send(t, part)
	}
	one := calm.run(t, "one", 250*time.Millisecond)
	want := calm.finish(t)
	one.stop(t)

	for _, test := range []struct {
		name   string
		period time.Duration // of snapshots
	}{{"in the snapshot", time.Millisecond}, {"behind the restart offset", time.Hour}} {
		t.Run(test.name, func(t *testing.T) {
			ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
				b := newBed(t, c)
				run := func() *runner {
					return b.runWith(t, func(cfg *Config) { cfg.Instance, cfg.SnapshotPeriod = "a", test.period })
				}
				holds := func(r *runner) {
					t.Helper()
					ktest.Eventually(t, "the records are held", func() bool {
						return r.metric(t, "goodhart_ledger_held_records", "") == conversations*each
					})
				}
				first := run()
				b.send(t, held)
				b.Await(t, schemas.GroupLedger, schemas.TopicEvents)
				for i := range 5 { // each a transaction, in which snapshots go on
					b.send(t, little[i*partitions:(i+1)*partitions])
					b.Await(t, schemas.GroupLedger, schemas.TopicEvents)
				}
				holds(first)
				first.kill()
				second := run()
				holds(second)
				replayed := second.metric(t, "goodhart_fold_replayed_records_total", "ledger")
				if inSnapshot := test.period < time.Second; inSnapshot != (replayed < conversations*each) {
					t.Errorf("%v records replayed", replayed)
				}
				b.send(t, rest)
				want.same(t, b.finish(t))
				ktest.Eventually(t, "nothing is held any more", func() bool { return second.metric(t, "goodhart_ledger_held_records", "") == 0 })
				second.stop(t)
			})
		})
	}
}

// Partitions that somebody has added are noticed before anything is folded.
func TestAddedPartitionsAreRefused(t *testing.T) {
	b := newBed(t, ktest.Fake(t))
	if _, err := kadm.NewClient(b.client).CreatePartitions(t.Context(), 1, schemas.TopicEvents); err != nil {
		t.Fatal(err)
	}
	r := b.run(t, "one", 30*time.Millisecond)
	select {
	case err := <-r.done:
		if want := fmt.Sprintf("%s has %d partitions", schemas.TopicEvents, partitions+1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	case <-time.After(3 * time.Minute):
		t.Fatal("the processor runs")
	}
}

package processor

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
	"github.com/goodhartlabs/goodhart/services/kafka"
	"github.com/goodhartlabs/goodhart/services/probe"
)

// recoveryStages are the groups that must have read the whole of their topics.
var recoveryStages = [][2]string{
	{schemas.GroupLedger, schemas.TopicEvents},
	{schemas.GroupSubject, schemas.TopicFacts},
	{schemas.GroupTenant, schemas.TopicFeatures},
}

// BenchmarkRecovery kills a processor that remembers 10 million ids and has
// 100,000 subjects with an open minute of three cells, while it works on 100,000
// events (20 s of 5,000 a second), and measures how long the next one takes from
// its start until all three folds have caught up.
func BenchmarkRecovery(b *testing.B) {
	ids, subjects, missed, period := 10_000_000, 100_000, 100_000, 10*time.Second
	if testing.Short() {
		ids, subjects, missed, period = 20_000, 500, 1000, time.Second
	}
	for _, broker := range benchBrokers()[1:] {
		b.Run(broker.name, func(b *testing.B) {
			bed := openBenchBed(b, broker)
			defer bed.close()
			random := rand.New(rand.NewPCG(6, 6))
			bed.send(stateful(random, ids, subjects))
			p := bed.runProcessor(b, period)
			bed.settle(p)
			remembered, open, state := p.sum(b, "goodhart_ledger_seen_ids"), p.sum(b, "goodhart_subject_subjects"), p.sum(b, "goodhart_fold_state_bytes")
			b.ResetTimer()
			round := int64(0)
			for b.Loop() {
				b.StopTimer()
				round++
				bed.send(later(random, missed, round))
				p.kill()
				b.StartTimer()
				p = bed.runProcessor(b, period)
				for _, s := range recoveryStages {
					bed.await(s[0], s[1], false)
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/recovery")
			b.ReportMetric(p.sum(b, "goodhart_fold_replayed_records_total"), "replayed")
			b.ReportMetric(remembered, "ids")
			b.ReportMetric(open, "subjects")
			b.ReportMetric(state/1e6, "state-MB")
			p.kill()
		})
	}
}

// stateful is what leaves the state behind: three requests of each subject, to
// three models, and then requests of few people until there are so many ids. All
// lie within 50 s, so that no minute closes.
func stateful(random *rand.Rand, ids, subjects int) iter.Seq[*kgo.Record] {
	return func(yield func(*kgo.Record) bool) {
		events := ids / 2 // an id of the announcement and one of the request
		at := func(i int) int64 { return start + int64(i)*50_000/int64(events) }
		second := int64(-1)
		for i := range events {
			if s := (at(i) - start) / 1000; s > second {
				second = s
				roundOfTicks(yield, at(i), uint64(s)+1)
			}
			var e *goodhartv1.Event
			if i < 3*subjects {
				e = benchEvent(random, i, i%subjects, at(i))
				e.TimeMs = at(i)
				e.Usage.Model = fmt.Sprintf("model-%d", i/subjects)
			} else {
				e = &goodhartv1.Event{
					Kind: goodhartv1.EventKind_EVENT_KIND_USAGE, Tenant: "acme", Source: "bulk", Signal: goodhartv1.Signal_SIGNAL_LOG,
					EventId: benchID(uint64(i)*2 + 1), RequestKey: benchID(uint64(i)*2 + 2), TimeMs: at(i), ReceivedMs: at(i),
					Conversation: fmt.Sprint("c", i%5000), Subject: fmt.Sprint("s_", i%1000), Usage: &goodhartv1.Usage{},
				}
			}
			yield(benchRecord(e))
		}
	}
}

// later is what comes in the rounds after that, a second each.
func later(random *rand.Rand, events int, round int64) iter.Seq[*kgo.Record] {
	return func(yield func(*kgo.Record) bool) {
		at := start + 50_000 + round*1000
		roundOfTicks(yield, at, uint64(1_000_000+round))
		for i := range events {
			e := benchEvent(random, int(round)<<32+i, i%5000, at)
			e.TimeMs = at
			yield(benchRecord(e))
		}
	}
}

// send produces records and waits until they are committed.
func (bed *benchBed) send(records iter.Seq[*kgo.Record]) {
	bed.b.Helper()
	bed.begin()
	for rec := range records {
		bed.produce(rec)
	}
	bed.end()
}

// settle waits until everything has been read and every piece of state of the
// ledger and the subject fold is in a snapshot. Ticks keep transactions coming
// meanwhile, at a time that stands still.
func (bed *benchBed) settle(p *benchProcessor) {
	bed.b.Helper()
	for _, s := range recoveryStages {
		bed.await(s[0], s[1], false)
	}
	read := time.Now()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(5 * time.Minute)
	for sequence := uint64(1000); ; sequence++ {
		ages := p.values(bed.b, "goodhart_fold_snapshot_age_seconds", Ledger, Subject)
		if len(ages) == 2*benchPartitions && slices.Max(ages) < time.Since(read).Seconds() {
			return
		}
		select {
		case <-tick.C:
			bed.send(func(yield func(*kgo.Record) bool) { roundOfTicks(yield, start+50_000, sequence) })
		case <-deadline:
			bed.b.Fatal("the state was never written as a whole")
		}
	}
}

// benchProcessor is a processor that can be killed.
type benchProcessor struct {
	cancel context.CancelFunc
	done   chan struct{}
	line   ktest.Line
	tel    *probe.Telemetry
}

func (bed *benchBed) runProcessor(b *testing.B, period time.Duration) *benchProcessor {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &benchProcessor{cancel: cancel, done: make(chan struct{}), tel: probe.New(slog.New(slog.DiscardHandler))}
	cfg := Default()
	cfg.Kafka = kafka.Config{Brokers: bed.addrs}
	cfg.SpillDir = b.TempDir()
	cfg.SnapshotPeriod = period
	cfg.dial = p.line.Dial
	go func() {
		defer close(p.done)
		_ = Run(ctx, cfg, p.tel) // whatever the cut makes of it
	}()
	return p
}

// kill cuts the processor off, as kill -9 would, and waits for the rest of it.
func (p *benchProcessor) kill() {
	p.line.Cut()
	p.cancel()
	<-p.done
}

// sum of a metric over its labels.
func (p *benchProcessor) sum(b *testing.B, name string) float64 {
	b.Helper()
	sum := 0.0
	for _, v := range p.values(b, name) {
		sum += v
	}
	return sum
}

// values of a metric, of the stages named or of all.
func (p *benchProcessor) values(b *testing.B, name string, stages ...string) []float64 {
	b.Helper()
	families, err := p.tel.Metrics.Gather()
	if err != nil {
		b.Fatal(err)
	}
	var values []float64
	for _, f := range families {
		for _, m := range f.GetMetric() {
			named := len(stages) == 0
			for _, l := range m.GetLabel() {
				named = named || l.GetName() == "stage" && slices.Contains(stages, l.GetValue())
			}
			if f.GetName() == name && named {
				values = append(values, m.GetGauge().GetValue()+m.GetCounter().GetValue())
			}
		}
	}
	return values
}

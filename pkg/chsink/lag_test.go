package chsink

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
)

// gauge reads a gauge as a scrape would, -1 if it is not there.
func (r *running) gauge(name, partition string) float64 {
	r.bed.tb.Helper()
	families, err := r.sink.cfg.Metrics.(prometheus.Gatherer).Gather()
	if err != nil {
		r.bed.tb.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "goodhart_sink_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "partition" && l.GetValue() == partition {
					return m.GetGauge().GetValue()
				}
			}
		}
	}
	return -1
}

// Lag is true of a partition in which nothing moves: what is stored lags by
// nothing, though a transaction's mark follows it; what cannot be stored ages.
func TestLagInSilence(t *testing.T) {
	b := newBed(t, 2)
	cfg := b.config("a")
	p := b.through(&cfg)
	s := b.start(cfg)
	b.produceCommitted(0, month(0, "ann"), month(0, "ben"))
	b.untilStored(exact(2, 0))
	b.until("partition 0 to lag by nothing", func() bool { return s.gauge("lag_records", "0") == 0 && s.gauge("lag_seconds", "0") == 0 })

	p.rule(always(lose))
	b.produceCommitted(1, month(0, "cem"), month(0, "dan"), month(0, "eve"))
	b.until("partition 1 to lag by three records and a mark", func() bool { return s.gauge("lag_records", "1") == 4 })
	b.moved.Store(int64(time.Hour))
	if age := s.gauge("lag_seconds", "1"); age < 3600 || age > 3700 {
		t.Errorf("an hour later the oldest record is %v s old", age)
	}
	if records, age := s.gauge("lag_records", "0"), s.gauge("lag_seconds", "0"); records != 0 || age != 0 {
		t.Errorf("an hour later partition 0 lags by %v records, %v s", records, age)
	}
	p.rule(always(pass))
	b.until("partition 1 to lag by nothing", func() bool { return s.gauge("lag_records", "1") == 0 && s.gauge("lag_seconds", "1") == 0 })
	s.stop()
	if got := s.gauge("lag_records", "0"); got != -1 {
		t.Errorf("lag_records is %v after the sink has stopped, want none", got)
	}
}

// produceCommitted produces events in a transaction of their own, which leaves a
// mark behind them.
func (b *bed) produceCommitted(partition int32, events ...event) {
	b.tb.Helper()
	ctx := context.Background()
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.kafka.Addrs...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID("tx"))
	if err != nil {
		b.tb.Fatal(err)
	}
	defer cl.Close()
	if err := cl.BeginTransaction(); err != nil {
		b.tb.Fatal(err)
	}
	for _, e := range events {
		value, err := json.Marshal(e)
		if err != nil {
			b.tb.Fatal(err)
		}
		cl.Produce(ctx, &kgo.Record{Topic: topic, Partition: partition, Value: value}, nil)
	}
	if err := cl.Flush(ctx); err != nil {
		b.tb.Fatal(err)
	}
	if err := cl.EndTransaction(ctx, kgo.TryCommit); err != nil {
		b.tb.Fatal(err)
	}
}

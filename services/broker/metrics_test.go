package broker

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/services/probe"
)

// gathered sums a metric over the series that have the label's value, or all of
// them without a label.
func gathered(t *testing.T, tel *probe.Telemetry, name, label, value string) float64 {
	t.Helper()
	families, err := tel.Metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			counts := label == ""
			for _, l := range m.GetLabel() {
				counts = counts || l.GetName() == label && l.GetValue() == value
			}
			if counts {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// What the broker shows is what clients did.
func TestMetrics(t *testing.T) {
	tel := probe.New(slog.New(slog.DiscardHandler))
	cfg := Config{Listen: freeAddress(t), Data: t.TempDir(), SyncWrites: true}
	get := func(name, label, value string) float64 { return gathered(t, tel, name, label, value) }
	tel.NotReady("broker", "not started")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, cfg, tel) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	wait := func(what string, yes func() bool) {
		t.Helper()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for deadline := time.After(3 * time.Minute); !yes(); {
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatalf("waited for %s in vain", what)
			}
		}
	}
	wait("the broker", func() bool { return len(tel.Pending()) == 0 })
	cl, err := kgo.NewClient(kgo.SeedBrokers(cfg.Listen), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for _, topic := range []string{"a-topic", "another"} {
		if _, err := kadm.NewClient(cl).CreateTopic(ctx, 2, 1, nil, topic); err != nil {
			t.Fatal(err)
		}
	}
	const size = 10_000
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "a-topic", Value: make([]byte, size)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if n := get("goodhart_broker_requests_total", "api", "Produce"); n != 1 {
		t.Errorf("%v produce requests", n)
	}
	if n := get("goodhart_broker_produced_bytes_total", "", ""); n < size || n > size+200 {
		t.Errorf("%v bytes produced", n)
	}
	if n := get("goodhart_broker_log_bytes", "topic", "a-topic"); n < size || n > 2*size {
		t.Errorf("%v bytes of a-topic on disk", n)
	}
	if n := get("goodhart_broker_log_bytes", "topic", "another"); n >= size {
		t.Errorf("%v bytes of another on disk", n)
	}
	if n := get("goodhart_broker_connections", "", ""); n < 1 {
		t.Errorf("%v connections", n)
	}
	if n := get("goodhart_disk_size_bytes", "path", cfg.Data); n <= 0 {
		t.Errorf("%v bytes of disk", n)
	}
	cl.Close()
	wait("connections to be counted no longer", func() bool { return get("goodhart_broker_connections", "", "") == 0 })
	if problems, err := testutil.GatherAndLint(tel.Metrics); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

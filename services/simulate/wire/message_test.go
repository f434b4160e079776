package wire

import (
	"testing"
	"time"

	"github.com/goodhartlabs/goodhart/services/simulate/org"
	"github.com/goodhartlabs/goodhart/services/simulate/traffic"
)

// The same request is the same bytes each time: a client that starts again sends
// what it sent before.
func TestMessagesAreTheSameEachTime(t *testing.T) {
	for _, r := range requests(2) {
		one, err := Message(r, 1)
		if err != nil {
			t.Fatal(err)
		}
		two, err := Message(r, 1)
		if err != nil {
			t.Fatal(err)
		}
		if string(one.Body) != string(two.Body) {
			t.Fatalf("%s, encoding %d: other bytes", r.Signal, r.Encoding)
		}
		if len(one.Body) == 0 && r.Encoding != traffic.GRPC {
			t.Fatalf("%s, encoding %d: no bytes", r.Signal, r.Encoding)
		}
	}
}

func requests(days int) []*traffic.Request {
	start := time.Date(2026, 10, 5, 0, 0, 0, 0, time.UTC)
	cfg := traffic.Config{Seed: 1, Start: start.UnixMilli(), Days: days, Events: 8_000 * days}
	var all []*traffic.Request
	for step := range traffic.New(cfg, org.New(1, 120, days, start)).All() {
		all = append(all, step.Requests...)
	}
	return all
}

func BenchmarkMessage(b *testing.B) {
	all := requests(3)
	var records, size int
	for _, r := range all {
		records += len(r.Items)
	}
	b.ReportAllocs()
	for b.Loop() {
		size = 0
		for _, r := range all {
			m, err := Message(r, 1)
			if err != nil {
				b.Fatal(err)
			}
			size += len(m.Body)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(records), "ns/record")
	b.ReportMetric(float64(size)/float64(records), "B/record")
}

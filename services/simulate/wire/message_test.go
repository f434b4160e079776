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

// Who counts a conversation's cache says so when it was of no use: that it is
// unknown is something else.
func TestAConversationThatReadsNothingFromItsCacheSaysSo(t *testing.T) {
	for _, conversation := range []bool{true, false} {
		s := &traffic.Session{ID: "s", Service: &org.Service{ID: "bot"}, Provider: "openai", Conversation: conversation}
		spans := GenAI([]traffic.Item{{Session: s, Call: &traffic.Call{Model: "m", Input: 5, Output: 7}}})
		attributes := spans.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).Attributes()
		read, known := attributes.Get("gen_ai.usage.cache_read.input_tokens")
		if known != conversation || known && read.Int() != 0 {
			t.Errorf("conversation %t: cache read is known %t, or not 0", conversation, known)
		}
	}
}

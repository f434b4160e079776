package fold

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/tracing"
)

// alone is a partition of a counter, as a session would drive it.
func alone(t *tracing.Tracer) *partition {
	cfg := Config{
		Tracer:     t,
		Partitions: func(string) int32 { return 4 },
		Stage: Stage{
			Name: "ledger", Input: "in", State: "state", Stamped: "out", Dead: "dead",
			New: func(int32) machine.Machine { return newCounter(true, "out", machine.Shards) },
		},
	}
	cfg.setDefaults()
	return newPartition(&cfg, 0)
}

// events are records as a collector writes them, some ms apart, every so many-th
// followed.
func events(n, followed, apart int) []*kgo.Record {
	records := make([]*kgo.Record, n)
	for i := range records {
		value := binary.BigEndian.AppendUint64(nil, uint64(1_000_000+apart*i))
		records[i] = &kgo.Record{Topic: "in", Offset: int64(i), Key: fmt.Appendf(nil, "key %d", i%1000), Value: value}
		if followed > 0 && i%followed == 0 {
			records[i].Headers = []kgo.RecordHeader{{Key: "other", Value: value}, tracing.Header(eventID(i))}
		}
	}
	return records
}

func eventID(i int) []byte {
	return binary.BigEndian.AppendUint64([]byte("event id"), uint64(i)+1)
}

// What a fold writes is the same byte for byte, whether events are followed or
// not; it carries no headers itself.
func TestHeadersDoNotReachOutputs(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	written := func(tracer *tracing.Tracer, followed int) []*kgo.Record {
		p := alone(tracer)
		if err := p.fold(events(10_000, followed, 10)); err != nil {
			t.Fatal(err)
		}
		if want := followed > 0 && tracer != nil; (len(p.followed) > 0) != want {
			t.Errorf("%d events followed, want some: %v", len(p.followed), want)
		}
		for _, rec := range p.pending {
			if len(rec.Headers) > 0 {
				t.Fatalf("an output for %s carries headers", rec.Topic)
			}
		}
		return p.pending
	}
	want := written(nil, 0)
	if len(want) < 10_000 {
		t.Fatalf("%d outputs", len(want))
	}
	for _, followed := range []int{1, 7} {
		for _, tracer := range []*tracing.Tracer{nil, tracing.New(spans, 1, nil)} {
			if diff := cmp.Diff(want, written(tracer, followed), cmp.Comparer(func(a, b *kgo.Record) bool {
				return a.Topic == b.Topic && a.Partition == b.Partition && string(a.Key) == string(b.Key) && string(a.Value) == string(b.Value)
			})); diff != "" {
				t.Fatalf("one in %d followed: outputs differ", followed)
			}
		}
	}
}

// The span of a transaction links to the followed events in it, each where it
// lies, and to no others; the next transaction begins without them.
func TestTransactionsLinkToTheirEvents(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	p := alone(tracing.New(spans, 0, nil)) // nothing by chance
	cfg := Config{Tracer: tracing.New(spans, 0, nil), Stage: *p.stage}
	cfg.Stage.Group = "a group"
	s := &session{cfg: &cfg, partitions: map[int32]*partition{0: p}}
	records := events(25, 10, 10)
	fold := func(records []*kgo.Record, result string) {
		t.Helper()
		if err := p.fold(records); err != nil {
			t.Fatal(err)
		}
		s.records = len(records)
		s.trace(records[0].Timestamp, result)
	}
	fold(records[:15], resultAborted)
	fold(records[:15], resultCommitted) // the same records come again
	fold(records[15:20], resultCommitted)
	fold(records[20:], resultConfirmed)

	type hop struct{ Event, Partition, Offset string }
	var got [][]hop
	for _, span := range spans.Ended() {
		var hops []hop
		for _, l := range span.Links() {
			a := attributes(l.Attributes)
			hops = append(hops, hop{l.SpanContext.TraceID().String(), a["messaging.destination.partition.id"], a["messaging.kafka.offset"]})
		}
		got = append(got, hops)
	}
	at := func(i int) hop {
		return hop{tracing.EventContext(eventID(i)).TraceID().String(), "0", strconv.Itoa(i)}
	}
	// The third transaction has no followed event, so that nobody keeps its span.
	if diff := cmp.Diff([][]hop{{at(0), at(10)}, {at(0), at(10)}, {at(20)}}, got); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	first := spans.Ended()[0]
	if first.Name() != "process in" || first.Status().Description != resultAborted {
		t.Errorf("%s %v", first.Name(), first.Status())
	}
	a := attributes(first.Attributes())
	want := map[string]string{
		"messaging.system": "kafka", "messaging.operation.type": "process", "messaging.operation.name": "fold",
		"messaging.destination.name": "in", "messaging.consumer.group.name": "a group", "messaging.batch.message_count": "15",
		"goodhart.stage": "ledger", "goodhart.transaction.result": resultAborted,
	}
	if diff := cmp.Diff(want, a); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
}

func attributes(of []attribute.KeyValue) map[string]string {
	all := map[string]string{}
	for _, kv := range of {
		all[string(kv.Key)] = kv.Value.String()
	}
	return all
}

// BenchmarkFoldTraced is what the runtime costs a record, with tracing off, and
// on with one event in a thousand followed: turn by turn, so that whatever else
// the machine does hits both alike.
func BenchmarkFoldTraced(b *testing.B) {
	const n = 50_000
	type side struct {
		tracer  *tracing.Tracer
		records []*kgo.Record
		took    []time.Duration
	}
	off := &side{nil, events(n, 0, 0), nil} // no time passes: the machine has next to nothing to do
	on := &side{tracing.New(sdktrace.NewSimpleSpanProcessor(tracetest.NewNoopExporter()), 0.001, nil), events(n, 1000, 0), nil}
	for b.Loop() {
		for _, s := range []*side{off, on} {
			p := alone(s.tracer)
			began := time.Now()
			if err := p.fold(s.records); err != nil {
				b.Fatal(err)
			}
			s.took = append(s.took, time.Since(began))
		}
	}
	median := func(s *side) float64 {
		slices.Sort(s.took)
		return float64(s.took[len(s.took)/2].Nanoseconds()) / n
	}
	b.ReportMetric(median(off), "off-ns/event")
	b.ReportMetric(median(on), "on-ns/event")
	b.ReportMetric(median(on)/median(off), "on/off")
}

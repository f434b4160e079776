package alerts

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/goodhartlabs/goodhart/pkg/tracing"
	"github.com/goodhartlabs/goodhart/schemas"
)

// hop is where a followed event was seen.
type hop struct{ Topic, Partition, Offset string }

func hopOf(attributes []attribute.KeyValue) hop {
	all := map[attribute.Key]string{}
	for _, kv := range attributes {
		all[kv.Key] = kv.Value.String()
	}
	return hop{all["messaging.destination.name"], all["messaging.destination.partition.id"], all["messaging.kafka.offset"]}
}

// One followed request can be traced from the collector through the ledger fold
// into ClickHouse: the links lead to it from wherever it passed, and say where it
// lay, as the database confirms.
func TestAFollowedRequestIsLinkedThroughAllStages(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	b := newBed(t, func(b *bed) { b.tracer = tracing.New(spans, 1, nil) })
	if code := b.post(typeBatch, fmt.Sprintf("[%s,%s]", usage("one"), usage("two"))); code != 200 {
		t.Fatalf("status %d", code)
	}
	eventually(t, "both events to be stored", func() bool { return b.count("SELECT count() FROM core.usage") == 2 })

	type row struct {
		ID        string
		Partition uint16
		Offset    uint64
	}
	rows, err := b.conn.Query(t.Context(), "SELECT lower(hex(event_id)), k_partition, k_offset FROM core.usage")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.ID, &r.Partition, &r.Offset); err != nil {
			t.Fatal(err)
		}
		event := span(t, spans, "send "+schemas.TopicEvents, func(s sdktrace.ReadOnlySpan) bool {
			return s.SpanContext().TraceID().String() == r.ID
		})
		at := hopOf(event.Attributes())
		if at.Topic != schemas.TopicEvents || at.Offset == "" {
			t.Errorf("event %s: sent to %+v", r.ID, at)
		}
		request := span(t, spans, "POST /v1/events", func(s sdktrace.ReadOnlySpan) bool {
			return s.SpanContext().TraceID() == event.Links()[0].SpanContext.TraceID()
		})
		f := func(s sdktrace.ReadOnlySpan, want hop) {
			t.Helper()
			for _, l := range s.Links() {
				if l.SpanContext.TraceID() == event.SpanContext().TraceID() && l.SpanContext.SpanID() == event.SpanContext().SpanID() {
					if diff := cmp.Diff(want, hopOf(l.Attributes)); diff != "" {
						t.Errorf("event %s in %s (-want +got):\n%s", r.ID, s.Name(), diff)
					}
					return
				}
			}
			t.Errorf("event %s: no link from %s", r.ID, s.Name())
		}
		leadsTo := func(s sdktrace.ReadOnlySpan) bool {
			for _, l := range s.Links() {
				if l.SpanContext.TraceID() == event.SpanContext().TraceID() {
					return true
				}
			}
			return false
		}
		f(request, at)
		f(span(t, spans, "process "+schemas.TopicEvents, leadsTo), at)
		f(span(t, spans, "process "+schemas.TopicFacts, leadsTo), hop{schemas.TopicFacts, strconv.Itoa(int(r.Partition)), strconv.FormatUint(r.Offset, 10)})
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, rec := range b.records(schemas.TopicFacts, 2) {
		if len(rec.Headers) > 0 {
			t.Errorf("a fact carries headers: %s", hex.EncodeToString(rec.Headers[0].Value))
		}
	}
}

// span waits for a span of the name that fits.
func span(t *testing.T, spans *tracetest.SpanRecorder, name string, fits func(sdktrace.ReadOnlySpan) bool) (found sdktrace.ReadOnlySpan) {
	t.Helper()
	eventually(t, "a span "+name, func() bool {
		for _, s := range spans.Ended() {
			if s.Name() == name && fits(s) {
				found = s
				return true
			}
		}
		return false
	})
	return found
}

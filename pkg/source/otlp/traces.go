package otlp

import (
	"fmt"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/source/record"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// DecodeTraces decodes the body of a request to /v1/traces. Its error is as that
// of DecodeLogs.
func DecodeTraces(contentType string, body []byte) ([]event.Draft, []event.Rejection, error) {
	d := newTraces(goodhartv1.Transport_TRANSPORT_OTLP_HTTP)
	if err := d.run(contentType, body, d); err != nil {
		return nil, nil, fmt.Errorf("decode traces: %w", err)
	}
	return d.out.Drafts, d.out.Rejected, nil
}

// FromTraces decodes the spans of a gRPC request.
func FromTraces(td ptrace.Traces) ([]event.Draft, []event.Rejection) {
	d := newTraces(goodhartv1.Transport_TRANSPORT_OTLP_GRPC)
	d.all(td)
	return d.out.Drafts, d.out.Rejected
}

type traces struct {
	*decoder
	current record.Span
}

func newTraces(transport goodhartv1.Transport) *traces {
	d := &traces{decoder: newDecoder(transport, "resourceSpans", "scopeSpans", "spans")}
	d.out.Describe = d.describe
	return d
}

func (d *traces) protobuf(body []byte) (int, error) {
	td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(body)
	if err != nil {
		return 0, err
	}
	d.all(td)
	return td.ResourceSpans().Len(), nil
}

func (d *traces) json(body []byte) (int, error) {
	td, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(body)
	if err != nil {
		return 0, err
	}
	d.all(td)
	return td.ResourceSpans().Len(), nil
}

func (d *traces) all(td ptrace.Traces) {
	d.out.Drafts = make([]event.Draft, 0, td.SpanCount())
	for i, rs := range td.ResourceSpans().All() {
		origin := record.NewOrigin(rs.Resource().Attributes(), d.transport)
		for j, ss := range rs.ScopeSpans().All() {
			origin.Scope = ss.Scope()
			for k, span := range ss.Spans().All() {
				d.out.Path.Index = [5]int{i, j, k}
				d.one(origin, span)
			}
		}
	}
}

func (d *traces) one(origin *record.Origin, span ptrace.Span) {
	d.current = record.Span{Origin: origin, Record: span}
	for _, a := range d.adapters {
		if a.Span(&d.current, &d.out) {
			return
		}
	}
	d.unclaimed(aboutAI(span.Name(), span.Attributes()))
}

func (d *traces) describe() ([]byte, string) {
	td := ptrace.NewTraces()
	d.current.Record.CopyTo(td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty())
	raw, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
	if err != nil {
		raw = nil
	}
	return raw, record.Shape(d.current.Record.Attributes(), known)
}

func (d *traces) piece(origin *record.Origin, raw []byte) {
	td, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(
		wrap(`{"resourceSpans":[{"scopeSpans":[{"spans":[`, raw, `]}]}]}`))
	if err != nil {
		d.malformed(raw)
		return
	}
	d.one(origin, td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0))
}

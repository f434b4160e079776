package otlp

import (
	"fmt"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/source/record"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// DecodeLogs decodes the body of a request to /v1/logs. The error is one of
// ErrContentType, ErrMalformed and ErrNoRecords, wrapped.
func DecodeLogs(contentType string, body []byte) ([]event.Draft, []event.Rejection, error) {
	d := newLogs(goodhartv1.Transport_TRANSPORT_OTLP_HTTP)
	if err := d.run(contentType, body, d); err != nil {
		return nil, nil, fmt.Errorf("decode logs: %w", err)
	}
	return d.out.Drafts, d.out.Rejected, nil
}

// FromLogs decodes the logs of a gRPC request.
func FromLogs(ld plog.Logs) ([]event.Draft, []event.Rejection) {
	d := newLogs(goodhartv1.Transport_TRANSPORT_OTLP_GRPC)
	d.all(ld)
	return d.out.Drafts, d.out.Rejected
}

type logs struct {
	*decoder
	current record.Log
}

func newLogs(transport goodhartv1.Transport) *logs {
	d := &logs{decoder: newDecoder(transport, "resourceLogs", "scopeLogs", "logRecords")}
	d.out.Describe = d.describe
	return d
}

func (d *logs) protobuf(body []byte) (int, error) {
	ld, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(body)
	if err != nil {
		return 0, err
	}
	d.all(ld)
	return ld.ResourceLogs().Len(), nil
}

func (d *logs) json(body []byte) (int, error) {
	ld, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs(body)
	if err != nil {
		return 0, err
	}
	d.all(ld)
	return ld.ResourceLogs().Len(), nil
}

func (d *logs) all(ld plog.Logs) {
	d.out.Drafts = make([]event.Draft, 0, ld.LogRecordCount())
	for i, rl := range ld.ResourceLogs().All() {
		origin := record.NewOrigin(rl.Resource().Attributes(), d.transport)
		for j, sl := range rl.ScopeLogs().All() {
			origin.Scope = sl.Scope()
			for k, lr := range sl.LogRecords().All() {
				d.out.Path.Index = [5]int{i, j, k}
				d.one(origin, lr)
			}
		}
	}
}

func (d *logs) one(origin *record.Origin, lr plog.LogRecord) {
	d.current = record.Log{Origin: origin, Record: lr}
	for _, a := range d.adapters {
		if a.Log(&d.current, &d.out) {
			return
		}
	}
	d.unclaimed(aboutAI(lr.EventName(), lr.Attributes()))
}

// describe gives the bytes and the shape of the current record.
func (d *logs) describe() ([]byte, string) {
	ld := plog.NewLogs()
	d.current.Record.CopyTo(ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty())
	raw, err := (&plog.ProtoMarshaler{}).MarshalLogs(ld)
	if err != nil {
		raw = nil
	}
	return raw, record.Shape(d.current.Record.Attributes(), known)
}

func (d *logs) piece(origin *record.Origin, raw []byte) {
	ld, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs(
		wrap(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[`, raw, `]}]}]}`))
	if err != nil {
		d.malformed(raw)
		return
	}
	d.one(origin, ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0))
}

// Package record is what the OTLP decoder hands to the adapters: one log record,
// span or data point with its resource and scope, and a place for what the
// adapter makes of it. It holds no knowledge of any tool.
package record

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/goodhartlabs/goodhart/pkg/event"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Adapter knows the telemetry of one tool or convention. Each method decodes
// one record into any number of drafts or rejections and reports true, or
// reports false if the record is none of its business; then it has added
// nothing. Adapters are safe for concurrent use.
type Adapter interface {
	Log(r *Log, out *Out) bool
	Span(r *Span, out *Out) bool
	Point(r *Point, out *Out) bool
}

// Origin is what records share: resource, scope and transport.
type Origin struct {
	Resource  pcommon.Map
	Scope     pcommon.InstrumentationScope
	Service   string // service.name
	Version   string // service.version
	Transport goodhartv1.Transport
	// Who is what the resource says about the actor, and Repository about where the
	// work is done.
	Who        Who
	Repository Repository
}

// NewOrigin reads a resource; the caller sets the scope.
func NewOrigin(resource pcommon.Map, transport goodhartv1.Transport) *Origin {
	o := &Origin{Resource: resource, Transport: transport}
	o.Service, _ = String(resource, "service.name")
	o.Version, _ = String(resource, "service.version")
	for key, value := range resource.All() {
		if !o.Who.Read(key, value) {
			o.Repository.Read(key, value)
		}
	}
	return o
}

// Log is a log record.
type Log struct {
	*Origin
	Record plog.LogRecord
}

// Span is a span.
type Span struct {
	*Origin
	Record ptrace.Span
}

// Point is a data point of a metric.
type Point struct {
	*Origin
	Metric      string
	Attributes  pcommon.Map
	Start, Time pcommon.Timestamp
	Temporality pmetric.AggregationTemporality
	// Kind says where Value and Count come from.
	Kind PointKind
	// Value is a counter's or gauge's number or a histogram's sum.
	Value float64
	// Count is the number of observations of a histogram.
	Count uint64
	// NoValue: the point is flagged as carrying none, or is a histogram without
	// a sum.
	NoValue bool
}

// PointKind is the type of a metric.
type PointKind int

// The types of metrics. Summaries carry quantiles since the start of a process
// and are of no use to anyone here.
const (
	Sum PointKind = iota
	Gauge
	Histogram
	Summary
)

// Out collects drafts and rejections, in the order of the body.
type Out struct {
	Drafts   []event.Draft
	Rejected []event.Rejection
	// Path says where the current record lies; Describe gives its bytes and its
	// shape, and is asked only for records that are rejected.
	Path     Path
	Describe func() (raw []byte, shape string)
}

// Add appends a draft of the current record.
func (o *Out) Add(d event.Draft) {
	d.Path = o.Path.String()
	o.Drafts = append(o.Drafts, d)
}

// Reject appends a rejection of the current record.
func (o *Out) Reject(source, reason, field, detail string) {
	r := event.Rejection{Path: o.Path.String(), Source: source, Field: field, Reason: reason, Detail: detail}
	if o.Describe != nil && reason != event.ReasonNotAI {
		raw, shape := o.Describe()
		r.Hash, r.Size, r.Shape = sha256.Sum256(raw), len(raw), event.CutShape(shape)
	}
	o.Rejected = append(o.Rejected, r)
}

// RejectRaw appends a rejection of a record that did not decode.
func (o *Out) RejectRaw(source, reason, detail string, raw []byte, shape string) {
	o.Rejected = append(o.Rejected, event.Rejection{
		Path: o.Path.String(), Source: source, Reason: reason, Detail: detail,
		Hash: sha256.Sum256(raw), Size: len(raw), Shape: event.CutShape(shape),
	})
}

// Path locates a record in an OTLP body.
type Path struct {
	// Names are the JSON names of the levels, e.g. resourceLogs, scopeLogs,
	// logRecords; metrics have a fourth and fifth.
	Names []string
	Index [5]int
}

// String is the path in the form resourceLogs[0].scopeLogs[0].logRecords[3].
func (p Path) String() string {
	b := make([]byte, 0, 64)
	for i, name := range p.Names {
		if i > 0 {
			b = append(b, '.')
		}
		b = append(append(b, name...), '[')
		b = appendInt(b, p.Index[i])
		b = append(b, ']')
	}
	return string(b)
}

func appendInt(b []byte, n int) []byte {
	if n < 10 {
		return append(b, byte('0'+n))
	}
	return append(appendInt(b, n/10), byte('0'+n%10))
}

// Shape names the attributes of a record and their types. Only names for which
// known is true appear; of the others there is a count.
func Shape(attributes pcommon.Map, known func(string) bool) string {
	var names []string
	unknown := 0
	for key, value := range attributes.All() {
		if !known(key) {
			unknown++
			continue
		}
		names = append(names, key+":"+strings.ToLower(value.Type().String()))
	}
	if unknown > 0 {
		names = append(names, fmt.Sprintf("others:%d", unknown))
	}
	return "{" + strings.Join(names, ",") + "}"
}

package otlp

import (
	"encoding/json"
	"fmt"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/source/record"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// DecodeMetrics decodes the body of a request to /v1/metrics. Its error is as
// that of DecodeLogs; drafts and rejections are those of data points.
func DecodeMetrics(contentType string, body []byte) ([]event.Draft, []event.Rejection, error) {
	d := newMetrics(goodhartv1.Transport_TRANSPORT_OTLP_HTTP)
	if err := d.run(contentType, body, d); err != nil {
		return nil, nil, fmt.Errorf("decode metrics: %w", err)
	}
	return d.out.Drafts, d.out.Rejected, nil
}

// FromMetrics decodes the data points of a gRPC request.
func FromMetrics(md pmetric.Metrics) ([]event.Draft, []event.Rejection) {
	d := newMetrics(goodhartv1.Transport_TRANSPORT_OTLP_GRPC)
	d.all(md)
	return d.out.Drafts, d.out.Rejected
}

type metrics struct {
	*decoder
	current record.Point
	// first is the index of a point that is decoded in a metric of its own.
	first int
}

func newMetrics(transport goodhartv1.Transport) *metrics {
	d := &metrics{decoder: newDecoder(transport, "resourceMetrics", "scopeMetrics", "metrics", "dataPoints")}
	d.out.Describe = d.describe
	return d
}

func (d *metrics) protobuf(body []byte) (int, error) {
	md, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(body)
	if err != nil {
		return 0, err
	}
	d.all(md)
	return md.ResourceMetrics().Len(), nil
}

func (d *metrics) json(body []byte) (int, error) {
	md, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(body)
	if err != nil {
		return 0, err
	}
	d.all(md)
	return md.ResourceMetrics().Len(), nil
}

func (d *metrics) all(md pmetric.Metrics) {
	d.out.Drafts = make([]event.Draft, 0, md.DataPointCount())
	for i, rm := range md.ResourceMetrics().All() {
		origin := record.NewOrigin(rm.Resource().Attributes(), d.transport)
		for j, sm := range rm.ScopeMetrics().All() {
			origin.Scope = sm.Scope()
			for k, m := range sm.Metrics().All() {
				d.out.Path.Index = [5]int{i, j, k}
				d.metric(origin, m)
			}
		}
	}
}

// metric decodes every data point of a metric.
func (d *metrics) metric(origin *record.Origin, m pmetric.Metric) {
	p := record.Point{Origin: origin, Metric: m.Name()}
	switch m.Type() {
	case pmetric.MetricTypeSum:
		p.Kind, p.Temporality = record.Sum, m.Sum().AggregationTemporality()
		d.numbers(p, m.Sum().DataPoints())
	case pmetric.MetricTypeGauge:
		p.Kind = record.Gauge
		d.numbers(p, m.Gauge().DataPoints())
	case pmetric.MetricTypeHistogram:
		p.Kind, p.Temporality = record.Histogram, m.Histogram().AggregationTemporality()
		for i, point := range m.Histogram().DataPoints().All() {
			p.Value, p.Count, p.NoValue = point.Sum(), point.Count(), !point.HasSum() || point.Flags().NoRecordedValue()
			d.point(i, p, point.Attributes(), point.StartTimestamp(), point.Timestamp())
		}
	case pmetric.MetricTypeExponentialHistogram:
		p.Kind, p.Temporality = record.Histogram, m.ExponentialHistogram().AggregationTemporality()
		for i, point := range m.ExponentialHistogram().DataPoints().All() {
			p.Value, p.Count, p.NoValue = point.Sum(), point.Count(), !point.HasSum() || point.Flags().NoRecordedValue()
			d.point(i, p, point.Attributes(), point.StartTimestamp(), point.Timestamp())
		}
	case pmetric.MetricTypeSummary:
		p.Kind = record.Summary
		for i, point := range m.Summary().DataPoints().All() {
			p.NoValue = true
			d.point(i, p, point.Attributes(), point.StartTimestamp(), point.Timestamp())
		}
	case pmetric.MetricTypeEmpty: // no data, no points
	}
}

func (d *metrics) numbers(p record.Point, points pmetric.NumberDataPointSlice) {
	for i, point := range points.All() {
		p.NoValue = point.Flags().NoRecordedValue()
		switch point.ValueType() {
		case pmetric.NumberDataPointValueTypeInt:
			p.Value = float64(point.IntValue())
		case pmetric.NumberDataPointValueTypeDouble:
			p.Value = point.DoubleValue()
		case pmetric.NumberDataPointValueTypeEmpty:
			p.NoValue = true
		}
		d.point(i, p, point.Attributes(), point.StartTimestamp(), point.Timestamp())
	}
}

func (d *metrics) point(index int, p record.Point, attributes pcommon.Map, start, at pcommon.Timestamp) {
	d.out.Path.Index[3] = d.first + index
	p.Attributes, p.Start, p.Time = attributes, start, at
	d.current = p
	for _, a := range d.adapters {
		if a.Point(&d.current, &d.out) {
			return
		}
	}
	d.unclaimed(aboutAI(p.Metric, attributes))
}

// describe gives what identifies the current point; its value is not part of it.
func (d *metrics) describe() ([]byte, string) {
	raw := []byte(d.current.Metric + "\x00" + record.Series(d.current.Attributes))
	return raw, record.Shape(d.current.Attributes, known)
}

// maxMetricName bounds names in bodies that are decoded point by point.
const maxMetricName = 1 << 10

// piece decodes a metric of a body that does not decode as a whole: as one, else
// point by point.
func (d *metrics) piece(origin *record.Origin, raw []byte) {
	d.out.Path.Names = d.levels[:3]
	defer func() { d.out.Path.Names = d.levels }()
	if m, ok := pieceMetric(raw); ok {
		d.out.Path.Names = d.levels
		d.metric(origin, m)
		return
	}
	var n node
	var name string
	if json.Unmarshal(raw, &n) != nil || json.Unmarshal(n["name"], &name) != nil || len(name) > maxMetricName {
		d.malformed(raw)
		return
	}
	for _, kind := range []string{"sum", "gauge", "histogram", "exponentialHistogram", "summary"} {
		var data node
		value, ok := n.member(kind)
		if !ok {
			continue
		}
		if json.Unmarshal(value, &data) != nil {
			d.malformed(raw)
			return
		}
		points, err := data.list("dataPoints")
		if err != nil {
			d.malformed(raw)
			return
		}
		d.out.Path.Names = d.levels
		d.points(origin, n["name"], kind, data, points)
		return
	}
	d.malformed(raw)
}

// points decodes the data points of one metric, each in a metric of its own.
func (d *metrics) points(origin *record.Origin, name []byte, kind string, data node, points []json.RawMessage) {
	head := wrap(`{"name":`, name, `,"`+kind+`":{`)
	if temporality, ok := data.member("aggregationTemporality"); ok && len(temporality) < 64 {
		head = append(append(append(head, `"aggregationTemporality":`...), temporality...), ',')
	}
	head = append(head, `"dataPoints":[`...)
	for i, raw := range points {
		d.out.Path.Index[3] = i
		m, ok := pieceMetric(wrap(string(head), raw, `]}}`))
		if !ok {
			d.malformed(raw)
			continue
		}
		d.first = i
		d.metric(origin, m)
		d.first = 0
	}
}

func pieceMetric(raw []byte) (pmetric.Metric, bool) {
	md, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(
		wrap(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[`, raw, `]}]}]}`))
	if err != nil {
		return pmetric.Metric{}, false
	}
	return md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0), true
}

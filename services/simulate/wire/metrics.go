package wire

import (
	"math"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/goodhartlabs/goodhart/services/simulate/traffic"
)

// Metrics are the counters that Claude Code exports, as deltas.
func Metrics(items []traffic.Item) pmetric.Metrics {
	out := pmetric.NewMetrics()
	var metrics pmetric.MetricSlice
	var session *traffic.Session
	runs(items, func(s *traffic.Session) {
		session = s
		rm := out.ResourceMetrics().AppendEmpty()
		claudeResource(rm.Resource().Attributes(), s)
		sm := rm.ScopeMetrics().AppendEmpty()
		sm.Scope().SetName("com.anthropic.claude_code")
		sm.Scope().SetVersion(s.Version)
		metrics = sm.Metrics()
	}, func(it *traffic.Item) {
		point(counter(metrics, it), session, it)
	})
	return out
}

// counter returns the metric that a point belongs to: the last one, if it is
// the same, else a new one.
func counter(list pmetric.MetricSlice, it *traffic.Item) pmetric.NumberDataPointSlice {
	name := "claude_code." + it.Point.Metric
	temporality := pmetric.AggregationTemporalityDelta
	if it.Fault == traffic.Cumulative {
		temporality = pmetric.AggregationTemporalityCumulative
	}
	if n := list.Len(); n > 0 {
		if m := list.At(n - 1); m.Name() == name && m.Sum().AggregationTemporality() == temporality {
			return m.Sum().DataPoints()
		}
	}
	m := list.AppendEmpty()
	m.SetName(name)
	switch it.Point.Metric {
	case "token.usage":
		m.SetUnit("tokens")
	case "cost.usage":
		m.SetUnit("USD")
	case "active_time.total":
		m.SetUnit("s")
	}
	sum := m.SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(temporality)
	return sum.DataPoints()
}

func point(points pmetric.NumberDataPointSlice, s *traffic.Session, it *traffic.Item) {
	p := it.Point
	dp := points.AppendEmpty()
	dp.SetStartTimestamp(stamp(p.Start))
	dp.SetTimestamp(stamp(p.End))
	value := float64(p.Value)
	if p.Metric == "cost.usage" {
		value /= 1e6
	}
	if it.Fault == traffic.NotANumber {
		value = math.NaN()
	}
	dp.SetDoubleValue(value)
	m := dp.Attributes()
	m.EnsureCapacity(12)
	claudeStandard(m, s)
	switch p.Metric {
	case "token.usage", "cost.usage":
		m.PutStr("model", p.Model)
		m.PutStr("query_source", p.Source)
		m.PutStr("effort", "high")
	case "code_edit_tool.decision":
		m.PutStr("tool_name", "Edit")
		m.PutStr("decision", p.Type)
		m.PutStr("source", "config")
		m.PutStr("language", "Go")
		return
	case "session.count":
		m.PutStr("start_type", p.Type)
		return
	}
	if p.Type != "" {
		m.PutStr("type", p.Type)
	}
}

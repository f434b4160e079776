package traffic

// counters are a session's metrics since its last export.
type counters struct {
	first                   bool
	calls                   []*Call
	added, removed, commits int64
	accepted, rejected      int64
}

func (c *counters) add(call *Call) { c.calls = append(c.calls, call) }

func (c *counters) decide(accept bool) {
	if accept {
		c.accepted++
	} else {
		c.rejected++
	}
}

// flush exports the counters of the hour that ends, at the time of its last
// request.
func (p *playing) flush() {
	t := p.totals
	p.totals = counters{}
	if !p.s.Metrics || len(t.calls) == 0 {
		return
	}
	last := t.calls[len(t.calls)-1].End
	first := max(t.calls[0].End-t.calls[0].DurationMs, last-last%Hour)
	at := last - p.s.Skew // true time
	put := func(metric, kind, model, source string, value int64) {
		if value == 0 {
			return
		}
		p.g.put(Metrics, at, p.s.Delay, Item{Session: p.s, Point: &Point{
			Start: min(first, last-1), End: last, Metric: metric, Type: kind, Model: model, Source: source, Value: value,
		}})
	}
	if t.first {
		put("session.count", "fresh", "", "", 1)
	}
	for _, model := range t.models() {
		var input, output, read, write, cost int64
		for _, c := range t.calls {
			if c.Model == model {
				input, output, read, write, cost = input+c.Input, output+c.Output, read+c.CacheRead, write+c.CacheWrite, cost+c.CostMicros
			}
		}
		source := "main"
		if model == modelSmall {
			source = "auxiliary"
		}
		put("token.usage", "input", model, source, input)
		put("token.usage", "output", model, source, output)
		put("token.usage", "cacheRead", model, source, read)
		put("token.usage", "cacheCreation", model, source, write)
		put("cost.usage", "", model, source, cost)
	}
	put("commit.count", "", "", "", t.commits)
	put("lines_of_code.count", "added", "", "", t.added)
	put("lines_of_code.count", "removed", "", "", t.removed)
	put("code_edit_tool.decision", "accept", "", "", t.accepted)
	put("code_edit_tool.decision", "reject", "", "", t.rejected)
	put("active_time.total", "cli", "", "", 1+(last-first)/2000)
}

// models lists the models called, in order of first use.
func (c *counters) models() []string {
	var models []string
next:
	for _, call := range c.calls {
		for _, m := range models {
			if m == call.Model {
				continue next
			}
		}
		models = append(models, call.Model)
	}
	return models
}

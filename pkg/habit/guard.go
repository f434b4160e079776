package habit

import (
	"math"

	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// A guard tells at once when a rate leaves by far what is usual for the subject: a
// loop that retries for ever or an agent that runs away costs money by the minute.
const (
	// guardFactor times the subject's own p99 is a crossing. The p99 is known within
	// a factor of two, so that what is 20 times the true one always crosses.
	guardFactor = 8
	// guardHistory is how many active panes a p99 rests on at least.
	guardHistory = 60
	// calmFor is how long no pane may cross for a rate to be usual again.
	calmFor = 15 * window.Minute
	// newUsual is after how long a high rate becomes part of what is usual.
	newUsual = window.Day
	// firstSpend is what a subject without a history may spend in five minutes,
	// nano-USD.
	firstSpend = 25_000_000_000
)

// watch is what guards there are: a metric, the width of its panes, and a value
// that is never a crossing however little is usual.
var watch = [...]struct {
	metric goodhartv1.GuardMetric
	width  int64
	floor  int64
}{
	{goodhartv1.GuardMetric_GUARD_METRIC_REQUESTS, window.Minute, 30},
	{goodhartv1.GuardMetric_GUARD_METRIC_REQUESTS, 5 * window.Minute, 100},
	{goodhartv1.GuardMetric_GUARD_METRIC_TOKENS, window.Minute, 500_000},
	{goodhartv1.GuardMetric_GUARD_METRIC_TOKENS, 5 * window.Minute, 1_500_000},
	{goodhartv1.GuardMetric_GUARD_METRIC_COST, window.Minute, 1_000_000_000},
	{goodhartv1.GuardMetric_GUARD_METRIC_COST, 5 * window.Minute, 3_000_000_000},
}

// guards of a subject, in the order of watch.
type guards [len(watch)]guard

// guard is one of them.
type guard struct {
	start, value int64 // the newest pane
	panes        octaves
	open         bool
	opened       int64 // start of the first pane that crossed
	crossed      int64 // end of the last
}

// add adds a record and appends what crosses with it. A record older than the
// newest pane is left out: it says nothing about now.
func (gs *guards) add(u *Use, w int64, out []*goodhartv1.Guard) []*goodhartv1.Guard {
	for i := range gs {
		g, watched := &gs[i], &watch[i]
		n := measure(u, watched.metric)
		start := window.Floor(u.TimeMs, watched.width)
		if n <= 0 || start < g.start {
			continue
		}
		if start > g.start {
			g.close()
			g.start, g.value = start, 0
		}
		g.value += n
		threshold := g.threshold(i)
		end := start + watched.width
		if g.value <= threshold || end+calmFor <= w {
			continue
		}
		g.crossed = end
		if g.open {
			continue
		}
		g.open, g.opened = true, start
		said := g.say(i)
		said.Team, said.Tool, said.Model, said.Credential = string(u.Team), string(u.Tool), string(u.Model), string(u.Credential)
		out = append(out, said)
	}
	return out
}

func measure(u *Use, metric goodhartv1.GuardMetric) int64 {
	switch metric {
	case goodhartv1.GuardMetric_GUARD_METRIC_REQUESTS:
		if u.Request {
			return 1
		}
		return 0
	case goodhartv1.GuardMetric_GUARD_METRIC_TOKENS:
		return u.tokens()
	default:
		return u.CostNanos
	}
}

// close takes the pane into what is usual, unless the rate is not.
func (g *guard) close() {
	if g.value > 0 && (!g.open || g.start-g.opened > newUsual) {
		g.panes.add(g.value)
	}
}

// threshold is above what a pane crosses.
func (g *guard) threshold(i int) int64 {
	if g.panes.total < guardHistory {
		if watch[i].metric == goodhartv1.GuardMetric_GUARD_METRIC_COST && watch[i].width == 5*window.Minute {
			return firstSpend
		}
		return math.MaxInt64
	}
	return max(watch[i].floor, guardFactor*g.panes.quantile(99))
}

// say states the pane of now.
func (g *guard) say(i int) *goodhartv1.Guard {
	return &goodhartv1.Guard{
		Metric: watch[i].metric, PaneMs: watch[i].width, PaneStartMs: g.start, Value: g.value,
		P99: g.panes.quantile(99), Threshold: g.threshold(i), Panes: int64(g.panes.total),
	}
}

// next is when the first open guard ends if nothing crosses, math.MaxInt64 for
// none.
func (gs *guards) next() int64 {
	next := int64(math.MaxInt64)
	for i := range gs {
		if gs[i].open {
			next = min(next, gs[i].crossed+calmFor)
		}
	}
	return next
}

// end appends the guards whose rate has been usual for long enough.
func (gs *guards) end(due int64, out []*goodhartv1.Guard) []*goodhartv1.Guard {
	for i := range gs {
		g := &gs[i]
		if !g.open || g.crossed+calmFor > due {
			continue
		}
		g.open = false
		said := g.say(i)
		said.Ended = true
		out = append(out, said)
	}
	return out
}

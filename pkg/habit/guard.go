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
	guardFactor = 10
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

// watch is what guards there are: a metric, the width of its panes, a value that
// is never a crossing however little is usual, and a number of requests: where they
// are counted, what fewer of them amount to is no crossing. A large question, or
// two, runs away from nobody.
var watch = [...]struct {
	metric   goodhartv1.GuardMetric
	width    int64
	floor    int64
	requests int64
}{
	{goodhartv1.GuardMetric_GUARD_METRIC_REQUESTS, window.Minute, 15, 0},
	{goodhartv1.GuardMetric_GUARD_METRIC_REQUESTS, 5 * window.Minute, 50, 0},
	{goodhartv1.GuardMetric_GUARD_METRIC_TOKENS, window.Minute, 500_000, 5},
	{goodhartv1.GuardMetric_GUARD_METRIC_TOKENS, 5 * window.Minute, 1_500_000, 10},
	{goodhartv1.GuardMetric_GUARD_METRIC_COST, window.Minute, 1_000_000_000, 5},
	{goodhartv1.GuardMetric_GUARD_METRIC_COST, 5 * window.Minute, 3_000_000_000, 10},
}

// guards of a subject, in the order of watch. What every record needs lies
// together.
type guards struct {
	now    [len(watch)]pane
	open   int
	alarms *alarms             // nil before the first crossing
	usual  [len(watch)]octaves // values of active panes
}

type alarms [len(watch)]alarm

// pane is the newest pane of a guard.
type pane struct{ start, value, threshold int64 }

// alarm is a guard that has crossed: the start of the first pane that did, and the
// end of the last.
type alarm struct {
	open            bool
	opened, crossed int64
}

// add adds a record and appends what crosses with it. A record older than the
// newest pane is left out: it says nothing about now.
func (gs *guards) add(u *Use, w int64, out []*goodhartv1.Guard) []*goodhartv1.Guard {
	for i := range gs.now {
		p, watched := &gs.now[i], &watch[i]
		n := measure(u, watched.metric)
		if n <= 0 || u.TimeMs < p.start {
			continue
		}
		if p.threshold == 0 || u.TimeMs >= p.start+watched.width {
			gs.turn(i, window.Floor(u.TimeMs, watched.width))
		}
		p.value += n
		if p.value > p.threshold && p.start+watched.width+calmFor > w && !gs.few(i) {
			out = gs.cross(i, u, out)
		}
	}
	return out
}

// few reports whether the pane of a guard holds fewer requests than it asks for.
// Where only sums are announced nobody knows.
func (gs *guards) few(i int) bool {
	counted := &gs.now[0]
	if watch[i].width > window.Minute {
		counted = &gs.now[1]
	}
	return counted.start == gs.now[i].start && counted.value > 0 && counted.value < watch[i].requests
}

// turn begins a pane. The one before becomes part of what is usual, unless it is
// not.
func (gs *guards) turn(i int, start int64) {
	p := &gs.now[i]
	if p.value > 0 && (gs.open == 0 || !gs.alarms[i].open || p.start-gs.alarms[i].opened > newUsual) {
		gs.usual[i].add(p.value)
	}
	*p = pane{start: start, threshold: gs.threshold(i)}
}

// cross notes a crossing, and states the first.
func (gs *guards) cross(i int, u *Use, out []*goodhartv1.Guard) []*goodhartv1.Guard {
	if gs.alarms == nil {
		gs.alarms = new(alarms)
	}
	p, a := &gs.now[i], &gs.alarms[i]
	a.crossed = p.start + watch[i].width
	if a.open {
		return out
	}
	a.open, a.opened = true, p.start
	gs.open++
	said := gs.say(i)
	said.Team, said.Tool, said.Model, said.Credential = string(u.Team), string(u.Tool), string(u.Model), string(u.Credential)
	return append(out, said)
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

// threshold is above what a pane crosses, from what is usual.
func (gs *guards) threshold(i int) int64 {
	if gs.usual[i].total >= guardHistory {
		return max(watch[i].floor, guardFactor*gs.usual[i].quantile(99))
	}
	if watch[i].metric == goodhartv1.GuardMetric_GUARD_METRIC_COST && watch[i].width == 5*window.Minute {
		return firstSpend
	}
	return math.MaxInt64
}

// say states the pane of now.
func (gs *guards) say(i int) *goodhartv1.Guard {
	p := &gs.now[i]
	return &goodhartv1.Guard{
		Metric: watch[i].metric, PaneMs: watch[i].width, PaneStartMs: p.start, Value: p.value,
		P99: gs.usual[i].quantile(99), Threshold: p.threshold, Panes: int64(gs.usual[i].total),
	}
}

// next is when the first open guard ends if nothing crosses, math.MaxInt64 for
// none.
func (gs *guards) next() int64 {
	next := int64(math.MaxInt64)
	if gs.open == 0 {
		return next
	}
	for i := range gs.alarms {
		if gs.alarms[i].open {
			next = min(next, gs.alarms[i].crossed+calmFor)
		}
	}
	return next
}

// end appends the guards whose rate has been usual for long enough.
func (gs *guards) end(due int64, out []*goodhartv1.Guard) []*goodhartv1.Guard {
	if gs.open == 0 {
		return out
	}
	for i := range gs.alarms {
		a := &gs.alarms[i]
		if !a.open || a.crossed+calmFor > due {
			continue
		}
		a.open = false
		gs.open--
		said := gs.say(i)
		said.Ended = true
		out = append(out, said)
	}
	return out
}

func (gs *guards) save() []*goodhartv1.HabitGuard {
	var saved []*goodhartv1.HabitGuard
	for i, p := range gs.now {
		var a alarm
		if gs.alarms != nil {
			a = gs.alarms[i]
		}
		saved = append(saved, &goodhartv1.HabitGuard{
			Metric: watch[i].metric, PaneMs: watch[i].width, PaneStartMs: p.start, Value: p.value, Threshold: p.threshold,
			Panes: gs.usual[i].save(), Open: a.open, OpenedMs: a.opened, CrossedMs: a.crossed,
		})
	}
	return saved
}

// load takes over what was saved; there may be fewer guards than now.
func (gs *guards) load(saved []*goodhartv1.HabitGuard) {
	for i, g := range saved {
		gs.now[i] = pane{start: g.PaneStartMs, value: g.Value, threshold: g.Threshold}
		gs.usual[i] = loadOctaves(g.Panes)
		if g.CrossedMs == 0 {
			continue
		}
		if gs.alarms == nil {
			gs.alarms = new(alarms)
		}
		gs.alarms[i] = alarm{open: g.Open, opened: g.OpenedMs, crossed: g.CrossedMs}
		if g.Open {
			gs.open++
		}
	}
}

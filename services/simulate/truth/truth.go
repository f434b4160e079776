// Package truth computes what must be in the database once the simulated
// traffic has passed the pipeline, by plain additions over the traffic, with no
// code of the pipeline. It writes each answer as the TSV that one plain SQL
// query prints.
package truth

import (
	"github.com/goodhartlabs/goodhart/services/simulate/traffic"
)

// The rules of the pipeline that the arithmetic needs, in ms.
const (
	minute = int64(60_000)
	// aheadLimit is how far an event time may lie ahead of its acceptance.
	aheadLimit = 5 * minute
	// behind is how far the watermark trails the clock in a simulation: one step
	// and five minutes.
	behind = traffic.Hour + 5*minute
	// lateAfter is the distance to the watermark at which a fact is late.
	lateAfter = 48 * traffic.Hour
	// finalAfter is how long credit stays provisional.
	finalAfter = 14 * traffic.Day
	// Epilogue is how far the clock moves on after the period.
	Epilogue = 49*traffic.Hour + 2*minute
)

// usageKey is a line of the usage table.
type usageKey struct {
	hour        int64
	team, model string
}

// usage is the sum of what counts.
type usage struct {
	records, requests                                     int64
	input, cacheRead, cacheWrite, output, reasoning, cost int64
}

func (u *usage) add(v usage) {
	u.records += v.records
	u.requests += v.requests
	u.input += v.input
	u.cacheRead += v.cacheRead
	u.cacheWrite += v.cacheWrite
	u.output += v.output
	u.reasoning += v.reasoning
	u.cost += v.cost
}

// rollingKey is a window of 24 h that ends at a UTC midnight, of a team or, with
// all set, of everybody.
type rollingKey struct {
	end  int64
	all  bool
	team string
}

type creditKey struct {
	team string
	day  int64
}

type credit struct{ provisional, final, reverted int64 }

// Totals are counts of records over the whole period.
type Totals struct {
	// Accepted records are those that the collector acknowledged, repetitions
	// included; Duplicates are the planned repetitions among them.
	Accepted   int64 `json:"accepted"`
	Duplicates int64 `json:"duplicates"`
	// Usage counts stored usage that counts, Merged the usage that only announces
	// it again, Activity and Announced (outcomes) the rest.
	Usage     int64 `json:"usage"`
	Merged    int64 `json:"merged"`
	Activity  int64 `json:"activity"`
	Announced int64 `json:"outcomes_announced"`
	// Late and ClockSkew are stored records of any kind with that flag.
	Late      int64 `json:"late"`
	ClockSkew int64 `json:"clock_skew"`
	// Rejected records must be refused, one by one.
	Rejected int64 `json:"rejected"`
	// Delayed records reach windows that have been emitted already, and are not
	// late.
	Delayed int64 `json:"delayed"`
	// Unpriced records count and have a model without a price; Reverted is how
	// many outcomes lose their credit.
	Unpriced int64 `json:"unpriced"`
	Reverted int64 `json:"reverted"`
	// Requests is how many requests are sent, repetitions included.
	Requests int64 `json:"requests"`
}

// Truth is the sum of the steps added to it.
type Truth struct {
	Totals  Totals
	models  map[string]model
	usage   map[usageKey]*usage
	rolling map[rollingKey]*usage
	credits map[creditKey]*credit
	story   story
	finalW  int64
}

// New returns an empty truth of a period that ends at end, ms.
func New(end int64) *Truth {
	return &Truth{
		models:  models(),
		usage:   map[usageKey]*usage{},
		rolling: map[rollingKey]*usage{},
		credits: map[creditKey]*credit{},
		story:   newStory(end),
		finalW:  end + Epilogue - behind,
	}
}

// Add accounts for a step. Steps are added in order.
func (t *Truth) Add(step *traffic.Step) {
	t.story.start = step.Start - int64(step.Index)*traffic.Hour
	for _, r := range step.Requests {
		t.request(step, r)
	}
	for i := range step.Begun {
		t.story.begin(step.Start, &step.Begun[i])
	}
}

func (t *Truth) request(step *traffic.Step, r *traffic.Request) {
	copies := int64(1)
	if r.Lost {
		copies = 2
	}
	t.Totals.Requests += copies
	for i := range r.Items {
		it := &r.Items[i]
		if it.Fault > traffic.Repeat {
			t.Totals.Rejected += copies
			continue
		}
		t.Totals.Accepted += copies
		if it.Fault == traffic.Repeat || r.Again {
			t.Totals.Duplicates += copies
			continue
		}
		t.Totals.Duplicates += copies - 1
		t.item(step, r.Signal, it)
	}
}

// item accounts for the first announcement of a record.
func (t *Truth) item(step *traffic.Step, signal traffic.Signal, it *traffic.Item) {
	at := it.Time()
	if at > step.End+aheadLimit {
		at = step.End
		t.Totals.ClockSkew++
	}
	w := step.End - behind
	late := at < w-lateAfter
	switch {
	case late:
		t.Totals.Late++
	case at < w:
		t.Totals.Delayed++
	}
	switch {
	case it.Outcome != nil:
		t.Totals.Announced++
		t.outcome(it.Outcome, at)
	case it.Activity != nil:
		t.Totals.Activity++
	case it.Point != nil && it.Point.Metric != "token.usage" && it.Point.Metric != "cost.usage":
		t.Totals.Activity++
	case !counts(it.Session, signal):
		t.Totals.Merged++
	case it.Point != nil:
		t.count(it, at, late, t.point(it.Point))
	default:
		t.count(it, at, late, t.call(it.Call, signal))
	}
}

// counts says whether a signal is the one that counts in its session: logs
// before spans before metrics; a gateway's never is.
func counts(s *traffic.Session, signal traffic.Signal) bool {
	switch signal {
	case traffic.Logs:
		return true
	case traffic.Spans:
		return !s.Logs
	case traffic.Metrics:
		return !s.Logs && !s.Spans
	case traffic.GenAI:
		return !s.Gateway
	default:
		return true
	}
}

// count adds a record that counts to its hour and, unless it is late, to the
// rolling figures of its day.
func (t *Truth) count(it *traffic.Item, at int64, late bool, u usage) {
	t.Totals.Usage++
	u.records = 1
	name := it.Model()
	team := it.Session.Team
	if p := it.Session.Person; p != nil && p.Mapped() {
		team = p.TeamAt(at)
	}
	if t.models[name].price == (rates{}) {
		t.Totals.Unpriced++
	}
	t.story.count(it, at, u)
	add(t.usage, usageKey{hour: at - at%traffic.Hour, team: team, model: t.models[name].name}, u)
	if late {
		return
	}
	end := at - at%traffic.Day + traffic.Day
	add(t.rolling, rollingKey{end: end, all: true}, u)
	if team != "" {
		add(t.rolling, rollingKey{end: end, team: team}, u)
	}
}

func add[K comparable](sums map[K]*usage, key K, u usage) {
	sum := sums[key]
	if sum == nil {
		sum = new(usage)
		sums[key] = sum
	}
	sum.add(u)
}

// call is what a whole request adds. A tool's own estimate counts where the
// model has no price.
func (t *Truth) call(c *traffic.Call, signal traffic.Signal) usage {
	if c.Failed {
		return usage{requests: 1}
	}
	m := t.models[c.Model]
	u := usage{
		requests: 1, input: c.Input, cacheRead: c.CacheRead, cacheWrite: c.CacheWrite, output: c.Output,
		reasoning: c.Reasoning, cost: m.cost(c.Input, c.CacheRead, c.CacheWrite, c.Output),
	}
	if m.price == (rates{}) && signal == traffic.Logs {
		u.cost = c.CostMicros * 1000
	}
	return u
}

// point is what a counter's delta adds: tokens of one class, or a cost that the
// token points of priced models carry already.
func (t *Truth) point(p *traffic.Point) usage {
	m := t.models[p.Model]
	switch p.Type {
	case "input":
		return usage{input: p.Value, cost: p.Value * m.price.input}
	case "cacheRead":
		return usage{cacheRead: p.Value, cost: p.Value * m.price.read}
	case "cacheCreation":
		return usage{cacheWrite: p.Value, cost: p.Value * m.price.write}
	case "output":
		return usage{output: p.Value, cost: p.Value * m.price.output}
	}
	if m.price == (rates{}) {
		return usage{cost: p.Value * 1000}
	}
	return usage{}
}

// outcome credits an object, once, to its author's team at its time.
func (t *Truth) outcome(o *traffic.Outcome, at int64) {
	switch o.Kind {
	case traffic.PRMerged, traffic.TicketDone, traffic.DeploySucceeded:
	default:
		return
	}
	if o.Second {
		return
	}
	key := creditKey{team: o.Author.TeamAt(at), day: at - at%traffic.Day}
	c := t.credits[key]
	if c == nil {
		c = new(credit)
		t.credits[key] = c
	}
	switch {
	case o.Reverted:
		c.reverted++
		t.Totals.Reverted++
	case at+finalAfter <= t.finalW:
		c.final++
	default:
		c.provisional++
	}
}

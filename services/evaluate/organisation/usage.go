package organisation

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/price"
	"github.com/goodhartlabs/goodhart/pkg/source/genai"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

const (
	provider = "anthropic"
	// minHashed is the shortest new turn that is hashed: shorter ones can be guessed.
	minHashed = 8
	// minCompressed is the shortest new turn whose compression means anything: about 8 KiB.
	minCompressed = 2048
	// leastKappa is the compression ratio that no honest text goes below.
	leastKappa = .034
)

// draw makes the requests of one person's week, in order of time but for those of an
// agent that runs away, which come first.
func (o *Organisation) draw(w *week, p *Person, plan *Plan) {
	w.o, w.p, w.plan = o, p, plan
	w.requests, w.sessions, w.parents = w.requests[:0], 0, nil
	w.rng = o.stream(forRequests, p.Index, plan.Week)
	w.honest()
	w.report()
	if plan.Wasted > 0 {
		w.rng = o.stream(forGaming, p.Index, plan.Week)
		w.game()
	}
	slices.SortStableFunc(w.requests, func(a, b request) int { return cmp.Compare(a.at, b.at) })
	if o.runaways[[2]int{p.Index, plan.Week}] {
		w.rng = o.stream(forRunaways, p.Index, plan.Week)
		w.runAway()
	}
	p.remember(w.requests)
}

// play generates one person's week.
func (o *Organisation) play(w *week, p *Person, plan *Plan) {
	o.draw(w, p, plan)
	sequence := make([]uint64, w.sessions)
	for i := range w.requests {
		q := &w.requests[i]
		sequence[q.session]++
		if mix(uint64(i), o.Seed+uint64(plan.Week)<<32+uint64(p.Index))>>11 < uint64(o.Config.Habits.Lost*(1<<53)) {
			sequence[q.session]++
		}
		w.emit(q, i, sequence[q.session])
	}
}

// tokens are the classes of a request.
type tokens struct{ input, read, write, output int64 }

func (t tokens) total() int64 { return t.input + t.read + t.write + t.output }

// classes splits the context of a request: what the cache serves, what is
// written to it, and the rest.
func (w *week) classes(q *request, context float64, cached bool) tokens {
	t := tokens{output: max(1, int64(math.Round(q.output)))}
	whole := max(1, int64(math.Round(context)))
	if !cached {
		t.input = whole
		return t
	}
	share := .2
	if q.warm {
		share = max(.3, min(.98, w.p.cached+.06*q.kappaAt))
	}
	t.read = int64(share * max(0, context-q.fresh))
	t.write = int64(.8 * float64(whole-t.read))
	t.input = whole - t.read - t.write
	return t
}

// emit makes a request an event and adds it to the truth.
func (w *week) emit(q *request, n int, sequence uint64) {
	o, p, plan := w.o, w.p, w.plan
	r := o.blank()
	offset := int32(o.offset(p, plan.Week))
	u := o.describe(r, o.weekStart(plan.Week)+q.at-int64(offset)*minute)
	r.event.Tool, r.event.ToolVersion = p.tool.Service, o.version(p, plan.Week)
	r.offset, r.sequence, r.turn, r.duration = offset, sequence, uint32(q.turn), q.duration
	r.event.TzOffsetMin, r.event.Sequence, u.Turn, u.DurationMs = &r.offset, &r.sequence, &r.turn, &r.duration
	u.RequestModel = w.model(q)
	u.ResponseModel = u.RequestModel
	actual := w.actual(q)
	if q.failed {
		u.Status, u.ErrorType = goodhartv1.Status_STATUS_ERROR, "overloaded"
	} else {
		r.setTokens(actual)
		if p.role.Tool == toolCode {
			r.reason(q)
		}
		u.FinishReason = "stop"
	}
	if p.Derived {
		w.derive(r, q)
	}
	key := strconv.FormatInt(int64(p.Index), 10) + "-" + strconv.FormatInt(int64(plan.Week), 10) + "-"
	r.draft = event.Draft{
		Event: &r.event, Conversation: "session-" + key + strconv.Itoa(q.session), Repository: o.repository(plan, q.session),
		Actor: event.Actor{Email: p.Email},
	}
	if parent := w.parents[q.session]; parent > 0 {
		r.draft.ParentConversation = "session-" + key + strconv.Itoa(parent-1)
	}
	o.name(r, "response-"+p.ID+"-"+key+strconv.Itoa(n))
	o.put(r, &o.fleet)
	w.account(q, actual, u.Model, r.event.TimeMs, u.GetCostNanos())
}

// actual is what a request uses, had it not failed.
func (w *week) actual(q *request) tokens {
	return w.classes(q, q.context, !q.uncached && !w.plan.Looks.Has(CacheLoss))
}

// account adds a request at a time, UTC, to the truth.
func (w *week) account(q *request, actual tokens, model string, at, cost int64) {
	o, plan := w.o, w.plan
	row, broken := o.row(plan), plan.Looks.Has(CacheLoss)
	row.Requests++
	if q.failed {
		row.Failed++
		return
	}
	total := actual.total()
	row.Tokens += total
	row.Cost += cost
	switch {
	case q.runaway:
		o.ranAway(plan, total, cost)
	case q.wasted:
		row.Wasted += total
		row.WastedCost += cost
	case q.bloated:
		needed := w.classes(q, q.useful, !broken)
		row.Wasted += total - needed.total()
		row.WastedCost += cost - o.cost(model, needed, at)
	case q.uncached:
		row.WastedCost += cost - o.cost(model, w.classes(q, q.context, !broken), at)
	}
}

// describe sets what every usage event has.
func (o *Organisation) describe(r *record, at int64) *goodhartv1.Usage {
	e, u := &r.event, &r.usage
	e.Kind, e.Source, e.Signal = goodhartv1.EventKind_EVENT_KIND_USAGE, genai.Source, goodhartv1.Signal_SIGNAL_SPAN
	e.Transport, e.AdapterVersion, e.TimeMs = goodhartv1.Transport_TRANSPORT_OTLP_GRPC, "1", at
	e.Usage = u
	u.OperationName, u.ProviderName = "chat", provider
	u.Granularity, u.Status = goodhartv1.Granularity_GRANULARITY_REQUEST, goodhartv1.Status_STATUS_OK
	return u
}

// name gives an announcement its request's name, from which it is known again.
func (o *Organisation) name(r *record, response string) {
	r.draft.Natural, r.draft.Request = []string{"response", provider, response}, []string{"request", response}
}

func (r *record) setTokens(t tokens) {
	u := r.event.Usage
	r.input, r.read, r.write, r.output = t.input, t.read, t.write, t.output
	u.InputUncachedTokens, u.CacheReadTokens, u.CacheWriteTokens, u.OutputTokens = &r.input, &r.read, &r.write, &r.output
}

// reason says how much of the output was reasoning: up to two fifths, and
// nothing with the cheap model.
func (r *record) reason(q *request) {
	if !q.cheap {
		r.reasoning = int64(.4 * q.frontierRoll * float64(r.output))
	}
	r.usage.ReasoningTokens = &r.reasoning
}

// derive sets the numbers that need content.
func (w *week) derive(r *record, q *request) {
	u := &r.usage
	r.fresh, r.target, r.effects = int64(math.Round(q.fresh)), q.target, int32(q.effects)
	u.NewTurnTokens, u.TargetH64, u.SideEffects = &r.fresh, &r.target, &r.effects
	if r.fresh >= minHashed {
		r.hash = q.h64
		u.H64 = &r.hash
	}
	if r.fresh >= minCompressed {
		r.ratio = int32(1e6 * max(leastKappa, math.Exp(-1.27+.6*q.kappaAt)))
		u.KappaPpm = &r.ratio
	}
}

// model is what a request asks: the cheap one, the dearest, or the team's.
func (w *week) model(q *request) string {
	m, team := &w.o.Config.Models, w.o.Teams[w.plan.Team]
	switch {
	case q.cheap:
		return m.Small
	case q.frontierRoll < w.p.frontier:
		return m.Frontier
	case team.changed > 0 && w.plan.Week >= team.changed:
		return team.successor
	default:
		return m.Large
	}
}

// repository is where a session works: mostly in the team's first.
func (o *Organisation) repository(plan *Plan, session int) string {
	team := o.Teams[plan.Team]
	if team.monorepo > 0 && plan.Week >= team.monorepo {
		return monorepo
	}
	return o.repositories[team.Index][max(0, session%7-4)]
}

// offset is a person's time zone in a week, minutes east of UTC.
func (o *Organisation) offset(p *Person, week int) int {
	offset := o.Teams[p.teams[0].team].Offset
	if p.travel.has(week) {
		offset += p.travelBy
	}
	return max(-12*60, min(12*60, offset))
}

// version of the client.
func (o *Organisation) version(p *Person, week int) string {
	if p.role.Tool == toolChat {
		return "2026." + strconv.Itoa(1+week/6)
	}
	return o.client(p, week).version
}

// cost prices tokens as the collector does.
func (o *Organisation) cost(model string, t tokens, at int64) int64 {
	c, _ := o.prices.Cost(model, provider, price.Usage{
		Request: true, Input: t.input, CacheRead: t.read, CacheWrite: t.write, Output: t.output,
	}, time.UnixMilli(at))
	return c.Nanos
}

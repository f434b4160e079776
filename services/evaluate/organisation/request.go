package organisation

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// request is one model request of a week, before it becomes an event.
type request struct {
	// at is its end in ms of local time, since the week began.
	at, duration int64
	session      int
	turn         int
	// warm: the turn before ended within the cache's time to live.
	warm bool
	// Tokens: the whole context, the output, and the new turn within the context.
	context, output, fresh float64
	// useful is the part of the context that work needed; all if wasted is false.
	useful       float64
	bloated      bool
	wasted       bool
	h64, target  uint64
	effects      int
	cheap        bool
	uncached     bool
	failed       bool
	unmeasured   bool // a failed request whose tokens nobody counted
	runaway      bool
	kappaAt      float64
	frontierRoll float64
}

// week plays one person's week.
type week struct {
	o    *Organisation
	p    *Person
	plan *Plan
	rng  *rand.Rand
	// requests so far; sessions counts their conversations.
	requests []request
	sessions int
	// parents maps a session to its parent plus one; short of it, none has one.
	parents map[int]int
}

// session opens a conversation with a side effect or without.
func (w *week) session() int {
	w.sessions++
	return w.sessions - 1
}

// lay places n requests in sessions of about turns requests that begin where
// begin says, and returns them without tokens.
func (w *week) lay(n int, turns float64, begin func() int64) []request {
	first := len(w.requests)
	for n > 0 {
		length := min(n, 1+int(turns*w.rng.ExpFloat64()))
		n -= length
		at, id := begin(), w.session()
		for turn := range length {
			gap := w.gap()
			duration := int64(9000 * math.Exp(.7*normal(w.rng, 3)))
			if turn > 0 {
				at += gap
			}
			at += duration
			w.requests = append(w.requests, request{
				at: w.inWeek(at), duration: duration, session: id, turn: turn + 1,
				warm: turn > 0 && gap+duration < timeToLive,
			})
		}
	}
	return w.requests[first:]
}

// gap is how long somebody thinks before the next turn.
func (w *week) gap() int64 {
	return min(40*minute, int64(160*float64(second)*math.Exp(1.0*normal(w.rng, 3))))
}

// inWeek keeps a time in the local week; what would run over ends just before
// midnight on Sunday.
func (w *week) inWeek(at int64) int64 {
	if at >= weekMs {
		return weekMs - 1 - w.rng.Int64N(10*minute)
	}
	return at
}

// office begins a session on a working day, in working hours, sometimes at the
// full hour when a meeting ends.
func (w *week) office(weights *[7]float64) func() int64 {
	return func() int64 {
		day := choose(w.rng, weights[:]...)
		span := w.p.closes - w.p.opens
		// The middle of the day is busier than its ends.
		at := w.p.opens + span*(w.rng.Float64()+w.rng.Float64()*.5)/1.5
		if w.rng.Float64() < w.p.evening {
			at = uniform(w.rng, w.p.closes, max(w.p.closes+1, 23))
		}
		if w.rng.Float64() < .15 {
			at = math.Floor(at) + w.rng.Float64()/12
		}
		return int64(day)*dayMs + int64(at*float64(hour))
	}
}

// within begins a session on a day between two hours.
func (w *week) within(day int, from, to float64) func() int64 {
	return func() int64 { return int64(day)*dayMs + int64(uniform(w.rng, from, to)*float64(hour)) }
}

// agents places n requests at any time of the week, in sessions of six hours.
func (w *week) agents(n int) []request {
	first := len(w.requests)
	for range n {
		w.requests = append(w.requests, request{at: w.rng.Int64N(weekMs), duration: 5*second + w.rng.Int64N(20*second)})
	}
	out := w.requests[first:]
	slices.SortFunc(out, func(a, b request) int { return cmp.Compare(a.at, b.at) })
	const length = 6 * hour
	for i := range out {
		q := &out[i]
		if i == 0 || q.at/length != out[i-1].at/length {
			q.session, q.turn = w.session(), 1
			continue
		}
		q.session, q.turn = out[i-1].session, out[i-1].turn+1
		q.warm = q.at-out[i-1].at < timeToLive
	}
	return out
}

// turns of a session, about.
const turns = 2.2

// draw gives requests their tokens, in proportion; scale makes them add up.
func (w *week) draw(requests []request, shift float64) {
	tool := w.p.tool
	r := tool.Correlation
	rest := math.Sqrt(1 - r*r)
	newTurn := 160.0
	if tool == &w.o.Config.Tools.Chat {
		newTurn = 90
	}
	for i := range requests {
		q := &requests[i]
		a, b := normal(w.rng, 3.5), normal(w.rng, 3.5)
		q.context = tool.Context * math.Exp(tool.ContextSD*a+shift)
		q.output = tool.Output * math.Exp(tool.OutputSD*(r*a+rest*b))
		q.fresh = min(newTurn*math.Exp(1.1*normal(w.rng, 3)), .9*q.context)
		q.h64, q.target = w.rng.Uint64(), w.target(q.session)
		q.kappaAt, q.frontierRoll = w.rng.NormFloat64(), w.rng.Float64()
		q.cheap = w.rng.Float64() < w.p.small
	}
}

// target is one of the two files or tickets that a session works on.
func (w *week) target(session int) uint64 {
	return mix(mix(w.o.Seed, uint64(w.p.Index)), uint64(w.plan.Week)<<32|uint64(session)<<1|w.rng.Uint64()&1)
}

// scale makes the tokens of requests add up to total.
func scale(requests []request, total float64) {
	var sum float64
	for i := range requests {
		sum += requests[i].context + requests[i].output
	}
	if sum == 0 {
		return
	}
	f := total / sum
	for i := range requests {
		q := &requests[i]
		q.context *= f
		q.output *= f
		q.fresh *= f
	}
}

// sink gives a share of the sessions side effects, in some of their turns.
func (w *week) sink(requests []request, share float64) {
	for from := 0; from < len(requests); {
		to := from + 1
		for to < len(requests) && requests[to].session == requests[from].session {
			to++
		}
		if w.rng.Float64() < share {
			w.affect(requests[from:to])
		}
		from = to
	}
}

// affect gives a session side effects: one turn surely, others by chance.
func (w *week) affect(session []request) {
	session[w.rng.IntN(len(session))].effects = 1 + w.rng.IntN(3)
	for i := range session {
		if w.rng.Float64() < .35 {
			session[i].effects++
		}
	}
}

// honest draws the useful requests of the week.
func (w *week) honest() {
	plan, p := w.plan, w.p
	if plan.requests == 0 {
		return
	}
	days := w.workdays()
	begin := w.office(&days)
	switch {
	case plan.Looks.Has(OnCall):
		begin = w.mostly(.35, w.night(2+int(w.rng.Uint64()%4)), begin)
	case plan.Looks.Has(Hackathon):
		begin = w.mostly(.5, w.mostly(.5, w.within(3, 9, 23.9), w.within(4, 9, 23.9)), begin)
	case plan.Looks.Has(Launch):
		begin = w.mostly(.3, w.mostly(.6, w.within(w.rng.IntN(5), 18, 23), w.within(5+w.rng.IntN(2), 10, 20)), begin)
	}
	var requests []request
	if plan.Looks.Has(AgentOperator) {
		requests = w.agents(plan.requests)
	} else {
		requests = w.lay(plan.requests, turns, begin)
	}
	w.draw(requests, plan.ratio)
	w.repeat(requests)
	w.sink(requests, p.tool.Sinks)
	if plan.Looks.Has(Codemod) {
		w.migrate(requests)
	}
	if plan.Looks.Has(AgentOperator) {
		w.delegate()
	}
	scale(requests, plan.Useful)
	w.fail(plan.Looks.Has(RetryStorm))
}

// workdays are the weights of the days: habit, this week's whim, and in the
// closing of a quarter more at its end.
func (w *week) workdays() [7]float64 {
	days := w.p.days
	for d := range days {
		days[d] *= math.Exp(.6 * normal(w.rng, 2.5))
		if w.plan.Looks.Has(QuarterClose) && lateInQuarter(w.o.date(w.plan.Week, d)) {
			days[d] *= 2
		}
	}
	return days
}

// mostly begins as a says for a share of the sessions, else as b says.
func (w *week) mostly(share float64, a, b func() int64) func() int64 {
	return func() int64 {
		if w.rng.Float64() < share {
			return a()
		}
		return b()
	}
}

// night begins a session between 22:00 and 06:00 in one of a few nights.
func (w *week) night(nights int) func() int64 {
	first := w.rng.IntN(7)
	return func() int64 {
		night := (first + w.rng.IntN(nights)) % 7
		at := int64(night)*dayMs + int64(uniform(w.rng, 22, 30)*float64(hour))
		if at >= weekMs {
			at -= weekMs // the first hours of Monday
		}
		return at
	}
}

// repeat asks a few things twice: at once, or again later.
func (w *week) repeat(requests []request) {
	for i := range requests {
		if i == 0 || w.rng.Float64() >= w.o.Config.Habits.Repeated {
			continue
		}
		from := i - 1
		if w.rng.Float64() < .4 {
			from = w.rng.IntN(i)
		}
		requests[i].h64, requests[i].target = requests[from].h64, requests[from].target
	}
}

// migrate gives most requests the same prompt, each on its own target.
func (w *week) migrate(requests []request) {
	prompt := w.rng.Uint64()
	for i := range requests {
		if w.rng.Float64() < .6 {
			requests[i].h64, requests[i].target = prompt, w.rng.Uint64()
			requests[i].effects = 1
		}
	}
}

// delegate makes most sessions of an agent operator children of another.
func (w *week) delegate() {
	w.parents = map[int]int{}
	for s := 1; s < w.sessions; s++ {
		if w.rng.Float64() < .6 {
			w.parents[s] = s - 1 - w.rng.IntN(min(s, 3)) + 1
		}
	}
}

// fail puts failed attempts before some requests, each with the same prompt and
// target; in a storm before many.
func (w *week) fail(storm bool) {
	for i := range len(w.requests) {
		tries := 0
		switch {
		case storm && w.rng.Float64() < .4:
			tries = 2 + w.rng.IntN(5)
		case w.rng.Float64() < w.o.Config.Habits.Failed:
			tries = 1
		}
		q := w.requests[i]
		q.failed, q.unmeasured, q.effects = true, true, 0
		for try := range tries {
			before := q
			before.at = max(0, q.at-q.duration-int64(tries-try)*(5*second+w.rng.Int64N(20*second)))
			before.duration = 300 + w.rng.Int64N(second)
			w.requests = append(w.requests, before)
		}
	}
}

package organisation

import (
	"math"
)

// Runaway is an agent that ran away: 20 times the p99 of its subject's requests
// in an active minute, for 10 to 30 minutes.
type Runaway struct {
	Person, Week int
	Subject      string
	// FromMs and ToMs bound it, UTC.
	FromMs, ToMs int64
	// P99 is that of the subject's active minutes before, PerMinute its rate.
	P99, PerMinute int
	Requests       int
	Tokens, Cost   int64
}

const (
	runawayFactor = 20
	// runawayFrom is the first week in which an agent may run away: before it,
	// nobody knows what is usual for anybody.
	runawayFrom = 6
)

// assignRunaways deals the runaway agents to weeks in which somebody works.
func (o *Organisation) assignRunaways() {
	rng := o.stream(forRunaways, 0, 0)
	o.runaways = map[[2]int]bool{}
	for tries := 0; len(o.runaways) < o.Config.Runaways && tries < 100*o.Config.Runaways; tries++ {
		plan := o.Plan(rng.IntN(len(o.People)), between(rng, runawayFrom, o.Config.Weeks-1))
		if plan.requests >= 20 {
			o.runaways[[2]int{plan.Person, plan.Week}] = true
		}
	}
}

// runAway adds the runaway's requests in front of all others, which are sorted.
func (w *week) runAway() {
	p99 := w.p.p99()
	length := between(w.rng, 10, 30)
	perMinute := runawayFactor * p99
	start := int64(w.rng.IntN(5))*dayMs + int64(uniform(w.rng, w.p.opens, w.p.closes-1)*float64(hour))
	session, n := w.session(), perMinute*length
	var tokens float64
	for i := range w.requests {
		tokens += w.requests[i].context + w.requests[i].output
	}
	step := float64(minute) / float64(perMinute)
	extra := make([]request, n)
	for i := range extra {
		extra[i] = request{
			at: start + int64(float64(i)*step), duration: 2 * second, session: session, turn: i + 1, warm: i > 0, runaway: true,
		}
	}
	w.draw(extra, w.plan.ratio)
	scale(extra, tokens/float64(max(1, len(w.requests)))*float64(n))
	at := w.o.weekStart(w.plan.Week) - int64(w.o.offset(w.p, w.plan.Week))*minute
	w.o.Runaways = append(w.o.Runaways, Runaway{
		Person: w.p.Index, Week: w.plan.Week, Subject: w.p.Subject, FromMs: at + start, ToMs: at + start + int64(length)*minute,
		P99: p99, PerMinute: perMinute, Requests: n,
	})
	w.requests = append(w.requests, extra...)
}

// ranAway adds to the newest runaway.
func (o *Organisation) ranAway(plan *Plan, tokens, cost int64) {
	r, row := &o.Runaways[len(o.Runaways)-1], o.row(plan)
	r.Tokens += tokens
	r.Cost += cost
	row.RunawayTokens += tokens
	row.RunawayCost += cost
}

// remember counts the requests of the active minutes of a week, which are in
// order of time; runaways are not what is usual.
func (p *Person) remember(requests []request) {
	at, n := int64(-1), 0
	add := func() {
		if n > 0 {
			p.minutes[min(n, len(p.minutes)-1)]++
		}
	}
	for i := range requests {
		if requests[i].runaway {
			continue
		}
		if m := requests[i].at / minute; m != at {
			add()
			at, n = m, 0
		}
		n++
	}
	add()
}

// p99 of the requests in an active minute so far, at least 1.
func (p *Person) p99() int {
	var all int32
	for _, c := range p.minutes {
		all += c
	}
	rank := int32(math.Ceil(.99 * float64(all)))
	for n, c := range p.minutes {
		if rank -= c; rank <= 0 && n > 0 {
			return n
		}
	}
	return 1
}

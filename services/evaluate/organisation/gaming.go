package organisation

import "math"

// game adds what a gamer burns in the week. Only then are the random numbers of
// gaming touched.
func (w *week) game() {
	useful := len(w.requests)
	for i, tactic := range w.plan.Tactics {
		if tactic == NoTactic || w.plan.waste[i] <= 0 {
			continue
		}
		w.burn(tactic, w.plan.waste[i], useful)
	}
}

// burn spends waste tokens the way of a tactic. The first useful requests of the
// week are work.
func (w *week) burn(tactic Tactic, waste float64, useful int) {
	switch tactic {
	case NoTactic:
	case ContextBloat:
		w.bloat(waste, useful)
		return
	case CacheBusting:
		for i := range w.requests[:useful] {
			w.requests[i].uncached = true
		}
	default:
	}
	extra := w.extra(tactic, w.count(tactic, waste))
	for i := range extra {
		q := &extra[i]
		q.wasted = true
		q.uncached = tactic == CacheBusting
	}
	scale(extra, waste)
}

// bloat loads the same blob into every request.
func (w *week) bloat(waste float64, useful int) {
	measured := 0
	for i := range w.requests[:useful] {
		if !w.requests[i].unmeasured {
			measured++
		}
	}
	for i := range w.requests[:useful] {
		if q := &w.requests[i]; !q.unmeasured {
			q.useful, q.bloated = q.context, true
			q.context += waste / float64(measured)
		}
	}
}

// count is how many requests the waste is spread over: at the usual size of the
// week's requests, within bounds that suit the tactic.
func (w *week) count(tactic Tactic, waste float64) int {
	usual := w.plan.Useful
	work := float64(w.plan.requests)
	if work == 0 || usual == 0 {
		usual, work = math.Exp(w.p.mu), w.o.Config.RequestsPerWeek
	}
	n := work * waste / usual
	bound := func(low, high float64) int { return int(max(low, min(high, math.Round(n)))) }
	switch tactic {
	case RoundTheClock:
		return bound(200, 500)
	case Timer:
		return bound(60, 400)
	case CheapLoop:
		n *= 3
		return bound(60, 600)
	case MinimumAdoption:
		return 1 + w.rng.IntN(2)
	case TopUp, EndSurge:
		return bound(8, 150)
	default:
		return bound(8, 400)
	}
}

// extra draws the requests of a tactic, unscaled.
func (w *week) extra(tactic Tactic, n int) []request {
	days := w.workdays()
	office := w.office(&days)
	var out []request
	switch tactic {
	case Timer:
		out = w.tick(n)
	case CheapLoop:
		out = w.loop(n)
	case RoundTheClock:
		out = w.agents(n)
	case TopUp, EndSurge, MinimumAdoption:
		out = w.lay(n, turns, w.deadline(tactic))
	default:
		out = w.lay(n, turns, office)
	}
	shift := w.plan.ratio
	if tactic == Adaptive {
		shift += .2
	}
	w.draw(out, shift)
	switch tactic {
	case Duplicates:
		w.cycle(out, 4, 1)
	case VaguePrompts:
		for i := range out {
			out[i].fresh /= 8
			out[i].output *= 4
		}
	case CheapLoop:
		w.cycle(out, 3, .5)
		for i := range out {
			out[i].cheap = true
		}
	case TopUp, EndSurge:
		w.sink(out, w.p.tool.Sinks/2)
	case Adaptive:
		w.blend(out)
		w.sink(out, .6*w.p.tool.Sinks)
	default:
	}
	return out
}

// unremarkable is the most hours of a week that an adaptive gamer is seen in.
const unremarkable = 95

// blend moves requests into hours that the week has already, once it has as many
// as an adaptive gamer dares. The requests are the last of the week.
func (w *week) blend(extra []request) {
	var used []int64
	seen := [168]bool{}
	see := func(at int64) bool {
		h := at / hour
		if !seen[h] && len(used) == unremarkable {
			return false
		}
		if !seen[h] {
			seen[h] = true
			used = append(used, h)
		}
		return true
	}
	for i := range w.requests[:len(w.requests)-len(extra)] {
		see(w.requests[i].at)
	}
	for i := range extra {
		if q := &extra[i]; !see(q.at) {
			q.at, q.warm = used[w.rng.IntN(len(used))]*hour+q.at%hour, false
		}
	}
}

// cycle gives a share of the requests one of a few prompts and targets, in turn.
func (w *week) cycle(requests []request, prompts int, share float64) {
	pool := make([][2]uint64, prompts)
	for i := range pool {
		pool[i] = [2]uint64{w.rng.Uint64(), w.rng.Uint64()}
	}
	for i := range requests {
		if w.rng.Float64() < share {
			requests[i].h64, requests[i].target = pool[i%prompts][0], pool[i%prompts][1]
		}
	}
}

// deadline begins sessions at the end of the week, or of the month.
func (w *week) deadline(tactic Tactic) func() int64 {
	g := w.p.gamer
	friday, sunday := w.within(4, 15, 20), w.within(6, 17, 23.5)
	switch {
	case tactic == EndSurge && g.monthly:
		return func() int64 {
			for {
				day := w.rng.IntN(7)
				if lateInMonth(w.o.date(w.plan.Week, day)) {
					return w.within(day, max(w.p.opens, 8), min(23, w.p.closes+3))()
				}
			}
		}
	case tactic == MinimumAdoption || !g.sunday:
		return friday
	default:
		return sunday
	}
}

// tick fires a request every few minutes of the working days.
func (w *week) tick(n int) []request {
	first := len(w.requests)
	period := int64(w.p.gamer.period) * minute
	perDay := n/5 + 1
	for day := range 5 {
		at := int64(day)*dayMs + int64(w.p.opens*float64(hour))/period*period
		id := w.session()
		for turn := range min(perDay, int(14*hour/period)) {
			w.requests = append(w.requests, request{
				at: at + w.rng.Int64N(4*second), duration: 4 * second, session: id, turn: turn + 1, warm: turn > 0 && period < timeToLive,
			})
			at += period
		}
	}
	return w.requests[first:]
}

// loop runs a few loops of rapid requests.
func (w *week) loop(n int) []request {
	first := len(w.requests)
	pause := int64(20+w.rng.IntN(25)) * second
	for day := range 5 {
		for _, from := range []float64{w.p.opens + 1, w.p.closes - 2} {
			at, id := int64(day)*dayMs+int64((from+w.rng.Float64())*float64(hour)), w.session()
			for turn := range n/10 + 1 {
				at += pause + w.rng.Int64N(second)
				w.requests = append(w.requests, request{
					at: w.inWeek(at), duration: 3 * second, session: id, turn: turn + 1, warm: turn > 0,
				})
			}
		}
	}
	return w.requests[first:]
}

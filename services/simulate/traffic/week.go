package traffic

import (
	"math"
	"math/rand/v2"

	"github.com/goodhartlabs/goodhart/services/simulate/org"
)

// How usage varies from week to week, and what it buys: ln usage is autoregressive
// with levelSD nats, and outcomes are as many as tokens to the power of returns.
const (
	levelSD          = .6
	levelPersistence = .8
	returns          = .3
	// tokensPerCall is about what a request of a session carries.
	tokensPerCall = 45_000
	// leastUsage is what counts as usage where there was none, as a share of the
	// median: people deliver without these tools, too.
	leastUsage = .01
)

// week plays the days of a person from one day up to the next Monday.
func (g *Generator) week(p *org.Person, person, from int) {
	to := from + 7 - g.weekday(from)
	to = min(to, g.cfg.Days)
	level := g.level(person, from)
	w := Work{Person: p}
	for day := from; day < to; day++ {
		if !p.Works(day) {
			continue
		}
		rng := g.stream(streamPerson, person, day)
		for range poisson(rng, sessionsPerDay(p, g.weekday(day))*g.scale*level*looks(p, day)) {
			tokens, wasted := g.claudeSession(rng, p, day)
			w.Tokens, w.Useful = w.Tokens+tokens, w.Useful+tokens-wasted
		}
	}
	w.Tokens += g.game(p, person, from, to, w.Tokens)
	days := float64(to-from) / 7
	usage := func(tokens int64) float64 {
		return math.Pow(max(leastUsage, float64(tokens)/days/g.median()), returns)
	}
	w.Outcomes, w.Usual = p.OutcomesPerWeek*usage(w.Useful), usage(w.Tokens)
	workdays := 0
	for day := from; day < to; day++ {
		if !p.Known || !p.Works(day) || g.weekday(day) >= 5 {
			continue
		}
		workdays++
		rng := g.stream(streamOutcome, person, day)
		for n := range poisson(rng, w.Outcomes/5) {
			g.object(rng, p, person, day, n)
		}
	}
	w.Outcomes, w.Usual = w.Outcomes/5*float64(workdays), w.Usual/5*float64(workdays)
	if p.Known {
		g.begun = append(g.begun, w)
	}
}

// median is about the tokens of a median person in a week.
func (g *Generator) median() float64 { return 5 * 1.5 * 8 * g.scale * g.length * tokensPerCall }

// Threshold is the target of the company: half as much again as a median week.
func (g *Generator) Threshold() int64 {
	return max(1, int64(math.Round(1.5*g.median()/100_000))) * 100_000
}

// level is how much the person uses in the week of a day, relative to usual.
func (g *Generator) level(person, day int) float64 {
	rng := g.stream(streamLevel, person, 0)
	x := levelSD * rng.NormFloat64()
	for range (day + 6) / 7 {
		x = levelPersistence*x + levelSD*math.Sqrt(1-levelPersistence*levelPersistence)*rng.NormFloat64()
	}
	return math.Exp(max(-1.5, min(1.5, x)) - levelSD*levelSD/2)
}

// looks is how much more a person uses on a day for an honest reason.
func looks(p *org.Person, day int) float64 {
	switch {
	case p.Looks(org.Launch, day):
		return 2.5
	case p.Looks(org.Training, day):
		return 2
	default:
		return 1
	}
}

// size is how much of its contexts a session reads for no reason but the look or
// the game of its person, as a factor of what it needs.
func size(p *org.Person, day int) (factor float64, wasted bool) {
	switch {
	case p.Looks(org.Migration, day), p.Looks(org.Monorepo, day):
		return 3.5, false
	case p.Tactic == org.ContextBloat && p.Games(day):
		return 5, true
	default:
		return 1, false
	}
}

// game burns what a person burns in a week, and returns the tokens.
func (g *Generator) game(p *org.Person, person, from, to int, used int64) (wasted int64) {
	if p.Tactic == "" || p.Tactic == org.ContextBloat {
		return 0
	}
	for day := from; day < to; day++ {
		if !p.Games(day) || !p.Works(day) {
			continue
		}
		rng := g.stream(streamGame, person, day)
		switch weekday := g.weekday(day); p.Tactic {
		case org.RoundTheClock:
			wasted += g.burn(rng, p, day, burning{model: modelSonnet, calls: 24, every: Hour, context: 20_000})
		case org.Timer:
			if weekday < 5 {
				wasted += g.burn(rng, p, day, burning{model: modelSonnet, from: 9, calls: 36, every: Hour / 4, context: 25_000})
			}
		case org.CheapLoop:
			if weekday < 5 {
				wasted += g.burn(rng, p, day, burning{model: modelSmall, from: 10, calls: 30, every: Hour / 30, context: 60_000})
			}
		case org.TopUp:
			if missing := g.Threshold() - used; weekday == 4 && missing > 0 {
				missing += int64(.03 * rng.ExpFloat64() * float64(g.Threshold()))
				calls := int(min(40, 1+missing/150_000))
				wasted += g.burn(rng, p, day, burning{model: modelSonnet, from: 18, calls: calls, every: Hour / 20, context: missing / int64(calls)})
			}
		case org.EndSurge:
			if weekday == 4 {
				wasted += g.burn(rng, p, day, burning{model: modelSonnet, from: 17, calls: 20, every: Hour / 12, context: 180_000})
			}
		default:
		}
	}
	return wasted
}

// burning is a series of requests that nobody needs: so many from a local hour on,
// a pause apart, each with so much context.
type burning struct {
	model   string
	from    int64
	calls   int
	every   int64
	context int64
}

// burn plays one and returns its tokens.
func (g *Generator) burn(rng *rand.Rand, p *org.Person, day int, b burning) (tokens int64) {
	s := g.session(rng, p)
	s.Gateway = false
	play := &playing{
		g: g, rng: rng, s: s, model: b.model, wasteful: true, context: b.context,
		now: g.cfg.Start + int64(day)*Day + (b.from*Hour-int64(p.OffsetMinutes)*60_000+Day)%Day,
	}
	play.step = play.now / Hour
	play.totals.first = true
	play.prompt = org.UUID(rng)
	play.activity(UserPrompt, "", true, int64(lognormal(rng, 180, 1.1, 3, 20_000)), 0)
	for begin := play.now; b.calls > 0; b.calls-- {
		play.cached, play.context = 0, b.context
		if b.context > 1_000 {
			play.cached = b.context / 2
		}
		play.now = max(play.now, begin+rng.Int64N(2_000))
		play.call(b.model, "repl_main_thread", play.context)
		begin += b.every
	}
	play.flush()
	return play.wasted
}

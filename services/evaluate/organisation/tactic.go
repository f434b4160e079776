package organisation

// Tactic is a way to burn tokens for a target.
type Tactic int

// The tactics, by the signal that names them in parentheses.
const (
	NoTactic Tactic = iota
	// ContextBloat loads one big blob into every request (S1).
	ContextBloat
	// Duplicates sends few prompts on few targets over and over (S2).
	Duplicates
	// VaguePrompts asks little and lets the model write much (S3).
	VaguePrompts
	// RoundTheClock lets agents work all hours of the week (S5a).
	RoundTheClock
	// Timer fires a request every 5 to 30 minutes of the working day (S5b).
	Timer
	// Busywork opens sessions without any effect (S6).
	Busywork
	// TopUp fills the week up to the target on its last evening, and stops (S8).
	TopUp
	// EndSurge burns in the last fifth of the week or the month (S9).
	EndSurge
	// CheapLoop loops a cheap model over the same prompts (S11).
	CheapLoop
	// CacheBusting defeats the prompt cache and sends contexts again (S12).
	CacheBusting
	// MinimumAdoption sends one trivial prompt on the Friday of an idle week (S13).
	MinimumAdoption
	// Adaptive spreads small paraphrased sessions over ordinary hours, and stops
	// at the target where it is near.
	Adaptive
	tacticEnd
)

// String names the tactic.
func (t Tactic) String() string {
	return [...]string{
		"none", "context_bloat", "duplicates", "vague_prompts", "round_the_clock", "timer", "busywork", "top_up",
		"end_surge", "cheap_loop", "cache_busting", "minimum_adoption", "adaptive",
	}[t]
}

// Tactics lists all tactics.
func Tactics() []Tactic {
	var out []Tactic
	for t := ContextBloat; t < tacticEnd; t++ {
		out = append(out, t)
	}
	return out
}

// weights are in the order of the constants, from ContextBloat.
func (w *TacticWeights) weights() []float64 {
	return []float64{
		w.ContextBloat, w.Duplicates, w.VaguePrompts, w.RoundTheClock, w.Timer, w.Busywork, w.TopUp, w.EndSurge,
		w.CheapLoop, w.CacheBusting, w.MinimumAdoption,
	}
}

// gamer is how a person games.
type gamer struct {
	tactics [2]Tactic
	// intensity is the factor on the person's tokens that is aimed at.
	intensity float64
	weeks     span
	adaptive  bool
	// monthly: the surge is at the end of the month.
	monthly bool
	// sunday: what is done at the end of the week is done on Sunday evening
	// instead of Friday afternoon.
	sunday bool
	// chases the weekly target and stops there, if it is in reach.
	chases bool
	// period of the timer in minutes.
	period int
}

// assignGamers picks the gamers of the organisation and their habits.
func (o *Organisation) assignGamers() {
	cfg := &o.Config.Gamers
	rng := o.stream(forGamers, 0, 0)
	var pool []*Person
	for _, p := range o.People {
		// An automaton's or a newcomer's own irregularity would hide what is told of them.
		if p.agents.from == p.agents.to && !p.cron && p.joined < o.Config.AnnouncedWeek-4 {
			pool = append(pool, p)
		}
	}
	rng.Shuffle(len(pool), func(i, j int) { pool[i], pool[j] = pool[j], pool[i] })
	want := int(cfg.Prevalence*float64(len(o.People)) + .5)
	for _, p := range pool[:min(want, len(pool))] {
		p.gamer = o.newGamer(p)
	}
}

func (o *Organisation) newGamer(p *Person) *gamer {
	cfg := &o.Config.Gamers
	rng := o.stream(forGamers, p.Index+1, 0)
	g := &gamer{intensity: uniform(rng, cfg.Intensity[0], cfg.Intensity[1])}
	g.period = []int{5, 10, 15, 30}[choose(rng, .1, .2, .2, .5)]
	g.monthly, g.sunday, g.chases = rng.Float64() < cfg.Monthly, rng.Float64() < .5, rng.Float64() < .3
	g.adaptive = rng.Float64() < cfg.Adaptive
	from := o.Config.AnnouncedWeek + between(rng, 0, 4)
	to := o.Config.Weeks
	if rng.Float64() < cfg.Stop {
		to = between(rng, min(from+4, to), to)
	}
	if g.adaptive {
		from = o.Config.AnnouncedWeek + between(rng, 0, 1)
		g.tactics[0] = Adaptive
		g.weeks = span{from, max(to, from+1)}
		return g
	}
	g.weeks = span{from, max(to, from+1)}
	g.tactics[0] = o.naiveTactic(p, rng.Float64())
	mixed, second := rng.Float64() < cfg.Mixed, o.naiveTactic(p, rng.Float64())
	if mixed && second != g.tactics[0] && g.mixes() && second != TopUp && second != MinimumAdoption {
		g.tactics[1] = second
	}
	return g
}

// mixes reports whether the first tactic leaves room for another.
func (g *gamer) mixes() bool { return g.tactics[0] != TopUp && g.tactics[0] != MinimumAdoption }

// naiveTactic picks what suits the person: who is near the target tops up, who
// hardly uses the tools does the minimum.
func (o *Organisation) naiveTactic(p *Person, r float64) Tactic {
	w := o.Config.Gamers.Tactics.weights()
	gap := p.mu - lnf(o.Config.Target.WeeklyTokens)
	if gap < -1.3 || gap > 0 || p.sd > 1.2 {
		w[TopUp-ContextBloat] = 0
	} else {
		w[TopUp-ContextBloat] *= 4 // few are near: about as many top up as do anything else
	}
	if p.active > .85 {
		w[MinimumAdoption-ContextBloat] = 0
	} else {
		w[MinimumAdoption-ContextBloat] *= 4
	}
	var sum float64
	for _, x := range w {
		sum += x
	}
	r *= sum
	for i, x := range w {
		if r < x {
			return ContextBloat + Tactic(i)
		}
		r -= x
	}
	return ContextBloat
}

package org

import (
	"math"
	"math/rand/v2"
	"time"
)

// Days of a company with a story: there must be history before a target is
// announced, and weeks under it afterwards.
const (
	storyDays = 17 * 7
	// underTarget is how many days before the period's end the target is announced,
	// at the least: it is the Monday before.
	underTarget = 6 * 7
	// gamers is the share of the people who game the target, where they are asked.
	gamers = .25
	// outOfHand is how many days before the announcement a service runs away.
	outOfHand = 10
)

// Tactic is how a person games the target.
type Tactic string

// The tactics. None of them changes what the person delivers.
const (
	// ContextBloat loads files nobody asked for into every request.
	ContextBloat Tactic = "context_bloat"
	// RoundTheClock has an agent ask something every hour of the week.
	RoundTheClock Tactic = "round_the_clock"
	// Timer fires a request every quarter of an hour of the working day.
	Timer Tactic = "timer"
	// CheapLoop loops a cheap model.
	CheapLoop Tactic = "cheap_loop"
	// TopUp fills the week up to the target on its last evening.
	TopUp Tactic = "top_up"
	// EndSurge burns on the last evening of the week, target or not.
	EndSurge Tactic = "end_surge"
)

// Look is an honest way to look unusual.
type Look string

// The looks. What is done so is work.
const (
	// OnCall agents work through the night, and always have.
	OnCall Look = "on_call"
	// Training makes a person use the tool twice as much, for good.
	Training Look = "training"
	// Launch is two weeks in which a whole team uses more.
	Launch Look = "launch"
	// Migration is declared: a team reads much old code for four weeks.
	Migration Look = "migration"
	// Monorepo is a team whose contexts grow for good, which nobody declares.
	Monorepo Look = "monorepo"
)

// Target is a number of tokens a week that everybody is asked for.
type Target struct {
	ID string
	// Announced is the day on which people hear of it, a Monday.
	Announced int
}

// lostCache is how many days before the period's end the first service loses its
// cache.
const lostCache = 4 * 7

// Runaway is a service that repeats itself until somebody stops it.
type Runaway struct {
	// Service is its index in Org.Services.
	Service int
	// Hour of the period in which it begins, and for how many hours it goes on.
	Hour, Hours int
}

// tell gives a company whose period is long enough a target, those who game it,
// and those who only look as if.
func (o *Org) tell(seed uint64, days int, start time.Time) {
	if days < storyDays {
		return
	}
	rng := rand.New(rand.NewPCG(seed, 0x5708))
	announced := days - underTarget
	for start.AddDate(0, 0, announced).Weekday() != time.Monday {
		announced--
	}
	o.Target = &Target{ID: "weekly-tokens", Announced: announced}
	o.LostCache = days - lostCache
	o.Runaway = &Runaway{Hour: (announced-outOfHand)*24 + 13, Hours: 4}
	large := o.Teams[:len(o.Teams)-1]
	for i, n := range rng.Perm(len(large))[:3] {
		o.together(large[n], []Look{Launch, Migration, Monorepo}[i], announced)
	}
	tempted := 0.0
	for _, p := range o.People {
		p.tempt(rng, o.Target.Announced, days, math.Mod(tempted*math.Phi, 1))
		if p.Tactic != "" {
			tempted++ // multiples of the golden ratio spread evenly: each tactic has its share
		}
	}
}

// together gives a look to everybody who is in a team at its beginning.
func (o *Org) together(team string, look Look, announced int) {
	from, to := announced-3*7, announced-7
	switch look {
	case Migration:
		from, to = announced-6*7, announced-2*7
		o.Migrating = team
	case Monorepo:
		from, to = announced-4*7, forGood
	default:
	}
	for _, p := range o.People {
		if p.Known && len(p.Memberships) == 1 && p.Memberships[0].Team == team && p.Look == "" {
			p.Look, p.LookFrom, p.LookTo = look, from, to
		}
	}
}

// forGood is a day after every period.
const forGood = 1 << 20

// tempt makes some people game, and trains some of the others. Who games has been
// there before, and reports requests one by one; kind, from 0 to 1, says how.
func (p *Person) tempt(rng *rand.Rand, announced, days int, kind float64) {
	games, onset, trained := rng.Float64() < gamers, announced+rng.IntN(10), rng.Float64() < .04
	there := p.Mapped() && p.From == 0 && p.To == days && p.Reporting != MetricsOnly && p.Look == ""
	switch {
	case !there:
	case games:
		p.Tactic, p.Onset = p.tactic(kind), onset
	case trained:
		p.Look, p.LookFrom, p.LookTo = Training, announced-5*7, forGood
	}
}

// tactic is what suits the person: contexts can be bloated by who has many, and
// who is far from the target tops up.
func (p *Person) tactic(r float64) Tactic {
	tactics := []Tactic{RoundTheClock, Timer, CheapLoop, EndSurge, TopUp}
	weights := []float64{.07, .09, .06, .22, .56}
	if p.Weight > 3 {
		tactics[4] = ContextBloat
	}
	for i, w := range weights {
		if r < w {
			return tactics[i]
		}
		r -= w
	}
	return tactics[len(tactics)-1]
}

// Games reports whether the person games the target on a day.
func (p *Person) Games(day int) bool { return p.Tactic != "" && day >= p.Onset }

// Looks reports whether the person looks so on a day.
func (p *Person) Looks(look Look, day int) bool {
	return p.Look == look && day >= p.LookFrom && day < p.LookTo
}

package organisation

import (
	"math"
)

// PersonWeek is what happened to a person in a week of local time, summed over
// the events that were yielded.
type PersonWeek struct {
	*Plan
	Requests, Failed int
	// Tokens and Cost (nano-USD) are all; Wasted and WastedCost those of gaming
	// and RunawayTokens and RunawayCost those of runaway agents among them.
	Tokens, Wasted, RunawayTokens int64
	Cost, WastedCost, RunawayCost int64
	// Delivered outcomes were begun in this week and done before the period's
	// end, Reverted of them taken back before it.
	Delivered, Reverted int
}

// ServiceWeek is what a team's machine did in a week of UTC.
type ServiceWeek struct {
	ID           string
	Team, Week   int
	Requests     int
	Tokens, Cost int64
}

// Episode is a stretch of gaming by one person with one tactic.
type Episode struct {
	Person, Team int
	Subject      string
	Tactic       Tactic
	// Second is the other tactic of a mixed gamer.
	Second    Tactic
	Adaptive  bool
	Intensity float64
	// Monthly: a surge at the end of months; Derived: hashes, ratios and side
	// effects are known.
	Monthly, Derived bool
	// From and To are the first and the last week with waste.
	From, To int
	// Wasted are the planned tokens.
	Wasted float64
}

// Context is something that the organisation knows about itself: automations
// on the registry, rotations, migrations, vacations. Not all of it is declared.
type Context struct {
	// Kind is automation, on_call, migration or vacation.
	Kind string
	// Person is -1 for what concerns a whole team or a service.
	Person, Team int
	// Service is the id of a service.
	Service string
	// From and To bound it in weeks, To exclusive.
	From, To int
	Declared bool
}

// row is the truth of a plan.
func (o *Organisation) row(plan *Plan) *PersonWeek {
	return &o.rows[plan.Person*o.Config.Weeks+plan.Week]
}

// Truth holds a row for each person and week, in the order of Plans, once all
// records were read.
func (o *Organisation) Truth() []PersonWeek { return o.rows }

// ServiceTruth holds a row for each service and week.
func (o *Organisation) ServiceTruth() []ServiceWeek {
	var out []ServiceWeek
	for _, s := range o.services {
		out = append(out, s.rows...)
	}
	return out
}

// Episodes lists the gaming, by person. It is known before any record is read.
func (o *Organisation) Episodes() []Episode {
	var out []Episode
	for _, p := range o.People {
		if p.gamer == nil {
			continue
		}
		e := Episode{
			Person: p.Index, Subject: p.Subject, Tactic: p.gamer.tactics[0], Second: p.gamer.tactics[1], Adaptive: p.gamer.adaptive,
			Intensity: p.gamer.intensity, Monthly: p.gamer.monthly && p.gamer.tactics[0] == EndSurge, Derived: p.Derived, From: -1,
		}
		for week := range o.Config.Weeks {
			plan := o.Plan(p.Index, week)
			if plan.Wasted == 0 {
				continue
			}
			if e.From < 0 {
				e.From, e.Team = week, plan.Team
			}
			e.To = week
			e.Wasted += plan.Wasted
		}
		if e.From >= 0 {
			out = append(out, e)
		}
	}
	return out
}

// Excess is the true share of the tokens, and of the cost, of persons in the
// weeks from to to (exclusive) that gaming wasted. All records must have been read.
func (o *Organisation) Excess(from, to int) (tokens, cost float64) {
	var all, wasted, paid, lost float64
	for i := range o.rows {
		r := &o.rows[i]
		if r.Week >= from && r.Week < to {
			all += float64(r.Tokens)
			wasted += float64(r.Wasted)
			paid += float64(r.Cost)
			lost += float64(r.WastedCost)
		}
	}
	return wasted / max(1, all), lost / max(1, paid)
}

// PlannedExcess is Excess of tokens, by the plans.
func (o *Organisation) PlannedExcess(from, to int) float64 {
	var all, wasted float64
	for i := range o.Plans {
		if p := &o.Plans[i]; p.Week >= from && p.Week < to {
			all += p.Tokens()
			wasted += p.Wasted
		}
	}
	return wasted / max(1, all)
}

// AllTeams stands for everybody.
const AllTeams = -1

// Efficiency is what a team truly gets for its tokens in some weeks (to
// exclusive), relative to people of the same roles with average luck who spend
// the same tokens on work alone. 1 is average; waste lowers it. AllTeams is a
// team, too.
func (o *Organisation) Efficiency(team, from, to int) float64 {
	var got, usual float64
	for i := range o.Plans {
		p := &o.Plans[i]
		if team != AllTeams && p.Team != team || p.Week < from || p.Week >= to {
			continue
		}
		got += p.Expected
		usual += o.Usual(p)
	}
	return got / max(1e-9, usual)
}

// Usual are the outcomes of somebody in the same role, with average luck, who
// spends the tokens of a plan on work alone.
func (o *Organisation) Usual(p *Plan) float64 {
	return o.People[p.Person].role.OutcomesPerWeek * math.Pow(p.Tokens()/o.Config.Tokens.Median, o.Config.Outcomes.Elasticity)
}

// Contexts lists what could be declared, by person, then by team.
func (o *Organisation) Contexts() []Context {
	var out []Context
	rng := o.stream(forLooks, 3, 0)
	add := func(c Context) {
		// Automations are registered; the rest is declared more or less.
		c.Declared = rng.Float64() < o.Config.LookAlikes.Declared || c.Kind == "automation"
		if c.To > c.From {
			out = append(out, c)
		}
	}
	for _, p := range o.People {
		about := Context{Person: p.Index, Team: p.teams[0].team}
		with := func(kind string, s span) {
			c := about
			c.Kind, c.From, c.To = kind, s.from, s.to
			add(c)
		}
		if p.cron {
			with("automation", span{p.joined, o.Config.Weeks})
		}
		with("migration", p.codemod)
		for week := range o.Config.Weeks {
			if o.Plan(p.Index, week).Looks.Has(OnCall) {
				with("on_call", span{week, week + 1})
			}
		}
		for _, v := range p.away {
			with("vacation", span{v.week, v.week + 1})
		}
	}
	for _, t := range o.Teams {
		if t.changed > 0 {
			add(Context{Kind: "migration", Person: -1, Team: t.Index, From: t.changed, To: t.changed + 2})
		}
		if t.monorepo > 0 {
			add(Context{Kind: "migration", Person: -1, Team: t.Index, From: t.monorepo, To: t.monorepo + 4})
		}
	}
	for _, s := range o.services {
		add(Context{Kind: "automation", Person: -1, Team: s.team, Service: s.id, To: o.Config.Weeks})
	}
	return out
}

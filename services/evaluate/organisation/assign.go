package organisation

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// assignPersonLooks deals the look-alikes of persons. Those that change what
// somebody does exclude each other, as do those that change where and when.
func (o *Organisation) assignPersonLooks() {
	c := &o.Config.LookAlikes
	rng := o.stream(forLooks, 1, 0)
	deal := func(from []*Person, share float64, give func(*Person)) []*Person {
		n := min(len(from), int(math.Round(share*float64(len(o.People)))))
		for _, p := range from[:n] {
			give(p)
		}
		return from[n:]
	}
	byLevel := slices.Clone(o.People)
	slices.SortFunc(byLevel, func(a, b *Person) int { return cmp.Compare(b.mu, a.mu) })
	deal(byLevel, c.HeavyUser, func(p *Person) { p.heavy = true })

	what := o.shuffled(rng)
	what = deal(what, c.AgentOperator, func(p *Person) { o.giveAgents(rng, p) })
	what = deal(what, c.LongContext, func(p *Person) { o.giveLong(rng, p) })
	what = deal(what, c.Codemod, func(p *Person) { p.codemod = o.episode(rng, 1, 3) })
	what = deal(what, c.OnCall, func(p *Person) { p.onCall = between(rng, 4, 6); p.onCallAt = rng.IntN(p.onCall) })
	what = deal(what, c.RetryStorm, func(p *Person) { p.storm = o.episode(rng, 1, 1).from })
	what = deal(what, c.Training, func(p *Person) {
		p.training = o.trainingWeek(rng)
		p.trainBy = uniform(rng, .5, 1.2)
	})
	deal(what, c.ReportCron, func(p *Person) { p.cron, p.hourly = true, rng.Float64() < .5 })

	where := o.shuffled(rng)
	where = deal(where, c.PartTime, func(p *Person) { givePartTime(rng, p) })
	where = deal(where, c.Travel, func(p *Person) {
		p.travel = o.episode(rng, 1, 2)
		p.travelBy = []int{-540, -360, 210, 360, 480}[rng.IntN(5)]
	})
	where = deal(where, c.NewHire, func(p *Person) { p.joined = between(rng, 3, o.Config.Weeks-10) })
	deal(where, c.TeamMove, func(p *Person) {
		to := (p.teams[0].team + 1 + rng.IntN(max(1, len(o.Teams)-1))) % len(o.Teams)
		p.teams = append(p.teams, stay{between(rng, 4, o.Config.Weeks-4), to})
	})
	deal(o.shuffled(rng), c.Vacation, func(p *Person) { o.giveVacation(rng, p) })
}

func (o *Organisation) shuffled(rng *rand.Rand) []*Person {
	people := slices.Clone(o.People)
	rng.Shuffle(len(people), func(i, j int) { people[i], people[j] = people[j], people[i] })
	return people
}

// episode draws some weeks anywhere but at the very start.
func (o *Organisation) episode(rng *rand.Rand, shortest, longest int) span {
	weeks := between(rng, shortest, longest)
	from := between(rng, 5, o.Config.Weeks-weeks-1)
	return span{from, from + weeks}
}

func (o *Organisation) giveAgents(rng *rand.Rand, p *Person) {
	p.agents = span{0, o.Config.Weeks}
	if rng.Float64() < .5 {
		p.agents.from = between(rng, 6, o.Config.Weeks-6)
	}
}

func (o *Organisation) giveLong(rng *rand.Rand, p *Person) {
	p.longBy = uniform(rng, 1.1, 1.8)
	p.long = span{0, o.Config.Weeks}
	if rng.Float64() < .5 {
		p.long = o.episode(rng, 4, 10)
	}
}

// trainingWeek is one of three dates of the organisation.
func (o *Organisation) trainingWeek(rng *rand.Rand) int {
	return o.Config.Weeks * (1 + rng.IntN(3)) / 4
}

func givePartTime(rng *rand.Rand, p *Person) {
	p.partTime = true
	days := rng.Perm(5)
	for _, d := range days[:between(rng, 2, 3)] {
		p.days[d] = 0
	}
	p.days[5], p.days[6] = 0, 0
}

// giveVacation takes one or two stretches of one to three weeks, the last of
// them sometimes only in part.
func (o *Organisation) giveVacation(rng *rand.Rand, p *Person) {
	for range between(rng, 1, 2) {
		away := o.episode(rng, 1, 3)
		for week := away.from; week < away.to; week++ {
			left := 0.0
			if week == away.to-1 && rng.Float64() < .4 {
				left = uniform(rng, .2, .6)
			}
			p.away = append(p.away, vacation{week, left})
		}
	}
}

// assignTeamLooks deals the look-alikes of teams.
func (o *Organisation) assignTeamLooks() {
	c := &o.Config.LookAlikes.Teams
	rng := o.stream(forLooks, 2, 0)
	deal := func(share float64, give func(*Team)) {
		teams := slices.Clone(o.Teams)
		rng.Shuffle(len(teams), func(i, j int) { teams[i], teams[j] = teams[j], teams[i] })
		n := min(len(teams), max(1, int(math.Round(share*float64(len(teams))))))
		for _, t := range teams[:n] {
			give(t)
		}
	}
	deal(c.Launch, func(t *Team) { t.launch, t.launchBy = o.episode(rng, 2, 3), uniform(rng, .4, .9) })
	deal(c.Hackathon, func(t *Team) { t.hackathon = o.episode(rng, 1, 1).from })
	deal(c.QuarterClose, func(t *Team) { t.quarter = true })
	deal(c.Monorepo, func(t *Team) { t.monorepo = o.episode(rng, 1, 1).from })
	deal(c.ModelChange, func(t *Team) {
		s := o.Config.Models.Successors[rng.IntN(len(o.Config.Models.Successors))]
		available, _ := day(s.Available) // Validate parsed it
		earliest := max(5, int((available.UnixMilli()-o.start)/weekMs)+1)
		if latest := o.Config.Weeks - 4; earliest <= latest {
			t.changed, t.successor = between(rng, earliest, latest), s.Model
		}
	})
	deal(c.ReportService, func(t *Team) { t.reportService = true })
	deal(c.BuildService, func(t *Team) { t.builder = true })
}

package organisation

import (
	"math"
	"math/rand/v2"
)

// Plan is what is decided about a person's week before any event is drawn.
// Tokens are expectations; events differ by rounding, and by registered reports.
type Plan struct {
	Person, Week, Team int
	// Useful tokens are those that can buy outcomes, Wasted those that cannot.
	Useful, Wasted float64
	// Expected is the mean of Outcomes, which are begun in this week.
	Expected float64
	Outcomes int
	Looks    Look
	// Tactics are those used in this week; the second is mostly NoTactic.
	Tactics   [2]Tactic
	Intensity float64
	Adaptive  bool

	requests int
	// left is the share of the week's work that is done.
	left float64
	// ratio shifts ln context.
	ratio float64
	waste [2]float64
}

// Tokens are all planned tokens.
func (p *Plan) Tokens() float64 { return p.Useful + p.Wasted }

// plan decides every person's weeks.
func (o *Organisation) plan() {
	o.Plans = make([]Plan, 0, len(o.People)*o.Config.Weeks)
	for _, p := range o.People {
		rng := o.stream(forPlan, p.Index, 0)
		t := &o.Config.Tokens
		fresh := math.Sqrt(1 - t.Autoregression*t.Autoregression)
		x := p.sd * normal(rng, 2.5)
		for week := range o.Config.Weeks {
			x = t.Autoregression*x + fresh*p.sd*normal(rng, 2.5)
			o.Plans = append(o.Plans, o.planWeek(rng, p, week, x))
		}
	}
}

// Plan is the row of a person and a week.
func (o *Organisation) Plan(person, week int) *Plan { return &o.Plans[person*o.Config.Weeks+week] }

func (o *Organisation) planWeek(rng *rand.Rand, p *Person, week int, x float64) Plan {
	plan := Plan{Person: p.Index, Week: week, Team: p.Team(week)}
	idle, spread, size := rng.Float64() > p.active, rng.NormFloat64(), rng.Uint64()
	ln := p.mu + x + o.circumstances(p, week, &plan)
	if plan.left > 0 && (!idle || plan.Looks.Has(AgentOperator)) {
		plan.Useful = math.Exp(ln + math.Log(plan.left))
		plan.requests = o.requestCount(p, &plan, spread, size)
	}
	out := &o.Config.Outcomes
	if plan.Useful > 0 {
		plan.Expected = p.lambda * o.Teams[plan.Team].Factor * math.Pow(plan.Useful/o.Config.Tokens.Median, out.Elasticity)
	}
	plan.Outcomes = poisson(o.stream(forOutcomes, p.Index, week), plan.Expected)
	o.planWaste(p, &plan)
	return plan
}

// circumstances sets what happens in the week and returns what it adds to ln
// tokens.
func (o *Organisation) circumstances(p *Person, week int, plan *Plan) float64 {
	plan.left, plan.ratio = o.workLeft(p, week), p.ratio
	var ln float64
	when := func(yes bool, look Look, add float64) {
		if yes {
			plan.Looks |= look
			ln += add
		}
	}
	team := o.Teams[plan.Team]
	since := func(start, weeks int) bool { return start > 0 && week >= start && week < start+weeks }
	when(p.heavy, HeavyUser, 0)
	when(p.partTime, PartTime, 0)
	when(p.cron, ReportCron, 0)
	when(p.agents.has(week), AgentOperator, .5)
	when(p.codemod.has(week), Codemod, .8)
	when(p.onCall > 0 && week%p.onCall == p.onCallAt, OnCall, .25)
	when(p.storm == week && week > 0, RetryStorm, 0)
	when(p.travel.has(week), Travel, 0)
	when(p.returned(week), Vacation, .35)
	when(plan.left < 1 && p.isAway(week), Vacation, 0)
	when(since(p.joined, 8), NewHire, 0)
	when(since(p.joined, 4), 0, math.Log(.3+.2*float64(week-p.joined)))
	when(len(p.teams) > 1 && since(p.teams[len(p.teams)-1].from, 4), TeamMove, 0)
	when(since(p.training, 8), Training, 0)
	when(p.training > 0 && week >= p.training, 0, p.trainBy)
	when(team.launch.has(week), Launch, team.launchBy)
	when(team.hackathon > 0 && week == team.hackathon, Hackathon, .8)
	when(team.quarter && o.quarterCloses(week), QuarterClose, .6)
	when(since(team.changed, 6), ModelChange, 0)
	when(since(team.monorepo, 8), Monorepo, 0)
	when(p.role.Tool == toolCode && o.client(p, week).broken, CacheLoss, 0)
	if p.long.has(week) {
		plan.Looks |= LongContext
		plan.ratio += p.longBy
	}
	if team.changed > 0 && week >= team.changed {
		plan.ratio += .3
	}
	if team.monorepo > 0 && week >= team.monorepo {
		plan.ratio += .9
	}
	return ln
}

// workLeft is the share of a week's work that a person does.
func (o *Organisation) workLeft(p *Person, week int) float64 {
	if week < p.joined {
		return 0
	}
	left := 1.0
	for _, h := range o.Config.Habits.Holidays {
		if monday, _ := day(h.Week); o.weekOf(monday) == week {
			left = h.Left
		}
	}
	for _, v := range p.away {
		if v.week == week {
			left = min(left, v.left)
		}
	}
	return left
}

func (p *Person) isAway(week int) bool {
	for _, v := range p.away {
		if v.week == week {
			return true
		}
	}
	return false
}

// returned reports whether the week is the first after a vacation.
func (p *Person) returned(week int) bool { return p.isAway(week-1) && !p.isAway(week) }

func (o *Organisation) quarterCloses(week int) bool {
	days := 0
	for d := range 5 {
		if lateInQuarter(o.date(week, d)) {
			days++
		}
	}
	return days >= 3
}

// maxRequests bounds a person's honest requests a week.
const maxRequests = 400

// requestCount grows almost with the tokens of light weeks and slowly with those
// of heavy ones, whose requests become larger instead.
func (o *Organisation) requestCount(p *Person, plan *Plan, spread float64, size uint64) int {
	r := plan.Useful / o.Config.Tokens.Median
	power := .4
	if r < 1 {
		power = .85
	}
	mean := o.Config.RequestsPerWeek * p.size * math.Pow(r, power) * math.Exp(.15*max(-3, min(3, spread)))
	n := poisson(rand.New(rand.NewPCG(size, 0)), min(mean, maxRequests))
	if plan.Looks.Has(AgentOperator) {
		n = max(n, 210+int(size%260))
	}
	return max(1, n)
}

// planWaste decides what a gamer burns in the week.
func (o *Organisation) planWaste(p *Person, plan *Plan) {
	g := p.gamer
	if g == nil || !g.weeks.has(plan.Week) || p.isAway(plan.Week) {
		return
	}
	rng := o.stream(forWaste, p.Index, plan.Week)
	rest, jitter, over := rng.Float64() < .08, .15*normal(rng, 2.5), rng.ExpFloat64()
	if rest {
		return
	}
	for i, tactic := range g.tactics {
		if tactic == NoTactic {
			continue
		}
		if tactic == Adaptive && plan.Useful == 0 {
			tactic = MinimumAdoption // the other target
		}
		waste := o.wasteOf(p, plan, tactic, jitter, over)
		if g.tactics[1] != NoTactic {
			waste /= 2
		}
		if waste <= 0 {
			continue
		}
		plan.Tactics[i], plan.waste[i] = tactic, waste
		plan.Wasted += waste
		plan.Intensity, plan.Adaptive = g.intensity, g.adaptive
	}
	if plan.Tactics[0] == NoTactic {
		plan.Tactics[0], plan.Tactics[1] = plan.Tactics[1], NoTactic
		plan.waste[0], plan.waste[1] = plan.waste[1], 0
	}
}

// wasteOf is what one tactic burns: a multiple of the week's work where the
// gamer does it along with that, of the usual week where a machine does it.
func (o *Organisation) wasteOf(p *Person, plan *Plan, tactic Tactic, jitter, over float64) float64 {
	g := p.gamer
	target := o.Config.Target.WeeklyTokens
	factor := (g.intensity - 1) * math.Exp(jitter)
	usual := math.Exp(p.mu + .25*p.sd*p.sd)
	switch tactic {
	case RoundTheClock, Timer, CheapLoop:
		return factor * usual
	case TopUp:
		if plan.Useful == 0 || plan.Useful >= target || target/plan.Useful > o.Config.Gamers.Intensity[1] {
			return 0
		}
		return target*(1+.03*over) - plan.Useful
	case MinimumAdoption:
		if plan.Useful > 0 {
			return 0
		}
		return .003 * usual
	case EndSurge:
		if !g.monthly {
			return factor * plan.Useful
		}
		return factor * usual * 4.35 * float64(o.lateDays(plan.Week)) / 6
	case Adaptive:
		ramp := min(1, float64(1+plan.Week-g.weeks.from)/2)
		aim := plan.Useful * (1 + (g.intensity-1)*ramp) * math.Exp(jitter)
		if g.chases && plan.Useful > 0 && plan.Useful < target && aim >= target {
			aim = target * (1 + .06*over)
		}
		return aim - plan.Useful
	default:
		return factor * plan.Useful
	}
}

// lateDays counts the days of a week that lie in the last fifth of their month.
func (o *Organisation) lateDays(week int) int {
	n := 0
	for d := range 7 {
		if lateInMonth(o.date(week, d)) {
			n++
		}
	}
	return n
}

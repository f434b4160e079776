package organisation

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/identity"
	"github.com/goodhartlabs/goodhart/pkg/price"
)

const (
	minTeam, maxTeam = 5, 30
	toolCode         = "code"
	toolChat         = "chat"
	// timeToLive of a prompt cache.
	timeToLive = 5 * minute
)

// Person is one member of the organisation.
type Person struct {
	Index int
	// ID is the id in the people file, Email the only identity there.
	ID, Email string
	// Subject is the pseudonym in events.
	Subject string
	Role    string
	// Derived: the person's tool reports hashes, ratios and side effects.
	Derived bool

	role *RoleConfig
	tool *ToolConfig
	// mu and sd are the usual ln weekly tokens and how they vary.
	mu, sd float64
	// active is the chance of using the tools at all in a worked week, lambda the
	// outcomes a week at the median of tokens.
	active, lambda float64
	// size is the person's own factor on requests, ratio a shift of ln context.
	size, ratio float64
	// cached is the share of a context that caches serve, frontier the share of
	// requests to the dearest model, small that to the cheapest.
	cached          float64
	frontier, small float64
	days            [7]float64
	// opens and closes bound the working day, in local hours; evening is the share
	// of sessions after it.
	opens, closes, evening float64
	// lag is how many weeks after a release the client is upgraded, by release.
	lag []int

	teams    []stay
	joined   int
	agents   span
	long     span
	longBy   float64
	codemod  span
	onCall   int // every so many weeks, from week onCallAt
	onCallAt int
	storm    int
	away     []vacation
	partTime bool
	travel   span
	travelBy int // minutes
	training int
	trainBy  float64
	cron     bool
	hourly   bool
	heavy    bool

	gamer *gamer
	// minutes counts the active minutes so far by their number of requests.
	minutes [64]int32
}

// stay is a membership from a week on.
type stay struct{ from, team int }

// vacation is a week with only a part of the work left.
type vacation struct {
	week int
	left float64
}

// Looks are the classes that ever apply to the person itself; those of teams
// and of the client are in the weeks.
func (p *Person) Looks() Look {
	var l Look
	for _, c := range []struct {
		yes  bool
		look Look
	}{
		{p.heavy, HeavyUser},
		{p.agents.to > p.agents.from, AgentOperator},
		{p.long.to > p.long.from, LongContext},
		{p.codemod.to > p.codemod.from, Codemod},
		{p.onCall > 0, OnCall},
		{p.storm > 0, RetryStorm},
		{len(p.away) > 0, Vacation},
		{p.partTime, PartTime},
		{p.travel.to > p.travel.from, Travel},
		{p.joined > 0, NewHire},
		{len(p.teams) > 1, TeamMove},
		{p.training > 0, Training},
		{p.cron, ReportCron},
	} {
		if c.yes {
			l |= c.look
		}
	}
	return l
}

// Joined is the person's first week.
func (p *Person) Joined() int { return p.joined }

// Team is the index of the person's team in a week.
func (p *Person) Team(week int) int {
	team := p.teams[0].team
	for _, s := range p.teams[1:] {
		if week >= s.from {
			team = s.team
		}
	}
	return team
}

// Team is one team.
type Team struct {
	Index int
	Name  string
	// Offset is the time zone, minutes east of UTC.
	Offset int
	// Factor is the team's own factor on outcomes.
	Factor float64

	launch                 span
	launchBy               float64
	hackathon              int
	quarter                bool
	changed                int // week of the change of model, 0: none
	successor              string
	monorepo               int
	reportService, builder bool
}

// Organisation is a company that was decided upon: who is there, what will
// happen, who games. It generates events once.
type Organisation struct {
	Seed   uint64
	Config Config
	People []*Person
	Teams  []*Team
	// Plans holds a row for each person and week: Plans[person*weeks+week].
	Plans []Plan
	// Runaways are the runaway agents, once they were generated.
	Runaways []Runaway

	start    int64
	releases []release
	prices   *price.Book
	people   *identity.Directory
	stamper  *event.Stamper
	fleet    event.Credential
	delivery event.Credential
	rows     []PersonWeek
	services []*service
	// repositories of each team, by name.
	repositories [][repositories]string
	runaways     map[[2]int]bool // by person and week

	// pending are records whose time has not come, free those to be used again.
	pending []waiting
	free    []*record
	count   uint64
	begun   bool
}

// release is a version of the client.
type release struct {
	week    int
	version string
	// broken: it does not cache.
	broken bool
}

// New decides an organisation. The same seed and configuration give the same
// organisation, and the same events.
func New(seed uint64, c Config) (*Organisation, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("organisation: %w", err)
	}
	start, _ := day(c.Start) // Validate parsed it
	o := &Organisation{Seed: seed, Config: c, start: start.UnixMilli(), prices: price.Embedded()}
	o.makeTeams()
	o.makeReleases()
	o.makePeople()
	o.assignPersonLooks()
	o.assignTeamLooks()
	o.assignGamers()
	o.makeServices()
	if err := o.makeIdentities(); err != nil {
		return nil, fmt.Errorf("organisation: %w", err)
	}
	o.plan()
	o.assignRunaways()
	return o, nil
}

// makeTeams draws the teams, their time zones and luck.
func (o *Organisation) makeTeams() {
	rng := o.stream(forTeams, 0, 0)
	count := max(1, o.Config.People/o.Config.PeoplePerTeam)
	for i := range count {
		var names [repositories]string
		for n := range names {
			names[n] = repositoryOf(i, n)
		}
		o.repositories = append(o.repositories, names)
		o.Teams = append(o.Teams, &Team{
			Index: i, Name: fmt.Sprintf("team-%02d", i+1),
			Offset: []int{60, 0, -300, 330, -480}[choose(rng, .45, .2, .15, .1, .1)],
			Factor: math.Exp(o.Config.Outcomes.TeamSD * normal(rng, 2.5)),
		})
	}
}

// teamSizes draws uneven sizes between minTeam and maxTeam that add up to people.
func teamSizes(rng *rand.Rand, people, teams int) []int {
	sizes, weights := make([]int, teams), make([]float64, teams)
	for i := range sizes {
		sizes[i], weights[i] = minTeam, uniform(rng, .1, 1)
	}
	for left := people - teams*minTeam; left > 0; left-- {
		i := choose(rng, weights...)
		if sizes[i]++; sizes[i] == maxTeam {
			weights[i] = 0
		}
	}
	return sizes
}

// makePeople draws everybody's habits.
func (o *Organisation) makePeople() {
	rng := o.stream(forTeams, 1, 0)
	shares := make([]float64, len(o.Config.Roles))
	var centre, square float64
	for i, r := range o.Config.Roles {
		shares[i] = r.Share
		centre += r.Share * r.LnTokens
		square += r.Share * r.LnTokens * r.LnTokens
	}
	t := &o.Config.Tokens
	rest := math.Sqrt(max(0, t.BetweenSD*t.BetweenSD-(square-centre*centre)))
	for team, size := range teamSizes(rng, o.Config.People, len(o.Teams)) {
		for range size {
			p := &Person{Index: len(o.People), teams: []stay{{0, team}}}
			rng := o.stream(forPeople, p.Index, 0)
			p.role = &o.Config.Roles[choose(rng, shares...)]
			p.Role = p.role.Name
			p.mu = lnf(t.Median) + p.role.LnTokens - centre + rest*normal(rng, 2.8)
			o.habits(rng, p)
			o.People = append(o.People, p)
		}
	}
}

func (o *Organisation) habits(rng *rand.Rand, p *Person) {
	t := &o.Config.Tokens
	p.ID = fmt.Sprintf("p%04d", p.Index+1)
	p.Email = p.ID + "@evaluation.example"
	p.Derived = rng.Float64() < o.Config.Habits.Derived
	p.tool = &o.Config.Tools.Code
	if p.role.Tool == toolChat {
		p.tool = &o.Config.Tools.Chat
	}
	p.sd = t.WithinSD[0] + (t.WithinSD[1]-t.WithinSD[0])*math.Pow(rng.Float64(), t.WithinSkew)
	level := (p.mu - lnf(t.Median)) / t.BetweenSD
	p.active = 1 / (1 + math.Exp(-2.3-level))
	p.lambda = gamma(rng, o.Config.Outcomes.GammaShape, p.role.OutcomesPerWeek)
	p.size, p.ratio = math.Exp(.25*normal(rng, 2.5)), .35*normal(rng, 2.5)
	p.cached = uniform(rng, .72, .92)
	if p.role.Tool == toolChat {
		p.cached = uniform(rng, .45, .7)
	}
	p.small = uniform(rng, .05, .3)
	if rng.Float64() < .12 {
		p.frontier = uniform(rng, .2, .8)
	}
	for d := range 5 {
		p.days[d] = math.Exp(.2 * normal(rng, 2.5))
	}
	if rng.Float64() < .4 {
		p.days[5], p.days[6] = uniform(rng, 0, .6), uniform(rng, 0, .6)
	}
	p.opens = max(6, min(11.5, 8.6+1.1*rng.NormFloat64()))
	p.closes = p.opens + uniform(rng, 8, 11)
	if rng.Float64() < .6 {
		p.evening = uniform(rng, 0, .35)
	}
	if rng.Float64() < .06 { // they never quite stop
		p.opens, p.closes, p.evening = uniform(rng, 6, 7.5), uniform(rng, 17, 19), uniform(rng, .25, .4)
		p.days[5], p.days[6] = uniform(rng, .4, .8), uniform(rng, .4, .8)
		p.size *= 2
	}
	for range o.releases {
		p.lag = append(p.lag, choose(rng, .65, .25, .10))
	}
}

// makeReleases dates the client's versions: one every four weeks, and among
// them one that does not cache and the one that mends it.
func (o *Organisation) makeReleases() {
	rng := o.stream(forLooks, 0, 0)
	broken := between(rng, 8, o.Config.Weeks-8)
	mended := broken + o.Config.LookAlikes.CacheLossWeeks
	for week := -8; week < o.Config.Weeks; week++ {
		if week == broken || week == mended || (week+8)%4 == 1 && (week < broken || week > mended) {
			minor := len(o.releases) + 10
			o.releases = append(o.releases, release{week, fmt.Sprintf("2.%d.0", minor), week == broken})
		}
	}
}

// client is the version of the coding tool that a person has in a week.
func (o *Organisation) client(p *Person, week int) *release {
	at := &o.releases[0]
	for i := range o.releases {
		if r := &o.releases[i]; r.week+p.lag[i] <= week {
			at = r
		}
	}
	return at
}

func lnf(x float64) float64 { return math.Log(x) }

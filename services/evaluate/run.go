package evaluate

import (
	"github.com/goodhartlabs/goodhart/services/evaluate/organisation"
)

// scenario is a variant of the committed organisation.
type scenario struct {
	// Name of the scenario in caches and reports.
	Name string
	// Prevalence of gamers, and the share of them that is adaptive.
	Prevalence, Adaptive float64
	// Requests of a median week; 0: as committed. Tokens and outcomes of people are
	// the same with fewer, which are coarser.
	Requests float64
	// Signals: what signals say is judged, not cards alone.
	Signals bool
}

// cardRequests is enough for a card, which asks for the sums of weeks and days.
const cardRequests = 10

// scenarios are what a seed is played in.
func scenarios() []scenario {
	all := []scenario{{Name: "signals", Prevalence: .08, Adaptive: .25, Signals: true}}
	for _, c := range []struct {
		name       string
		prevalence float64
	}{{"card-00", 0}, {"card-08", .08}, {"card-20", .20}, {"card-40", .40}} {
		all = append(all, scenario{Name: c.name, Prevalence: c.prevalence, Adaptive: 1, Requests: cardRequests})
	}
	return all
}

// config is that of the organisation in a scenario.
func (s *scenario) config(base organisation.Config) organisation.Config {
	base.Gamers.Prevalence, base.Gamers.Adaptive = s.Prevalence, s.Adaptive
	if s.Requests > 0 {
		base.RequestsPerWeek = s.Requests
	}
	return base
}

// run is what became of one seed in one scenario: what the report needs of it and
// no more.
type run struct {
	Scenario  string
	Seed      uint64
	Weeks     int
	Announced int
	Events    int
	People    []person
	Episodes  []episode
	// Alerts by the rule that raised them; rule Ours is the product's.
	Alerts map[string][]alert
	// Judged are the weeks in which people worked, by person and week; Ranks say by
	// rule how suspicious each of them is.
	Judged []judgedWeek
	Ranks  map[string]ranking
	// Shared counts what was said of teams, tools, models and targets, by code and kind
	// of scope.
	Shared map[string]int
	// Nulls are the chances that signals computed of honest weeks, by code.
	Nulls map[string]*chances
	Cards []card
	// Tokens and Wasted are the planned sums of all people by week.
	Tokens, Wasted []float64
	Scores         []efficiency
}

// person is what the figures of honest weeks need.
type person struct {
	Team int
	Role string
	// Size of the team.
	Size int
	// Honest is how many weeks the person worked without gaming, Looks in how many
	// of them each look-alike applied, in their order.
	Honest int
	Looks  []int
}

// episode is a stretch of gaming.
type episode struct {
	Person         int
	Tactic, Second string
	Adaptive       bool
	Intensity      float64
	Derived        bool
	From, To       int
	// Wasted tokens by week, from From on.
	Wasted []float64
}

// alert is raised about a person in the window of week From. A cheap rule goes on
// firing up to week To.
type alert struct {
	Person   int
	Code     string
	From, To int
	// Looks are those of the windows that it rests on.
	Looks organisation.Look
}

// card is one health card, beside the truth.
type card struct {
	Target, Verdict string
	Reasons         []string
	Week            int
	// Decoupled: the elasticity alone raises an alarm; Z is its distance.
	Decoupled, ZKnown bool
	Z                 float64
	// Alarms are the checks that raise one.
	Alarms []string
	// Share, Lo and Hi are the excess share and its interval, True what it is; Cost
	// and TrueCost the same in nano-USD.
	Known, Bounded           bool
	Share, Lo, Hi, True      float64
	Placebo                  float64
	Cost, TrueCost           float64
	ComparedFrom, ComparedTo int
}

// efficiency is a score of a team and window, beside the truth.
type efficiency struct {
	Team int
	// From and Week bound the window in weeks, Week exclusive.
	From, Week    int
	Window        string
	Score, Lo, Hi float64
	// True is that beside its peers, see peers; TrueOfPersons that of its people,
	// each at their own tokens: both relative to all teams.
	True, TrueOfPersons float64
	// Peers are the teams it is compared with, Told those it is told apart from.
	Peers, Told int
}

// Package org invents the company that the simulator plays: people with roles,
// teams, time zones, habits and accounts, the services that they run, and the
// credentials with which all of them report. Everything follows from a seed:
// the same seed, number of people and period give the same company.
package org

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Reporting says which signals a person's installations of the tool send.
type Reporting int

// The ways in which installations are configured.
const (
	// Everything: logs, metrics and beta spans of the same sessions.
	Everything Reporting = iota
	// LogsOnly: the log exporter alone.
	LogsOnly
	// MetricsOnly: the metrics exporter alone.
	MetricsOnly
	// SpansOnly: the beta traces alone.
	SpansOnly
)

// Membership is a stay in a team, From inclusive and To exclusive, both UTC
// midnights; a zero To has no end.
type Membership struct {
	Team     string
	From, To time.Time
}

// Person is one member of the company, or one outsider with an account.
type Person struct {
	ID    string
	Email string
	// Account is the account UUID of the tool's vendor.
	Account string
	Login   string
	// Install is the random id of the tool's installation.
	Install string
	Role    string
	// Known people are in the people file.
	Known bool
	// ListsEmail, ListsAccount and ListsInstall say which of the person's
	// identities the people file lists.
	ListsEmail, ListsAccount, ListsInstall bool
	Memberships                            []Membership
	Reporting                              Reporting
	// Terse installations log requests and nothing else.
	Terse bool
	// SignedIn sessions carry e-mail and account; the others use an API key and
	// carry the installation's id alone.
	SignedIn bool
	// OffsetMinutes is the time zone's distance to UTC.
	OffsetMinutes int
	// Weight is the person's appetite relative to the median, lognormal.
	Weight float64
	// Hours are the share of a day's sessions that start in each local hour.
	Hours [24]float64
	// Weekend is the activity on Saturdays and Sundays relative to workdays.
	Weekend float64
	// From and To bound the days on which the person works; Away lists the days
	// of a vacation.
	From, To int
	Away     [2]int
	// OutcomesPerWeek is the person's expected number of verified outcomes in a
	// week of usual usage.
	OutcomesPerWeek float64
	// Tactic is how the person games the target from the day Onset on; empty for
	// those who do not.
	Tactic Tactic
	Onset  int
	// Look is how the person honestly looks unusual on the days from LookFrom up
	// to LookTo; empty for most.
	Look             Look
	LookFrom, LookTo int
}

// Mapped reports whether what the person's sessions send leads to the people
// file.
func (p *Person) Mapped() bool {
	if p.SignedIn {
		return p.Known && (p.ListsEmail || p.ListsAccount)
	}
	return p.Known && p.ListsInstall
}

// TeamAt is the person's team at a time in ms since the epoch, "" for none.
func (p *Person) TeamAt(ms int64) string {
	for _, m := range p.Memberships {
		if ms >= m.From.UnixMilli() && (m.To.IsZero() || ms < m.To.UnixMilli()) {
			return m.Team
		}
	}
	return ""
}

// Works reports whether the person works on day, counted from the period's
// start.
func (p *Person) Works(day int) bool {
	return day >= p.From && day < p.To && (day < p.Away[0] || day >= p.Away[1])
}

// Key is an API key of the collector.
type Key struct {
	ID, Secret string
	// Accounting is the class of what the key sends: billable or observational.
	Accounting string
	// Service marks a machine's key.
	Service bool
}

// Service is a program that calls models on its own account.
type Service struct {
	ID, Team string
	// Key is the id of the service's credential.
	Key string
}

// Org is a whole company.
type Org struct {
	Tenant   string
	Teams    []string
	People   []*Person
	Services []Service
	Keys     []Key
	// Target is announced in the course of long periods, and Runaway happens in
	// them; nil in short ones. Migrating is the team whose migration is declared,
	// LostCache the day from which on the first service has no cache; 0 for never.
	Target    *Target
	Runaway   *Runaway
	Migrating string
	LostCache int
}

// Names of the keys with which the fleet reports.
const (
	KeyFleet    = "claude-fleet"
	KeyGateway  = "llm-gateway"
	KeyOutcomes = "delivery"
	KeyUsage    = "batch-usage"
)

// New invents the company of a seed for a period of days from start, a UTC
// midnight.
func New(seed uint64, people, days int, start time.Time) *Org {
	o := &Org{Tenant: "demo", Teams: slices.Clone(teamNames[:teamCount(people)])}
	rng := rand.New(rand.NewPCG(seed, 0x0e9))
	sizes := teamSizes(rng, people, len(o.Teams))
	for team, size := range sizes {
		for range size {
			o.People = append(o.People, newPerson(rng, len(o.People), o.Teams, team, days, start))
		}
	}
	outsiders := max(2, people/30)
	for range outsiders {
		p := newPerson(rng, len(o.People), o.Teams, 0, days, start)
		p.Known, p.Memberships, p.OutcomesPerWeek = false, nil, 0
		o.People = append(o.People, p)
	}
	o.addServices(rng)
	o.addKeys(rng)
	o.tell(seed, days, start)
	return o
}

// teamCount gives about one team to every dozen people, in large companies to
// fewer: figures of teams below ten are not shown.
func teamCount(people int) int {
	return min(max(people/12, 3), max(10, people/22), len(teamNames))
}

// teamSizes draws uneven sizes that add up; the last team stays at three
// people, too few to be shown on their own.
func teamSizes(rng *rand.Rand, people, teams int) []int {
	sizes := make([]int, teams)
	sizes[teams-1] = 3
	weights := make([]float64, teams-1)
	var sum float64
	for i := range weights {
		weights[i] = 0.5 + rng.Float64()
		sum += weights[i]
	}
	left := people - 3
	for i := range weights {
		sizes[i] = max(1, int(math.Floor(float64(people-3)*weights[i]/sum)))
		left -= sizes[i]
	}
	for i := 0; left > 0; i = (i + 1) % (teams - 1) {
		sizes[i]++
		left--
	}
	return sizes
}

func newPerson(rng *rand.Rand, n int, teams []string, team, days int, start time.Time) *Person {
	first, last := firstNames[rng.IntN(len(firstNames))], lastNames[rng.IntN(len(lastNames))]
	p := &Person{
		ID:            fmt.Sprintf("p%04d", n+1),
		Email:         fmt.Sprintf("%s.%s.%d@acme.example", first, last, n+1),
		Login:         fmt.Sprintf("%s%s%d", first[:1], last, n+1),
		Account:       UUID(rng),
		Install:       fmt.Sprintf("%016x%016x%016x%016x", rng.Uint64(), rng.Uint64(), rng.Uint64(), rng.Uint64()),
		Role:          roles[pick(rng, []float64{.58, .14, .12, .10, .06})],
		Known:         true,
		ListsEmail:    true,
		ListsAccount:  rng.Float64() < .5,
		SignedIn:      true,
		OffsetMinutes: zones[pick(rng, []float64{.3, .25, .2, .15, .1})],
		Weight:        math.Exp(1.2 * max(-2.2, min(2.2, rng.NormFloat64()))),
		Weekend:       .02 + .06*rng.Float64(),
		To:            days,
		Memberships:   []Membership{{Team: teams[team], From: start.AddDate(-1, 0, 0)}},
	}
	reporting := []float64{.76, .08, .08, .08}
	if days >= storyDays { // the same requests in fewer records
		reporting = []float64{.12, .71, .07, .1}
	}
	p.Reporting = []Reporting{Everything, LogsOnly, MetricsOnly, SpansOnly}[pick(rng, reporting)]
	p.Terse = days >= storyDays && p.Reporting == LogsOnly
	switch r := rng.Float64(); {
	case r < .06: // an API key on an installation that the directory knows
		p.SignedIn, p.ListsInstall = false, true
	case r < .09: // an API key on one that it does not
		p.SignedIn = false
	case r < .13: // known by the account alone
		p.ListsEmail, p.ListsAccount = false, true
	}
	p.Hours = officeHours(rng)
	p.life(rng, teams, team, days, start)
	// Four weekly gamma stages: mean 3 a week, concave in the person's appetite.
	p.OutcomesPerWeek = gamma4(rng) * .75 * math.Pow(p.Weight, .3)
	return p
}

// life gives some people the honest oddities that figures must survive: team
// moves, vacations, new hires, leavers, part-timers and night shifts.
func (p *Person) life(rng *rand.Rand, teams []string, team, days int, start time.Time) {
	middle := days/3 + rng.IntN(max(1, days/3))
	switch r := rng.Float64(); {
	case r < .06 && len(teams) > 2 && team < len(teams)-1:
		day := start.AddDate(0, 0, middle)
		to := (team + 1 + rng.IntN(len(teams)-2)) % (len(teams) - 1)
		if to != team {
			p.Memberships[0].To = day
			p.Memberships = append(p.Memberships, Membership{Team: teams[to], From: day})
		}
	case r < .14:
		p.Away = [2]int{middle, middle + 5 + rng.IntN(8)}
	case r < .18:
		p.From = middle
		p.Memberships[0].From = start.AddDate(0, 0, middle)
	case r < .20:
		p.To = middle
		p.Memberships[0].To = start.AddDate(0, 0, middle+1)
	case r < .24:
		p.Weight *= .5
	case r < .27: // agents that work through the night
		p.Hours, p.Weekend = roundTheClock(), .8
		p.Look, p.LookTo = OnCall, forGood
	}
}

// officeHours is a working day with a lunch dip, shifted by up to two hours.
func officeHours(rng *rand.Rand) [24]float64 {
	shape := [24]float64{8: 2, 9: 8, 10: 12, 11: 12, 12: 6, 13: 7, 14: 12, 15: 12, 16: 11, 17: 8, 18: 4, 19: 2, 20: 2, 21: 1.5, 22: .5}
	shift := rng.IntN(5) - 2
	var hours [24]float64
	for h, w := range shape {
		hours[(h+shift+24)%24] = w / 100
	}
	return hours
}

func roundTheClock() [24]float64 {
	var hours [24]float64
	for h := range hours {
		hours[h] = 1.0 / 24
	}
	return hours
}

// addServices invents three programs that report spans and, last, one that
// reports CloudEvents.
func (o *Org) addServices(rng *rand.Rand) {
	for i, id := range []string{"support-bot", "doc-indexer", "release-notes"} {
		o.Services = append(o.Services, Service{
			ID:   id,
			Team: o.Teams[(i+rng.IntN(len(o.Teams)-1))%(len(o.Teams)-1)],
			Key:  "svc-" + id,
		})
	}
	o.Services = append(o.Services, Service{ID: "nightly-batch", Team: o.Teams[0], Key: KeyUsage})
}

func (o *Org) addKeys(rng *rand.Rand) {
	add := func(k Key) {
		k.Secret = fmt.Sprintf("gh_%s_%016x%016x", strings.ReplaceAll(k.ID, "-", ""), rng.Uint64(), rng.Uint64())
		o.Keys = append(o.Keys, k)
	}
	add(Key{ID: KeyFleet, Accounting: "billable"})
	add(Key{ID: KeyGateway, Accounting: "observational"})
	add(Key{ID: KeyOutcomes, Accounting: "billable"})
	for _, s := range o.Services {
		add(Key{ID: s.Key, Accounting: "billable", Service: true})
	}
}

// UUID draws a version 4 UUID.
func UUID(rng *rand.Rand) string {
	a, b := rng.Uint64(), rng.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, 0x8000|b>>48&0x3fff, b&0xffffffffffff)
}

// pick draws an index with the given weights, which add up to one.
func pick(rng *rand.Rand, weights []float64) int {
	r := rng.Float64()
	for i, w := range weights {
		if r < w {
			return i
		}
		r -= w
	}
	return len(weights) - 1
}

// gamma4 draws from Gamma(4, 1): the sum of four exponentials.
func gamma4(rng *rand.Rand) float64 {
	return rng.ExpFloat64() + rng.ExpFloat64() + rng.ExpFloat64() + rng.ExpFloat64()
}

package evaluate

import (
	"math"
	"slices"

	"github.com/goodhartlabs/goodhart/services/evaluate/organisation"
)

// peers is what a score estimates, by the simulator's truth: what a team achieves
// beside what its peers achieve with as many people of the same roles at the same
// spend, all of them with average luck and for work alone.
//
// At the same spend is meant as by a comparison that knows what a team spent and not
// who in it. Outcomes of teams rise less steeply with that than those of a person do
// with their own, because a large bill is mostly a few people's: the exponent is the
// least squares slope of the logarithms over all teams and weeks. The truth of
// [organisation.Organisation.Efficiency], in which each person is compared at their own
// tokens, is another quantity, of which no interval that rests on sums of teams can
// speak.
//
// Peers are all teams, whether they have a score or not. About half have none for
// 28 days, because most of their spend was one person's in some week: those that are
// left are not average.
type peers struct {
	// weeks are by team and week of the period.
	weeks [][]teamWeek
	// slope is the exponent of the spend.
	slope float64
}

// teamWeek is what is true of the people of a team in a week.
type teamWeek struct {
	// outcomes are expected of the work that was begun, usual are those of average
	// people who spend the same, one by one; nanos is the cost.
	outcomes, usual, nanos float64
	// roleUsual and roleNanos are those of as many people of the same roles who spend
	// what is the mean of their role.
	roleUsual, roleNanos float64
}

// peersOf returns the truth of an organisation whose records were all read.
func peersOf(o *organisation.Organisation) *peers {
	type roleWeek struct {
		role string
		week int
	}
	type sum struct{ people, usual, nanos float64 }
	sums := map[roleWeek]sum{}
	p := &peers{weeks: make([][]teamWeek, len(o.Teams))}
	for i := range p.weeks {
		p.weeks[i] = make([]teamWeek, o.Config.Weeks)
	}
	rows := slices.DeleteFunc(slices.Clone(o.Truth()), func(row organisation.PersonWeek) bool {
		return row.Week < o.People[row.Person].Joined()
	})
	key := func(row *organisation.PersonWeek) roleWeek { return roleWeek{o.People[row.Person].Role, row.Week} }
	for i := range rows {
		row := &rows[i]
		usual, nanos := o.Usual(row.Plan), float64(row.Cost)
		s, t := sums[key(row)], &p.weeks[row.Team][row.Week]
		sums[key(row)] = sum{s.people + 1, s.usual + usual, s.nanos + nanos}
		t.outcomes += row.Expected
		t.usual += usual
		t.nanos += nanos
	}
	for i := range rows {
		row := &rows[i]
		s, t := sums[key(row)], &p.weeks[row.Team][row.Week]
		t.roleUsual += s.usual / s.people
		t.roleNanos += s.nanos / s.people
	}
	p.fit()
	return p
}

// fit sets the slope.
func (p *peers) fit() {
	var n, x, y, xx, xy float64
	for _, weeks := range p.weeks {
		for _, t := range weeks {
			if t.usual > 0 && t.nanos > 0 {
				spent, got := math.Log(t.nanos/t.roleNanos), math.Log(t.usual/t.roleUsual)
				n, x, y, xx, xy = n+1, x+spent, y+got, xx+spent*spent, xy+spent*got
			}
		}
	}
	if spread := n*xx - x*x; spread > 0 {
		p.slope = (n*xy - x*y) / spread
	}
}

// expected are the outcomes of peers in a week, but for a factor that all teams share.
func (p *peers) expected(t teamWeek) float64 {
	if t.nanos <= 0 {
		return 0
	}
	return t.roleUsual * math.Pow(t.nanos/t.roleNanos, p.slope)
}

// efficiency of a team in some weeks (to exclusive); 1 is that of all teams together.
func (p *peers) efficiency(team, from, to int) float64 {
	var got, due, allGot, allDue float64
	for i, weeks := range p.weeks {
		for _, t := range weeks[from:to] {
			expected := p.expected(t)
			allGot, allDue = allGot+t.outcomes, allDue+expected
			if i == team {
				got, due = got+t.outcomes, due+expected
			}
		}
	}
	return got / due * allDue / allGot
}

package tenant

import (
	"cmp"
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/window"
)

// memoryOfDays is for how long the days of a crew are kept: those whose cost
// counts towards the weeks that the curve of the oldest window rests on that may
// still be corrected.
const memoryOfDays = score.Reach + score.Settling + window.Day

// ledgers turns what the crews of a tenant did into the series that a score rests
// on, valued by the configuration in force.
type ledgers struct {
	t     *tenant
	first int64
	days  int
	// tickets is what stands to the credit of each.
	tickets map[uint64]score.Ticket
	series  []score.Series
	// known and linked are the teams that have outcomes, and that have some of
	// which it is known whether they are linked to usage.
	known, linked map[string]bool
}

// seriesOf returns the series of a tenant at a midnight, sorted by team and role.
func seriesOf(t *tenant, midnight int64) *ledgers {
	l := &ledgers{
		t: t, first: max(t.since, midnight-memoryOfDays),
		tickets: map[uint64]score.Ticket{}, known: map[string]bool{}, linked: map[string]bool{},
	}
	l.days = int((midnight - l.first) / window.Day)
	if t.since == 0 || l.days <= 0 {
		return l
	}
	var credits []booking
	for _, s := range t.scopes {
		if s.kind == kindTeam {
			credits = l.addTeam(s, credits)
		}
	}
	l.book(credits)
	return l
}

// addTeam adds the series of a team; its outcomes are booked later, when those of
// all teams are known.
func (l *ledgers) addTeam(s *scope, credits []booking) []booking {
	team, declared := l.t.policy.Team(s.name)
	from := len(l.series)
	for _, c := range s.crews {
		role := cmp.Or(team.Role, c.role)
		sees, ok := l.t.policy.Role(role)
		if ok && sees.Outcomes == policy.SeenNone {
			continue // nothing that is connected sees what they deliver
		}
		at := slices.IndexFunc(l.series[from:], func(x score.Series) bool { return x.Role == role })
		if at < 0 {
			at = len(l.series) - from
			l.series = append(l.series, score.Series{
				Unit: s.name, Role: role, LinkedOnly: ok && sees.Outcomes == policy.SeenLinked,
				First: l.first, Days: make([]score.Day, l.days),
			})
		}
		l.addDays(&l.series[from+at], c)
		for i := range c.outcomes {
			credits = append(credits, booking{series: from + at, outcome: &c.outcomes[i]})
		}
	}
	if declared && len(l.series) > from {
		apportion(l.series[from:], team.Size)
		if team.Connected != nil && *team.Connected > 0 {
			l.known[s.name] = true
		}
	}
	return credits
}

// addDays adds what a crew used, and who worked.
func (l *ledgers) addDays(to *score.Series, c *crew) {
	for i := range c.days.Len() {
		start, d := c.days.Pane(i)
		if at := l.place(start); at >= 0 {
			to.Days[at].CostNanos += d.cost
			to.Days[at].Records += d.records
			to.Days[at].Unpriced += d.unpriced
			to.Days[at].People += d.people
		}
	}
}

// place is the index of a day in the series, −1 if it lies outside.
func (l *ledgers) place(day int64) int {
	if at := (day - l.first) / window.Day; day >= l.first && at < int64(l.days) {
		return int(at)
	}
	return -1
}

// apportion replaces who was seen at work by the declared size of the team, from
// the first day on that anyone was, in the same proportion among the roles: on
// days on which nobody was seen, in that of all days.
func apportion(series []score.Series, size int64) {
	all := make([]int64, len(series))
	first := -1
	for day := range series[0].Days {
		for i := range series {
			all[i] += series[i].Days[day].People
			if first < 0 && series[i].Days[day].People > 0 {
				first = day
			}
		}
	}
	if first < 0 {
		return
	}
	seen := make([]int64, len(series))
	for day := first; day < len(series[0].Days); day++ {
		total := int64(0)
		for i := range series {
			seen[i] = series[i].Days[day].People
			total += seen[i]
		}
		shares := seen
		if total == 0 {
			shares = all
		}
		for i, n := range split(size, shares) {
			series[i].Days[day].People = n
		}
	}
}

// split divides n in the proportion of the shares, none of them negative and not
// all 0, by the largest remainders; of equal ones the first.
func split(n int64, shares []int64) []int64 {
	total := int64(0)
	for _, share := range shares {
		total += share
	}
	parts := make([]int64, len(shares))
	order := make([]int, len(shares))
	left := n
	for i, share := range shares {
		parts[i] = n * share / total
		left -= parts[i]
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(n*shares[b]%total, n*shares[a]%total) })
	for _, i := range order[:left] {
		parts[i]++
	}
	return parts
}

// booking is an outcome of a series.
type booking struct {
	series  int
	outcome *outcome
}

// book values the outcomes, day by day, so that of the outcomes of one ticket the
// earliest are worth most.
func (l *ledgers) book(credits []booking) {
	slices.SortStableFunc(credits, func(a, b booking) int { return cmp.Compare(a.outcome.day, b.outcome.day) })
	for _, c := range credits {
		s, o := &l.series[c.series], c.outcome
		l.known[s.Unit] = true
		if o.linked != linkUnknown {
			l.linked[s.Unit] = true
		}
		if s.LinkedOnly && o.linked != linkFound {
			continue
		}
		value := l.value(s.Unit, o)
		if at := l.place(o.day); at >= 0 {
			s.Days[at].Value.Add(value)
			if o.linked == linkFound {
				s.Days[at].Linked += value.Standing
			}
		}
	}
}

// value is what outcomes add to what their ticket counts for.
func (l *ledgers) value(team string, o *outcome) score.Value {
	values := score.Values{Points: l.t.policy.Weights(team), TicketCap: l.t.policy.CapPerTicket}
	var stated *int64
	if o.stated >= 0 {
		stated = &o.stated
	}
	worth := values.Worth(o.kind, stated)
	if o.ticket == 0 { // each belongs to itself
		if values.TicketCap > 0 {
			worth = min(worth, values.TicketCap)
		}
		var own score.Ticket
		own.Add(worth, o.provisional, o.final)
		values.TicketCap = 0
		return values.Value(own)
	}
	ticket := l.tickets[o.ticket]
	before := values.Value(ticket)
	ticket.Add(worth, o.provisional, o.final)
	l.tickets[o.ticket] = ticket
	after := values.Value(ticket)
	after.Sub(before)
	return after
}

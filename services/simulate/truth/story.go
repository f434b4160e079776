package truth

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goodhartlabs/goodhart/services/simulate/org"
	"github.com/goodhartlabs/goodhart/services/simulate/traffic"
)

// story is what nobody but the simulator knows: who gamed and who only looked as
// if, how efficient each team was, and what the target has cost.
type story struct {
	// start and end are those of the period, ms.
	start, end int64
	cast       map[string]*part
	// work that teams began, by day.
	work map[teamDay]*work
	// spent is what people used, by ISO week.
	spent map[int64]*spending
}

// part is one person's or service's, known by one of its requests.
type part struct {
	name, kind string
	// team is whose look it is, where a team has it together.
	team string
	// expected are the codes of signals that the part should raise, one of them at
	// least.
	expected []string
	// since is the day from which on it is played.
	since            string
	at, output, read int64
}

type teamDay struct {
	team string
	day  int64
}

// work is how many outcomes were to be expected, and how many of the average
// person.
type work struct{ outcomes, usual float64 }

type spending struct{ tokens, wasted int64 }

func newStory(end int64) story {
	return story{end: end, cast: map[string]*part{}, work: map[teamDay]*work{}, spent: map[int64]*spending{}}
}

// expected says which signals a tactic should raise, any of them. The others
// leave traces that add to a signal at the most.
func expected(t org.Tactic) []string {
	switch t {
	case org.ContextBloat:
		return []string{"S1"}
	case org.RoundTheClock, org.Timer:
		return []string{"S5"}
	case org.CheapLoop:
		return []string{"S11", "S5"}
	default:
		return nil
	}
}

// count notes a record of usage that counts.
func (s *story) count(it *traffic.Item, at int64, u usage) {
	session := it.Session
	if session.Person == nil {
		switch {
		case session.Runaway:
			s.meetService("runaway", "R1", session, at, u)
		case session.Uncached:
			s.meetService("lost_cache", "S12", session, at, u)
		}
		return
	}
	week := monday(at)
	if s.spent[week] == nil {
		s.spent[week] = new(spending)
	}
	s.spent[week].tokens += u.input + u.cacheRead + u.cacheWrite + u.output
	if it.Call == nil {
		return
	}
	s.spent[week].wasted += it.Call.Wasted
	s.meet(session.Person, at, u)
}

// meetService notes the first request of a service that has a part.
func (s *story) meetService(name, code string, session *traffic.Session, at int64, u usage) {
	if key := session.Service.ID + " " + name; s.cast[key] == nil {
		s.cast[key] = &part{
			name: name, kind: "service", expected: []string{code}, since: dayText(at), at: at, output: u.output, read: u.cacheRead,
		}
	}
}

// meet notes the first request by which somebody with a part can be known.
func (s *story) meet(p *org.Person, at int64, u usage) {
	if p.Tactic == "" && p.Look == "" || s.cast[p.ID] != nil || u.output == 0 {
		return
	}
	m := &part{name: string(p.Look), kind: "honest", since: s.day(p.LookFrom), at: at, output: u.output, read: u.cacheRead}
	if p.Tactic != "" {
		m.name, m.kind, m.since, m.expected = string(p.Tactic), "gamer", s.day(p.Onset), expected(p.Tactic)
	}
	if m.kind == "honest" && p.Look != org.OnCall && p.Look != org.Training {
		m.team = p.Memberships[0].Team
	}
	s.cast[p.ID] = m
}

// day is the date of a day of the period.
func (s *story) day(n int) string { return dayText(s.start + int64(n)*traffic.Day) }

// begin spreads what a person begins in a week over its days.
func (s *story) begin(start int64, w *traffic.Work) {
	end := min(s.end, monday(start)+7*traffic.Day)
	days := float64((end - start) / traffic.Day)
	for day := start; day < end; day += traffic.Day {
		key := teamDay{w.Person.TeamAt(day), day}
		if s.work[key] == nil {
			s.work[key] = new(work)
		}
		s.work[key].outcomes += w.Outcomes / days
		s.work[key].usual += w.Usual / days
	}
}

// monday is the midnight at which the ISO week of a time began, UTC. The epoch
// was a Thursday.
func monday(ms int64) int64 {
	day := ms / traffic.Day
	return (day - (day+3)%7) * traffic.Day
}

// printCast prints who is who, the way to know one (time in ms, output and cache
// read tokens of a request) and what should be asked: part, kind, team that has it
// together, codes, since.
func (s *story) printCast(b *bytes.Buffer) {
	for _, id := range slices.Sorted(maps.Keys(s.cast)) {
		m := s.cast[id]
		fmt.Fprintf(b, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\n", m.name, m.kind, m.team, strings.Join(m.expected, ","), m.since, m.at, m.output, m.read)
	}
}

// Windows of the efficiency, in days, and how long outcomes take on average.
const (
	efficiencyDays = 28
	lagDays        = 5
)

// printEfficiency prints by day and team what the score of the 28 days before
// should be: 100 times what the team could be expected to deliver, by what the
// company delivers at the same usage.
func (s *story) printEfficiency(b *bytes.Buffer) {
	days, teams := map[int64]bool{}, map[string]bool{}
	for key := range s.work {
		days[key.day+traffic.Day], teams[key.team] = true, true
	}
	sorted := slices.Sorted(maps.Keys(teams))
	for _, end := range slices.Sorted(maps.Keys(days)) {
		sums := map[string]work{}
		var all work
		for day := end - (efficiencyDays+lagDays)*traffic.Day; day < end-lagDays*traffic.Day; day += traffic.Day {
			for _, team := range sorted {
				if w := s.work[teamDay{team, day}]; w != nil {
					sum := sums[team]
					sums[team] = work{sum.outcomes + w.outcomes, sum.usual + w.usual}
					all = work{all.outcomes + w.outcomes, all.usual + w.usual}
				}
			}
		}
		for _, team := range slices.Sorted(maps.Keys(sums)) {
			if sum := sums[team]; sum.usual > 0 {
				fmt.Fprintf(b, "%s\t%s\t%.1f\n", dayText(end), team, 100*sum.outcomes/sum.usual*all.usual/all.outcomes)
			}
		}
	}
}

// printExcess prints by week the tokens of people and those of them that bought
// nothing.
func (s *story) printExcess(b *bytes.Buffer) {
	for _, week := range slices.Sorted(maps.Keys(s.spent)) {
		fmt.Fprintf(b, "%s\t%d\t%d\n", dayText(week), s.spent[week].tokens, s.spent[week].wasted)
	}
}

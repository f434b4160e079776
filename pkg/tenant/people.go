package tenant

import (
	"math/bits"
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// person is a human subject that used something in the last month.
type person struct {
	name string
	in   []*member

	// What the person spent in the groups that are merged: scratch of a daily
	// slide, zero outside it.
	merged       bool
	cost, tokens int64
}

// member says when a person was active in a scope and, in a team, what the
// person spent in each week.
type member struct {
	person *person
	scope  *scope
	// lastHour and lastDay are the latest active ones since the epoch. Bit i of
	// hours (hoursHi above hoursLo) and of days is the one i before. A person who
	// had outcomes alone has been active on no day.
	lastHour         int64
	hoursLo, hoursHi uint64
	lastDay          int64
	days             uint64
	spent            []spending
	// attended says when the person worked in a team, by role.
	attended []attendance
}

// spending is what a person spent in a team in one ISO week.
type spending struct {
	week         int64
	cost, tokens int64
}

// isPerson reports whether a feature speaks of a human: a pseudonym of the
// people file or of an account, not a service or a key.
func isPerson(m *goodhartv1.Feature) bool {
	return isHuman(m.Subject, m.IdentityType)
}

func isHuman(subject string, kind goodhartv1.IdentityType) bool {
	return kind == goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN && (strings.HasPrefix(subject, "p_") || strings.HasPrefix(subject, "a_"))
}

// person returns the state of a person, which it creates if it is absent.
func (t *tenant) person(f *Fold, name string) *person {
	if p, ok := t.people[name]; ok {
		return p
	}
	p := &person{name: strings.Clone(name)}
	t.people[p.name] = p
	f.stats.People++
	return p
}

// member returns the person's membership of a scope, which it creates if it is
// absent.
func (p *person) member(s *scope) *member {
	for _, m := range p.in {
		if m.scope == s {
			return m
		}
	}
	m := &member{person: p, scope: s}
	p.in = append(p.in, m)
	s.members = append(s.members, m)
	return m
}

// touch notes activity at t.
func (m *member) touch(t int64) {
	hour, day := window.Floor(t, window.Hour)/window.Hour, window.Floor(t, window.Day)/window.Day
	if m.days == 0 {
		m.lastHour, m.hoursLo = hour, 1
		m.lastDay, m.days = day, 1
		return
	}
	if ahead := hour - m.lastHour; ahead > 0 {
		m.hoursLo, m.hoursHi = shift(m.hoursLo, m.hoursHi, ahead)
		m.lastHour = hour
	}
	lo, hi := shift(1, 0, m.lastHour-hour)
	m.hoursLo |= lo
	m.hoursHi |= hi
	if ahead := day - m.lastDay; ahead > 0 {
		m.days <<= min(ahead, 64)
		m.lastDay = day
	}
	m.days |= 1 << min(m.lastDay-day, 64)
}

// shift moves 128 bits up by n, which must not be negative.
func shift(lo, hi uint64, n int64) (uint64, uint64) {
	if n >= 64 {
		return 0, lo << (n - 64)
	}
	return lo << n, hi<<n | lo>>(64-n)
}

// below returns the lowest n of 128 bits.
func below(lo, hi uint64, n int64) (uint64, uint64) {
	switch {
	case n <= 0:
		return 0, 0
	case n < 64:
		return lo & (1<<n - 1), 0
	case n < 128:
		return lo, hi & (1<<(n-64) - 1)
	default:
		return lo, hi
	}
}

// activeHours reports activity in the hours [from, to) since the epoch.
func (m *member) activeHours(from, to int64) bool {
	lo, hi := below(m.hoursLo, m.hoursHi, m.lastHour-from+1)
	lo2, hi2 := below(lo, hi, m.lastHour-to+1)
	return lo != lo2 || hi != hi2
}

// activeDays reports activity in the days [from, to) since the epoch.
func (m *member) activeDays(from, to int64) bool {
	days, _ := below(m.days, 0, m.lastDay-from+1)
	later, _ := below(days, 0, m.lastDay-to+1)
	return bits.OnesCount64(days) != bits.OnesCount64(later)
}

// spend adds to what the person spent in the week that starts at week.
func (m *member) spend(week int64, totals *score.Totals) {
	s := m.spentIn(week)
	if s == nil {
		m.spent = append(m.spent, spending{week: week})
		s = &m.spent[len(m.spent)-1]
	}
	s.cost += totals.CostNanos
	s.tokens += totals.Tokens()
}

// spentIn returns what the person spent in a week, nil if the person did
// nothing.
func (m *member) spentIn(week int64) *spending {
	for i := range m.spent {
		if m.spent[i].week == week {
			return &m.spent[i]
		}
	}
	return nil
}

// people counts who was active in the window that ends at end. It is known for
// windows made of hours and days.
func (s *scope) people(w *window.Window, end int64) (n int64, known bool) {
	from, to := (end-w.Size)/w.Pane, end/w.Pane
	switch w.Pane {
	case window.Hour:
		for _, m := range s.members {
			if m.activeHours(from, to) {
				n++
			}
		}
	case window.Day:
		for _, m := range s.members {
			if m.activeDays(from, to) {
				n++
			}
		}
	default:
		return 0, false
	}
	return n, true
}

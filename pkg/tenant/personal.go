package tenant

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/window"
)

const (
	// personalWindow is the length of the windows for which people are told.
	personalWindow = 4 * window.Week
	// remembered are the days whose cost counts towards such a window;
	// memoryOfPeople is for how long what each person did is kept, that is until the
	// window has settled.
	remembered     = personalWindow + score.Lag*window.Day
	memoryOfPeople = remembered + score.Settling
)

// tellPeople tells each person who worked in a window, on self.v1 and nowhere else,
// how efficient they were: once, at the Monday on which the window has settled, so
// that there is nothing to correct. The scores of the teams say what is compared
// with.
func (a *assessor) tellPeople(w *window.Window, teams *score.Assessment) {
	end := teams.Inputs.End
	if w.Size != personalWindow || end != a.midnight-score.Settling || end != window.WeekStart(end) || a.out.Silent {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(a.t.people)) {
		l := &ledgers{
			t: a.t, first: end - remembered, days: int(remembered / window.Day),
			tickets: map[uint64]score.Ticket{}, known: map[string]bool{}, linked: map[string]bool{},
		}
		mine, team, ok := l.personal(a.t.people[name], end-w.Size)
		if !ok {
			continue
		}
		blocks, _ := score.Blocks([]score.Series{mine}, score.WindowStarts(end, int(w.Size/window.Day)))
		role, _ := a.t.policy.Role(mine.Role)
		what := teams.Person(score.Unit{
			Name: name, Publishable: true, HistoryKnown: teams.Inputs.Whole.HistoryKnown,
			OutcomesKnown: (a.ledgers.known[team] || len(l.known) > 0) && role.Outcomes != policy.SeenNone,
			LinksKnown:    a.ledgers.linked[team],
		}, blocks)
		a.f.emitPersonal(&score.Personal{
			Tenant: a.t.name, Subject: name, Role: mine.Role, Window: w.Name, Start: end - w.Size, End: end, W: a.f.w,
			Score: &what, Dispersion: teams.Model.Dispersion, ConfigVersion: a.t.config.GetVersion(),
		}, a.out)
	}
}

// personal makes the series of a person, and names the team whose outcomes tell
// whether theirs are known: those of the last day of work since from. Without one
// it is not ok. The outcomes of a ticket are worth at most the cap for each person.
func (l *ledgers) personal(p *person, from int64) (mine score.Series, team string, ok bool) {
	own := p.work()
	latest := int64(0)
	for _, x := range own {
		for i := x.days.Len() - 1; i >= 0; i-- {
			if start, _ := x.days.Pane(i); l.place(start) >= 0 {
				if start >= max(from, latest+1) {
					latest, team, ok = start, x.team, true
					declared, _ := l.t.policy.Team(team)
					mine.Role = cmp.Or(declared.Role, x.role)
				}
				break
			}
		}
	}
	if !ok {
		return mine, team, false
	}
	role, declared := l.t.policy.Role(mine.Role)
	mine.LinkedOnly, mine.First, mine.Days = declared && role.Outcomes == policy.SeenLinked, l.first, make([]score.Day, l.days)
	var credits []booking
	for i, x := range own {
		l.series = append(l.series, score.Series{Unit: x.team, LinkedOnly: mine.LinkedOnly, Days: make([]score.Day, l.days)})
		l.addDays(&l.series[i], x.crew)
		for j := range x.outcomes {
			credits = append(credits, booking{series: i, outcome: &x.outcomes[j]})
		}
	}
	l.book(credits)
	for i := range l.series {
		for day := range mine.Days {
			mine.Days[day].Add(&l.series[i].Days[day])
		}
	}
	attend(mine.Days)
	return mine, team, true
}

// work is what a person did, sorted by team and role.
func (p *person) work() []ownWork {
	var own []ownWork
	for _, m := range p.in {
		for i := range m.attended {
			a := &m.attended[i]
			own = append(own, ownWork{team: m.scope.name, role: a.crew.role, crew: &a.own})
		}
	}
	slices.SortFunc(own, func(a, b ownWork) int {
		return cmp.Or(strings.Compare(a.team, b.team), strings.Compare(a.role, b.role))
	})
	return own
}

// ownWork is what a person did in one role of one team.
type ownWork struct {
	team, role string
	*crew
}

// attend makes the days on which a person worked those of one person: each that is
// among the seven that begin with such a day.
func attend(days []score.Day) {
	const memory = int(window.Week / window.Day)
	last := -memory
	for i := range days {
		if days[i].People > 0 {
			last = i
		}
		days[i].People = 0
		if i-last < memory {
			days[i].People = 1
		}
	}
}

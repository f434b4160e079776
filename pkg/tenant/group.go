package tenant

import (
	"cmp"
	"slices"
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/window"
)

// group is the last group size emitted for a team in an ISO week.
type group struct {
	week int64
	// emitted is how many there were; the next one has this revision.
	emitted uint32
	people  int64
	top1    score.Millionths
	top2    score.Millionths
	reason  string
}

// final is the slide at which the group sizes of a week are stated for the last
// time: no fact that reaches a score can change them any more.
func final(week int64) int64 { return week + window.Week + 48*window.Hour }

// emitGroups states, at a midnight, the group sizes of the week of the day that
// ended and of the week before, where they changed; the last statement of a
// week is made whether it changed or not.
func (f *Fold) emitGroups(midnight int64, out *machine.Outputs) {
	this := window.WeekStart(midnight - 1)
	for _, week := range []int64{this - window.Week, this} {
		if midnight > final(week) {
			continue
		}
		for _, t := range f.order {
			f.emitTenantGroups(t, week, midnight == final(week), out)
		}
	}
}

// emitTenantGroups states the group sizes of a tenant and week, by team.
func (f *Fold) emitTenantGroups(t *tenant, week int64, last bool, out *machine.Outputs) {
	spends, credited := t.teamSpends(week)
	reasons := f.judge(spends, credited, week)
	for i, spend := range spends {
		next := group{
			week: week, people: spend.people, reason: reasons[i],
			top1: spend.top1(), top2: spend.top2(),
		}
		g := spend.scope.group(week)
		next.emitted = g.emitted
		if *g == next && !last {
			continue
		}
		f.emitGroup(&score.GroupSize{
			Tenant: t.name, Team: spend.scope.name,
			Week: window.WeekName(week), WeekStart: week,
			People: next.people, Top1: next.top1, Top2: next.top2,
			Reason: next.reason, Rev: next.emitted, W: f.w,
		}, out)
		next.emitted++
		*g = next
	}
}

// group returns the record of a week, which it creates if it is absent.
func (s *scope) group(week int64) *group {
	at, found := slices.BinarySearchFunc(s.groups, week, func(g group, week int64) int { return cmp.Compare(g.week, week) })
	if !found {
		s.groups = slices.Insert(s.groups, at, group{week: week})
	}
	return &s.groups[at]
}

// published reports whether the figures of a week may be shown.
func (s *scope) published(week int64) bool {
	at, found := slices.BinarySearchFunc(s.groups, week, func(g group, week int64) int { return cmp.Compare(g.week, week) })
	return found && s.groups[at].reason == score.ReasonOK
}

// spend is what people spent, with the largest parts.
type spend struct {
	scope  *scope
	people int64
	cost   parts
	tokens parts
}

// parts is a total and its two largest parts.
type parts struct{ total, first, second int64 }

// add adds a part; a negative one, which no sound source sends, counts as none.
func (p *parts) add(n int64) {
	n = max(n, 0)
	p.total += n
	switch {
	case n > p.first:
		p.first, p.second = n, p.first
	case n > p.second:
		p.second = n
	}
}

// top1 is the larger of the shares of the cost and of the tokens that one
// person makes up, top2 that of two persons: both are published, so neither may
// be one person's. Unpriced models have no cost.
func (s *spend) top1() score.Millionths {
	return larger(score.Ratio(s.cost.first, s.cost.total, 1), score.Ratio(s.tokens.first, s.tokens.total, 1))
}

func (s *spend) top2() score.Millionths {
	return larger(
		score.Ratio(s.cost.first+s.cost.second, s.cost.total, 1),
		score.Ratio(s.tokens.first+s.tokens.second, s.tokens.total, 1),
	)
}

func larger(a, b score.Millionths) score.Millionths {
	if !a.Known || b.Known && b.N > a.N {
		return b
	}
	return a
}

// reason says whether people who spent this may be shown as a group of at least
// k: more than half by one person, or three quarters by two, reveals them.
func (s *spend) reason(k int) string {
	switch {
	case s.people < int64(k):
		return score.ReasonSize
	case s.cost.total == 0 && s.tokens.total == 0:
		return score.ReasonUnknown
	case s.cost.dominated() || s.tokens.dominated():
		return score.ReasonDominance
	}
	return score.ReasonOK
}

// dominated reports whether one part makes up more than half, or two more than
// three quarters.
func (p *parts) dominated() bool {
	two := p.first + p.second
	return p.first > p.total-p.first || two > 3*(p.total-two)
}

// teamSpends returns what people spent in each team of a tenant in a week, by
// team. Teams without people are left out, and those counted that are credited
// all the same: their outcomes are merged with what is not published.
func (t *tenant) teamSpends(week int64) (spends []spend, credited int) {
	for _, s := range t.scopes {
		if s.kind != kindTeam {
			continue
		}
		sum := spend{scope: s}
		for _, m := range s.members {
			if x := m.spentIn(week); x != nil {
				sum.people++
				sum.cost.add(x.cost)
				sum.tokens.add(x.tokens)
			}
		}
		switch {
		case sum.people > 0:
			spends = append(spends, sum)
		case s.name != "" && s.outcomesIn(week):
			credited++
		}
	}
	return spends, credited
}

// outcomesIn reports whether a team had outcomes in a week, by their time or by
// the day of their objects.
func (s *scope) outcomesIn(week int64) bool {
	for _, day := range s.days.Range(week, week+window.Week) {
		if day.OutcomesProvisional != 0 || day.OutcomesFinal != 0 || day.OutcomesReverted != 0 {
			return true
		}
	}
	return slices.ContainsFunc(s.crews, func(c *crew) bool {
		return slices.ContainsFunc(c.outcomes, func(o outcome) bool { return o.day >= week && o.day < week+window.Week })
	})
}

// judge decides for each team of a week whether it may be published. What is
// not, and the outcomes of so many credited teams, is merged, and its sum follows
// from the tenant's total and the published teams: so the merged people must be a
// group that could itself be published, which one team that could not never is.
// Until then a team still published joins it: one that was not published in the
// week before, if there is any, for its own figures of that week would tell it
// from those it joins; the smallest of them.
func (f *Fold) judge(spends []spend, credited int, week int64) []string {
	reasons := make([]string, len(spends))
	order := make([]int, len(spends))
	shown := make([]int, len(spends)) // 1: in the week before
	rest := merged{teams: credited}
	for i := range spends {
		order[i] = i
		if spends[i].scope.published(week - window.Week) {
			shown[i] = 1
		}
		if reasons[i] = spends[i].reason(f.cfg.MinimumGroup); reasons[i] != score.ReasonOK {
			rest.join(spends[i].scope, week)
		}
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(
			cmp.Compare(shown[a], shown[b]),
			cmp.Compare(spends[a].people, spends[b].people),
			strings.Compare(spends[a].scope.name, spends[b].scope.name),
		)
	})
	for _, i := range order {
		if rest.teams == 0 || rest.spend().reason(f.cfg.MinimumGroup) == score.ReasonOK {
			break
		}
		if reasons[i] == score.ReasonOK {
			reasons[i] = score.ReasonComplementary
			rest.join(spends[i].scope, week)
		}
	}
	rest.dissolve()
	return reasons
}

// merged is the people of the teams that are not published.
type merged struct {
	teams  int
	people []*person
}

// join adds what the people of a team spent in a week.
func (r *merged) join(s *scope, week int64) {
	r.teams++
	for _, m := range s.members {
		x := m.spentIn(week)
		if x == nil {
			continue
		}
		p := m.person
		if !p.merged {
			p.merged = true
			r.people = append(r.people, p)
		}
		p.cost += x.cost
		p.tokens += x.tokens
	}
}

// spend is what they spent together.
func (r *merged) spend() *spend {
	sum := spend{people: int64(len(r.people))}
	for _, p := range r.people {
		sum.cost.add(p.cost)
		sum.tokens.add(p.tokens)
	}
	return &sum
}

// dissolve clears the scratch fields of the people.
func (r *merged) dissolve() {
	for _, p := range r.people {
		p.merged, p.cost, p.tokens = false, 0, 0
	}
}

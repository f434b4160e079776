package signal

import (
	"cmp"
	"math"
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/policy"
)

// S13.
const (
	s13People    = 200
	s13Z         = 2.33
	s13Before    = 8
	s13After     = 4
	s13TeamWeeks = 40
	s13TeamP     = 0.01
	s13TeamSize  = 5
)

func minimumEffort() Definition {
	return Definition{
		Code: "S13", Title: "Minimum-effort adoption", Kind: Aggregate, Label: PossibleGaming,
		ScopeKinds: []string{ScopeMetric},
		Needs:      []string{"a declared target for weekly use", "requests per person", "sizes of teams for the second test"},
		Statistic: "people with one or two requests in the week against what a negative binomial, fitted to those with three and more, expects: " +
			"relative excess since the announcement less that before; and team-weeks that reach the target by exactly the person needed against those that miss it by one",
		MinimumN: s13People, Sample: "people",
		Thresholds: []Threshold{
			{"z of the change of the excess", s13Z, "standard deviations"},
			{"or: probability of the team-weeks just above by chance, at most", s13TeamP, "probability"},
			{"team-weeks next to the target", s13TeamWeeks, "team-weeks"},
		},
		LookAlikes: []LookAlike{
			look("light use that is honest", "it was there before the announcement, and is subtracted", nil),
			look("newcomers who try it out", "they come at the announcement too, and go on to more", nil),
			look("teams of round sizes", "they reached the target as often before", nil),
		},
		Question: "Does the target for weekly use still measure use?",
		Formula:  "adoption/1",
		shared:   "{scope}, {week}: the number of people with one or two requests changed by {value} standard deviations since the announcement.",
	}
}

// judgeAdoption measures every target for weekly use.
func (e *evaluation) judgeAdoption() {
	coverage := Coverage{Code: "S13"}
	for i := range e.in.Policy.Targets {
		t := &e.in.Policy.Targets[i]
		if t.Metric != policy.WeeklyUse {
			continue
		}
		coverage.Subjects++
		g := e.adoption(t)
		if g == nil {
			continue
		}
		coverage.Known++
		coverage.Measured++
		if g.fired {
			coverage.Fired++
		}
		e.groups = append(e.groups, *g)
	}
	e.result.Coverage = append(e.result.Coverage, coverage)
}

// adoption takes the week into a target's history and compares; nil if there is
// too little to compare.
func (e *evaluation) adoption(t *policy.Target) *group {
	s := e.s.adoption(t.ID)
	people := e.addressed(t)
	counts := make([]int64, 0, len(people))
	for _, o := range people {
		counts = append(counts, o.week.Requests)
	}
	if b, ok := AdoptionExcess(counts); ok {
		s.Weeks = append(s.Weeks, AdoptionWeek{Week: e.in.WeekStart, People: int64(len(counts)), Excess: b.Excess, Variance: b.Variance})
		s.forget(int64(t.AnnouncedAt))
	}
	e.countTeams(t, s)
	if !t.InForce(e.in.WeekStart) {
		return nil
	}
	before, after := s.split(int64(t.AnnouncedAt))
	z, zKnown := change(before, after)
	teamP, local, teamKnown := s.teamTest()
	if !zKnown && !teamKnown {
		return nil
	}
	g := &group{code: "S13", kind: ScopeMetric, scope: t.ID, label: PossibleGaming, people: int64(len(counts))}
	g.fired = zKnown && z >= s13Z || teamKnown && teamP <= s13TeamP
	g.findings = []Finding{LeftOut, Unseen, LeftOut}
	g.r = Reading{N: int64(len(counts)), Known: int64(len(counts)), Of: int64(len(people)), Value: z, Threshold: s13Z, P: upperTail(z)}
	g.r.decide(g.fired)
	sole, once := soleUse(people)
	g.facts = []Fact{
		maybe("excess_before", "relative excess of people with one or two requests, before the announcement", level(before), zKnown, "times", int64(len(before))),
		maybe("excess_after", "the same since", level(after), zKnown, "times", int64(len(after))),
		maybe("team_weeks", "probability that as many team-weeks reach the target by one person as miss it by one, by chance", teamP, teamKnown, "probability", local).against(s13TeamP),
		maybe("sole_use", "of those who used it on one day, the share on the last working day", share(sole, once), once > 0, "share", once),
	}
	return g
}

// addressed are the people of the target's teams who used anything.
func (e *evaluation) addressed(t *policy.Target) []*observation {
	var people []*observation
	for _, o := range e.p.observed {
		if o.subject.isPerson() && o.week.Requests > 0 && t.SetFor(o.week.Team) {
			people = append(people, o)
		}
	}
	return people
}

// soleUse counts people who used something on one day, and those of them for
// whom it was the Friday.
func soleUse(people []*observation) (friday, once int64) {
	for _, o := range people {
		days, last := 0, 0
		for day, n := range o.week.DayRequests {
			if n > 0 {
				days, last = days+1, day
			}
		}
		if days == 1 {
			once++
			if last == 4 {
				friday++
			}
		}
	}
	return friday, once
}

// adoption returns the state of a target, which it creates if it is absent.
func (s *State) adoption(target string) *AdoptionState {
	at, ok := slices.BinarySearchFunc(s.Adoption, target, func(a AdoptionState, id string) int { return cmp.Compare(a.Target, id) })
	if !ok {
		s.Adoption = slices.Insert(s.Adoption, at, AdoptionState{Target: target})
	}
	return &s.Adoption[at]
}

// forget keeps the last weeks before the announcement and since.
func (s *AdoptionState) forget(announced int64) {
	before, after := s.split(announced)
	s.Weeks = append(slices.Clone(before), after...)
}

// split returns the last weeks before a time and from it on.
func (s *AdoptionState) split(at int64) (before, after []AdoptionWeek) {
	i := slices.IndexFunc(s.Weeks, func(w AdoptionWeek) bool { return w.Week >= at })
	if i < 0 {
		i = len(s.Weeks)
	}
	return s.Weeks[max(i-s13Before, 0):i], s.Weeks[max(i, len(s.Weeks)-s13After):]
}

// level is the mean excess of some weeks.
func level(weeks []AdoptionWeek) float64 {
	var sum float64
	for _, w := range weeks {
		sum += w.Excess
	}
	return sum / float64(max(len(weeks), 1))
}

// change is how many standard deviations the excess has risen. The same people
// come week after week, so that their mean is taken to vary like one week of them.
func change(before, after []AdoptionWeek) (z float64, known bool) {
	if len(before) < baselineWeeks || len(after) < 2 {
		return 0, false
	}
	variance := meanVariance(before) + meanVariance(after)
	return (level(after) - level(before)) / math.Sqrt(variance), variance > 0
}

func meanVariance(weeks []AdoptionWeek) float64 {
	var sum float64
	for _, w := range weeks {
		sum += w.Variance
	}
	return sum / float64(len(weeks))
}

// countTeams counts for each team how many people it was above or below the
// number that the target asks for.
func (e *evaluation) countTeams(t *policy.Target, s *AdoptionState) {
	into := &s.Before
	if e.in.WeekStart >= int64(t.AnnouncedAt) {
		into = &s.After
	}
	used := map[string]int64{}
	var teams []string
	for _, o := range e.addressed(t) {
		if used[o.week.Team] == 0 {
			teams = append(teams, o.week.Team)
		}
		used[o.week.Team]++
	}
	for _, team := range teams {
		declared, _ := e.in.Policy.Team(team)
		if declared.Size < s13TeamSize {
			continue
		}
		needed := (t.Threshold*declared.Size + 999) / 1000
		if at := used[team] - needed + 4; at >= 0 && at < int64(len(into)) {
			into[at]++
		}
	}
}

// teamTest is the probability that so many of the team-weeks next to the target
// lie on its upper side, by chance; their odds are those of the weeks further out.
// It is unknown with too few, or if it was so before the announcement.
func (s *AdoptionState) teamTest() (p float64, local int64, known bool) {
	above, below := s.After[4], s.After[3]
	local = above + below
	if local < s13TeamWeeks {
		return 1, local, false
	}
	out := math.Log(float64(s.After[5]+s.After[6])+1) - math.Log(float64(s.After[1]+s.After[2])+1)
	slope := min(max(out/4, -0.5), 0.5)
	p = binomialTail(local, above, 1/(1+math.Exp(-slope)))
	if past := s.Before[4] + s.Before[3]; past >= s13TeamWeeks/2 {
		// Compared with before, too.
		odds := min(max(share(s.Before[4], past), 0.05), 0.95)
		p = max(p, binomialTail(local, above, odds))
	}
	return p, local, true
}

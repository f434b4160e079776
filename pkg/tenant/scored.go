package tenant

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/kpi"
	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// scored is an ISO week as the card of a target on the efficiency score sees it:
// the teams that had a score, sorted.
type scored struct {
	week  int64
	teams []achieved
}

// achieved is what a team achieved in a week.
type achieved struct {
	team string
	// score is in thousandths of a point, as it stood when the week was judged: what
	// anybody who was managed by it would have seen.
	score int64
	// settled is the worth of the outcomes of the week that have survived,
	// thousandths of a point; not known until all have had the time to.
	settled int64
	known   bool
}

// achieve notes the scores of an ISO week when it is judged, and what has survived
// of its outcomes once they have settled.
func (a *assessor) achieve(w *window.Window, teams *score.Assessment) {
	end := teams.Inputs.End
	week := end - window.Week
	switch {
	case w.Size != window.Week || week != window.WeekStart(week): // it is no ISO week
	case a.midnight == week+judged:
		if of := scoresOf(teams); len(of) > 0 {
			a.t.scored = append(a.t.scored, scored{week: week, teams: of})
		}
	case a.midnight == end+score.Settling:
		a.t.settle(week, teams)
	}
}

// scoresOf lists the teams that have a score, sorted.
func scoresOf(teams *score.Assessment) []achieved {
	var of []achieved
	for i := range teams.Scores {
		if s := &teams.Scores[i]; s.Reason == "" {
			of = append(of, achieved{team: s.Unit, score: int64(math.Round(1000 * s.Index))})
		}
	}
	return of
}

// settle notes what has survived of the outcomes of a week.
func (t *tenant) settle(week int64, teams *score.Assessment) {
	at, found := slices.BinarySearchFunc(t.scored, week, func(x scored, week int64) int { return cmp.Compare(x.week, week) })
	if !found {
		return
	}
	of := t.scored[at].teams
	for i := range teams.Scores {
		s := &teams.Scores[i]
		at, found := slices.BinarySearchFunc(of, s.Unit, func(x achieved, team string) int { return strings.Compare(x.team, team) })
		if !found || !s.ExpectedKnown {
			continue
		}
		settled := int64(0)
		for j := range s.Parts {
			settled += s.Parts[j].Block.Value.Settled
		}
		of[at].settled, of[at].known = settled, true
	}
}

// trimScored drops weeks that lie more than so many before one.
func (t *tenant) trimScored(week int64, keep int) {
	oldest := week - int64(keep-1)*window.Week
	t.scored = slices.DeleteFunc(t.scored, func(x scored) bool { return x.week < oldest })
}

// teamPanel is what teams achieved up to a week, as the card of a target on the
// score takes it. A week in which a team had no score is unknown.
func (t *tenant) teamPanel(week int64) *kpi.Panel {
	p := &kpi.Panel{Start: week, TeamUnits: true}
	var teams []string
	for _, x := range t.scored {
		p.Start = min(p.Start, x.week)
		for i := range x.teams {
			teams = append(teams, x.teams[i].team)
		}
	}
	slices.Sort(teams)
	teams = slices.Compact(teams)
	for _, team := range teams {
		p.Units = append(p.Units, kpi.Unit{Team: team, Weeks: make([]kpi.Week, (week-p.Start)/window.Week+1)})
	}
	for _, x := range t.scored {
		for _, of := range x.teams {
			at, _ := slices.BinarySearch(teams, of.team)
			k := &p.Units[at].Weeks[(x.week-p.Start)/window.Week]
			k.Known, k.Tokens, k.OutcomesKnown, k.Outcomes = true, of.score, of.known, of.settled
			k.DayTokens[0] = of.score
		}
	}
	return p
}

func saveScored(x scored) *goodhartv1.ScoredWeek {
	return &goodhartv1.ScoredWeek{WeekMs: x.week, Teams: each(x.teams, func(of achieved) *goodhartv1.ScoredTeam {
		m := &goodhartv1.ScoredTeam{Team: of.team, Score: of.score}
		if of.known {
			m.Settled = &of.settled
		}
		return m
	})}
}

func loadScored(m *goodhartv1.ScoredWeek) scored {
	return scored{week: m.WeekMs, teams: each(m.Teams, func(of *goodhartv1.ScoredTeam) achieved {
		return achieved{team: of.Team, score: of.Score, settled: of.GetSettled(), known: of.Settled != nil}
	})}
}

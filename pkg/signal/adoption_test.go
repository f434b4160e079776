package signal

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// workforce replaces the subjects by n people in teams of ten whose counts are a
// negative binomial; a share of those who did nothing make one request on Friday
// in the weeks from since on.
func workforce(c *company, n int, since int64, minimal float64) {
	c.adjust = func(in *Input) {
		in.Subjects = nil
		rng := rand.New(rand.NewPCG(uint64(c.week), 99))
		counts := negativeBinomial(rng, n, 12)
		for i, requests := range counts {
			w := &goodhartv1.Week{WeekStartMs: c.week, Team: fmt.Sprintf("g%02d", i/10), Requests: requests, DayRequests: make([]int64, 7)}
			w.DayRequests[1], w.DayRequests[2] = requests/2, requests-requests/2
			if c.week >= since && rng.Float64() < minimal && requests < 8 {
				w.Requests, w.DayRequests = 1, []int64{0, 0, 0, 0, 1, 0, 0}
			}
			if w.Requests > 0 {
				in.Subjects = append(in.Subjects, Subject{ID: fmt.Sprintf("p_%04d", i), Type: goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN, Week: w})
			}
		}
	}
	c.declares.Teams = nil
	for g := range (n + 9) / 10 {
		c.declares.Teams = append(c.declares.Teams, policy.Team{ID: fmt.Sprintf("g%02d", g), Size: 10})
	}
}

func adoptionTarget(announced int64) []policy.Target {
	return []policy.Target{{ID: "use", Metric: policy.WeeklyUse, Threshold: 800, Period: policy.Week, Scope: policy.ScopeTenant, AnnouncedAt: policy.Day(announced)}}
}

// S13 asks about the target after the minimum has spread since its announcement,
// and about no person.
func TestMinimumEffort(t *testing.T) {
	const before = 6
	announced := firstWeek + before*window.Week
	run := func(n int, minimal float64, since int64) *company {
		c := newCompany(t)
		c.declares.Targets = adoptionTarget(announced)
		workforce(c, n, since, minimal)
		c.run(before + 5)
		return c
	}
	c := run(600, 0.5, announced)
	asked := c.about("S13", ScopeMetric)
	if len(asked) == 0 || asked[0].Scope != "use" || asked[0].Private() || asked[0].Status != Opened {
		t.Fatalf("%+v", c.all)
	}
	if asked[0].OpenedAt < announced+2*window.Week {
		t.Error("before there were two weeks to compare")
	}
	sole := -1.0
	for _, f := range asked[0].Evidence {
		if f.Name == "sole_use" {
			sole = f.Value
		}
	}
	if sole < 0.9 {
		t.Errorf("the share of sole use on Friday is %g", sole)
	}
	for _, s := range c.all {
		if s.Code != "S13" {
			t.Errorf("%s about %s %s", s.Code, s.Kind, s.Scope)
		}
	}
	// Nothing spread: nothing asked. The same light use before the announcement
	// is honest.
	if c := run(600, 0, announced); len(c.all) != 0 {
		t.Errorf("without the minimum: %s", c.all[0].Question)
	}
	if c := run(600, 0.5, 0); len(c.all) != 0 {
		t.Errorf("as light as before: %s", c.all[0].Question)
	}
	// Too few people, or a target that was not announced: unknown.
	c = newCompany(t)
	c.declares.Targets = adoptionTarget(announced)
	workforce(c, 199, announced, 0.5)
	c.declares.Teams = nil // or the teams could be compared
	c.run(before + 5)
	if got := c.last.result.Coverage[c.last.coverageOf("S13")]; len(c.all) != 0 || got.Subjects != 1 || got.Known != 0 {
		t.Errorf("below 200 active people: %+v", got)
	}
}

// The teams that reach the target by exactly one person are compared with those
// that miss it by one.
func TestTeamTest(t *testing.T) {
	f := func(after, before [9]int64, known, fired bool) {
		t.Helper()
		s := AdoptionState{After: after, Before: before}
		p, local, ok := s.teamTest()
		if ok != known || (ok && p <= s13TeamP) != fired {
			t.Errorf("%v after %v: p %g of %d, known %v", after, before, p, local, ok)
		}
	}
	none := [9]int64{}
	f([9]int64{0, 10, 14, 19, 20, 15, 10, 0, 0}, none, false, false) // 39 team-weeks
	f([9]int64{0, 10, 14, 20, 20, 15, 10, 0, 0}, none, true, false)
	f([9]int64{0, 10, 14, 8, 32, 15, 10, 0, 0}, none, true, true)
	// Growing numbers further out explain some of it.
	f([9]int64{0, 2, 3, 13, 27, 40, 60, 0, 0}, none, true, false)
	// As it was before.
	f([9]int64{0, 10, 14, 8, 32, 15, 10, 0, 0}, [9]int64{0, 10, 14, 8, 32, 15, 10, 0, 0}, true, false)
}

// Teams are counted by how many people they are above the number needed.
func TestCountTeams(t *testing.T) {
	c := newCompany(t)
	c.declares.Targets = adoptionTarget(firstWeek + window.Week)
	c.declares.Teams = []policy.Team{{ID: "a", Size: 10}, {ID: "b", Size: 10}, {ID: "c", Size: 4}, {ID: "d", Size: 7}}
	c.adjust = func(in *Input) {
		in.Subjects = nil
		for team, used := range map[string]int{"a": 8, "b": 7, "c": 4, "d": 7, "e": 9} {
			for i := range used {
				in.Subjects = append(in.Subjects, Subject{
					ID: fmt.Sprintf("p_%s%d", team, i), Type: goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN,
					Week: &goodhartv1.Week{WeekStartMs: c.week, Team: team, Requests: 5},
				})
			}
		}
	}
	c.run(2)
	// a needs 8 of 10 and has them, b misses by one, c is too small, d needs 6 of 7
	// and has one more, e has no known size.
	want := [9]int64{0, 0, 0, 1, 1, 1, 0, 0, 0}
	if got := c.state.Adoption[0]; got.Before != want || got.After != want {
		t.Errorf("before %v, after %v", got.Before, got.After)
	}
}

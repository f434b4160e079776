package tenant

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/window"
)

// monday is the start of ISO week 2026-W02.
const monday = base + 4*window.Day

// team says who spent what in a team: one request per person.
type team struct {
	name   string
	people []string
	costs  []int64
}

// evenly is a team of n people who spent the same.
func evenly(name string, n int) team {
	t := team{name: name}
	for i := range n {
		t.people = append(t.people, fmt.Sprintf("p_%s_%d", name, i))
		t.costs = append(t.costs, 100)
	}
	return t
}

// top is a team whose first people spent the given costs and the others 100.
func top(name string, n int, costs ...int64) team {
	t := evenly(name, n)
	copy(t.costs, costs)
	return t
}

// logWeek writes what teams did on the Tuesday of a week; tokens follow cost.
func logWeek(l *factLog, week int64, teams ...team) {
	l.tb.Helper()
	at := week + window.Day + 9*window.Hour
	for _, t := range teams {
		for i, p := range t.people {
			l.deed(deed{
				w: at, t: at, tenant: "acme", subject: p, team: t.name, model: "opus",
				tokens: t.costs[i], cost: t.costs[i],
			})
		}
	}
}

func groups(tb testing.TB, l *factLog) []record {
	tb.Helper()
	return scores(tb, New(Default()), features(tb, l.records), score.KindGroupSize)
}

func TestGroupReasons(t *testing.T) {
	f := func(name string, teams []team, want map[string]string) {
		t.Helper()
		l := factLog{tb: t}
		logWeek(&l, monday, teams...)
		l.watermark(monday + 2*window.Day + 1)
		got := map[string]string{}
		for _, g := range groups(t, &l) {
			got[g.Team] = g.Reason
			if g.Publishable != (g.Reason == score.ReasonOK) {
				t.Errorf("%s: %s: publishable %v for reason %s", name, g.Team, g.Publishable, g.Reason)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
	f("exactly k", []team{evenly("a", 10), evenly("b", 10)}, map[string]string{"a": "", "b": ""})
	// 9 people are too few; alone they would be the difference to the total.
	f("one below k hides the smallest other", []team{evenly("a", 9), evenly("b", 12), evenly("c", 11)},
		map[string]string{"a": "group_size", "b": "", "c": "complementary"})
	f("equal sizes go by name", []team{evenly("a", 9), evenly("c", 12), evenly("b", 12)},
		map[string]string{"a": "group_size", "b": "complementary", "c": ""})
	f("two below k that are enough together", []team{evenly("a", 6), evenly("b", 4), evenly("c", 30)},
		map[string]string{"a": "group_size", "b": "group_size", "c": ""})
	f("two below k that are too few together", []team{evenly("a", 5), evenly("b", 4), evenly("c", 30), evenly("d", 20)},
		map[string]string{"a": "group_size", "b": "group_size", "c": "", "d": "complementary"})
	// 11 × 100 = 1100 by the others: 1100 of 2200 is exactly half.
	f("half by one", []team{top("a", 12, 1100), evenly("b", 12)}, map[string]string{"a": "", "b": ""})
	f("more than half by one", []team{top("a", 12, 1101), evenly("b", 12), evenly("c", 13)},
		map[string]string{"a": "dominance", "b": "complementary", "c": ""})
	// 10 × 100 = 1000 by the others: 3000 of 4000 is exactly three quarters.
	f("three quarters by two", []team{top("a", 12, 1500, 1500), evenly("b", 12)}, map[string]string{"a": "", "b": ""})
	f("more than three quarters by two", []team{top("a", 12, 1501, 1501), evenly("b", 14), evenly("c", 13), evenly("d", 40)},
		map[string]string{"a": "dominance", "b": "", "c": "complementary", "d": ""})
	// The one who dominates a must not dominate what is merged: b and c join.
	f("merged until nobody dominates", []team{top("a", 12, 4500), evenly("b", 12), evenly("c", 13), evenly("d", 40)},
		map[string]string{"a": "dominance", "b": "complementary", "c": "complementary", "d": "complementary"})
	f("nothing but unpublishable", []team{evenly("a", 3)}, map[string]string{"a": "group_size"})
	f("no price and no count", []team{top("a", 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), evenly("b", 12), evenly("c", 20)},
		map[string]string{"a": "unknown", "b": "complementary", "c": ""})
}

// Services and keys are not people, whatever they spend, and an account outside
// the people file is.
func TestGroupsCountPeopleAlone(t *testing.T) {
	l := factLog{tb: t}
	logWeek(&l, monday, top("a", 10, 100), team{name: "a", people: []string{"s_ci", "k_1", "a_1"}, costs: []int64{1e6, 1e6, 100}})
	l.watermark(monday + 2*window.Day + 1)
	got := groups(t, &l)
	if len(got) != 1 || *got[0].People != 11 || *got[0].Top1 != 0.090909 || *got[0].Top2 != 0.181818 || got[0].Reason != "" {
		t.Errorf("%v", got)
	}
}

// Dominance is looked for in the cost and in the tokens: one person on a model
// without a price makes up nothing of the cost and most of the tokens.
func TestDominanceOfTokens(t *testing.T) {
	l := factLog{tb: t}
	logWeek(&l, monday, evenly("a", 12), evenly("b", 12), evenly("c", 13))
	at := monday + window.Day + 10*window.Hour
	l.deed(deed{w: at, t: at, tenant: "acme", subject: "p_a_0", team: "a", model: "homemade", tokens: 5000})
	l.watermark(monday + 2*window.Day + 1)
	if got := groups(t, &l)[0]; got.Team != "a" || got.Reason != score.ReasonDominance || *got.Top1 < 0.8 {
		t.Errorf("%v", got)
	}
}

// A team-week is stated at the midnight after it changed, one revision up, and
// for the last time 48 hours after its end, changed or not. A delta that is due
// at that very moment is still in it.
func TestGroupRevisions(t *testing.T) {
	l := factLog{tb: t}
	logWeek(&l, monday, evenly("a", 10)) // Tuesday
	l.watermark(monday + 4*window.Day)   // Wednesday's midnight passes without a change
	late := monday + 7*window.Day + 48*window.Hour - mnt
	l.deed(deed{w: late, t: monday + 7*window.Day - 1, tenant: "acme", subject: "p_new", team: "a", model: "opus", tokens: 100, cost: 100})
	l.watermark(monday + 20*window.Day)
	var got []string
	for _, g := range groups(t, &l) {
		got = append(got, fmt.Sprintf("%s %s rev %d at day %d: %d people, %s", g.Team, g.Week, g.Rev, (g.W-monday)/window.Day, *g.People, g.Reason))
	}
	want := []string{
		"a 2026-W02 rev 0 at day 4: 10 people, ", // first w past Tuesday's midnight
		"a 2026-W02 rev 1 at day 9: 11 people, ", // the first w past the 48 hours is that of the weeks
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// The last statement is made even of a week that has not changed, so that a
// reader knows it by its w.
func TestGroupIsStatedFinally(t *testing.T) {
	l := factLog{tb: t}
	logWeek(&l, monday, evenly("a", 10))
	l.watermark(monday + 9*window.Day)
	l.watermark(monday + 9*window.Day + 1)
	l.watermark(monday + 20*window.Day)
	got := groups(t, &l)
	if len(got) != 2 || got[1].Rev != 1 || got[1].W != monday+9*window.Day+1 || *got[1].People != 10 {
		t.Errorf("%v", got)
	}
}

// The difference attack: from the total of a tenant and every published team,
// nobody learns of a group that could not be published itself.
func TestDifferenceAttack(t *testing.T) {
	hidden := 0
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 9))
		var teams []team
		for i := range 1 + rng.IntN(7) {
			one := evenly(fmt.Sprintf("t%d", i), 1+rng.IntN(25))
			for j := range one.costs {
				one.costs[j] = int64(1) << rng.IntN(10)
				if rng.IntN(6) == 0 { // in two teams in one week
					one.people[j] = fmt.Sprintf("p_t0_%d", j)
				}
			}
			teams = append(teams, one)
		}
		l := factLog{tb: t}
		logWeek(&l, monday, teams...)
		l.watermark(monday + 2*window.Day + 1)
		published := map[string]bool{}
		for _, g := range groups(t, &l) {
			published[g.Team] = g.Publishable
		}
		rest, merged := map[string]int64{}, 0
		for _, one := range teams {
			sum := map[string]int64{}
			for j, p := range one.people {
				sum[p] += one.costs[j]
			}
			if published[one.name] {
				if !safe(sum) {
					t.Fatalf("seed %d: %s is published: %v", seed, one.name, sum)
				}
				continue
			}
			merged++
			for p, cost := range sum {
				rest[p] += cost
			}
		}
		if merged == 0 || merged == len(teams) {
			continue
		}
		hidden++
		if merged == 1 || !safe(rest) {
			t.Fatalf("seed %d: %d merged teams follow from the difference: %v", seed, merged, rest)
		}
	}
	if hidden < 25 {
		t.Errorf("only %d organisations had both kinds of team", hidden)
	}
}

// safe states the rule once more: ten people, nobody over a half, no two over
// three quarters.
func safe(costs map[string]int64) bool {
	var total, first, second int64
	for _, cost := range costs {
		total += cost
		if cost > first {
			first, second = cost, first
		} else if cost > second {
			second = cost
		}
	}
	return len(costs) >= 10 && 2*first <= total && 4*(first+second) <= 3*total
}

// Who joins the groups that may not be published stays with them: its figures of
// the week before would tell it from them.
func TestComplementStays(t *testing.T) {
	l := factLog{tb: t}
	logWeek(&l, monday, evenly("a", 3), evenly("b", 12), evenly("c", 11), evenly("d", 15))
	logWeek(&l, monday+window.Week, evenly("a", 3), evenly("b", 11), evenly("c", 12), evenly("d", 15))
	l.watermark(monday + 3*window.Week)
	got := map[string]string{}
	for _, g := range groups(t, &l) {
		got[g.Week+" "+g.Team] = g.Reason
	}
	want := map[string]string{
		"2026-W02 a": "group_size", "2026-W02 b": "", "2026-W02 c": "complementary", "2026-W02 d": "",
		"2026-W03 a": "group_size", "2026-W03 b": "", "2026-W03 c": "complementary", "2026-W03 d": "",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A team with outcomes and nobody who used anything is merged too: alone it would
// be what the tenant's outcomes lack in those of the published teams.
func TestOutcomesOfATeamWithoutUsers(t *testing.T) {
	l := factLog{tb: t}
	logWeek(&l, monday, evenly("b", 12), evenly("c", 11))
	at := monday + window.Day + 10*window.Hour
	l.deed(deed{w: at, t: at, tenant: "acme", subject: "p_lone", team: "quiet", provisional: 1})
	logWeek(&l, monday+window.Week, evenly("b", 12), evenly("c", 11))
	l.watermark(monday + 3*window.Week)
	got := map[string]string{}
	for _, g := range groups(t, &l) {
		got[g.Week+" "+g.Team] = g.Reason
	}
	want := map[string]string{"2026-W02 b": "", "2026-W02 c": "complementary", "2026-W03 b": "", "2026-W03 c": ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

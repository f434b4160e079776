package organisation

import (
	"math"
	"testing"
)

// Every class of honest oddity must be there often enough to be judged by.
func TestEveryLookAlikeIsThere(t *testing.T) {
	for seed := range uint64(3) {
		o := newOrganisation(t, seed, gamers(0, 0))
		people, teams := map[Look]map[int]bool{}, map[Look]map[int]bool{}
		for l := range Looks() {
			people[l], teams[l] = map[int]bool{}, map[int]bool{}
		}
		for i := range o.Plans {
			plan := &o.Plans[i]
			for l := range Looks() {
				if plan.Looks.Has(l) {
					people[l][plan.Person], teams[l][plan.Team] = true, true
				}
			}
		}
		for l := range Looks() {
			if n := len(people[l]); n < len(o.People)/50 {
				t.Errorf("seed %d: %v: %d of %d people: want 2 %%", seed, l, n, len(o.People))
			}
			if n := len(teams[l]); n < 1 {
				t.Errorf("seed %d: %v: in no team", seed, l)
			}
		}
		services := map[bool]int{}
		for _, s := range o.services {
			services[s.builder]++
		}
		if services[true] < len(o.Teams)/50+1 || services[false] < len(o.Teams)/50+1 {
			t.Errorf("seed %d: services %v: want both kinds", seed, services)
		}
	}
}

// The look-alikes are what they are called.
func TestLookAlikesLookAlike(t *testing.T) {
	if testing.Short() {
		t.Skip("a whole company, one event after the other")
	}
	o := newOrganisation(t, 7, func(c *Config) {
		gamers(0, 0)(c)
		c.People, c.Weeks, c.AnnouncedWeek, c.RequestsPerWeek, c.Habits.Derived = 200, 26, 18, 40, 1
		c.LookAlikes.AgentOperator, c.LookAlikes.LongContext, c.LookAlikes.Codemod = .04, .04, .06
	})
	d := read(o, nil)
	var agents, outcomes, prompts, targets, nights, cached, reports, ratios, other []float64
	failed, storms := 0, 0
	for _, p := range o.People {
		for week, r := range d.weeks[p.Index] {
			plan := o.Plan(p.Index, week)
			if len(r) == 0 {
				continue
			}
			ratio := mean(r, func(s *sent) float64 { return math.Log((s.context + 1) / (s.output + 1)) })
			if plan.Looks&(LongContext|Monorepo|ModelChange) == 0 && p.role.Tool == toolCode {
				other = append(other, ratio)
			}
			if plan.Looks.Has(LongContext) && p.role.Tool == toolCode {
				ratios = append(ratios, ratio)
			}
			if plan.Looks.Has(AgentOperator) {
				agents, outcomes = append(agents, hours(r)), append(outcomes, plan.Expected)
			}
			if plan.Looks.Has(Codemod) {
				hashes, files := map[uint64]int{}, map[uint64]bool{}
				most := 0
				for i := range r {
					hashes[r[i].hash]++
					files[r[i].target] = true
					most = max(most, hashes[r[i].hash])
				}
				prompts, targets = append(prompts, float64(most)/float64(len(r))), append(targets, float64(len(files))/float64(len(r)))
			}
			if plan.Looks.Has(OnCall) && plan.Looks&AgentOperator == 0 {
				nights = append(nights, mean(r, func(s *sent) float64 {
					h := s.at / hour % 24
					return indicator(h >= 22 || h < 6)
				}))
			}
			if plan.Looks.Has(CacheLoss) {
				cached = append(cached, mean(r, func(s *sent) float64 { return s.cached }))
			}
			if plan.Looks.Has(ReportCron) && p.hourly {
				reports = append(reports, repeated(r))
			}
			if plan.Looks.Has(RetryStorm) {
				storms++
				failed += o.Truth()[p.Index*o.Config.Weeks+week].Failed
			}
		}
	}
	within(t, "agent operators: fewest hours", quantile(agents, 0), 105, 168)
	within(t, "agent operators: most hours", quantile(agents, 1), 130, 168)
	within(t, "agent operators: outcomes a week", average(outcomes), 2, 15)
	within(t, "long context: shift of ln(context/output)", average(ratios)-average(other), 1, 2)
	within(t, "codemod: share of one prompt", average(prompts), .4, .8)
	within(t, "codemod: targets per request", average(targets), .4, 1)
	within(t, "on call: share at night", average(nights), .2, .6)
	within(t, "cache loss: cached", average(cached), 0, .01)
	within(t, "hourly report: repeats", average(reports), .25, 1)
	within(t, "retry storms: failures a week", float64(failed)/float64(storms), 15, 200)
}

func TestContextsAreMostlyDeclared(t *testing.T) {
	o := newOrganisation(t, 7, gamers(0, 0))
	kinds, declared := map[string]int{}, map[string]int{}
	for _, c := range o.Contexts() {
		kinds[c.Kind]++
		if c.Declared {
			declared[c.Kind]++
		}
		if c.From < 0 || c.To > o.Config.Weeks || c.From >= c.To {
			t.Errorf("%+v: not within the period", c)
		}
	}
	share := func(kind string) float64 { return float64(declared[kind]) / float64(kinds[kind]) }
	within(t, "automation: declared", share("automation"), 1, 1)
	within(t, "on call: declared", share("on_call"), .7, .9)
	within(t, "vacation: declared", share("vacation"), .75, .85)
	within(t, "migration: declared", share("migration"), .6, .95)
}

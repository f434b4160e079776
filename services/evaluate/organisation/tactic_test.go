package organisation

import (
	"math"
	"testing"
)

// trace is what a tactic leaves in a person's weeks: the mean of a figure over
// the weeks with it, beside the same person's weeks before the announcement.
type trace struct {
	figure func(p *Person, plan *Plan, r []sent) float64
	// The mean with the tactic, and how much more it is than before.
	low, high, more float64
}

func traces(o *Organisation) map[Tactic]trace {
	ratio := func(_ *Person, _ *Plan, r []sent) float64 {
		return mean(r, func(s *sent) float64 { return math.Log((s.context + 1) / (s.output + 1)) })
	}
	target := o.Config.Target.WeeklyTokens
	day := func(s *sent) int64 { return s.at / dayMs }
	return map[Tactic]trace{
		ContextBloat: {ratio, 4, 8, 1},
		Duplicates:   {func(_ *Person, _ *Plan, r []sent) float64 { return repeated(r) }, .4, 1, .4},
		VaguePrompts: {func(_ *Person, _ *Plan, r []sent) float64 {
			return mean(r, func(s *sent) float64 { return math.Log((s.output + 1) / (s.fresh + 1)) })
		}, 1.5, 6, 1.3},
		RoundTheClock: {func(_ *Person, _ *Plan, r []sent) float64 { return hours(r) }, 110, 168, 80},
		Timer: {func(p *Person, _ *Plan, r []sent) float64 {
			return resultant(r, p.gamer.period)
		}, .4, 1, .3},
		Busywork: {func(_ *Person, _ *Plan, r []sent) float64 {
			return 1 - mean(r, func(s *sent) float64 { return indicator(s.effects) })
		}, .7, 1, .1},
		TopUp: {func(p *Person, plan *Plan, r []sent) float64 {
			var all float64
			for i := range r {
				all += r[i].tokens
			}
			return indicator(all >= .999*target && all < 1.1*target)
		}, .75, 1, .6},
		EndSurge: {func(p *Person, plan *Plan, r []sent) float64 {
			if p.gamer.monthly {
				return share(r, func(s *sent) bool { return lateInMonth(o.date(plan.Week, int(day(s)))) })
			}
			return share(r, func(s *sent) bool { return day(s) == 6 || day(s) == 4 && s.at%dayMs > 15*hour })
		}, .5, 1, .3},
		CheapLoop: {func(_ *Person, _ *Plan, r []sent) float64 {
			return share(r, func(s *sent) bool { return s.model == o.Config.Models.Small })
		}, .5, 1, .3},
		CacheBusting: {func(_ *Person, _ *Plan, r []sent) float64 {
			return -mean(r, func(s *sent) float64 { return s.cached })
		}, -.02, 0, .2},
		MinimumAdoption: {func(_ *Person, _ *Plan, r []sent) float64 {
			return indicator(len(r) <= 2 && r[0].at/dayMs == 4)
		}, 1, 1, .9},
	}
}

// Every tactic leaves the trace that the catalogue says, and the traces are
// about as strong as the intensity; adaptive gamers leave none.
func TestTacticsLeaveTheirTraces(t *testing.T) {
	if testing.Short() {
		t.Skip("a whole company, one event after the other")
	}
	o := newOrganisation(t, 3, func(c *Config) {
		gamers(.5, .25)(c)
		c.People, c.Weeks, c.AnnouncedWeek, c.RequestsPerWeek = 250, 26, 18, 40
		c.Gamers.Mixed, c.Habits.Derived, c.Gamers.Tactics.MinimumAdoption = 0, 1, 3
		c.Gamers.Intensity = [2]float64{2, 4}
		c.LookAlikes.LongContext, c.LookAlikes.AgentOperator, c.LookAlikes.ReportCron = .02, .02, .02
	})
	d := read(o, nil)
	for _, tactic := range Tactics() {
		want, ok := traces(o)[tactic]
		if !ok {
			continue
		}
		var with, before []float64
		for _, p := range o.People {
			if p.gamer == nil || p.gamer.tactics[0] != tactic {
				continue
			}
			for week, requests := range d.weeks[p.Index] {
				plan := o.Plan(p.Index, week)
				switch {
				case plan.Looks&(CacheLoss|Monorepo) != 0, len(requests) == 0:
				case plan.Wasted > 0:
					if tactic != EndSurge || !p.gamer.monthly || o.lateDays(week) >= 3 {
						with = append(with, want.figure(p, plan, requests))
					}
				case week < o.Config.AnnouncedWeek:
					before = append(before, want.figure(p, plan, requests))
				}
			}
		}
		if len(with) < 5 {
			t.Errorf("%v: %d weeks: want 5 to judge by", tactic, len(with))
			continue
		}
		got, usual := average(with), average(before)
		within(t, tactic.String(), got, want.low, want.high)
		within(t, tactic.String()+", more than before", got-usual, want.more, math.Inf(1))
	}
	checkAdaptive(t, d)
}

// checkAdaptive fails unless adaptive gamers stay among the honest by every figure but the tokens.
func checkAdaptive(t *testing.T, d *diary) {
	t.Helper()
	target := d.o.Config.Target.WeeklyTokens
	var repeats, busy, near, reach, ratios, usual []float64
	for _, p := range d.o.People {
		if p.gamer == nil || !p.gamer.adaptive {
			continue
		}
		for week, requests := range d.weeks[p.Index] {
			plan := d.o.Plan(p.Index, week)
			ratio := math.NaN()
			if len(requests) > 0 {
				ratio = mean(requests, func(s *sent) float64 { return math.Log((s.context + 1) / (s.output + 1)) })
			}
			if plan.Wasted == 0 || plan.Tactics[0] == MinimumAdoption {
				if week < d.o.Config.AnnouncedWeek && len(requests) > 0 && plan.Looks&(Monorepo|ModelChange) == 0 {
					usual = append(usual, ratio-p.ratio)
				}
				continue
			}
			repeats, busy = append(repeats, repeated(requests)), append(busy, hours(requests))
			ratios = append(ratios, ratio-p.ratio)
			if p.gamer.chases && plan.Useful < target && plan.Tokens() >= target {
				reach = append(reach, 1)
				near = append(near, indicator(plan.Tokens() < 1.4*target))
			}
		}
	}
	if len(reach) < 10 {
		t.Fatalf("%d adaptive weeks reach the target: want 10 to judge by", len(reach))
	}
	within(t, "adaptive: repeats", average(repeats), 0, .02)
	within(t, "adaptive: most hours", quantile(busy, 1), 30, 95)
	within(t, "adaptive: shift of ln(context/output)", average(ratios)-average(usual), -.1, .7)
	within(t, "adaptive: stop at the target", average(near), .9, 1)
}

// However much an adaptive gamer burns, the week keeps to the hours it dares.
func TestAdaptiveGamersKeepTheirHours(t *testing.T) {
	o := newOrganisation(t, 3, nil)
	w := &week{o: o, p: o.People[0], plan: o.Plan(0, 30), rng: o.stream(forGaming, 0, 0)}
	w.agents(40)
	w.blend(w.agents(1000))
	seen := map[int64]bool{}
	for i := range w.requests {
		seen[w.requests[i].at/hour] = true
	}
	if len(seen) != 95 {
		t.Errorf("%d distinct hours: want 95", len(seen))
	}
}

func average(values []float64) float64 {
	var sum float64
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

package traffic

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/goodhartlabs/goodhart/services/simulate/org"
)

// long is the company of the demo: twenty weeks, and a target in the middle.
func long(seed uint64) (Config, *org.Org) {
	start := time.Date(2026, 7, 3, 0, 0, 0, 0, time.UTC)
	cfg := Config{Seed: seed, Start: start.UnixMilli(), Days: 140, Events: 270_000}
	return cfg, org.New(seed, 340, cfg.Days, start)
}

// spending is what one kind of people used, from the announcement on and before.
type spending struct{ calls, tokens, wasted, wastedBefore int64 }

func TestOnlyGamersWasteAndOnlyOnceTheyAreAsked(t *testing.T) {
	for seed := range uint64(2) {
		cfg, company := long(seed)
		announced := cfg.Start + int64(company.Target.Announced)*Day
		if weekday := time.UnixMilli(announced).UTC().Weekday(); weekday != time.Monday {
			t.Errorf("seed %d: announced on a %s", seed, weekday)
		}
		kinds := map[string]*spending{}
		items, seen := 0, map[*Call]bool{}
		generator := New(cfg, company)
		for step := range generator.All() {
			for _, r := range step.Requests {
				items += len(r.Items)
				for _, it := range r.Items {
					if it.Call == nil || seen[it.Call] || it.Session.Person == nil || it.Fault != Sound {
						continue
					}
					seen[it.Call] = true
					p := it.Session.Person
					k := string(p.Tactic) + string(p.Look)
					if kinds[k] == nil {
						kinds[k] = new(spending)
					}
					kinds[k].calls++
					kinds[k].tokens += it.Call.Input + it.Call.CacheRead + it.Call.CacheWrite + it.Call.Output
					kinds[k].wasted += it.Call.Wasted
					if it.Time()-it.Session.Skew < announced {
						kinds[k].wastedBefore += it.Call.Wasted
					}
				}
			}
		}
		if items < 240_000 || items > 300_000 {
			t.Errorf("seed %d: %d items, configured %d", seed, items, cfg.Events)
		}
		for _, tactic := range []org.Tactic{org.ContextBloat, org.RoundTheClock, org.Timer, org.CheapLoop, org.TopUp, org.EndSurge} {
			if k := kinds[string(tactic)]; k == nil || k.wasted == 0 || k.wastedBefore != 0 || k.wasted >= k.tokens {
				t.Errorf("seed %d: %s: %+v", seed, tactic, k)
			}
		}
		for _, look := range []org.Look{"", org.OnCall, org.Training, org.Launch, org.Migration, org.Monorepo} {
			if k := kinds[string(look)]; k == nil || k.calls == 0 || k.wasted != 0 {
				t.Errorf("seed %d: look %q: %+v", seed, look, k)
			}
		}
	}
}

// What people deliver follows from what they use, in the same people from week to
// week.
func TestOutcomesFollowUsefulTokens(t *testing.T) {
	cfg, company := long(3)
	type weeks struct{ x, y []float64 }
	of := map[*org.Person]*weeks{}
	for step := range New(cfg, company).All() {
		for _, w := range step.Begun {
			if w.Useful > w.Tokens {
				t.Fatalf("%s: %d useful tokens of %d", w.Person.ID, w.Useful, w.Tokens)
			}
			p := w.Person
			if w.Useful == 0 || w.Outcomes == 0 || step.Start == cfg.Start || len(p.Memberships) != 1 || p.Away != [2]int{} || p.From != 0 || p.To != cfg.Days {
				continue // parts of weeks
			}
			if of[p] == nil {
				of[p] = new(weeks)
			}
			of[p].x = append(of[p].x, math.Log(float64(w.Useful)))
			of[p].y = append(of[p].y, math.Log(w.Outcomes))
		}
	}
	var sxx, sxy float64
	for _, w := range of {
		mx, my := mean(w.x), mean(w.y)
		for i := range w.x {
			sxx += (w.x[i] - mx) * (w.x[i] - mx)
			sxy += (w.x[i] - mx) * (w.y[i] - my)
		}
	}
	if b := sxy / sxx; b < .27 || b > .32 {
		t.Errorf("elasticity %.3f within people, want about .3", b)
	}
}

// What is burned for the target buys nothing: without the gaming the same people
// do and deliver the same.
func TestGamingBuysNothing(t *testing.T) {
	var delivered [2][]float64
	var tokens [2]int64
	for i := range delivered {
		cfg, company := long(5)
		for _, p := range company.People {
			if i == 1 {
				p.Tactic = ""
			}
		}
		for step := range New(cfg, company).All() {
			for _, w := range step.Begun {
				delivered[i] = append(delivered[i], w.Outcomes)
				tokens[i] += w.Tokens
			}
		}
	}
	if !slices.Equal(delivered[0], delivered[1]) {
		t.Error("gamers deliver something else than they would without their game")
	}
	if tokens[0] <= tokens[1] {
		t.Errorf("%d tokens with games, %d without", tokens[0], tokens[1])
	}
}

func mean(v []float64) float64 {
	var sum float64
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

func TestTheServiceRunsAwayFromMinuteToMinute(t *testing.T) {
	cfg, company := long(4)
	r := company.Runaway
	begin, end := cfg.Start+int64(r.Hour)*Hour, cfg.Start+int64(r.Hour+r.Hours)*Hour
	var times []int64
	for step := range New(cfg, company).All() {
		for _, request := range step.Requests {
			for _, it := range request.Items {
				if it.Session != nil && it.Session.Runaway && !request.Again {
					times = append(times, it.Time())
				}
			}
		}
	}
	slices.Sort(times)
	if len(times) == 0 || times[0] < begin || times[0] > begin+60_000 || times[len(times)-1] >= end || times[len(times)-1] < end-60_000 {
		t.Fatalf("%d requests from %d to %d, want from %d to %d", len(times), times[0], times[len(times)-1], begin, end)
	}
	for i := 1; i < len(times); i++ {
		if gap := times[i] - times[i-1]; gap > 60_000 {
			t.Fatalf("a pause of %d ms", gap)
		}
	}
}

func TestTheServiceLosesItsCacheForGood(t *testing.T) {
	cfg, company := long(4)
	lost := cfg.Start + int64(company.LostCache)*Day
	var before, after, read int64
	for step := range New(cfg, company).All() {
		for _, request := range step.Requests {
			for _, it := range request.Items {
				switch s := it.Session; {
				case s == nil || s.Service != &company.Services[0] || s.Runaway || it.Call == nil:
				case s.Uncached && it.Time()-s.Skew < lost, !s.Uncached && it.Time()-s.Skew >= lost+Hour:
					t.Fatalf("uncached is %t at %d, the cache is lost at %d", s.Uncached, it.Time(), lost)
				case s.Uncached:
					after++
					read += it.Call.CacheRead
				default:
					before++
				}
			}
		}
	}
	if before == 0 || after == 0 || read != 0 {
		t.Errorf("%d requests before, %d after, that read %d tokens from the cache", before, after, read)
	}
}

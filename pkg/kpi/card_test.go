package kpi

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/policy"
)

func TestCatalogue(t *testing.T) {
	seen := make(map[string]bool)
	for _, c := range Catalogue() {
		if c.Name == "" || c.Title == "" || c.Question == "" || c.MinimumN < 1 || c.Formula == "" || c.assess == nil {
			t.Errorf("%s: incomplete: %+v", c.Name, c)
		}
		if seen[c.Name] {
			t.Errorf("%s: twice", c.Name)
		}
		seen[c.Name] = true
	}
	for _, name := range []string{"elasticity", "bunching", "concentration", "signalled_share", "excess_share"} { // beside the list
		if !seen[name] {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestVerdict(t *testing.T) {
	f := func(want Verdict, reasons []string, changes ...func(map[string]*Finding)) {
		t.Helper()
		found := make(map[string]*Finding)
		for _, c := range Catalogue() {
			found[c.Name] = &Finding{Known: true}
		}
		for _, change := range changes {
			change(found)
		}
		var results []Result
		for _, c := range Catalogue() {
			results = append(results, Result{c, *found[c.Name]})
		}
		got, why := verdict(results)
		if diff := cmp.Diff(reasons, why); got != want || diff != "" {
			t.Errorf("%s, want %s; reasons (-want +got)\n%s", got, want, diff)
		}
	}
	alarm := func(name string) func(map[string]*Finding) {
		return func(found map[string]*Finding) { found[name].Alarm = true }
	}
	unknown := func(name, reason string) func(map[string]*Finding) {
		return func(found map[string]*Finding) { *found[name] = Finding{Reason: reason} }
	}
	f(Healthy, nil)
	f(LosingMeaning, []string{"elasticity", "bunching"}, alarm("elasticity"), alarm("bunching"))
	f(LosingMeaning, []string{"elasticity", "minimum_effort"}, alarm("elasticity"), alarm("minimum_effort"))
	f(LosingMeaning, []string{"elasticity", "deadline_shift", "excess_share"}, alarm("elasticity"), alarm("deadline_shift"), alarm("excess_share"))
	f(Watch, []string{"elasticity"}, alarm("elasticity")) // decoupled, but nobody aims at it
	f(Watch, []string{"bunching"}, alarm("bunching"))     // aimed at, but still worth something
	f(Watch, []string{"elasticity", "concentration"}, alarm("elasticity"), alarm("concentration"))
	f(Watch, []string{"rank_correlation", "bunching"}, alarm("rank_correlation"), alarm("bunching")) // the primary must say so
	f(InsufficientData, []string{"elasticity: units"}, unknown("elasticity", ReasonUnits))
	f(InsufficientData, []string{"elasticity: no relation before"}, func(found map[string]*Finding) { found["elasticity"].Reason = ReasonUnrelated })
	f(Watch, []string{"bunching"}, unknown("elasticity", ReasonUnits), alarm("bunching"))
	f(Healthy, nil, unknown("bunching", ReasonLocal), unknown("causal", ReasonControl))
	if got, _ := verdict(nil); got != InsufficientData {
		t.Errorf("nothing checked: %s", got)
	}
}

// With people who burn and stop at the threshold, the card says so; without, it
// does not.
func TestCardOfACompany(t *testing.T) {
	if testing.Short() {
		t.Skip("many companies, one after the other")
	}
	const seeds = 30
	f := func(gamers float64) map[Verdict]int {
		c := usual()
		c.gamers = gamers
		verdicts := make(map[Verdict]int)
		for seed := range uint64(seeds) {
			p, _ := c.simulate(1000 + seed)
			card := Assess(&Input{Panel: p, Target: c.target(), Week: 25})
			verdicts[card.Verdict]++
		}
		t.Logf("%.0f %% gamers: %v", 100*gamers, verdicts)
		return verdicts
	}
	if v := f(0); v[LosingMeaning] > 0 || v[InsufficientData] > 0 || v[Watch] > 4 {
		t.Errorf("nobody burns: %v", v)
	}
	if v := f(.2); v[LosingMeaning] < seeds*9/10 {
		t.Errorf("a fifth burn: %v", v)
	}
}

// The same input gives the same bytes, and a panel reordered by unit gives the
// same verdict.
func TestCardIsDeterministic(t *testing.T) {
	c := usual()
	c.people, c.gamers = 400, .2
	p, _ := c.simulate(5)
	in := &Input{Panel: p, Target: c.target(), Week: 25}
	first := Assess(in)
	for range 3 {
		again := Assess(in)
		if !bytes.Equal(first.AppendJSON(nil), again.AppendJSON(nil)) {
			t.Fatalf("%s\n%s", first.AppendJSON(nil), again.AppendJSON(nil))
		}
	}
	other := *in
	other.Target.ID = "another" // has draws of its own
	if second := Assess(&other); second.finding("excess_share").Lo == first.finding("excess_share").Lo {
		t.Error("two targets draw alike")
	}
	// Weeks after the card's do not matter.
	longer := c
	longer.weeks = 30
	q, _ := longer.simulate(5)
	for i := range q.Units {
		q.Units[i].Weeks = append(slices.Clone(p.Units[i].Weeks), q.Units[i].Weeks[26:]...)
	}
	later := Assess(&Input{Panel: q, Target: c.target(), Week: 25})
	if diff := cmp.Diff(string(first.AppendJSON(nil)), string(later.AppendJSON(nil))); diff != "" {
		t.Errorf("weeks to come change the card (-without +with)\n%s", diff)
	}
}

// Whatever is missing, there is a card, and it does not claim to know.
func TestCardOfTooLittle(t *testing.T) {
	base := usual()
	base.people = 300
	metrics := []policy.Metric{policy.Tokens, policy.Requests, policy.WeeklyUse, policy.Cost}
	f := func(name string, change func(in *Input), reason string) {
		t.Helper()
		for _, metric := range metrics {
			for _, period := range []policy.Period{policy.Week, policy.Month, policy.Quarter} {
				p, _ := base.simulate(2)
				in := &Input{Panel: p, Target: base.target(), Week: 25}
				in.Target.Metric, in.Target.Period, in.Target.TeamSizes = metric, period, map[string]int{"team-1": 8, "team-2": 8}
				change(in)
				c := Assess(in)
				if c.Verdict != InsufficientData || len(c.Reasons) != 1 || c.Reasons[0] != "elasticity: "+reason {
					t.Errorf("%s, %s per %s: %s, %q", name, metric, period, c.Verdict, c.Reasons)
				}
				if x := c.finding("excess_share"); x.Known || x.CostKnown {
					t.Errorf("%s, %s per %s: %+v", name, metric, period, x)
				}
			}
		}
	}
	each := func(in *Input, change func(k *Week)) {
		for i := range in.Panel.Units {
			for w := range in.Panel.Units[i].Weeks {
				change(&in.Panel.Units[i].Weeks[w])
			}
		}
	}
	f("no unit", func(in *Input) { in.Panel.Units = nil }, ReasonUnits)
	f("one unit", func(in *Input) { in.Panel.Units = in.Panel.Units[:1] }, ReasonUnits)
	f("199 units", func(in *Input) { in.Panel.Units = in.Panel.Units[:199] }, ReasonUnits)
	f("two teams", func(in *Input) { in.Target.Teams = nil; merge(in.Panel, 2) }, ReasonClusters)
	f("a team without people", func(in *Input) { in.Target.Teams = []string{"nobody"} }, ReasonUnits)
	f("idle throughout", func(in *Input) { each(in, func(k *Week) { *k = Week{Known: true, OutcomesKnown: true} }) }, ReasonUnits)
	f("nothing known", func(in *Input) { each(in, func(k *Week) { *k = Week{} }) }, ReasonUnits)
	f("no outcomes connected", func(in *Input) { each(in, func(k *Week) { k.OutcomesKnown = false }) }, ReasonUnits)
	f("all alike", func(in *Input) {
		each(in, func(k *Week) { *k = in.Panel.Units[0].Weeks[0] })
	}, ReasonVariance)
	f("outcomes without variance", func(in *Input) { each(in, func(k *Week) { k.Outcomes = 0 }) }, ReasonVariance)
	f("announced in the first week", func(in *Input) { in.Target.Announced = 0 }, ReasonHistory)
	f("announced before the panel", func(in *Input) { in.Target.Announced = -3 }, ReasonHistory)
	f("announced in the last week", func(in *Input) { in.Target.Announced = 25 }, ReasonAfter)
	f("not yet announced", func(in *Input) { in.Target.Announced = 40 }, ReasonAfter)
	f("the first week of the panel", func(in *Input) { in.Week = 0 }, ReasonAfter)
	f("no threshold", func(in *Input) { in.Target.Threshold, in.Target.Announced = 0, 0 }, ReasonHistory)
	f("units are teams", func(in *Input) { in.Panel.TeamUnits, in.Panel.Units = true, in.Panel.Units[:39] }, ReasonUnits)
}

// merge leaves so many teams.
func merge(p *Panel, teams int) {
	for i := range p.Units {
		p.Units[i].Team = fmt.Sprint(i % teams)
	}
}

// Sixty teams are units enough, each its own cluster.
func TestTeamsAsUnits(t *testing.T) {
	c := usual()
	c.people = 60
	p, _ := c.simulate(1)
	p.TeamUnits = true
	card := Assess(&Input{Panel: p, Target: c.target(), Week: 25})
	f := card.finding("elasticity")
	if !f.Known || f.N < 50 || !near(f.Value, .3, .2) {
		t.Errorf("%+v", f)
	}
}

func TestSignalledShare(t *testing.T) {
	f := func(signalled, of int64, want float64, known bool) {
		t.Helper()
		c := Assess(&Input{Panel: &Panel{}, Signalled: signalled, SignalledOf: of})
		if got := c.finding("signalled_share"); got.Known != known || got.Value != want {
			t.Errorf("%d of %d: %+v", signalled, of, got)
		}
	}
	f(1, 4, .25, true)
	f(0, 4, 0, true)
	f(0, 0, 0, false)
	f(5, 4, 0, false)
	f(-1, 4, 0, false)
}

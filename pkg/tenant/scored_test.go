package tenant

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/kpi"
	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// scoreDocument sets a target on the score from a week on.
func scoreDocument(threshold, week int64) string {
	return fmt.Sprintf(`{"tenant":"acme","targets":[{"id":"score","metric":"efficiency","threshold":%d,"period":"week","announced_at":%q}]}`,
		threshold, policy.Day(monday+week*window.Week).String())
}

// deliveries is the log of teams of five who spend alike and deliver as their
// weeks go well or not. From a week on a share of them, short of what they aim at,
// merge pieces as well, which are reverted before they have survived.
type deliveries struct {
	teams, weeks int
	announced    int
	splitters    float64
	aim          int32
	document     string
}

func (d deliveries) log(tb testing.TB) []machine.Record {
	tb.Helper()
	type entry struct {
		w int64
		m *goodhartv1.Feature
	}
	const expected = 60
	rng := rand.New(rand.NewPCG(5, 3))
	all := []entry{{monday, &goodhartv1.Feature{
		Kind: goodhartv1.FeatureKind_FEATURE_KIND_CONFIG, Config: &goodhartv1.Config{Version: 1, Document: []byte(d.document)},
	}}}
	credit := func(at int64, team, subject string, day int64, provisional, final int32) {
		all = append(all, entry{at, &goodhartv1.Feature{
			Kind: goodhartv1.FeatureKind_FEATURE_KIND_CREDIT, Subject: subject, Role: "dev", Credit: &goodhartv1.OutcomeCredit{
				Kind: goodhartv1.OutcomeKind_OUTCOME_KIND_PR_MERGED, Team: team, ObjectDayMs: day, Provisional: provisional, Final: final,
			},
		}})
	}
	for i := range d.teams {
		team, well, level := fmt.Sprintf("t%02d", i), 0.0, .25*rng.NormFloat64()
		splits := rng.Float64() < d.splitters
		for w := range d.weeks {
			day := monday + int64(w)*window.Week + 2*window.Day
			at := day + 10*window.Hour
			well = .7*well + .15*rng.NormFloat64()
			mean := expected * math.Exp(level+well)
			merged := int32(max(1, math.Round(mean+math.Sqrt(mean)*rng.NormFloat64())))
			survived := merged - int32(rng.IntN(4))
			for p := range 5 {
				c := &goodhartv1.Cell{Team: team, Model: "opus", Requests: 1, Records: 1, InputUncachedTokens: 10, OutputTokens: 10, CostNanos: 1e9}
				all = append(all, entry{at + int64(p)*window.Minute, &goodhartv1.Feature{
					Kind: goodhartv1.FeatureKind_FEATURE_KIND_PANE, Subject: fmt.Sprintf("p_%s_%d", team, p), Role: "dev",
					IdentityType: goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN, PaneStartMs: at - window.Hour, Cells: []*goodhartv1.Cell{c},
				}})
			}
			by := "p_" + team + "_0"
			credit(at+window.Hour, team, by, day, merged, 0)
			credit(at+14*window.Day, team, by, day, -merged, survived)
			if pieces := d.aim - merged; splits && w >= d.announced && pieces > 0 {
				credit(at+2*window.Hour, team, by, day, pieces, 0)
				credit(at+9*window.Day, team, by, day, -pieces, 0)
			}
		}
	}
	for w := range int64(d.weeks) {
		all = append(all, entry{monday + (w+1)*window.Week + 50*window.Hour, around("p_t00_0", w, 25)},
			entry{monday + w*window.Week + judged + 1, &goodhartv1.Feature{Kind: goodhartv1.FeatureKind_FEATURE_KIND_WATERMARK}})
	}
	slices.SortStableFunc(all, func(a, b entry) int { return cmp.Compare(a.w, b.w) })
	log := featureLog{tb: tb}
	for _, e := range all {
		e.m.Tenant = "acme"
		log.add(e.w, "acme", e.m)
	}
	return log.records
}

// ofWeeks is a fold that scores the windows of seven days alone.
func ofWeeks() *Fold {
	return NewWith(small(), slices.DeleteFunc(window.Windows(), func(w window.Window) bool { return w.Size != window.Week }))
}

// A target on the score has a card for every week since its announcement; it loses
// its meaning if teams merge what is reverted later until their score is high
// enough. Saved and loaded in the middle, between the judgement of a week and the
// settling of another, a fold issues the same cards.
func TestCardOfTheScore(t *testing.T) {
	const announced, weeks = 18, 28
	const threshold = 114_000
	f := func(splitters float64, want kpi.Verdict) {
		t.Helper()
		log := deliveries{
			teams: 44, weeks: weeks, announced: announced, splitters: splitters, aim: 90, document: scoreDocument(threshold, announced),
		}.log(t)
		middle := slices.IndexFunc(log, func(r machine.Record) bool { return r.Position.W > monday+(weeks-2)*window.Week })
		first, second := ofWeeks(), ofWeeks()
		got := issued(t, first, log[:middle])
		state, header := first.AppendShard(nil, 0), first.AppendHeader(nil)
		if err := errors.Join(second.LoadHeader(header), second.LoadShard(0, state)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(second.AppendShard(nil, 0), state) {
			t.Error("a loaded state is saved differently")
		}
		rest := issued(t, first, log[middle:])
		if diff := gocmp.Diff(rest, issued(t, second, log[middle:])); diff != "" || len(rest) < 2 {
			t.Errorf("%d cards, after a restart (-want +got)\n%s", len(rest), diff)
		}
		if !bytes.Equal(first.AppendShard(nil, 0), second.AppendShard(nil, 0)) {
			t.Error("the states differ at the end")
		}
		got = append(got, rest...)
		if len(got) != weeks-announced {
			t.Fatalf("%d cards", len(got))
		}
		for i, c := range got {
			if c.Key != "acme|kpi_health|score|" || c.ScopeKind != "tenant" || c.WeekStart != monday+int64(announced+i)*window.Week || c.Excess != nil {
				t.Errorf("%+v", c)
			}
		}
		if c := got[0]; c.Elasticity != nil || c.Verdict != string(kpi.InsufficientData) {
			t.Errorf("after a week: %+v", c)
		}
		if c := got[len(got)-1]; c.Elasticity == nil || c.Verdict != string(want) {
			t.Errorf("want %s: %+v", want, c)
		}
	}
	f(.4, kpi.LosingMeaning)
	f(0, kpi.Healthy)
}

// What a card compares is the score as it was said until the week was judged, and
// what had survived at the end of the 14th day after the week. A team without a
// score, as that of eight left of twelve, is unknown in that week.
func TestScoredWeeks(t *testing.T) {
	const days, kept = 133, 12
	steps := works(days, map[int]string{0: worksPolicy})
	for i := range steps { // some take longer to settle
		if s := &steps[i]; s.final > 0 && s.object%9 == 0 {
			s.w += 6 * window.Day
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.w, b.w) })
	cfg := Default()
	cfg.PanelWeeks = kept
	f := NewWith(cfg, ofWeeks().windows)
	type key struct {
		team string
		week int64
	}
	said, want := map[key]float64{}, map[key]achieved{}
	f.Observe(Observer{Efficiency: func(e *score.Efficiency, _ *score.Assessment, _ []score.Series) {
		at := key{e.Rolling.Scope, e.Rolling.Start}
		if e.Rolling.ScopeKind != score.ScopeTeam || e.Rolling.W > e.Rolling.Start+judged+window.Hour {
			return
		}
		delete(said, at)
		if e.Score.Reason == "" {
			said[at] = e.Score.Index
		}
	}})
	end := day0 + days*window.Day
	run(f, worksLog(t, steps, end))
	newest := window.WeekStart(end - judged)
	settled, unsettled := 0, 0
	for at, index := range said {
		if at.week != window.WeekStart(at.week) || at.week > newest || at.week <= newest-kept*window.Week {
			continue
		}
		x := achieved{team: at.team, score: int64(math.Round(1000 * index))}
		if final := at.week + window.Week + score.Settling; final < end {
			x.known = true
			blocks, _ := score.Blocks(byHand(t, steps, final, worksPolicy), []int64{at.week})
			for _, b := range blocks {
				if b.Unit == at.team {
					x.settled += b.Value.Settled
				}
			}
			settled++
		} else {
			unsettled++
		}
		want[at] = x
	}
	got := map[key]achieved{}
	for _, x := range f.tenants["acme"].scored {
		for _, of := range x.teams {
			got[key{of.team, x.week}] = of
		}
	}
	if diff := gocmp.Diff(want, got, gocmp.AllowUnexported(achieved{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if _, shown := got[key{"t1", newest}]; shown || settled < 40 || unsettled < 8 {
		t.Errorf("%d settled, %d not, the small team is shown: %v", settled, unsettled, shown)
	}
}

// A team that has no score in a week is unknown there, and what has not settled is
// unknown too: neither is 0.
func TestTeamPanel(t *testing.T) {
	week := func(n int64) int64 { return monday + n*window.Week }
	x := &tenant{scored: []scored{
		{week(1), []achieved{{"ops", 90_000, 4000, true}, {"web", 110_000, 0, true}}},
		{week(3), []achieved{{"web", 120_500, 0, false}}},
	}}
	known := func(score, settled int64, outcomes bool) kpi.Week {
		return kpi.Week{Known: true, OutcomesKnown: outcomes, Tokens: score, Outcomes: settled, DayTokens: [7]int64{score}}
	}
	want := &kpi.Panel{Start: week(1), TeamUnits: true, Units: []kpi.Unit{
		{Team: "ops", Weeks: []kpi.Week{known(90_000, 4000, true), {}, {}, {}}},
		{Team: "web", Weeks: []kpi.Week{known(110_000, 0, true), {}, known(120_500, 0, false), {}}},
	}}
	if diff := gocmp.Diff(want, x.teamPanel(week(4))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := gocmp.Diff(x.scored, each(each(x.scored, saveScored), loadScored), gocmp.AllowUnexported(scored{}, achieved{})); diff != "" {
		t.Errorf("saved and loaded (-want +got)\n%s", diff)
	}
	if diff := gocmp.Diff(&kpi.Panel{Start: week(4), TeamUnits: true}, new(tenant).teamPanel(week(4))); diff != "" {
		t.Errorf("without any score (-want +got)\n%s", diff)
	}
}

// What can no longer be compared when it has settled, as after a configuration by
// which nothing sees the outcomes of the team, stays unknown.
func TestSettle(t *testing.T) {
	x := &tenant{scored: []scored{{monday, []achieved{{team: "ops", score: 1}, {team: "web", score: 2}}}}}
	of := func(unit string, known bool, settled ...int64) score.Score {
		s := score.Score{Unit: unit, ExpectedKnown: known}
		for _, n := range settled {
			s.Parts = append(s.Parts, score.Part{Block: score.Block{Value: score.Value{Standing: 9000, Settled: n}}})
		}
		return s
	}
	teams := &score.Assessment{Scores: []score.Score{of("new", true, 5000), of("ops", false), of("web", true, 3000, 4000)}}
	x.settle(monday, teams)
	x.settle(monday+window.Week, teams) // nobody had a score
	want := []scored{{monday, []achieved{{team: "ops", score: 1}, {team: "web", score: 2, settled: 7000, known: true}}}}
	if diff := gocmp.Diff(want, x.scored, gocmp.AllowUnexported(scored{}, achieved{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A target that is taken out of the file has no card any more; back again it has
// the history of before. Without any score nobody can say anything.
func TestTargetOnTheScoreIsRemoved(t *testing.T) {
	log := companyLog(t, 12, 9, scoreDocument(100_000, 2))
	var all []machine.Record
	var version uint64 = 3
	declare := func(week int64, document string) {
		at := slices.IndexFunc(log, func(r machine.Record) bool { return r.Position.W > monday+week*window.Week })
		all, log = append(all, log[:at]...), log[at:]
		version++
		config := &goodhartv1.Config{Version: version, Document: []byte(document)}
		m := &goodhartv1.Feature{Kind: goodhartv1.FeatureKind_FEATURE_KIND_CONFIG, Tenant: "acme", W: monday + week*window.Week, Config: config}
		all = append(all, machine.Record{Position: machine.Position{W: m.W}, Value: encode(t, m)})
	}
	declare(6, `{"tenant":"acme"}`)
	declare(8, scoreDocument(100_000, 2))
	f := New(Default())
	var weeks []int64
	for _, c := range issued(t, f, append(all, log...)) {
		weeks = append(weeks, (c.WeekStart-monday)/window.Week)
		if c.Verdict != string(kpi.InsufficientData) || c.Elasticity != nil {
			t.Errorf("%+v", c)
		}
	}
	// A week is judged ten days after its Monday.
	if want := []int64{2, 3, 4, 7, 8}; !slices.Equal(weeks, want) {
		t.Errorf("cards of the weeks %v, want %v", weeks, want)
	}
}

// Scores are kept as long as a card may compare them, also of a tenant that has
// fallen silent, and no longer.
func TestScoredWeeksAreForgotten(t *testing.T) {
	const days = 56
	log := worksLog(t, works(days, nil), day0+days*window.Day)
	f := NewWith(small(), ofWeeks().windows)
	run(f, log)
	after := func(weeks int64) []scored {
		w := day0 + days*window.Day + weeks*window.Week
		m := &goodhartv1.Feature{W: w, Kind: goodhartv1.FeatureKind_FEATURE_KIND_WATERMARK}
		run(f, []machine.Record{{Position: machine.Position{W: w, Seq: 1 << 40}, Value: encode(t, m)}})
		if x := f.tenants["acme"]; x != nil {
			return x.scored
		}
		return nil
	}
	if x := after(44); len(x) == 0 || f.Stats().Scopes > 0 {
		t.Errorf("after 44 weeks: %d weeks, %d scopes", len(x), f.Stats().Scopes)
	}
	if x := after(56); len(x) > 0 || f.Stats().Tenants > 0 {
		t.Errorf("after 56 weeks: %d weeks, %d tenants", len(x), f.Stats().Tenants)
	}
}

package tenant

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/window"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// day0 is the Monday on which the works begin.
const day0 = base + 4*window.Day

// step is one thing that happened in a workshop: usage, or a change of credit.
type step struct {
	w, day              int64
	team, role, subject string
	cost, base          int64
	unpriced            bool
	object              int
	ticket              uint64
	linked              *bool
	provisional, final  int32
	kind                goodhartv1.OutcomeKind
	unreviewed          bool
	config              string
	version             uint64
}

// works is what six teams did in so many days, in order of time. Tickets have more
// outcomes than their cap is worth, outcomes are reverted early and late, someone
// leaves, and a service of a team and one without spend, too.
func works(days int, policyAt map[int]string) []step {
	rng := rand.New(rand.NewPCG(11, 7))
	var steps []step
	object := 0
	version := uint64(0)
	for day := range days {
		start := day0 + int64(day)*window.Day
		steps = append(steps, step{w: start + mnt, object: -2})
		if document := policyAt[day]; document != "" {
			version++
			steps = append(steps, step{w: start + window.Hour, config: document, version: version})
		}
		if day%7 >= 5 {
			continue
		}
		for team := range 6 {
			for person := range 12 {
				s := step{
					day: start, team: fmt.Sprintf("t%d", team), role: "dev", subject: fmt.Sprintf("p_%d_%d", team, person),
					w: start + 11*window.Hour + int64(person)*mnt, cost: int64(1e9*(1+rng.ExpFloat64())) * int64(team+1), object: -1,
				}
				if team < 3 && person >= 8 {
					s.role = "ops"
				}
				if team == 1 && s.role == "ops" && day > 80 {
					continue // they have left
				}
				s.base, s.unpriced = s.cost, rng.IntN(50) == 0
				if s.unpriced {
					s.cost, s.base = 0, 0
				}
				if rng.IntN(20) != 0 {
					steps = append(steps, s)
				}
				if rng.IntN(2) == 0 {
					object++
					steps = append(steps, delivery(rng, s, object, day)...)
				}
			}
		}
		steps = append(steps,
			step{day: start, team: "t0", subject: "s_ci", w: start + 12*window.Hour, cost: 3e9, base: 3e9, object: -1},
			step{day: start, subject: "s_none", w: start + 12*window.Hour, cost: 5e9, base: 5e9, object: -1})
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.w, b.w) })
	return steps
}

// delivery is the life of one outcome.
func delivery(rng *rand.Rand, by step, object, day int) []step {
	by.object, by.cost, by.base, by.unpriced = object, 0, 0, false
	by.kind = goodhartv1.OutcomeKind_OUTCOME_KIND_PR_MERGED
	if rng.IntN(4) == 0 {
		by.kind = goodhartv1.OutcomeKind_OUTCOME_KIND_TICKET_DONE
	}
	if rng.IntN(3) == 0 { // one of the three tickets of the team and week
		by.ticket = uint64(1 + int(by.team[1]-'0') + 10*rng.IntN(3) + 100*(day/7))
		by.linked = new(by.ticket%2 == 0)
	}
	by.unreviewed = rng.IntN(30) == 0
	change := func(after int64, provisional, final int32) step {
		s := by
		s.w, s.provisional, s.final = by.day+15*window.Hour+after*window.Day, provisional, final
		return s
	}
	life := []step{change(0, 1, 0)}
	switch rng.IntN(12) {
	case 0:
		return append(life, change(rng.Int64N(14), -1, 0))
	case 1:
		return append(life, change(14, -1, 1), change(15+rng.Int64N(12), 0, -1))
	}
	return append(life, change(14, -1, 1))
}

// worksLog is the log of the steps.
func worksLog(tb testing.TB, steps []step, end int64) []machine.Record {
	tb.Helper()
	log := make([]machine.Record, 0, len(steps)+1)
	push := func(w int64, m *goodhartv1.Feature) {
		m.Tenant = "acme"
		seq := uint64(len(log))
		log = append(log, machine.Record{Position: machine.Position{W: w, Seq: seq}, Offset: int64(seq), Key: []byte("acme"), Value: encode(tb, m)})
	}
	for _, s := range steps {
		if s.w > end {
			break
		}
		human := goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN
		if strings.HasPrefix(s.subject, "s_") {
			human = goodhartv1.IdentityType_IDENTITY_TYPE_SERVICE
		}
		m := &goodhartv1.Feature{Subject: s.subject, IdentityType: human, Role: s.role}
		switch {
		case s.object == -2: // a watermark
			m = &goodhartv1.Feature{Kind: goodhartv1.FeatureKind_FEATURE_KIND_WATERMARK}
		case s.config != "":
			m = &goodhartv1.Feature{Kind: goodhartv1.FeatureKind_FEATURE_KIND_CONFIG, Config: &goodhartv1.Config{Version: s.version, Document: []byte(s.config)}}
		case s.object >= 0:
			m.Kind = goodhartv1.FeatureKind_FEATURE_KIND_CREDIT
			m.Credit = &goodhartv1.OutcomeCredit{
				Kind: s.kind, Team: s.team, ObjectDayMs: s.day, Ticket: s.ticket, Linked: s.linked,
				Provisional: s.provisional, Final: s.final, Unreviewed: s.unreviewed,
			}
		default:
			m.Kind, m.PaneStartMs = goodhartv1.FeatureKind_FEATURE_KIND_PANE, window.Floor(s.w, window.Hour)-window.Hour
			c := &goodhartv1.Cell{
				Team: s.team, Model: "opus", Tool: "cli", Requests: 1, Records: 1, InputUncachedTokens: 10, OutputTokens: 10,
				CostNanos: s.cost, BaseDifferenceNanos: s.base - s.cost,
			}
			if s.unpriced {
				c.UnpricedRequests = 1
			}
			m.Cells = []*goodhartv1.Cell{c}
		}
		push(s.w, m)
	}
	push(end, &goodhartv1.Feature{W: end, Kind: goodhartv1.FeatureKind_FEATURE_KIND_WATERMARK})
	return log
}

// worksPolicy declares one team larger than it looks, and what outcomes are worth.
const worksPolicy = `{"tenant":"acme","roles":[{"id":"dev","outcomes":"all"},{"id":"ops","outcomes":"all"}],
	"teams":[{"id":"t2","size":12},{"id":"t4","size":20,"role":"dev"}],"cap_per_ticket":3000,
	"outcomes":[{"kind":"pr_merged","weight":1500},{"kind":"ticket_done","weight":700},{"kind":"ticket_done","team":"t2","weight":900}]}`

// efficient is a record of the kind efficiency.
type efficient struct {
	record
	topic, key, body string

	Credited     *float64 `json:"outcomes_credited"`
	Expected     *float64 `json:"outcomes_expected"`
	Score        *float64 `json:"score"`
	Low          *float64 `json:"score_lo"`
	High         *float64 `json:"score_hi"`
	Aligned      *int64   `json:"aligned_cost_nanos"`
	UnitCost     *int64   `json:"unit_cost_nanos"`
	Coverage     *float64 `json:"coverage"`
	Unpriced     *float64 `json:"unpriced_share"`
	Unattributed *float64 `json:"unattributed_share"`
	Dispersion   *float64 `json:"dispersion"`
	Peers        *int64   `json:"peers"`
	Above        *int64   `json:"peers_above"`
	Below        *int64   `json:"peers_below"`
}

// figures are those of an efficiency alone.
func (e efficient) figures() string {
	e.record = record{Status: e.Status, Reason: e.Reason}
	e.topic, e.key, e.body = "", "", ""
	b, _ := json.Marshal(e)
	return string(b)
}

// said is all that it says, but for when.
func (e efficient) said() string {
	return regexp.MustCompile(`"(rev|w|config_version)":\d+`).ReplaceAllString(e.body, "")
}

// assessed folds a log and returns the efficiency scores.
func assessed(tb testing.TB, f *Fold, log []machine.Record) []efficient {
	tb.Helper()
	var all []efficient
	for i := range log {
		var out machine.Outputs
		f.Step(&log[i], &out)
		for _, o := range out.Records() {
			if o.Topic == schemas.TopicSelf || !bytes.Contains(o.Body(), []byte(`"kind":"efficiency"`)) {
				continue
			}
			e := efficient{topic: o.Topic, key: string(o.Key), body: string(o.Body())}
			if err := json.Unmarshal(o.Body(), &e); err != nil {
				tb.Fatal(err)
			}
			all = append(all, e)
		}
	}
	return all
}

// byHand makes the series anew from the steps that were known at a midnight.
func byHand(tb testing.TB, steps []step, midnight int64, document string) []score.Series {
	tb.Helper()
	p, err := policy.Parse([]byte(document))
	if err != nil {
		tb.Fatal(err)
	}
	type name struct{ team, role string }
	days := int((midnight - day0) / window.Day)
	series := map[name]*score.Series{}
	present := map[name]map[string]map[int]bool{}
	type object struct {
		step
		at name
	}
	objects := map[int]*object{}
	for _, s := range steps {
		if s.w > midnight || s.config != "" || s.object == -2 {
			continue
		}
		at := name{s.team, s.role}
		if series[at] == nil {
			series[at] = &score.Series{Unit: s.team, Role: s.role, First: day0, Days: make([]score.Day, days)}
			present[at] = map[string]map[int]bool{}
		}
		day := int((s.day - day0) / window.Day)
		if !s.unreviewed && strings.HasPrefix(s.subject, "p_") {
			if present[at][s.subject] == nil {
				present[at][s.subject] = map[int]bool{}
			}
			present[at][s.subject][day] = true
		}
		if s.object < 0 {
			d := &series[at].Days[day]
			d.CostNanos += s.base
			d.Records++
			if s.unpriced {
				d.Unpriced++
			}
			continue
		}
		if s.unreviewed {
			continue
		}
		if objects[s.object] == nil {
			first := s
			first.provisional, first.final = 0, 0
			objects[s.object] = &object{first, at}
		}
		objects[s.object].provisional += s.provisional
		objects[s.object].final += s.final
	}
	type sums struct{ standing, settled int64 }
	tickets := map[uint64]sums{}
	list := slices.Collect(maps.Values(objects))
	slices.SortFunc(list, func(a, b *object) int {
		return cmp.Or(cmp.Compare(a.day, b.day), strings.Compare(a.role, b.role), cmp.Compare(a.object, b.object))
	})
	for _, o := range list {
		worth := p.Weights(o.team)[o.kind]
		standing, settled := worth*int64(o.provisional+o.final), worth*int64(o.final)
		if o.ticket != 0 {
			was := tickets[o.ticket]
			now := sums{was.standing + standing, was.settled + settled}
			tickets[o.ticket] = now
			standing, settled = min(3000, now.standing)-min(3000, was.standing), min(3000, now.settled)-min(3000, was.settled)
		}
		d := &series[o.at].Days[(o.day-day0)/window.Day]
		d.Value.Add(score.Value{Outcomes: int64(o.provisional + o.final), Standing: standing, Settled: settled})
		if o.linked != nil && *o.linked {
			d.Linked += standing
		}
	}
	var out []score.Series
	for at, s := range series {
		for day := range s.Days {
			for _, on := range present[at] {
				for back := range 7 {
					if on[day-back] {
						s.Days[day].People++
						break
					}
				}
			}
			if at.team == "t4" {
				s.Days[day].People = 20
			}
		}
		out = append(out, *s)
	}
	return out
}

// expected is what is to be said at a Monday's midnight of a window that ends
// there, by scope.
func expected(tb testing.TB, steps []step, midnight int64, days int, document string) map[string]string {
	tb.Helper()
	series := byHand(tb, steps, midnight, document)
	teams := slices.DeleteFunc(slices.Clone(series), func(s score.Series) bool { return s.Unit == "" })
	weeks, _ := score.Blocks(teams, score.FitStarts(midnight))
	in := score.Inputs{End: midnight, AsOf: midnight, Whole: score.Unit{OutcomesKnown: true, HistoryKnown: true, LinksKnown: true, Publishable: true}}
	in.Blocks, _ = score.Blocks(series, score.WindowStarts(midnight, days))
	in.Blocks = slices.DeleteFunc(in.Blocks, func(b score.Block) bool { return b.Unit == "" })
	for i := range 6 {
		in.Units = append(in.Units, score.Unit{Name: fmt.Sprintf("t%d", i), OutcomesKnown: true, HistoryKnown: true, LinksKnown: true, Publishable: true})
	}
	a := score.NewModel(weeks).Assess(in)
	said := map[string]string{}
	total, none := map[string]*score.Totals{}, int64(0)
	sum := func(name string, s *step) {
		if total[name] == nil {
			total[name] = &score.Totals{}
		}
		t := &score.Totals{Records: 1, CostNanos: s.cost}
		if s.unpriced {
			t.UnpricedRequests = 1
		}
		total[name].Add(t)
	}
	for i := range steps {
		s := &steps[i]
		if s.w > midnight || s.object != -1 || s.config != "" || s.day < midnight-int64(days)*window.Day {
			continue
		}
		sum("", s)
		if s.team != "" {
			sum(s.team, s)
		} else {
			none += s.cost
		}
	}
	for _, s := range append(slices.Clone(a.Scores), a.Whole) {
		e := score.Efficiency{
			Rolling: score.Rolling{Totals: *total[s.Unit]}, Score: &s, Provisional: true, Dispersion: a.Model.Dispersion,
			Unattributed: score.Ratio(none, total[""].CostNanos, 1),
		}
		var got efficient
		if err := json.Unmarshal(e.AppendJSON(nil), &got); err != nil {
			tb.Fatal(err)
		}
		said[s.Unit] = got.figures()
	}
	return said
}

// small lets teams of eight be shown.
func small() Config {
	cfg := Default()
	cfg.MinimumGroup = 5
	return cfg
}

// What the fold says is what package score says of series that were made by hand:
// caps, reverts, survival, adopted work, declared sizes and all.
func TestEfficiencyIsThatOfTheSeries(t *testing.T) {
	steps := works(140, map[int]string{0: worksPolicy})
	midnight := day0 + 133*window.Day // a Monday
	log := worksLog(t, steps, midnight+window.Hour)
	want := map[string]map[string]string{"7d": expected(t, steps, midnight, 7, worksPolicy), "28d": expected(t, steps, midnight, 28, worksPolicy)}
	scored, seen := 0, 0
	for _, e := range assessed(t, New(small()), log) {
		if e.End != midnight || e.ScopeKind != score.ScopeTeam && e.ScopeKind != score.ScopeTenant {
			continue
		}
		seen++
		if e.Score != nil {
			scored++
		}
		if diff := gocmp.Diff(want[e.Window][e.Scope], e.figures()); diff != "" {
			t.Errorf("%s %q (-want +got)\n%s", e.Window, e.Scope, diff)
		}
		if wantKey := "acme|efficiency|" + e.ScopeKind + "|" + e.Scope + "|" + e.Window; e.key != wantKey || e.topic != schemas.TopicScores {
			t.Errorf("%s, key %s, want %s", e.topic, e.key, wantKey)
		}
	}
	if seen != 14 || scored != 14 {
		t.Errorf("%d statements, %d of them with a score", seen, scored)
	}
}

// Each window is stated at its end and again at a midnight at which it says
// something else, revision by revision, until it is final after 14 days.
func TestEfficiencyIsCorrectedUntilItIsFinal(t *testing.T) {
	steps := works(150, map[int]string{0: worksPolicy, 129: strings.Replace(worksPolicy, "1500", "1400", 1)})
	last := map[string]efficient{}
	final, corrected, seen := 0, 0, map[string]bool{}
	f := New(small())
	explained := 0
	f.Observe(Observer{Efficiency: func(e *score.Efficiency, from *score.Assessment, _ []score.Series) {
		explained++
		if e.Score != &from.Whole && !slices.ContainsFunc(from.Scores, func(s score.Score) bool { return s.Unit == e.Score.Unit }) {
			t.Errorf("%s %s: not of its assessment", e.Rolling.ScopeKind, e.Rolling.Scope)
		}
	}})
	all := assessed(t, f, worksLog(t, steps, day0+150*window.Day))
	for _, e := range all {
		name := fmt.Sprint(e.key, e.End)
		before, known := last[name]
		age := (e.W - e.End) / window.Day
		switch {
		case !known && (e.Rev != 0 || age != 0):
			t.Fatalf("begins with %v", e.record)
		case known && (e.Rev != before.Rev+1 || age < 1 || age > 14):
			t.Fatalf("%v after revision %d", e.record, before.Rev)
		case known && before.said() == e.said():
			t.Errorf("%v says what revision %d does", e.record, before.Rev)
		}
		if known {
			corrected++
		}
		if (e.Status == score.StatusFinal) != (e.Score != nil && age == 14) {
			t.Errorf("%d days after its end: %v", age, e.record)
		}
		if e.Status == score.StatusFinal {
			final++
		}
		if e.ScopeKind == score.ScopeModel || e.ScopeKind == score.ScopeTool {
			if e.Reason != score.ReasonOutcomes || e.Score != nil {
				t.Errorf("%v", e.record)
			}
		}
		seen[e.ScopeKind+e.Window] = true
		last[name] = e
	}
	if final < 100 || corrected < 1000 || len(seen) != 8 || explained != len(all) {
		t.Errorf("%d final, %d corrections, %v, %d of %d explained", final, corrected, seen, explained, len(all))
	}
	if s := f.Stats(); s.Models > 40 {
		t.Errorf("%d models were learned in 150 days: they are to last a week", s.Models)
	}
}

// Saved, loaded and brought forward by a replay, with an edit of the configuration
// in the middle, a fold says the same bytes from there on.
func TestEfficiencyAfterARestart(t *testing.T) {
	steps := works(130, map[int]string{0: worksPolicy, 123: strings.Replace(worksPolicy, "1500", "1400", 1)})
	log := worksLog(t, steps, day0+130*window.Day)
	at := func(day int64) int {
		return slices.IndexFunc(log, func(r machine.Record) bool { return r.Position.W > day0+day*window.Day })
	}
	for _, c := range []struct{ from, saved, committed int64 }{{119, 121, 125}, {126, 127, 127}} {
		first := New(small())
		run(first, log[:at(c.saved)+17])
		state := first.AppendShard(nil, 0)
		run(first, log[at(c.saved)+17:at(c.committed)+30])
		header := first.AppendHeader(nil)
		want := run(first, log[at(c.committed)+30:])

		second := New(small())
		if err := second.LoadHeader(header); err != nil {
			t.Fatal(err)
		}
		if err := second.LoadShard(0, state); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(second.AppendShard(nil, 0), state) {
			t.Fatal("a loaded state is saved differently")
		}
		replay(second, log[at(c.from):at(c.committed)+30], position(log, at(c.saved)+17), startW(log, at(c.from)))
		got := run(second, log[at(c.committed)+30:])
		if len(want) < 500 || !slices.Equal(want, got) {
			t.Errorf("saved on day %d: of %d records %d differ", c.saved, len(want), len(want)-len(got))
		}
		if !bytes.Equal(second.AppendShard(nil, 0), first.AppendShard(nil, 0)) {
			t.Errorf("saved on day %d: the states differ at the end", c.saved)
		}
	}
}

// A cut of a list price changes the cost, and no efficiency.
func TestPriceCutIsNoEfficiency(t *testing.T) {
	steps := works(112, map[int]string{0: worksPolicy})
	end := day0 + 112*window.Day + window.Hour
	of := func(steps []step) (figures []string, cost int64) {
		for _, e := range assessed(t, New(small()), worksLog(t, steps, end)) {
			e.Unattributed = nil // a share of what was paid
			figures = append(figures, e.key+e.figures())
			if e.Cost != nil {
				cost += *e.Cost
			}
		}
		return figures, cost
	}
	before, paid := of(steps)
	cut := slices.Clone(steps)
	for i := range cut {
		if cut[i].day > day0+90*window.Day {
			cut[i].cost /= 2
		}
	}
	after, less := of(cut)
	if diff := gocmp.Diff(before, after); diff != "" || less >= paid {
		t.Errorf("paid %d after %d\n%s", less, paid, diff)
	}
	if !slices.ContainsFunc(after, func(s string) bool { return strings.Contains(s, `"score":1`) }) {
		t.Error("there is no score at all")
	}
}

// What the declared size of a team is split into adds up to it.
func TestSplit(t *testing.T) {
	for _, c := range []struct {
		n            int64
		shares, want []int64
	}{
		{20, []int64{12}, []int64{20}},
		{20, []int64{8, 4}, []int64{13, 7}},
		{10, []int64{1, 1, 1}, []int64{4, 3, 3}},
		{3, []int64{0, 5, 100}, []int64{0, 0, 3}},
	} {
		if got := split(c.n, c.shares); !slices.Equal(got, c.want) {
			t.Errorf("%d by %v is %v, want %v", c.n, c.shares, got, c.want)
		}
	}
}

// A team's roles share its size as they were seen at work, from its first day on.
func TestDeclaredSizeIsApportioned(t *testing.T) {
	day := func(people ...int64) []score.Day {
		days := make([]score.Day, len(people))
		for i, n := range people {
			days[i].People = n
		}
		return days
	}
	series := []score.Series{{Role: "dev", Days: day(0, 2, 3, 0)}, {Role: "ops", Days: day(0, 2, 0, 0)}}
	apportion(series, 10)
	want := []score.Series{{Role: "dev", Days: day(0, 5, 10, 7)}, {Role: "ops", Days: day(0, 5, 0, 3)}}
	if diff := gocmp.Diff(want, series); diff != "" {
		t.Error(diff)
	}
}

// Roles that nothing sees are in no series, and of roles whose outcomes are linked
// to usage only those are.
func TestRolesAreSeenAsDeclared(t *testing.T) {
	p, err := policy.Parse([]byte(`{"tenant":"acme","roles":[{"id":"dev","outcomes":"linked"},{"id":"legal","outcomes":"none"},{"id":"ops","outcomes":"all"}],"teams":[{"id":"web","size":9,"connected":50}]}`))
	if err != nil {
		t.Fatal(err)
	}
	f := New(Default())
	tenant := f.tenant("acme")
	tenant.policy, tenant.since = p, day0
	s := tenant.scope(f, kindTeam, "web")
	merged := outcome{day: day0, kind: goodhartv1.OutcomeKind_OUTCOME_KIND_PR_MERGED, stated: -1, provisional: 1}
	for _, role := range []string{"dev", "legal", "ops"} {
		for _, linked := range []link{linkUnknown, linkNone, linkFound} {
			o := merged
			o.linked = linked
			s.crew(role).credit(o)
		}
		s.crew(role).days.At(day0).people = 3
	}
	l := seriesOf(tenant, day0+window.Day)
	value := func(n int64) score.Value { return score.Value{Outcomes: n, Standing: 1000 * n} }
	want := []score.Series{
		{Unit: "web", Role: "dev", LinkedOnly: true, First: day0, Days: []score.Day{{People: 5, Value: value(1), Linked: 1000}}},
		{Unit: "web", Role: "ops", First: day0, Days: []score.Day{{People: 4, Value: value(3), Linked: 1000}}},
	}
	if diff := gocmp.Diff(want, l.series); diff != "" || !l.known["web"] || !l.linked["web"] {
		t.Errorf("%v %v\n%s", l.known, l.linked, diff)
	}
}

// What outcomes are worth under a new configuration is learned under it.
func TestConfigurationLearnsAnew(t *testing.T) {
	tenant := New(Default()).tenant("acme")
	tenant.learned = []*learned{{end: day0}}
	tenant.configure(&goodhartv1.Config{Version: 2}, policy.Default("acme"))
	if len(tenant.learned) != 0 {
		t.Error("what was learned under the configuration before still holds")
	}
}

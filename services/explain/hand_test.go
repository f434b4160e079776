package explain

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/window"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// staff is how many people of a role a team has.
type staff struct {
	tenant, team, role string
	people             int
}

// companies are two: of acme's teams tiny is too small, low hides it, and web has
// a role that is too small; of zeta everything may be shown.
var companies = []staff{
	{"acme", "web", "dev", 11},
	{"acme", "web", "design", 4},
	{"acme", "app", "dev", 13},
	{"acme", "core", "dev", 12},
	{"acme", "low", "dev", 10},
	{"acme", "tiny", "dev", 2},
	{"zeta", "alpha", "dev", 12},
	{"zeta", "alpha", "ops", 11},
	{"zeta", "beta", "dev", 12},
	{"zeta", "gamma", "dev", 11},
	{"zeta", "delta", "ops", 12},
}

// work lets the companies work for so many days: each person uses AI on four
// workdays of five, at a price that is not the list's, and merges something on two,
// of which a tenth is reverted and the rest survives.
func (b *bed) work(days int64) {
	b.Helper()
	rng := rand.New(rand.NewPCG(3, 5))
	later := map[int64][]*goodhartv1.Feature{}
	for d := range days {
		start := monday + d*window.Day
		for _, m := range later[d] {
			b.say(start+8*window.Hour, m)
		}
		n := 0
		for i, s := range companies {
			for range s.people {
				n++
				if d%7 >= 5 || rng.IntN(5) == 0 {
					continue
				}
				who := func(kind goodhartv1.FeatureKind) *goodhartv1.Feature {
					return &goodhartv1.Feature{Kind: kind, Tenant: s.tenant, Subject: person(n), Role: s.role, IdentityType: goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN}
				}
				used := who(goodhartv1.FeatureKind_FEATURE_KIND_PANE)
				used.PaneStartMs = start + 9*window.Hour
				cost := int64(1e9 * (1 + rng.Float64()) * float64(1+i%3))
				used.Cells = []*goodhartv1.Cell{{
					Team: s.team, Model: "opus", Tool: "claude-code", Requests: 10, Records: 10, InputUncachedTokens: 1000, OutputTokens: 500,
					CostNanos: cost, BaseDifferenceNanos: cost / 7, UnpricedRequests: int64(rng.IntN(20) / 19),
				}}
				b.say(start+20*window.Hour, used)
				if rng.IntN(2) == 0 {
					continue
				}
				credit := func(after int64, provisional, final int32) {
					m := who(goodhartv1.FeatureKind_FEATURE_KIND_CREDIT)
					m.Credit = &goodhartv1.OutcomeCredit{
						Kind: goodhartv1.OutcomeKind_OUTCOME_KIND_PR_MERGED, Team: s.team, ObjectDayMs: start, Linked: new(n%2 == 0),
						Provisional: provisional, Final: final,
					}
					if after == 0 {
						b.say(start+20*window.Hour, m)
						return
					}
					later[d+after] = append(later[d+after], m)
				}
				credit(0, 1, 0)
				if rng.IntN(10) == 0 {
					credit(1+rng.Int64N(13), -1, 0)
				} else {
					credit(14, -1, 1)
				}
			}
		}
		b.watermark(start + window.Day + 1)
	}
	b.watermark(monday + days*window.Day + 2)
}

// printed is what is needed of an explanation, to do the sum again.
type printed struct {
	Record map[string]json.RawMessage
	Score  struct {
		Status                string
		Score                 score.Score
		End, AsOf             int64
		Parts                 []part
		Days                  []day
		Curves                []score.Curve
		MeanWorth, Dispersion float64
		Shapes                []score.Shape
		Due                   []score.Due
		Peers                 []peer
		Blocks, Weeks         []score.Block
		Withheld              int
	}
}

var memberName = regexp.MustCompile(`"[a-z0-9_]+":`)

// read reads an explanation. Names lose their underscores, but for the record's.
func read(t *testing.T, out string) printed {
	t.Helper()
	var p printed
	plain := memberName.ReplaceAllStringFunc(out, func(name string) string { return strings.ReplaceAll(name, "_", "") })
	if err := json.Unmarshal([]byte(plain), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// figures are those of a record that its score gives, as they are written.
func (p *printed) figures() map[string]string {
	said := map[string]string{}
	for _, name := range []string{
		"outcomescredited", "outcomesexpected", "score", "scorelo", "scorehi", "alignedcostnanos", "unitcostnanos", "unitcostlonanos",
		"unitcosthinanos", "dispersion", "peers", "peersabove", "peersbelow",
	} {
		said[name] = string(p.Record[name])
	}
	return said
}

// write writes a score as its record does.
func (p *printed) write(t *testing.T, s *score.Score) map[string]string {
	t.Helper()
	e := score.Efficiency{Score: s, Dispersion: p.Score.Dispersion}
	again := read(t, fmt.Sprintf(`{"record":%s}`, e.AppendJSON(nil)))
	return again.figures()
}

// byHand does the sum from the parts on, with the formulas of docs/efficiency.md.
// Where roles are shown together it begins with what is expected of them.
func (p *printed) byHand(t *testing.T) score.Score {
	t.Helper()
	in := &p.Score
	s := score.Score{ExpectedKnown: true, ExpectedSD: in.Score.ExpectedSD, PeersKnown: true, Peers: len(in.Peers)}
	gradients := make([]score.Gradient, len(in.Curves))
	together := false
	for _, part := range in.Parts {
		credited, eventual, expected := float64(part.Block.Value.Halves())/2/in.MeanWorth, part.Eventual, part.Expected
		if part.Curve != nil {
			var g score.Gradient
			eventual, g = in.Curves[*part.Curve].Expected(part.Block.People, part.Block.AlignedNanos)
			gradients[*part.Curve].Add(g)
			for _, d := range in.Due {
				if d.Start == part.Block.Start {
					expected = float64(d.Share * eventual)
				}
			}
		} else {
			together = true
		}
		s.Credited += credited
		s.Expected += expected
		s.Eventual += eventual
		s.AlignedNanos += part.Block.AlignedNanos
	}
	if !together {
		variance := 0.0
		for i, g := range gradients {
			variance += in.Curves[i].Variance(g)
		}
		s.ExpectedSD = math.Sqrt(max(0, variance)) / s.Eventual
	}
	s.Count = score.Count{Observed: s.Credited / in.Dispersion, Expected: s.Expected / in.Dispersion}
	s.Posterior = score.NewPosterior(s.Count, s.ExpectedSD, in.Shapes)
	mean, low, high := s.Posterior.Mean(), s.Posterior.Quantile(0.05), s.Posterior.Quantile(0.95)
	s.Index, s.Low, s.High = 100*mean, 100*low, 100*high
	cost := float64(s.AlignedNanos) / s.Eventual
	s.UnitCost, s.UnitCostLow, s.UnitCostHigh = cost/mean, cost/high, cost/low
	for _, o := range in.Peers {
		switch {
		case o.Index > s.Index && o.Posterior.Above(s.Posterior) >= score.Distinct:
			s.Above++
		case o.Index < s.Index && s.Posterior.Above(o.Posterior) >= score.Distinct:
			s.Below++
		}
	}
	return s
}

// blocksOf makes the blocks of a window from its days.
func blocksOf(t *testing.T, unit string, days []day, end int64, length int) []score.Block {
	t.Helper()
	first := end - int64(length)*window.Day - score.Lag*window.Day
	var series []score.Series
	for _, d := range days {
		at := slices.IndexFunc(series, func(s score.Series) bool { return s.Role == d.Role })
		if at < 0 {
			at = len(series)
			series = append(series, score.Series{Unit: unit, Role: d.Role, First: first, Days: make([]score.Day, length+score.Lag)})
		}
		date, err := time.Parse(time.DateOnly, d.Date)
		if err != nil {
			t.Fatal(err)
		}
		series[at].Days[(date.UnixMilli()-first)/window.Day] = d.Day
	}
	blocks, _ := score.Blocks(series, score.WindowStarts(end, length))
	return blocks
}

// anew learns everything again, from the blocks of all teams.
func (p *printed) anew(unit string) score.Score {
	in := score.Inputs{End: p.Score.End, AsOf: p.Score.AsOf, Blocks: p.Score.Blocks}
	for _, name := range append([]string{unit}, unitsOf(p.Score.Peers)...) {
		in.Units = append(in.Units, score.Unit{Name: name, OutcomesKnown: true, HistoryKnown: true, LinksKnown: true, Publishable: true})
	}
	a := score.NewModel(p.Score.Weeks).Assess(in)
	at := slices.IndexFunc(a.Scores, func(s score.Score) bool { return s.Unit == unit })
	return a.Scores[at]
}

func unitsOf(peers []peer) []string {
	var names []string
	for _, p := range peers {
		names = append(names, p.Unit)
	}
	return names
}

// A score is what comes out if the sum is done again with what is printed: from the
// days to the blocks, from the blocks to what was expected, from that to the score;
// and where no team is hidden, from the weeks of all teams to the curves. Of a team
// that is hidden, and of a role that is too small, nothing is printed.
func TestScoresByHand(t *testing.T) {
	b := newBed(t, ktest.Fake(t))
	b.fold()
	const days = 16 * 7
	const last = monday + days*window.Day
	b.work(days)
	b.Await(t, schemas.GroupTenant, schemas.TopicFeatures)
	b.stop()
	seen := map[string]int{}
	for _, p := range b.published(schemas.TopicScores) {
		if header(p.rec, "ce_type") != score.TypeEfficiency || p.ScopeKind != score.ScopeTeam || p.W < last {
			continue
		}
		fresh, final := p.Window == "7d" && p.End == last, p.Window == "28d" && p.End == last-score.Settling
		if !fresh && (!final || p.Scope != "alpha" && p.Scope != "web" && p.Scope != "app") {
			continue
		}
		length := 7
		if p.Window == "28d" {
			length = 28
		}
		name := fmt.Sprintf("%s %s %s to %d", p.Tenant, p.Scope, p.Window, p.End)
		date := time.UnixMilli(p.End - window.Day).UTC().Format(time.DateOnly)
		out, err := b.ask(func(c *Config) {
			c.What, c.Tenant, c.Team, c.Day, c.Window, c.Rev, c.Format = Score, p.Tenant, p.Scope, date, p.Window, p.Rev, FormatJSON
		})
		if err != nil || !strings.Contains(out, `"verdict":"equal"`) {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		e := read(t, out)
		in := &e.Score
		seen[p.Tenant+" "+p.Scope+" "+in.Status]++
		if strings.Contains(out, `"unit":"tiny","role"`) || strings.Contains(out, `"unit":"low","role"`) {
			t.Errorf("%s tells of a hidden team\n%s", name, out)
		}
		if p.Scope == "tiny" || p.Scope == "low" {
			if len(in.Parts)+len(in.Days) > 0 || in.Score.AlignedNanos != 0 || in.Score.Credited != 0 {
				t.Errorf("%s: parts are shown\n%s", name, out)
			}
			continue
		}
		if p.Tenant == "acme" && (in.Withheld == 0 || strings.Contains(out, "design")) || p.Tenant == "zeta" && in.Withheld != 0 {
			t.Errorf("%s: %d blocks are withheld\n%s", name, in.Withheld, out)
		}
		again := e.byHand(t)
		if diff := gocmp.Diff(e.figures(), e.write(t, &again)); diff != "" {
			t.Errorf("%s by hand (-said +again)\n%s", name, diff)
		}
		if p.Scope == "web" { // its roles are added up in another order
			continue
		}
		again.Unit, again.Parts, again.Coverage, again.Unpriced = in.Score.Unit, in.Score.Parts, in.Score.Coverage, in.Score.Unpriced
		if diff := gocmp.Diff(in.Score, again); diff != "" {
			t.Errorf("%s by hand, all digits (-said +again)\n%s", name, diff)
		}
		var made []score.Block
		for _, part := range in.Parts {
			made = append(made, part.Block)
		}
		if diff := gocmp.Diff(made, blocksOf(t, p.Scope, in.Days, p.End, length)); diff != "" {
			t.Errorf("%s: the days give (-said +again)\n%s", name, diff)
		}
		if p.Tenant == "zeta" {
			again := e.anew(p.Scope)
			again.Parts = nil
			if diff := gocmp.Diff(in.Score, again); diff != "" {
				t.Errorf("%s learned anew (-said +again)\n%s", name, diff)
			}
		}
	}
	want := map[string]int{
		"acme web provisional": 1, "acme web final": 1, "acme app provisional": 1, "acme app final": 1, "acme core provisional": 1,
		"acme low insufficient data": 1, "acme tiny insufficient data": 1,
		"zeta alpha provisional": 1, "zeta alpha final": 1, "zeta beta provisional": 1, "zeta gamma provisional": 1, "zeta delta provisional": 1,
	}
	if diff := gocmp.Diff(want, seen); diff != "" {
		t.Errorf("explained (-want +got)\n%s", diff)
	}
}

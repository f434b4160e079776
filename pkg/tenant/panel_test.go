package tenant

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/kpi"
	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/recordtest"
	"github.com/goodhartlabs/goodhart/pkg/signal"
	"github.com/goodhartlabs/goodhart/pkg/window"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// announced is the week of the company below in which its target is.
const announced = 18

// companyLog is the features of a company of so many people in teams of ten, whose
// outcomes follow their tokens with some elasticity; a target is announced in week
// 18, from which on everybody in the first third of the teams burns three times the
// tokens for nothing.
func companyLog(t *testing.T, people int, weeks int64, document string) []machine.Record {
	t.Helper()
	rng := rand.New(rand.NewPCG(7, 7))
	log := featureLog{tb: t}
	log.add(monday, "acme", &goodhartv1.Feature{
		Kind: goodhartv1.FeatureKind_FEATURE_KIND_CONFIG, Tenant: "acme", Config: &goodhartv1.Config{Version: 3, Document: []byte(document)},
	})
	for i := range weeks {
		for p := range people {
			tokens := int64(1e6 * (1 + float64(p%7)) * (.6 + .8*rng.Float64()))
			outcomes := 1 + tokens/1_500_000
			if i >= announced && p < people/3 {
				tokens *= 3
			}
			m := around(fmt.Sprintf("p_%03d", p), i, 25)
			k := m.Week
			k.Team, k.OutputTokens, k.InputUncachedTokens, k.Baselines = fmt.Sprintf("t%02d", p/10), 0, tokens, nil
			k.DayTokens[1], k.DayRequests[1] = tokens, k.Requests
			k.Credits = []*goodhartv1.KindCredit{{Kind: goodhartv1.OutcomeKind_OUTCOME_KIND_PR_MERGED, Final: outcomes}}
			log.add(monday+(i+1)*window.Week+50*window.Hour, "acme", m)
		}
		log.add(monday+i*window.Week+judged+1, "", &goodhartv1.Feature{Kind: goodhartv1.FeatureKind_FEATURE_KIND_WATERMARK})
	}
	return log.records
}

func companyPolicy() string {
	return fmt.Sprintf(`{"tenant":"acme","targets":[{"id":"tokens","metric":"tokens","threshold":3000000,"period":"week","announced_at":%q,"scope":"tenant"}]}`,
		policy.Day(monday+announced*window.Week).String())
}

// card is a record of kpi.v1.
type card struct {
	Key, ID    string
	Body       string
	Target     string   `json:"target"`
	ScopeKind  string   `json:"scope_kind"`
	WeekStart  int64    `json:"week_start"`
	Elasticity *float64 `json:"elasticity"`
	Excess     *float64 `json:"excess_share"`
	Verdict    string   `json:"verdict"`
	Config     uint64   `json:"config_version"`
}

func issued(t *testing.T, f *Fold, log []machine.Record) []card {
	t.Helper()
	schema := recordtest.Schema(t, "kpi.v1.json")
	var all []card
	for i := range log {
		var out machine.Outputs
		f.Step(&log[i], &out)
		for _, o := range out.Records() {
			if o.Topic != schemas.TopicKPI {
				continue
			}
			c := card{Key: string(o.Key), Body: string(o.Body())}
			var value any
			if err := json.Unmarshal(o.Body(), &value); err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(value); err != nil {
				t.Errorf("%s: %v", o.Body(), err)
			}
			if err := json.Unmarshal(o.Body(), &c); err != nil {
				t.Fatal(err)
			}
			for _, h := range o.Headers {
				if h.Key == "ce_id" {
					c.ID = string(h.Value)
				}
			}
			all = append(all, c)
		}
	}
	return all
}

// A target has a card for every week since its announcement, and the card sees
// what the announcement did.
func TestCards(t *testing.T) {
	got := issued(t, New(Default()), companyLog(t, 240, 32, companyPolicy()))
	if len(got) != 32-announced {
		t.Fatalf("%d cards", len(got))
	}
	ids := map[string]bool{}
	for i, c := range got {
		if c.Key != "acme|kpi_health|tokens|" || c.Target != "tokens" || c.ScopeKind != "tenant" || c.Config != 3 ||
			c.WeekStart != monday+int64(announced+i)*window.Week || ids[c.ID] {
			t.Errorf("card %d: %+v", i, c)
		}
		ids[c.ID] = true
	}
	if first := got[0]; first.Elasticity != nil || first.Excess != nil {
		t.Errorf("after one week: %+v", first)
	}
	last := got[len(got)-1]
	if last.Elasticity == nil || last.Excess == nil || *last.Excess < .1 || last.Verdict == string(kpi.Healthy) || last.Verdict == string(kpi.InsufficientData) {
		t.Errorf("after fourteen weeks: %+v", last)
	}
}

func TestNoCardWithoutATarget(t *testing.T) {
	if got := issued(t, New(Default()), companyLog(t, 20, 3, `{"tenant":"acme"}`)); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	cfg := Default()
	cfg.PanelWeeks = 0
	if got := issued(t, New(cfg), companyLog(t, 20, announced+2, companyPolicy())); len(got) != 0 {
		t.Errorf("without a panel: %+v", got)
	}
}

// What a week is worth to a card: tokens of all classes, outcomes by the weights of
// the policy or as their source states them.
func TestWeekOfAPanel(t *testing.T) {
	p, err := policy.Parse([]byte(`{"tenant":"acme","outcomes":[{"kind":"pr_merged","weight":2000},{"kind":"ticket_done","weight":500}]}`))
	if err != nil {
		t.Fatal(err)
	}
	got := weekOf(&goodhartv1.Week{
		InputUncachedTokens: 1, CacheReadTokens: 2, CacheWriteTokens: 3, OutputTokens: 4, ReasoningTokens: 4, Requests: 7, CostNanos: 9, UnpricedRequests: 1,
		DayTokens: []int64{10, 0, 0, 0, 0, 0, 0},
		Credits: []*goodhartv1.KindCredit{
			{Kind: goodhartv1.OutcomeKind_OUTCOME_KIND_PR_MERGED, Provisional: 2, Final: 1, Reverted: 5, Millipoints: 300, Valued: 1},
			{Kind: goodhartv1.OutcomeKind_OUTCOME_KIND_TICKET_DONE, Final: -1},
			{Kind: goodhartv1.OutcomeKind_OUTCOME_KIND_REVIEW_SUBMITTED, Final: 9},
		},
	}, p.Weights("web"))
	want := kpi.Week{Known: true, Tokens: 10, Requests: 7, CostNanos: 9, Outcomes: 300 + 2*2000 - 500, DayTokens: [7]int64{10}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A panel has no holes, forgets what is too old, and gives the same cards after it
// was saved.
func TestPanel(t *testing.T) {
	p := panel{}
	add := func(subject, team string, week int64, tokens int64) {
		p.add(&signal.Subject{ID: subject, Week: &goodhartv1.Week{WeekStartMs: monday + week*window.Week, Team: team, InputUncachedTokens: tokens, Requests: 1}}, policy.Default("acme"))
	}
	add("p_b", "web", 0, 5)
	add("p_b", "ops", 3, 7) // a fortnight's vacation
	add("p_a", "web", 2, 9)
	add("p_a", "web", 2, 100) // a week comes once
	tokens := func(u kpi.Unit) (all []int64) {
		for _, w := range u.Weeks {
			if !w.Known {
				all = append(all, -1)
				continue
			}
			all = append(all, w.Tokens)
		}
		return all
	}
	whole := p.whole()
	got := [][]int64{tokens(whole.Units[0]), tokens(whole.Units[1])}
	if diff := cmp.Diff([][]int64{{-1, -1, 9}, {5, 0, 0, 7}}, got); diff != "" || whole.Units[1].Team != "ops" || whole.Start != monday {
		t.Errorf("%s %+v", diff, whole)
	}
	if diff := cmp.Diff(whole, loadPanel(savePanel(p)).whole()); diff != "" {
		t.Error(diff)
	}
	p.trim(monday+3*window.Week, 2)
	if whole = p.whole(); !slices.Equal(tokens(whole.Units[1]), []int64{0, 7}) || !slices.Equal(tokens(whole.Units[0]), []int64{9}) {
		t.Errorf("%+v", whole)
	}
	p.trim(monday+9*window.Week, 2)
	if len(p) != 0 {
		t.Errorf("%d people are remembered for ever", len(p))
	}
}

// The share of tokens that a signal asks about says nothing of fewer than five.
func TestSignalledOf(t *testing.T) {
	f := func(people []int64, signalled, of int64) {
		t.Helper()
		var usage []signal.TeamUsage
		for _, n := range people {
			usage = append(usage, signal.TeamUsage{Tokens: 100, Signalled: 10 * n, People: 12, SignalledPeople: n})
		}
		if a, b := signalledOf(usage); a != signalled || b != of {
			t.Errorf("%v: %d of %d, want %d of %d", people, a, b, signalled, of)
		}
	}
	f([]int64{0, 0}, 0, 200)
	f([]int64{1, 0}, 0, 0)
	f([]int64{2, 2}, 0, 0)
	f([]int64{2, 3}, 50, 200)
}

// A week of outcomes alone names no team, and who is in it stays where it was; a
// request without tokens, such as a failed one, leaves the cost of the others known.
func TestPanelKeepsWhatAWeekDoesNotSay(t *testing.T) {
	p, pol := panel{}, policy.Default("acme")
	add := func(week int64, team string, unpriced, unknown int64) {
		p.add(&signal.Subject{ID: "p_1", Week: &goodhartv1.Week{
			WeekStartMs: monday + week*window.Week, Team: team, UnpricedRequests: unpriced, UnknownTokenRequests: unknown,
		}}, pol)
	}
	add(0, "t1", 0, 0)
	add(1, "", 0, 0)
	if got := p["p_1"].team; got != "t1" {
		t.Errorf("after a week without usage the team is %q", got)
	}
	add(2, "t2", 1, 1)
	add(3, "t2", 2, 1)
	add(4, "t2", 1, 0)
	var priced []bool
	for _, k := range p["p_1"].weeks {
		priced = append(priced, k.CostKnown)
	}
	if diff := cmp.Diff([]bool{true, true, true, false, false}, priced); diff != "" || p["p_1"].team != "t2" {
		t.Errorf("team %q; weeks with a known cost: %s", p["p_1"].team, diff)
	}
}

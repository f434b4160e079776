package signal

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// The company of the tests: sixty people in five teams of twelve. Client version,
// model and repository cut across the teams, so that each of the four cohorts of
// the subject can move without the others.
const (
	headcount       = 60
	firstWeek int64 = 4*window.Day + 2900*window.Week // a Monday
	subject         = "p_00000000000000000000000000000000"
)

func teamOf(i int) int       { return i % 5 }
func versionOf(i int) int    { return i / 5 % 3 }
func modelOf(i int) int      { return i / 15 % 4 }
func repositoryOf(i int) int { return i % 12 / 2 }

// beside returns who is in the same cohort as the subject.
func beside(of func(int) int) func(int) bool {
	return func(i int) bool { return of(i) == of(0) }
}

// honestWeek is a usual week: everything is known and as the baselines say.
func honestWeek(i int, week int64) *goodhartv1.Week {
	rng := rand.New(rand.NewPCG(uint64(i), uint64(week)))
	noise := func(sd float64) float64 { return sd * (rng.Float64() - 0.5) }
	const tokens = 20_000_000
	scale := math.Exp(noise(0.4))
	w := &goodhartv1.Week{
		WeekStartMs: week, TzOffsetMin: 60,
		Team: fmt.Sprint("t", teamOf(i)), Tool: "claude-code", ToolVersion: fmt.Sprint("2.", versionOf(i)),
		Model: fmt.Sprint("m", modelOf(i)), Repository: fmt.Sprint("r", repositoryOf(i)),
		Requests: 400, Records: 400, OutcomesFinal: 3, SideEffects: 40,
		InputUncachedTokens: int64(tokens * scale / 2), CacheReadTokens: int64(tokens * scale / 2),
		CostNanos:       int64(40e9 * scale),
		Hours:           hoursBitmap(45),
		ContextRequests: 400, ContextLnSum: int64(400e6 * (3 + noise(0.2))), ContextTokens: 20_000_000,
		PromptRequests: 400, PromptLnSum: int64(400e6 * (2 + noise(0.2))),
		PairRequests: 300, PairTokens: 15_000_000, RepeatedRequests: 2, RepeatedTokens: 100_000, RepeatedCostNanos: 1e8,
		DenseTurns: 20, TimedDays: 5, GapCv: 1_500_000, PeriodMin: 60, PeriodResultant: 150_000, PeriodRequests: 400, LongestGapMin: 800,
		Sessions: 30, SinklessSessions: int64(1 + i*7%17), AbandonedSessions: 2, SessionCostNanos: int64(40e9 * scale), SinklessCostNanos: int64(8e9 * scale),
		TimedRequests: 400, BusyMs: 3_600_000, UnionMs: 3_000_000, MostConcurrent: 3,
		CacheTurns: 300, CacheTurnReadTokens: 8_000_000 + int64(1e6*noise(0.5)), CacheTurnInputTokens: 10_000_000,
		Models: []*goodhartv1.ModelUse{
			{Model: "large", Requests: 350, Tokens: 18_000_000, CostNanos: 39e9},
			{Model: "small", Requests: 50, Tokens: 2_000_000, CostNanos: 1e9},
		},
	}
	for day := range 7 {
		part := 0.0
		if day < 5 {
			part = 0.2
		}
		w.DayRequests = append(w.DayRequests, int64(400*part))
		w.DayTokens = append(w.DayTokens, int64(tokens*scale*part))
		w.DayCostNanos = append(w.DayCostNanos, int64(40e9*scale*part))
		w.DayOutcomes = append(w.DayOutcomes, int64(math.Round(part*float64(5))))
	}
	usual := func(s goodhartv1.Statistic, median, mad float64) {
		w.Baselines = append(w.Baselines, &goodhartv1.Baseline{Statistic: s, Median: int64(median * 1e6), Mad: int64(mad * 1e6), Weeks: 10})
	}
	usual(goodhartv1.Statistic_STATISTIC_TOKENS, math.Log(tokens), 0.15)
	usual(goodhartv1.Statistic_STATISTIC_COST, math.Log(40e9), 0.15)
	usual(goodhartv1.Statistic_STATISTIC_CONTEXT, 3, 0.05)
	usual(goodhartv1.Statistic_STATISTIC_PROMPT, 2, 0.05)
	usual(goodhartv1.Statistic_STATISTIC_REPEATED, 0.01, 0.01)
	usual(goodhartv1.Statistic_STATISTIC_HOURS, 45, 4)
	usual(goodhartv1.Statistic_STATISTIC_CONCURRENCY, 1.2, 0.1)
	usual(goodhartv1.Statistic_STATISTIC_CACHE, 0.8, 0.02)
	usual(goodhartv1.Statistic_STATISTIC_PRICE, math.Log(2e9), 0.1)
	usual(goodhartv1.Statistic_STATISTIC_SINKLESS, 0.2, 0.05)
	usual(goodhartv1.Statistic_STATISTIC_REQUESTS, math.Log(401), 0.1)
	return w
}

// hoursBitmap has n of the 168 hours set, spread over the week.
func hoursBitmap(n int) []byte {
	bitmap := make([]byte, 21)
	for k := range n {
		h := k * 168 / n
		bitmap[h/8] |= 1 << (h % 8)
	}
	return bitmap
}

// multiply scales what was used, and not what is usual.
func multiply(w *goodhartv1.Week, tokens, cost float64) {
	w.InputUncachedTokens = int64(float64(w.InputUncachedTokens) * tokens)
	w.CacheReadTokens = int64(float64(w.CacheReadTokens) * tokens)
	w.CostNanos = int64(float64(w.CostNanos) * cost)
	for i := range w.DayTokens {
		w.DayTokens[i] = int64(float64(w.DayTokens[i]) * tokens)
		w.DayCostNanos[i] = int64(float64(w.DayCostNanos[i]) * cost)
	}
}

// forget leaves a week without what is usual.
func forget(w *goodhartv1.Week) { w.Baselines = nil }

// company is a run of weeks.
type company struct {
	t     *testing.T
	state State
	// declares is what the company has published.
	declares policy.Policy
	week     int64
	// change is applied to the weeks of everybody.
	change func(i int, w *goodhartv1.Week)
	// adjust changes the input.
	adjust func(*Input)
	all    []Signal
	last   *evaluation
}

func newCompany(t *testing.T) *company {
	t.Helper()
	c := &company{t: t, week: firstWeek}
	for k := range 5 {
		connected := int64(90)
		c.declares.Teams = append(c.declares.Teams, policy.Team{ID: fmt.Sprint("t", k), Size: 12, Connected: &connected})
	}
	return c
}

// inForce is a policy as a fold reads it from its document.
func inForce(t *testing.T, p policy.Policy) *policy.Policy {
	t.Helper()
	p.Tenant = "acme"
	read, err := policy.Parse(p.Document())
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// nothing is the policy of who declares nothing.
func nothing() *policy.Policy { return policy.Default("acme") }

// input is the week as it is.
func (c *company) input() *Input {
	in := &Input{
		Tenant: "acme", WeekStart: c.week, At: c.week + window.Week + 72*window.Hour,
		Policy: inForce(c.t, c.declares), ConfigVersion: 7, MinimumGroup: 10, Publishable: map[string]bool{},
	}
	for k := range 5 {
		in.Publishable[fmt.Sprint("t", k)] = true
	}
	for i := range headcount {
		w := honestWeek(i, c.week)
		if c.change != nil {
			c.change(i, w)
		}
		in.Subjects = append(in.Subjects, Subject{
			ID: fmt.Sprintf("p_%032x", i), Type: goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN, Role: "developer", Week: w,
		})
	}
	if c.adjust != nil {
		c.adjust(in)
	}
	return in
}

// run evaluates some weeks.
func (c *company) run(weeks int) {
	for range weeks {
		c.last = evaluate(c.input(), &c.state)
		c.all = append(c.all, c.last.result.Signals...)
		c.week += window.Week
	}
}

// observed is the subject's last week.
func (c *company) observed() *observation {
	c.t.Helper()
	i := slices.IndexFunc(c.last.p.observed, func(o *observation) bool { return o.subject.ID == subject })
	if i < 0 {
		c.t.Fatal("the subject was not there")
	}
	return c.last.p.observed[i]
}

// stands reports whether a family of the subject is persistent and discovered.
func (c *company) stands(code string) bool {
	o := c.observed()
	return c.last.active[o][c.last.p.index[code]]
}

// about returns the signals of a code and scope kind, in order.
func (c *company) about(code, kind string) []Signal {
	var out []Signal
	for _, s := range c.all {
		if s.Code == code && s.Kind == kind {
			out = append(out, s)
		}
	}
	return out
}

// Weeks in which nothing happens raise nothing, and every figure of them is
// measured.
func TestHonestCompany(t *testing.T) {
	c := newCompany(t)
	c.declares.Targets = []policy.Target{{ID: "T", Metric: policy.Tokens, Threshold: 30e6, Period: policy.Week, Scope: policy.ScopeTenant, AnnouncedAt: policy.Day(firstWeek)}}
	c.run(20)
	for _, s := range c.all {
		t.Errorf("%s about %s %s: %s", s.Code, s.Kind, s.Scope, s.Question)
	}
	for _, coverage := range c.last.result.Coverage {
		if coverage.Code == "S13" {
			continue
		}
		if coverage.Subjects != headcount || coverage.Measured != headcount || coverage.Fired != 0 {
			t.Errorf("%+v", coverage)
		}
	}
	if strings.Join(codes(), " ") != "S1 S2 S3 S4 S5 S6 S7 S8 S9 S11 S12 S13 R1 R2 R3" {
		t.Errorf("catalogue %v", codes())
	}
}

func codes() []string {
	var out []string
	for _, d := range Catalogue() {
		out = append(out, d.Code)
	}
	return out
}

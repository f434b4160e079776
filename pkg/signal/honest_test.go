package signal

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// worker is an honest person whose weeks vary as much as those of people on a
// metered machine: heavy-tailed, with changes of model, vacations and busy weeks.
type worker struct {
	rng    *rand.Rand
	level  float64 // of ln tokens
	sd     float64
	drift  float64
	ctx    float64
	prompt float64
	hours  float64
	sink   float64
	model  int
	rings  [statistics][]float64
}

// heavy is a variate with the tails of Student's t with five degrees of freedom,
// and a standard deviation of about one.
func heavy(rng *rand.Rand) float64 {
	var chi float64
	for range 5 {
		x := rng.NormFloat64()
		chi += x * x
	}
	return rng.NormFloat64() / math.Sqrt(chi/5) * math.Sqrt(3.0/5)
}

func newWorker(seed uint64) *worker {
	rng := rand.New(rand.NewPCG(seed, 42))
	return &worker{
		rng: rng, level: math.Log(32e6) + 1.22*rng.NormFloat64(), sd: 0.5 + 1.3*rng.Float64(),
		ctx: 3 + rng.NormFloat64(), prompt: 2 + rng.NormFloat64(), hours: 20 + 40*rng.Float64(), sink: 0.1 + 0.4*rng.Float64(),
		model: rng.IntN(4),
	}
}

// week draws one, nil if the person is away.
func (p *worker) week(i int, start int64) *goodhartv1.Week {
	rng := p.rng
	if rng.Float64() < 0.08 {
		return nil
	}
	p.drift = 0.5*p.drift + p.sd*math.Sqrt(0.75)*heavy(rng)
	tokens := math.Exp(p.level + p.drift)
	requests := max(int64(tokens/80_000), 1)
	w := &goodhartv1.Week{
		WeekStartMs: start, Team: fmt.Sprint("t", i/10), Tool: "claude-code", ToolVersion: fmt.Sprint("2.", i%3), Repository: fmt.Sprint("r", i/5),
		Requests: requests, Records: requests, InputUncachedTokens: int64(tokens), DayOutcomes: make([]int64, 7),
		DayRequests: make([]int64, 7), DayTokens: make([]int64, 7), DayCostNanos: make([]int64, 7),
	}
	if rng.Float64() < 0.05 {
		p.model, w.ModelChanged = rng.IntN(4), true
		p.ctx += 0.5 * rng.NormFloat64()
	}
	w.Model = fmt.Sprint("m", p.model)
	price := []float64{500, 1000, 2000, 4000}[p.model]
	w.CostNanos = int64(tokens * price)
	w.Models = []*goodhartv1.ModelUse{{Model: w.Model, Requests: requests, Tokens: int64(tokens), CostNanos: w.CostNanos}}
	mean := func(level, sd float64) int64 {
		return int64(1e6 * float64(requests) * (level + sd*heavy(rng) + 1.6*rng.NormFloat64()/math.Sqrt(float64(requests))))
	}
	w.ContextRequests, w.ContextLnSum = requests, mean(p.ctx, 0.3)
	w.PromptRequests, w.PromptLnSum = requests, mean(p.prompt, 0.3)
	w.PairRequests, w.PairTokens = requests, w.InputUncachedTokens
	w.RepeatedRequests = int64(float64(requests) * 0.02 * math.Exp(heavy(rng)))
	w.RepeatedRequests = min(w.RepeatedRequests, requests/2)
	w.RepeatedTokens = int64(share(w.RepeatedRequests, requests) * tokens)
	w.Hours = hoursBitmap(int(min(max(p.hours*math.Exp(0.25*heavy(rng)), 1), 168)))
	w.TimedDays, w.GapCv = 3, int64(1e6*(0.75+rng.ExpFloat64()))
	w.PeriodMin, w.PeriodResultant, w.PeriodRequests = 60, int64(1e6*min(0.2+0.1*math.Abs(rng.NormFloat64()), 1)), requests
	w.Sessions = max(requests/12, 1)
	for range w.Sessions {
		if rng.Float64() < p.sink {
			w.SinklessSessions++
			if rng.Float64() < 0.3 {
				w.AbandonedSessions++
			}
		}
	}
	w.SessionCostNanos, w.SinklessCostNanos = w.CostNanos, int64(float64(w.CostNanos)*share(w.SinklessSessions, w.Sessions))
	w.TimedRequests, w.UnionMs = requests, 1_000_000
	w.BusyMs = int64(1e6 * (1 + math.Exp(heavy(rng)-1)))
	w.CacheTurns, w.CacheTurnInputTokens = requests, int64(tokens)
	w.CacheTurnReadTokens = int64(tokens * min(max(0.75+0.08*heavy(rng), 0), 1))
	p.learn(w)
	return w
}

// learn states what is usual and takes the week into it.
func (p *worker) learn(w *goodhartv1.Week) {
	o := observation{week: w}
	for s, v := range map[goodhartv1.Statistic]float64{
		goodhartv1.Statistic_STATISTIC_TOKENS:      math.Log(float64(o.tokens()) + 1),
		goodhartv1.Statistic_STATISTIC_COST:        math.Log(float64(w.CostNanos) + 1),
		goodhartv1.Statistic_STATISTIC_CONTEXT:     mean(w.ContextLnSum, w.ContextRequests),
		goodhartv1.Statistic_STATISTIC_PROMPT:      mean(w.PromptLnSum, w.PromptRequests),
		goodhartv1.Statistic_STATISTIC_REPEATED:    share(w.RepeatedTokens, w.PairTokens),
		goodhartv1.Statistic_STATISTIC_HOURS:       float64(o.hours()),
		goodhartv1.Statistic_STATISTIC_CONCURRENCY: share(w.BusyMs, w.UnionMs),
		goodhartv1.Statistic_STATISTIC_CACHE:       share(w.CacheTurnReadTokens, w.CacheTurnInputTokens),
		goodhartv1.Statistic_STATISTIC_SINKLESS:    share(w.SinklessCostNanos, w.SessionCostNanos),
	} {
		if ring := p.rings[s]; len(ring) > 0 {
			med, mad := medianMAD(append([]float64(nil), ring...))
			w.Baselines = append(w.Baselines, &goodhartv1.Baseline{Statistic: s, Median: int64(med * 1e6), Mad: int64(mad * 1e6), Weeks: int32(len(ring))})
		}
		p.rings[s] = append(p.rings[s], v)
		p.rings[s] = p.rings[s][max(len(p.rings[s])-10, 0):]
	}
}

// Honest people vary wildly, and are hardly ever asked: at most once in a thousand
// weeks.
func TestHonestPeopleVary(t *testing.T) {
	const people, weeks = 400, 26
	workers := make([]*worker, people)
	for i := range workers {
		workers[i] = newWorker(uint64(i))
	}
	var s State
	asked := map[string]int{}
	fired := map[string]int64{}
	personWeeks := 0
	for k := range int64(weeks) {
		week := firstWeek + k*window.Week
		in := &Input{Tenant: "acme", WeekStart: week, At: week, Policy: nothing(), MinimumGroup: 10}
		for i, p := range workers {
			if w := p.week(i, week); w != nil {
				in.Subjects = append(in.Subjects, Subject{
					ID: fmt.Sprintf("p_%04d", i), Type: goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN, Role: "developer", Week: w,
				})
			}
		}
		personWeeks += len(in.Subjects)
		r := Evaluate(in, &s)
		for _, x := range r.Signals {
			if x.Private() && x.Status == Opened {
				asked[x.Code]++
			}
		}
		for _, c := range r.Coverage {
			fired[c.Code] += c.Fired
		}
	}
	total := 0
	for _, n := range asked {
		total += n
	}
	rate := float64(total) / float64(personWeeks) * 1000
	t.Logf("%d person-weeks, %.2f questions per thousand, by code %v; thresholds crossed in one week %v", personWeeks, rate, asked, fired)
	if rate > 1 {
		t.Errorf("%.2f questions per thousand person-weeks", rate)
	}
}

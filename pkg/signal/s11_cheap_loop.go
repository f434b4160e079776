package signal

import (
	"math"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// S11. The cheap share alone says from when on a subject is compared with what was usual:
// the tokens of a week vary more than what a loop adds to some of them.
const (
	s11Minimum = 50
	s11TokensZ = 2.0
	s11CostZ   = 0.5
	s11Cheap   = 0.30
)

func cheapLoop() Definition {
	return Definition{
		Code: "S11", Title: "Loops on a cheap model", Kind: Mechanism, Label: PossibleGaming,
		ScopeKinds: []string{ScopeSelf, ScopeTeam, ScopeTool, ScopeModel},
		Needs:      []string{"tokens by model", "prices"},
		Statistic:  "own z of ln tokens where that of ln cost is low; rise of the share of tokens in the cheapest third of the models; only beside S2 or an even rhythm of S5",
		MinimumN:   s11Minimum, Sample: "requests",
		Thresholds: []Threshold{
			{"rise of the cheap share", s11Cheap, "share"},
			{"own z of ln tokens", s11TokensZ, "standard deviations"},
			{"own z of ln cost, at most", s11CostZ, "standard deviations"},
		},
		LookAlikes: []LookAlike{
			look("good routing", "simple work on cheap models is thrift; without repeats or a rhythm it is no signal", leftOut),
			look("another model", "everyone moved to it, of all people: those who use it now are who chose it", together(sameModel)),
			look("a change of the client", "a version routes for everyone", updated),
			look("a way of the team", "the team routes so", together(sameTeam)),
			look("a declared change of models", "the cheaper one was chosen for everyone", declared(policy.ModelChange)),
		},
		Question: "What do the many cheap requests do?",
		Formula:  "cheap/3",
		self:     "In {week} {value} of your tokens moved to the cheapest models, with far more tokens at hardly more cost, beside repeats or an even rhythm.",
		shared:   "{scope}, {week}: {value} of the tokens moved to the cheapest models.",
		chooses:  true,
		measure:  measureCheap,
		given: func(o *observation) bool {
			even, _ := o.evenRhythm()
			return o.fired("S2") || even && o.of("S5").Measure.measured()
		},
		facts: cheapFacts,
	}
}

func measureCheap(o *observation) (r Reading) {
	w := o.week
	cheap, known := o.cheapShare()
	var n int64
	if known {
		n = w.Requests
	}
	if !r.sample(n, n, w.Requests, s11Minimum) {
		return r
	}
	usual, history := o.state.usualCheap()
	zTokens, tokensKnown := o.zTokens()
	zCost, costKnown := o.zCost()
	if !history || !tokensKnown || !costKnown {
		r.Measure = NoHistory
		return r
	}
	r.Shift = cheap - usual
	r.Value, r.Threshold = r.Shift, s11Cheap
	r.P = ownTail(zTokens, o.weeks(goodhartv1.Statistic_STATISTIC_TOKENS))
	r.apart = r.Shift >= s11Cheap
	o.stake(&r)
	fired := zTokens >= s11TokensZ && zCost <= s11CostZ && r.Shift >= s11Cheap
	if zPrice, known := o.zPrice(); fired && known {
		// Both at once are as unlikely as either, and their difference is the price, which
		// varies far less than how much somebody works.
		r.P = min(r.P, ownTail(-zPrice, o.weeks(goodhartv1.Statistic_STATISTIC_PRICE)))
	}
	r.decide(fired)
	return r
}

// zPrice is that of ln cost per token, known as its usual is.
func (o *observation) zPrice() (float64, bool) {
	w := o.week
	if o.tokens() <= 0 || w.CostNanos <= 0 || w.UnpricedRequests > 0 {
		return 0, false
	}
	return o.z(goodhartv1.Statistic_STATISTIC_PRICE, math.Log(float64(w.CostNanos)/float64(o.tokens())*1e6), floorLog)
}

// usualCheap is the median of the cheap share over the last active weeks.
func (s *SubjectState) usualCheap() (float64, bool) {
	if len(s.Cheap) < baselineWeeks {
		return 0, false
	}
	values := make([]float64, len(s.Cheap))
	for i, v := range s.Cheap {
		values[i] = float64(v) / 1e6
	}
	return median(values), true
}

// noteCheap takes a week into what is usual.
func (o *observation) noteCheap() {
	cheap, known := o.cheapShare()
	if !known {
		return
	}
	s := o.state
	if len(s.Cheap) == periodsKept {
		s.Cheap = s.Cheap[1:]
	}
	s.Cheap = append(s.Cheap[:len(s.Cheap):len(s.Cheap)], int64(cheap*1e6))
}

func cheapFacts(o *observation, r *Reading) []Fact {
	w := o.week
	zTokens, tokensKnown := o.zTokens()
	zCost, costKnown := o.zCost()
	usual, priceKnown := o.usual(goodhartv1.Statistic_STATISTIC_PRICE)
	return []Fact{
		maybe("z_tokens", "own z of ln tokens", zTokens, tokensKnown, "standard deviations", r.N).against(s11TokensZ),
		maybe("z_cost", "own z of ln cost", zCost, costKnown, "standard deviations", r.N).against(s11CostZ),
		number("rank_gap", "rank by cost less rank by tokens, as a share of the people",
			o.all.byCost[o.subject.ID]-o.all.byTokens[o.subject.ID], "share", int64(len(o.all.byCost))),
		maybe("price", "cost per million tokens", share(w.CostNanos, o.tokens())/1e3, o.costKnown() && o.tokens() > 0, "USD", r.N),
		maybe("usual_price", "median of ln nano-USD per million tokens", usual, priceKnown, "nats", o.weeks(goodhartv1.Statistic_STATISTIC_PRICE)),
		count("peak_hour", "most requests in an hour", w.PeakHourRequests, "requests", r.N),
	}
}

package signal

import (
	"math"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// S1: three times the context is beyond what another model or repository usually
// brings, and 4.8 standard errors of 50 requests. Who reads longer documents for some
// weeks has that too, but not more tokens: these must have risen with the context.
const (
	s1Minimum = 50
	s1Times   = 3.0
	s1Z       = 3.0
	s1TokensZ = 1.0
	s1Rise    = 0.6
)

func contextBloat() Definition {
	return Definition{
		Code: "S1", Title: "Context bloat", Kind: Mechanism, Label: PossibleGaming,
		ScopeKinds: []string{ScopeSelf, ScopeService, ScopeTeam, ScopeTool, ScopeModel},
		Needs:      []string{"context and output tokens of requests"},
		Statistic:  "mean of ln((context+1)/(output+1)) over the requests of a week, less the subject's usual",
		MinimumN:   s1Minimum, Sample: "requests",
		Thresholds: []Threshold{
			{"context per output, times the usual", s1Times, "times"},
			{"own z of it", s1Z, "standard deviations"},
			{"own z of ln tokens", s1TokensZ, "standard deviations"},
			{"rise of ln tokens over the usual, by that of the statistic", s1Rise, "share"},
		},
		LookAlikes: []LookAlike{
			look("a new model", "a model with a longer window reads more", movedOr(sameModel, modelChange)),
			look("another repository", "a monorepo has more to read", movedOr(sameRepository, repositoryChange)),
			look("retrieval switched on", "the client adds documents for everyone who uses it", updated),
			look("compaction switched off", "a setting of the team keeps whole conversations", together(sameTeam)),
			look("a declared migration", "old code has to be read before it is replaced", declared(policy.Migration)),
			look("a declared incident", "forensics read logs", declared(policy.Incident, policy.OnCall)),
		},
		Question: "What needed the larger context, and could it be smaller?",
		Formula:  "context/2",
		self:     "In {week} your requests carried {value} times the context for each token of output that is usual for you.",
		shared:   "{scope}, {week}: requests carried {value} times the usual context for each token of output.",
		services: true,
		measure:  measureContext,
		facts:    contextFacts,
	}
}

func measureContext(o *observation) (r Reading) {
	w := o.week
	if !r.sample(w.ContextRequests, w.ContextRequests, w.Requests, s1Minimum) {
		return r
	}
	const statistic = goodhartv1.Statistic_STATISTIC_CONTEXT
	level := mean(w.ContextLnSum, w.ContextRequests)
	usual, known := o.usual(statistic)
	zTokens, tokensKnown := o.zTokens()
	if !known || !tokensKnown {
		r.Measure = NoHistory
		return r
	}
	z, _ := o.z(statistic, level, floorLog)
	r.Shift = level - usual
	r.Value, r.Threshold = math.Exp(r.Shift), s1Times
	r.P = upperTail(z)
	r.extra = z
	r.Tokens = int64(max(0, float64(w.ContextTokens)*(1-math.Exp(-r.Shift))))
	r.CostNanos, r.CostKnown = int64(float64(w.CostNanos)*min(share(r.Tokens, o.tokens()), 1)), o.costKnown()
	r.decide(r.Shift >= math.Log(s1Times) && z >= s1Z && zTokens >= s1TokensZ && o.rise() >= float64(s1Rise*r.Shift))
	return r
}

func contextFacts(o *observation, r *Reading) []Fact {
	w := o.week
	usual, known := o.usual(goodhartv1.Statistic_STATISTIC_CONTEXT)
	zTokens, tokensKnown := o.zTokens()
	return []Fact{
		number("level", "mean ln((context+1)/(output+1))", mean(w.ContextLnSum, max(w.ContextRequests, 1)), "nats", r.N),
		maybe("usual", "median of it over the last active weeks", usual, known, "nats", o.weeks(goodhartv1.Statistic_STATISTIC_CONTEXT)),
		number("z", "own z of it", r.extra, "standard deviations", r.N).against(s1Z),
		maybe("z_tokens", "own z of ln tokens", zTokens, tokensKnown, "standard deviations", r.N).against(s1TokensZ),
		maybe("rise", "ln tokens above the usual", o.rise(), tokensKnown, "nats", r.N).against(float64(s1Rise * r.Shift)),
		count("excess_tokens", "context tokens above the usual", r.Tokens, "tokens", r.N),
		count("outcomes", "verified outcomes of the week", o.outcomes(), "outcomes", r.N),
	}
}

package signal

import (
	"math"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// S1: three times the context is beyond what another model or repository usually
// brings, and 4.8 standard errors of 50 requests; fewer must differ by as many. Who
// reads longer documents for some weeks and is answered less has that too, but carries
// hardly more with a request: that must have doubled. It need not have risen as far as
// the statistic, a mean of logarithms: a blob of one size multiplies small requests by far
// more than their sum. How much somebody works in a week says nothing of it, and
// varies far more.
const (
	s1Minimum = 20
	s1Times   = 3.0
	s1Errors  = 4.8
	s1SD      = 1.61 // of single requests
	s1Z       = 3.0
	s1Carried = 2.0
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
			{"rise of the statistic, by its standard error 1.61/√n", s1Errors, "standard errors"},
			{"tokens per request, times the usual", s1Carried, "times"},
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
		Formula:  "context/4",
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
	size, sizeKnown := o.largerRequests()
	if !known || !sizeKnown {
		r.Measure = NoHistory
		return r
	}
	z, _ := o.z(statistic, level, floorLog)
	r.Shift = level - usual
	r.Value, r.Threshold = math.Exp(r.Shift), s1Times
	r.P = ownTail(z, o.weeks(statistic))
	r.extra = z
	r.Tokens = int64(max(0, float64(w.ContextTokens)*(1-math.Exp(-r.Shift))))
	r.CostNanos, r.CostKnown = int64(float64(w.CostNanos)*min(share(r.Tokens, o.tokens()), 1)), o.costKnown()
	r.apart = r.Shift >= math.Log(s1Times) && r.Shift*math.Sqrt(float64(r.N)) >= s1Errors*s1SD && z >= s1Z
	r.decide(r.apart && size >= math.Log(s1Carried))
	return r
}

// largerRequests is how far the week's ln tokens per request are above the subject's
// usual, nats.
func (o *observation) largerRequests() (rise float64, known bool) {
	tokens, tokensKnown := o.usual(goodhartv1.Statistic_STATISTIC_TOKENS)
	requests, requestsKnown := o.usual(goodhartv1.Statistic_STATISTIC_REQUESTS)
	rise = math.Log(float64(o.tokens())+1) - math.Log(float64(o.week.Requests)+1) - (tokens - requests)
	return rise, tokensKnown && requestsKnown && o.tokens() > 0
}

func contextFacts(o *observation, r *Reading) []Fact {
	w := o.week
	usual, known := o.usual(goodhartv1.Statistic_STATISTIC_CONTEXT)
	size, sizeKnown := o.largerRequests()
	return []Fact{
		number("level", "mean ln((context+1)/(output+1))", mean(w.ContextLnSum, max(w.ContextRequests, 1)), "nats", r.N),
		maybe("usual", "median of it over the last active weeks", usual, known, "nats", o.weeks(goodhartv1.Statistic_STATISTIC_CONTEXT)),
		number("z", "own z of it", r.extra, "standard deviations", r.N).against(s1Z),
		number("errors", "rise of it, by its standard error", r.Shift*math.Sqrt(float64(r.N))/s1SD, "standard errors", r.N).against(s1Errors),
		maybe("carried", "tokens per request, times the usual", math.Exp(size), sizeKnown, "times", r.N).against(s1Carried),
		count("excess_tokens", "context tokens above the usual", r.Tokens, "tokens", r.N),
		count("outcomes", "verified outcomes of the week", o.outcomes(), "outcomes", r.N),
	}
}

package signal

import (
	"github.com/goodhartlabs/goodhart/pkg/policy"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// S12.
const (
	s12Minimum = 50
	s12Drop    = 0.30
	s12Z       = 3.0
)

func cacheBusting() Definition {
	const statistic = goodhartv1.Statistic_STATISTIC_CACHE
	level := func(o *observation) float64 {
		return share(o.week.CacheTurnReadTokens, o.week.CacheTurnInputTokens)
	}
	return Definition{
		Code: "S12", Title: "Lost prompt cache", Kind: Mechanism, Label: Tooling,
		ScopeKinds: []string{ScopeSelf, ScopeService, ScopeTeam, ScopeTool, ScopeModel},
		Needs:      []string{"cache counts of the turns of a session"},
		Statistic:  "cache reads by whole input, over turns after the first and at most 5 min after the one before; the subject's usual less that",
		MinimumN:   s12Minimum, Sample: "turns",
		Thresholds: []Threshold{
			{"drop of the cache share", s12Drop, "share"},
			{"own z of the drop", s12Z, "standard deviations"},
		},
		LookAlikes: []LookAlike{
			look("a new version of the client", "one that reorders tools or stamps the time changes every prompt", updated),
			look("an incident of the provider", "everyone on the model loses the cache", together(sameModel)),
			look("another model", "its cache is another one", changed(modelChange)),
			look("idle sessions", "turns after the cache has expired are not counted", leftOut),
			look("a setting of the team", "the team changed its instructions", together(sameTeam)),
			look("a declared change of models", "its cache is another one", declared(policy.ModelChange)),
		},
		Question: "What changes at the beginning of the prompts, so that the cache no longer fits?",
		Formula:  "cache/2",
		self:     "In {week} {value} of your input no longer came from the cache as it usually does.",
		shared:   "{scope}, {week}: {value} of the input no longer came from the cache as it usually does.",
		services: true,
		measure: func(o *observation) (r Reading) {
			w := o.week
			n := w.CacheTurns
			if w.CacheTurnInputTokens <= 0 {
				n = 0
			}
			if !r.sample(n, n, w.Requests, s12Minimum) {
				return r
			}
			usual, known := o.usual(statistic)
			if !known {
				r.Measure = NoHistory
				return r
			}
			z, _ := o.z(statistic, level(o), floorShare)
			r.Shift = usual - level(o)
			r.Value, r.Threshold = r.Shift, s12Drop
			r.P = ownTail(-z, o.weeks(statistic))
			r.extra = -z
			r.Tokens = int64(max(0, r.Shift*float64(w.CacheTurnInputTokens)))
			r.decide(r.Shift >= s12Drop && -z >= s12Z)
			return r
		},
		facts: func(o *observation, r *Reading) []Fact {
			usual, known := o.usual(statistic)
			return []Fact{
				number("level", "cache reads by whole input", level(o), "share", r.N),
				maybe("usual", "median of it over the last active weeks", usual, known, "share", o.weeks(statistic)),
				number("z", "own z of the drop", r.extra, "standard deviations", r.N).against(s12Z),
				count("avoidable_tokens", "input tokens that the usual share would have read from the cache", r.Tokens, "tokens", r.N),
			}
		},
	}
}

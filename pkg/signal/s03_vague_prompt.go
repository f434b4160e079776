package signal

import (
	"math"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// S3.
const (
	s3Minimum  = 50
	s3Sessions = 20
	s3Times    = 3.0
	s3Z        = 3.0
	s3Chance   = 0.01
)

func vaguePrompts() Definition {
	return Definition{
		Code: "S3", Title: "Vague prompts, long answers", Kind: Mechanism, Label: PossibleGaming,
		ScopeKinds: []string{ScopeSelf, ScopeTeam, ScopeTool, ScopeModel},
		Needs:      []string{"tokens of the new turn", "side effects of sessions"},
		Statistic: "mean of ln((output-reasoning+1)/(new turn+1)) over the requests of a week, less the subject's usual; " +
			"and the rate of sessions that end on a long answer without a side effect, Beta-binomial against peers of the same role and tool",
		MinimumN: s3Minimum, Sample: "requests",
		Thresholds: []Threshold{
			{"output per new token, times the usual", s3Times, "times"},
			{"own z of it", s3Z, "standard deviations"},
			{"probability that the rate of abandoned answers is at most twice the peers', at most", s3Chance, "probability"},
			{"sessions", s3Sessions, "sessions"},
			{"peers", minimumPeers, "people"},
		},
		LookAlikes: []LookAlike{
			look("documentation or scaffolding", "long answers that are kept leave side effects and are not abandoned", leftOut),
			look("learning or teaching", "explanations are long for others of the role too, with whom the rate is compared", leftOut),
			look("a reasoning model", "reasoning is no part of the count; a new model answers at its own length", movedOr(sameModel, modelChange)),
			look("prompt skill", "short prompts can be a matter of practice, in which advice helps", unseen),
			look("a client that shortens prompts", "a version of the client changes everyone's", updated),
			look("a task of the team", "the team writes something long together", together(sameTeam)),
		},
		Question: "Were the long answers of use, and would a more exact prompt have saved some?",
		Formula:  "prompt/2",
		self:     "In {week} the answers to your prompts were {value} times as long for each token you wrote as is usual for you, and more sessions than among your peers ended on a long answer that nothing was made of.",
		shared:   "{scope}, {week}: answers were {value} times as long for each token written as is usual.",
		measure:  measurePrompts,
		facts:    promptFacts,
	}
}

func measurePrompts(o *observation) (r Reading) {
	w := o.week
	if !r.sample(w.PromptRequests, w.PromptRequests, w.Requests, s3Minimum) {
		return r
	}
	const statistic = goodhartv1.Statistic_STATISTIC_PROMPT
	level := mean(w.PromptLnSum, w.PromptRequests)
	usual, known := o.usual(statistic)
	if !known {
		r.Measure = NoHistory
		return r
	}
	z, _ := o.z(statistic, level, floorLog)
	r.Shift = level - usual
	r.Value, r.Threshold = math.Exp(r.Shift), s3Times
	r.P = ownTail(z, o.weeks(statistic))
	r.apart = r.Shift >= math.Log(s3Times) && z >= s3Z
	o.stake(&r)
	switch chance, _, peersKnown := o.abandonment(); {
	case w.Sessions == 0:
		r.Measure = Unknown // the answers may all have been of use
	case w.Sessions < s3Sessions:
		r.Measure = TooFew
	case !peersKnown:
		r.Measure = NoHistory
	default:
		r.extra = chance
		r.decide(r.apart && chance <= s3Chance)
	}
	return r
}

// abandonment is the chance that the rate of abandoned answers is at most twice
// that of the peers, and theirs.
func (o *observation) abandonment() (chance, peers float64, known bool) {
	w := o.week
	if w.Sessions < s3Sessions || !o.isPeer() {
		return 1, 0, false
	}
	return o.all.peerGroup(o).abandoned.notTwice(w.AbandonedSessions, w.Sessions, w.Sessions >= peerSessions)
}

func promptFacts(o *observation, r *Reading) []Fact {
	w := o.week
	const statistic = goodhartv1.Statistic_STATISTIC_PROMPT
	usual, known := o.usual(statistic)
	z, _ := o.z(statistic, mean(w.PromptLnSum, max(w.PromptRequests, 1)), floorLog)
	chance, peers, peersKnown := o.abandonment()
	return []Fact{
		number("level", "mean ln((output-reasoning+1)/(new turn+1))", mean(w.PromptLnSum, max(w.PromptRequests, 1)), "nats", r.N),
		maybe("usual", "median of it over the last active weeks", usual, known, "nats", o.weeks(statistic)),
		maybe("z", "own z of it", z, known, "standard deviations", r.N).against(s3Z),
		maybe("abandoned", "share of sessions that ended on a long answer without a side effect",
			share(w.AbandonedSessions, w.Sessions), w.Sessions > 0, "share", w.Sessions),
		maybe("abandoned_peers", "mean of it among peers of the same role and tool", peers, peersKnown, "share", w.Sessions),
		maybe("abandoned_chance", "probability that it is at most twice the peers'", chance, peersKnown, "probability", w.Sessions).against(s3Chance),
	}
}

package signal

import (
	"strconv"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// S2: with 30 pairs a true share of .30 is told from .01 with a power of .97; where
// repeats are common it takes 50.
const (
	s2Minimum       = 30
	s2CommonMinimum = 50
	s2Common        = 0.03
	s2Share         = 0.30
	s2P             = 1e-4
	s2OverTeam      = 0.20
	s2OverOwn       = 0.20
)

func redundantTasks() Definition {
	return Definition{
		Code: "S2", Title: "Repeated tasks", Kind: Mechanism, Label: PossibleGaming,
		ScopeKinds: []string{ScopeSelf, ScopeTeam, ScopeTool, ScopeModel},
		Needs:      []string{"keyed hashes of the new turn and of its target"},
		Statistic: "share of tokens in requests whose new turn and target the subject had within 7 days; " +
			"P[Bin(n, p0) >= k] of k repeats among n, p0 being the tenant's trailing rate, 0.01 to 0.10",
		MinimumN: s2Minimum, Sample: "requests with a known pair",
		Thresholds: []Threshold{
			{"share of tokens in repeats", s2Share, "share"},
			{"probability by chance, at most", s2P, "probability"},
			{"share above the team's median", s2OverTeam, "share"},
			{"requests where p0 is 0.03 or more", s2CommonMinimum, "requests"},
		},
		LookAlikes: []LookAlike{
			look("retries", "a request is repeated after an error, a truncation, or a few times within minutes", leftOut),
			look("one change in many files", "a codemod has one prompt and many targets", leftOut),
			look("an evaluation harness or CI", "services repeat themselves by design", leftOut),
			look("scheduled reports", "what runs by a schedule is registered", automated),
			look("templates", "who always works from templates repeats as much as ever", ownHabit),
			look("a declared migration", "the same step is taken many times", declared(policy.Migration)),
			look("a habit of the team", "the team works from the same templates", teamHabit),
			look("a client that resends", "a version of the client repeats requests of everyone", updated),
		},
		Question: "What are the repeats for, and would one answer have done?",
		Formula:  "repeats/1",
		self:     "In {week} {value} of the tokens of your requests went into tasks that you had given before, word for word and on the same target.",
		shared:   "{scope}, {week}: {value} of the tokens went into tasks given before, word for word and on the same target.",
		measure:  measureRepeats,
		facts:    repeatFacts,
	}
}

func measureRepeats(o *observation) (r Reading) {
	w, p0 := o.week, o.all.repeats
	minimum := int64(s2Minimum)
	if p0 >= s2Common {
		minimum = s2CommonMinimum
	}
	if !r.sample(w.PairRequests, w.PairRequests, w.Requests, minimum) {
		return r
	}
	r.Value, r.Threshold = share(w.RepeatedTokens, w.PairTokens), s2Share
	usual, _ := o.usual(goodhartv1.Statistic_STATISTIC_REPEATED)
	r.Shift = r.Value - usual
	r.P = binomialTail(r.N, w.RepeatedRequests, p0)
	r.Tokens, r.CostNanos, r.CostKnown = w.RepeatedTokens, w.RepeatedCostNanos, o.costKnown()
	r.extra, _ = o.teamRepeats()
	r.decide(r.Value >= s2Share && r.P <= s2P)
	return r
}

// teamRepeats is the median share of repeats in the team beside the subject.
func (o *observation) teamRepeats() (med float64, others int64) {
	var shares []float64
	for _, other := range o.all.members[sameTeam][o.week.Team] {
		if other != o && other.week.PairTokens > 0 {
			shares = append(shares, share(other.week.RepeatedTokens, other.week.PairTokens))
		}
	}
	return median(shares), int64(len(shares))
}

// teamHabit: the team has moved with the subject, or always repeats as much.
func teamHabit(o *observation, r *Reading) Finding {
	if r.together[sameTeam].finding() == Together {
		return Together
	}
	if _, others := o.teamRepeats(); others < gateOthers {
		return Unseen
	}
	return found(r.Value-r.extra < s2OverTeam)
}

// ownHabit: the share is hardly above what is usual for the subject.
func ownHabit(o *observation, r *Reading) Finding {
	usual, known := o.usual(goodhartv1.Statistic_STATISTIC_REPEATED)
	if !known {
		return Unseen
	}
	return found(r.Value-usual < s2OverOwn)
}

func repeatFacts(o *observation, r *Reading) []Fact {
	w := o.week
	_, others := o.teamRepeats()
	facts := []Fact{
		count("repeats", "requests whose pair came before", w.RepeatedRequests, "requests", r.N),
		number("chance", "p0, the tenant's trailing rate of repeats", o.all.repeats, "share", r.N),
		number("p", "probability of as many repeats by chance", r.P, "probability", r.N).against(s2P),
		maybe("over_team", "share above the team's median", r.Value-r.extra, others >= gateOthers, "share", others).against(s2OverTeam),
		count("retries", "requests left out as retries", w.RetriedRequests, "requests", r.N),
		count("repeated_tokens", "tokens in repeats", w.RepeatedTokens, "tokens", r.N),
	}
	for i, repeat := range w.Repeats[:min(len(w.Repeats), 3)] {
		facts = append(facts, count("pair_"+strconv.Itoa(i+1),
			"times that the pair "+strconv.FormatUint(uint64(repeat.Hash), 16)+" came again", repeat.Count, "requests", r.N))
	}
	return facts
}

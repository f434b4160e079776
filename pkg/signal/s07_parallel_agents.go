package signal

import goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"

// S7.
const (
	s7Minimum     = 30
	s7Concurrency = 4.0
	s7Z           = 3.0
)

func parallelAgents() Definition {
	const statistic = goodhartv1.Statistic_STATISTIC_CONCURRENCY
	level := func(o *observation) float64 { return share(o.week.BusyMs, o.week.UnionMs) }
	return Definition{
		Code: "S7", Title: "Parallel agents", Kind: Supporting, Label: PossibleGaming,
		Needs:     []string{"durations of requests"},
		Statistic: "sum of the durations of requests by the length of their union; only beside S2 or S6",
		MinimumN:  s7Minimum, Sample: "timed requests",
		Thresholds: []Threshold{
			{"mean concurrency", s7Concurrency, "requests"},
			{"own z of it", s7Z, "standard deviations"},
		},
		LookAlikes: []LookAlike{
			look("fan-out over worktrees", "several agents on several branches are a method; alone they are no signal", leftOut),
			look("a change of the client", "a version that starts agents does so for everyone", updated),
			look("a way of the team", "the team works so", together(sameTeam)),
		},
		Question: "What did the agents do beside each other?",
		Formula:  "parallel/2",
		self:     "In {week} {value} of your requests ran at one time on average, which is new for you.",
		measure: func(o *observation) (r Reading) {
			w := o.week
			if !r.sample(w.TimedRequests, w.TimedRequests, w.Requests, s7Minimum) {
				return r
			}
			usual, known := o.usual(statistic)
			if !known {
				r.Measure = NoHistory
				return r
			}
			z, _ := o.z(statistic, level(o), floorLog)
			r.Value, r.Threshold = level(o), s7Concurrency
			r.Shift = r.Value - usual
			r.P = ownTail(z, o.weeks(statistic))
			r.extra = z
			r.decide(r.Value >= s7Concurrency && z >= s7Z)
			return r
		},
		given: func(o *observation) bool { return o.fired("S2") || o.fired("S6") },
		facts: func(o *observation, r *Reading) []Fact {
			w := o.week
			usual, known := o.usual(statistic)
			return []Fact{
				maybe("usual", "median of it over the last active weeks", usual, known, "requests", o.weeks(statistic)),
				number("z", "own z of it", r.extra, "standard deviations", r.N).against(s7Z),
				count("most", "most requests at one time", w.MostConcurrent, "requests", r.N),
				count("children", "sessions started by another session", w.ChildSessions, "sessions", r.N),
			}
		},
	}
}

package signal

import "github.com/goodhartlabs/goodhart/pkg/policy"

// S6.
const (
	s6Minimum  = 20
	s6Chance   = 0.01
	s6CostZ    = 1.0
	s6Coverage = 0.60
)

func noSink() Definition {
	return Definition{
		Code: "S6", Title: "Work without a sink", Kind: Supporting, Label: PossibleGaming,
		Needs:     []string{"side effects of sessions"},
		Statistic: "share of sessions without a side effect, Beta-binomial against peers of the same role and tool",
		MinimumN:  s6Minimum, Sample: "sessions",
		Thresholds: []Threshold{
			{"probability that the rate is at most twice the peers', at most", s6Chance, "probability"},
			{"own z of ln cost", s6CostZ, "standard deviations"},
			{"share of the team's systems whose outcomes are seen", s6Coverage, "share"},
			{"peers", minimumPeers, "people"},
		},
		LookAlikes: []LookAlike{
			look("reading, design, review, learning", "they leave nothing that is counted; the role is compared with itself", leftOut),
			look("incident triage", "it is declared", declared(policy.Incident, policy.OnCall)),
			look("outcomes that are not seen", "without most of the team's systems connected nothing is said", notConnected),
			look("a change of the client", "a version that reports no side effects does so for everyone", updated),
			look("a phase of the team", "everybody plans", together(sameTeam)),
		},
		Question: "What came of these sessions that is not counted?",
		Formula:  "sink/1",
		self:     "In {week} {value} of your sessions ended without a side effect, more than among your peers.",
		measure: func(o *observation) (r Reading) {
			w := o.week
			if !r.sample(w.Sessions, w.Sessions, w.Sessions, s6Minimum) {
				return r
			}
			z, known := o.zCost()
			if !known || !o.isPeer() {
				r.Measure = NoHistory
				return r
			}
			chance, peers, known := o.all.peerGroup(o).sinkless.notTwice(w.SinklessSessions, w.Sessions, w.Sessions >= peerSessions)
			if !known {
				r.Measure = NoHistory
				return r
			}
			r.Value, r.Threshold = share(w.SinklessSessions, w.Sessions), min(2*peers, 1)
			r.Shift = r.Value - peers
			r.P = chance
			r.Tokens, r.CostNanos, r.CostKnown = 0, w.SinklessCostNanos, o.costKnown()
			r.decide(chance <= s6Chance && z >= s6CostZ)
			return r
		},
		facts: func(o *observation, r *Reading) []Fact {
			z, known := o.zCost()
			return []Fact{
				number("p", "probability that it is at most twice the peers'", r.P, "probability", r.N).against(s6Chance),
				maybe("z_cost", "own z of ln cost", z, known, "standard deviations", r.N).against(s6CostZ),
			}
		},
	}
}

// notConnected: too few of the team's systems are seen to say that nothing came
// of a session.
func notConnected(o *observation, _ *Reading) Finding {
	team, _ := o.all.policy.Team(o.week.Team)
	if team.Connected == nil {
		return Unseen
	}
	return found(float64(*team.Connected)/100 < s6Coverage)
}

package kpi

import "github.com/goodhartlabs/goodhart/pkg/policy"

func signalledCheck() Check {
	return Check{
		Name: "signalled_share", Title: "Tokens in signalled sessions",
		Question: "What share of the week's tokens was spent where a signal asks a question?",
		MinimumN: 1, Formula: "signalled/1", assess: signalled,
	}
}

// signalled is an input; it raises no alarm, for signals have their own.
func signalled(s *sample) Finding {
	if s.Target.Metric == policy.Efficiency {
		return unknown(0, ReasonMetric) // it is defined on tokens
	}
	if s.SignalledOf <= 0 || s.Signalled < 0 || s.Signalled > s.SignalledOf {
		return unknown(0, ReasonNotGiven)
	}
	return Finding{Value: float64(s.Signalled) / float64(s.SignalledOf), Known: true, N: len(s.units)}
}

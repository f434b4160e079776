package kpi

import "github.com/goodhartlabs/goodhart/pkg/policy"

// Target is the usage target that a card judges.
type Target struct {
	ID     string
	Metric policy.Metric
	// Threshold is per person and period in units of the metric; for
	// policy.WeeklyUse it is a share of the people, in thousandths, and for
	// policy.Efficiency per team: the panel is one of teams then, whose Tokens, and
	// DayTokens of a Monday, are the score, and whose Outcomes are the worth of what
	// has survived.
	Threshold int64
	Period    policy.Period
	// Announced is the first week of the panel under the target: 0 if it was
	// there before the panel begins.
	Announced int
	// Teams are those it is set for; empty: all. Other teams of the panel are the
	// control group.
	Teams []string
	// TeamSizes is how many people a team has; only policy.WeeklyUse needs it.
	TeamSizes map[string]int
}

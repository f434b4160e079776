// Package kpi computes the health card of a usage target: whether the number
// that people manage by still means anything, and what chasing it costs. The card
// judges the target, never those it is set for; no estimate speaks of a person.
//
// A card is a pure function of its Input: a panel of weeks per person, the target
// and a week. One file of this package per check; adding one is adding its file,
// its row in Catalogue and its tests. Every estimate is either known, with the
// sample it rests on, or says why it is not.
package kpi

// Check is a row of the catalogue: one estimate on the card.
type Check struct {
	// Name is the estimate's name in kpi.v1, such as elasticity.
	Name string
	// Title is what people call it, Question what it answers.
	Title, Question string
	// MinimumN is the sample size below which it is not given.
	MinimumN int
	// Adversarial: it can tell gaming from a target that has merely lost its
	// meaning. A verdict of LosingMeaning needs one such check.
	Adversarial bool
	// Formula is the version of its arithmetic.
	Formula string

	assess func(*sample) Finding
}

// Finding is what a check found. The zero Finding knows nothing.
type Finding struct {
	// Value is the estimate; Lo and Hi bound its 5 to 95 % interval where Bounded.
	Value, Lo, Hi  float64
	Known, Bounded bool
	// N is the size of the sample, in units unless the check says otherwise.
	N int
	// Reason says why the estimate is not known, or why it cannot raise an alarm.
	Reason string
	// Placebo is the same estimate where the target can have had no effect.
	Placebo      float64
	PlaceboKnown bool
	// Z is the distance in standard errors from what is expected without gaming,
	// in the direction of the estimate.
	Z      float64
	ZKnown bool
	// CostNanos is what the estimate means in nano-USD; of the excess share alone.
	CostNanos int64
	CostKnown bool
	Alarm     bool
}

// unknown is the finding of a check that cannot say.
func unknown(n int, reason string) Finding { return Finding{N: n, Reason: reason} }

// Reasons why an estimate is not known, or raises no alarm.
const (
	ReasonHistory    = "history"                // too few weeks before the announcement
	ReasonAfter      = "weeks since"            // too few weeks since the announcement
	ReasonUnits      = "units"                  // too few units with both usage and outcomes
	ReasonClusters   = "teams"                  // too few teams for a standard error
	ReasonVariance   = "variance"               // nothing varies
	ReasonUnrelated  = "no relation before"     // outcomes did not follow tokens before
	ReasonMetric     = "another metric"         // the check is for targets of another metric
	ReasonLocal      = "near the threshold"     // too few observations near the threshold
	ReasonControl    = "no control group"       // the target is set for everybody
	ReasonFirstStage = "usage did not move"     // the target did not move usage
	ReasonNotGiven   = "not given"              // the input does not say
	ReasonPeriods    = "periods"                // too few whole periods
	ReasonFewUsers   = "users"                  // too few users
	ReasonTeamSizes  = "team sizes"             // no team with a known size
	ReasonDegenerate = "degenerate bootstrap"   // too few draws gave a number
	ReasonTail       = "users near the minimum" // too few users with few requests
)

// Catalogue returns every check, in the order of the card. The slice is the
// caller's.
func Catalogue() []Check {
	return []Check{
		elasticityCheck(), rankCheck(), decayedCheck(), bunchingCheck(), minimumEffortCheck(), deadlineCheck(),
		concentrationCheck(), regressionalCheck(), extremalCheck(), causalCheck(), signalledCheck(), shiftCheck(), excessCheck(),
	}
}

package organisation

import (
	"iter"
	"math/bits"
)

// Look is a set of classes of honest behaviour that look like gaming.
type Look uint32

// The look-alikes. A person-week carries those that apply to it.
const (
	// HeavyUser: among the few with the highest usual level.
	HeavyUser Look = 1 << iota
	// AgentOperator: agents in 110 to 168 hours of the week, with outcomes; for
	// half of them from some week on.
	AgentOperator
	// LongContext: an analyst of long documents, always or for some weeks.
	LongContext
	// Codemod: the same prompt on many targets for one to three weeks.
	Codemod
	// Launch: two or three weeks of a whole team, evenings and weekends too.
	Launch
	// OnCall: nights of a week, every four to six weeks.
	OnCall
	// RetryStorm: a week of failing requests that are sent again and again.
	RetryStorm
	// Vacation: a week away, or the one after the return.
	Vacation
	// PartTime: two or three days a week.
	PartTime
	// Travel: one or two weeks in another time zone.
	Travel
	// NewHire: the first eight weeks after joining in the middle of the period.
	NewHire
	// TeamMove: the four weeks after a change of team.
	TeamMove
	// ModelChange: a team changes its model; the six weeks after.
	ModelChange
	// CacheLoss: the client's release that does not cache.
	CacheLoss
	// QuarterClose: the last ten days of a quarter in some teams.
	QuarterClose
	// Hackathon: one week of a team.
	Hackathon
	// Training: lasting adoption after a training; the eight weeks after.
	Training
	// ReportCron: a registered report under the person's own key.
	ReportCron
	// Monorepo: a team moves to a repository with longer contexts; the eight
	// weeks after.
	Monorepo
	lookEnd
)

// lookNames are in the order of the bits.
func lookNames() []string {
	return []string{
		"heavy_user", "agent_operator", "long_context", "codemod", "launch", "on_call", "retry_storm", "vacation",
		"part_time", "travel", "new_hire", "team_move", "model_change", "cache_loss", "quarter_close", "hackathon",
		"training", "report_cron", "monorepo",
	}
}

// Looks yields every class alone, in a fixed order.
func Looks() iter.Seq[Look] {
	return func(yield func(Look) bool) {
		for l := HeavyUser; l < lookEnd; l <<= 1 {
			if !yield(l) {
				return
			}
		}
	}
}

// Has reports whether all classes of m are in l.
func (l Look) Has(m Look) bool { return l&m == m }

// String names a single class.
func (l Look) String() string {
	if l == 0 {
		return "none"
	}
	return lookNames()[bits.TrailingZeros32(uint32(l))]
}

// span is a half-open range of weeks; the zero span holds none.
type span struct{ from, to int }

func (s span) has(week int) bool { return week >= s.from && week < s.to }

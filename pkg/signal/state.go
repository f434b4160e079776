package signal

import (
	"github.com/goodhartlabs/goodhart/pkg/policy"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// State is what a tenant's evaluations remember. Its zero value is the beginning;
// all of it is plain values in a fixed order, so that it can be saved and
// restored field by field. Times are ms since the epoch.
type State struct {
	// Subjects, sorted by Subject.
	Subjects []SubjectState
	// Groups are the conditions of shared scopes, sorted by (Code, Kind, Scope).
	Groups []GroupState
	// Signals are those open, and those closed in the last months so that a
	// dispute finds them; sorted by ID.
	Signals []Standing
	// Mutes, sorted by (Code, Kind, Scope).
	Mutes []Mute
	// Repeats of the last weeks, all people together, oldest first.
	Repeats []RepeatWeek
	// Adoption by target, sorted by Target.
	Adoption []AdoptionState
}

// SubjectState is what is remembered of a person, a service or a key.
type SubjectState struct {
	Subject string
	// Week is the start of the newest week seen.
	Week int64
	// TzOffsetMin was its local time then.
	TzOffsetMin int32
	// The newest weeks in which these changed; 0 for never.
	ModelChanged, VersionChanged, RepositoryChanged, TzChanged int64
	// Families that lately crossed their thresholds, sorted by Code.
	Families []Family
	// Cheap is the share of tokens in the cheapest third of the models in the last
	// active weeks, in millionths, oldest first.
	Cheap []int64
	// Period is the period that a usage target counts, a week if there is none; Month
	// is that, whatever is counted.
	Period, Month PeriodState
}

// Family is one signal's history of one subject.
type Family struct {
	Code string
	// Onset is the week in which the statistic crossed its thresholds after it
	// had not for a while, whatever explained it; Calm counts the windows since
	// it last did.
	Onset int64
	Calm  int32
	// Windows are the last ones measured, oldest first, at most three and without
	// leading quiet ones.
	Windows []Window
	// Held is the week from which on Usual is what the subject is compared with; 0
	// for none.
	Held  int64
	Usual []Usual
}

// Usual is what was usual of a statistic: median and median absolute deviation in
// millionths, over so many active weeks.
type Usual struct {
	Statistic   goodhartv1.Statistic
	Median, MAD int64
	Weeks       int32
}

// Window is one measured week.
type Window struct {
	Week int64
	// Fired: the thresholds were crossed and nothing explained it. P is then the
	// probability of that by chance.
	Fired bool
	P     float64
}

// GroupState is the history of a question to a shared scope.
type GroupState struct {
	Code, Kind, Scope string
	Windows           []Window
}

// Standing is a signal that was raised.
type Standing struct {
	ID, Code, Kind, Scope, Team string
	Label                       Label
	Severity                    Severity
	Status                      Status
	// Rev is that of the last record.
	Rev uint32
	// ResolvedAt is 0 while it is open. SeenAt is the start of the newest window
	// that it rests on.
	OpenedAt, UpdatedAt, ResolvedAt, SeenAt int64
	// Reviewed: a closed dispute has been applied.
	Reviewed bool
	// Quiet counts the windows since the last that fired.
	Quiet int32
	// Crossed has a bit for each guard that is above its threshold.
	Crossed   uint32
	CostNanos int64
	CostKnown bool
}

// open reports whether it is neither resolved nor disputed to its end.
func (s *Standing) open() bool { return s.Status != Resolved }

// Mute silences a question.
type Mute struct {
	Code, Kind, Scope string
	Until             int64
}

// RepeatWeek is how often the people of a tenant repeated themselves.
type RepeatWeek struct{ Week, Repeated, Pairs int64 }

// AdoptionState is what is remembered of a target for weekly use.
type AdoptionState struct {
	Target string
	// Weeks are the last ones, oldest first.
	Weeks []AdoptionWeek
	// Before and After count team-weeks by how many people they were above
	// (index 4 and more) or below the number that the target asks for, before its
	// announcement and since.
	Before, After [9]int64
}

// AdoptionWeek is the estimate of one week.
type AdoptionWeek struct {
	Week, People int64
	// Excess is the relative excess of people with one or two requests, Variance
	// that of the estimate.
	Excess, Variance float64
}

// PeriodState is the current period of a subject, and the last ones.
type PeriodState struct {
	// Target that it counts for, empty for none; Period and Metric what is counted.
	Target string
	Period policy.Period
	Metric policy.Metric
	// Start of the current period.
	Start int64
	// Amount is all of it; Late and Last the parts in its last fifth and tenth of
	// working days.
	Amount, Late, Last int64
	Outcomes           int64
	LateOutcomes       int64
	Requests           int64
	// Worked days before the last fifth and in it.
	EarlyDays, LateDays int32
	// Closed periods, oldest first, at most ten.
	Closed []ClosedPeriod
	// Held is what they are compared with while they run late.
	Held PeriodUsual
}

// PeriodUsual is what was usual of a period: median and spread of the logit of its
// late part and of ln amount. It is held from the first period that runs late, until
// calmWindows of them have not, or an explanation is found, or else for heldWeeks.
type PeriodUsual struct {
	// From is the period from which on it is held; 0 for none.
	From                                   int64
	Late, LateSpread, Amount, AmountSpread float64
}

// ClosedPeriod is a period that has ended.
type ClosedPeriod struct {
	Start    int64
	Amount   int64
	Requests int64
	// LnAmount is ln(Amount+1); LateLogit that of its late part, LateWorked the late
	// part if all days had been worked.
	LnAmount, LateLogit, LateWorked float64
	// Outcomes, and those of them in the late part.
	Outcomes, LateOutcomes int64
	// LastShare is the part in the last tenth.
	LastShare float64
	// Counted: a target was in force and what is usual was known. Hit: the amount
	// lay just above it, for which the chance was P.
	Counted, Hit bool
	P            float64
	// Surge: much of it came late, more than usual. LateZ
	// and AmountZ are the subject's own z of LateLogit and LnAmount.
	Surge          bool
	LateZ, AmountZ float64
}

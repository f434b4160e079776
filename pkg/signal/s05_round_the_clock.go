package signal

import (
	"math"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// S5: of 164 weeks of people none used 100 distinct hours, the 99th percentile is
// 78; of 322 of their days none had gaps as even as .30.
const (
	s5Minimum  = 30
	s5Hours    = 100
	s5Usual    = 90
	s5CV       = 0.30
	s5CVChance = 0.009
	s5P        = 1e-6
	s5Periods  = 6
)

func roundTheClock() Definition {
	return Definition{
		Code: "S5", Title: "Agents around the clock", Kind: Mechanism, Label: PossibleGaming,
		ScopeKinds: []string{ScopeSelf, ScopeTeam, ScopeTool, ScopeModel},
		Needs:      []string{"times of requests"},
		Statistic: "distinct local hours used in the week, where fewer were usual; or even gaps: their coefficient of variation on a day of 20 requests; " +
			"or a period of 1 to 60 min: P = 6 exp(-n R²) of the resultant R, n being requests and at most the distinct hours, since requests of one hour are not independent",
		MinimumN: s5Minimum, Sample: "requests",
		Thresholds: []Threshold{
			{"distinct hours", s5Hours, "hours"},
			{"usual distinct hours, below", s5Usual, "hours"},
			{"or: coefficient of variation of the gaps of a day, below", s5CV, "share"},
			{"or: probability of the period by chance, at most", s5P, "probability"},
		},
		LookAlikes: []LookAlike{
			look("a registered automation", "what may run by itself is registered", automated),
			look("CI and service accounts", "they are not people", leftOut),
			look("on-call duty", "nights are declared", declared(policy.OnCall, policy.Incident)),
			look("travel", "another time zone moves the hours", changed(tzChange)),
			look("a shared or stolen key", "several people, or strangers, use one key: tell security", unseen),
			look("long batch jobs", "agents that work through the night leave results", withResults),
			look("a change of the client", "a version that polls does so for everyone", updated),
			look("a launch of the team", "everybody works late", together(sameTeam)),
			look("a declared release or migration", "it is worked on at all hours", declared(policy.Release, policy.Migration)),
		},
		Question:    "Does something run by itself that could be registered or stopped, or is the key used by somebody else?",
		Formula:     "clock/3",
		self:        "In {week} your requests came in {value} different hours of the week, which is new for you.",
		shared:      "{scope}, {week}: requests came in {value} different hours of the week.",
		other:       "In {week} your requests kept an even rhythm ({value}), such as a timer keeps.",
		otherShared: "{scope}, {week}: requests kept an even rhythm ({value}), such as a timer keeps.",
		measure:     measureClock,
		facts:       clockFacts,
	}
}

func measureClock(o *observation) (r Reading) {
	w := o.week
	if !r.sample(w.Requests, w.Requests, w.Requests, s5Minimum) {
		return r
	}
	const statistic = goodhartv1.Statistic_STATISTIC_HOURS
	hours := float64(o.hours())
	usual, known := o.usual(statistic)
	if !known {
		r.Measure = NoHistory
		return r
	}
	z, _ := o.z(statistic, hours, floorHours)
	even, evenP := o.evenRhythm()
	r.Value, r.Threshold = hours, s5Hours
	r.Shift = (hours - usual) / s5Hours
	r.P = ownTail(z, o.weeks(statistic))
	around := hours >= s5Hours && usual < s5Usual
	if even {
		r.Shift = max(r.Shift, 1)
		r.P = min(r.P, evenP)
		if !around {
			o.stateRhythm(&r)
		}
	}
	r.P = min(2*r.P, 1)
	o.stake(&r)
	r.decide(around || even)
	return r
}

// stateRhythm makes the rhythm the headline: the gaps of a day, or else the
// resultant of the period.
func (o *observation) stateRhythm(r *Reading) {
	r.other = true
	if o.evenDay() {
		r.unit, r.Value, r.Threshold = "coefficient of variation", float64(o.week.GapCv)/1e6, s5CV
		return
	}
	n := float64(min(o.week.PeriodRequests, o.hours()))
	r.unit, r.Value, r.Threshold = "resultant", float64(o.week.PeriodResultant)/1e6, math.Sqrt(math.Log(s5Periods/s5P)/n)
}

// evenRhythm reports whether the requests came in a rhythm that people do not
// keep, and the chance of that.
func (o *observation) evenRhythm() (even bool, p float64) {
	p = 1
	if o.evenDay() {
		even, p = true, min(float64(s5CVChance*float64(o.week.TimedDays)), 1)
	}
	if chance := o.periodChance(); chance <= s5P {
		even, p = true, min(p, chance)
	}
	return even, p
}

// evenDay reports whether the gaps of some day were even.
func (o *observation) evenDay() bool {
	return o.week.TimedDays > 0 && float64(o.week.GapCv)/1e6 < s5CV
}

// periodChance is the probability of the best period's resultant by chance.
func (o *observation) periodChance() float64 {
	w := o.week
	if w.PeriodRequests <= 0 {
		return 1
	}
	r := float64(w.PeriodResultant) / 1e6
	n := float64(min(w.PeriodRequests, o.hours()))
	return min(s5Periods*math.Exp(-float64(n*float64(r*r))), 1)
}

func clockFacts(o *observation, r *Reading) []Fact {
	w := o.week
	const statistic = goodhartv1.Statistic_STATISTIC_HOURS
	usual, known := o.usual(statistic)
	return []Fact{
		maybe("usual_hours", "median of distinct hours over the last active weeks", usual, known, "hours", o.weeks(statistic)).against(s5Usual),
		maybe("gap_cv", "smallest coefficient of variation of the gaps of a day", float64(w.GapCv)/1e6, w.TimedDays > 0, "share", w.TimedDays).against(s5CV),
		maybe("period", "period with the greatest resultant", float64(w.PeriodMin), w.PeriodRequests > 0, "min", w.PeriodRequests),
		maybe("period_p", "probability of that by chance", o.periodChance(), w.PeriodRequests > 0, "probability", w.PeriodRequests).against(s5P),
		count("longest_gap", "longest gap of a day, mean", w.LongestGapMin, "min", r.N),
		maybe("side_effects", "side effects of the week", float64(w.SideEffects), w.Sessions > 0, "side effects", w.Sessions),
	}
}

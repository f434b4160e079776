package signal

import (
	"math"
	"math/bits"
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Subject is one subject's week.
type Subject struct {
	// ID is the pseudonym: p_ person, a_ account, k_ key, s_ service.
	ID   string
	Type goodhartv1.IdentityType
	Role string
	Week *goodhartv1.Week
}

// isService reports whether what a subject does may be told to others: a service
// may, a person and a personal key may not.
func isService(id string, kind goodhartv1.IdentityType) bool {
	return kind == goodhartv1.IdentityType_IDENTITY_TYPE_SERVICE || strings.HasPrefix(id, "s_")
}

// isPerson reports whether a subject is a human.
func (s *Subject) isPerson() bool {
	return !isService(s.ID, s.Type) && (strings.HasPrefix(s.ID, "p_") || strings.HasPrefix(s.ID, "a_"))
}

// statistics is how many weekly figures have a baseline, the unspecified one among them.
const statistics = int(goodhartv1.Statistic_STATISTIC_REQUESTS) + 1

// observation is one subject's week with all that it is judged by.
type observation struct {
	subject *Subject
	week    *goodhartv1.Week
	all     *population
	state   *SubjectState
	usuals  [statistics]*goodhartv1.Baseline
	// held is what was usual when the signal that is being looked at began, if that
	// is what it is compared with.
	held []Usual
	// closed periods and months of the subject this week.
	closed, months int
	// readings, by index in the catalogue.
	readings []Reading
}

func newObservation(s *Subject, all *population, signals int) *observation {
	o := &observation{subject: s, week: s.Week, all: all, readings: make([]Reading, signals)}
	for _, b := range s.Week.Baselines {
		if i := int(b.Statistic); i > 0 && i < statistics && b.Weeks >= baselineWeeks {
			o.usuals[i] = b
		}
	}
	return o
}

// declared reports whether an event of some kinds covers the week.
func (o *observation) declared(kinds ...policy.ContextKind) bool {
	at := policy.Place{Subject: o.subject.ID, Team: o.week.Team, Tool: o.week.Tool} // a week has many credentials
	from := o.week.WeekStartMs
	return declaredAt(o.all.policy, at, from, from+window.Week, kinds...)
}

// tokens are all of the week.
func (o *observation) tokens() int64 {
	w := o.week
	return w.InputUncachedTokens + w.CacheReadTokens + w.CacheWriteTokens + w.OutputTokens
}

// baseline is what a statistic is compared with.
func (o *observation) baseline(s goodhartv1.Statistic) (Usual, bool) {
	for _, u := range o.held {
		if u.Statistic == s {
			return u, true
		}
	}
	if b := o.usuals[s]; b != nil {
		return Usual{s, b.Median, b.Mad, b.Weeks}, true
	}
	return Usual{}, false
}

// usual is the median of a statistic over the subject's last active weeks.
func (o *observation) usual(s goodhartv1.Statistic) (float64, bool) {
	b, known := o.baseline(s)
	return float64(b.Median) / 1e6, known
}

// z is how many of the subject's own standard deviations x is above its usual.
func (o *observation) z(s goodhartv1.Statistic, x, floor float64) (float64, bool) {
	b, known := o.baseline(s)
	if !known {
		return 0, false
	}
	return (x - float64(b.Median)/1e6) / spread(float64(b.MAD)/1e6, floor), true
}

// zTokens and zCost are those of the week's logarithms.
func (o *observation) zTokens() (float64, bool) {
	z, ok := o.z(goodhartv1.Statistic_STATISTIC_TOKENS, math.Log(float64(o.tokens())+1), floorLog)
	return z, ok && o.tokens() > 0
}

func (o *observation) zCost() (float64, bool) {
	z, ok := o.z(goodhartv1.Statistic_STATISTIC_COST, math.Log(float64(o.week.CostNanos)+1), floorLog)
	return z, ok && o.week.CostNanos > 0
}

// costKnown is false if no record of the week has a price.
func (o *observation) costKnown() bool {
	return o.week.CostNanos != 0 || o.week.Records > 0 && o.week.UnpricedRequests == 0
}

// stake puts the excess of the week over the subject's usual at stake.
func (o *observation) stake(r *Reading) {
	if usual, ok := o.usual(goodhartv1.Statistic_STATISTIC_TOKENS); ok {
		r.Tokens = max(o.tokens()-int64(math.Expm1(usual)), 0)
	}
	if usual, ok := o.usual(goodhartv1.Statistic_STATISTIC_COST); ok && o.costKnown() {
		r.CostNanos, r.CostKnown = max(o.week.CostNanos-int64(math.Expm1(usual)), 0), true
	}
}

// hours is how many distinct hours of the week were used.
func (o *observation) hours() int64 {
	var n int
	for _, b := range o.week.Hours {
		n += bits.OnesCount8(b)
	}
	return int64(n)
}

// outcomes is the net credit of the week.
func (o *observation) outcomes() int64 { return o.week.OutcomesProvisional + o.week.OutcomesFinal }

// of returns the reading of a code.
func (o *observation) of(code string) *Reading { return &o.readings[o.all.index[code]] }

// fired reports whether a signal crossed its thresholds this week.
func (o *observation) fired(code string) bool { return o.of(code).Measure == Fired }

// mean of a sum in millionths.
func mean(micros, n int64) float64 { return float64(micros) / float64(n) / 1e6 }

// share of a whole; 0 of nothing.
func share(part, whole int64) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// weeks is how many active weeks the subject's usual rests on.
func (o *observation) weeks(s goodhartv1.Statistic) int64 {
	b, _ := o.baseline(s)
	return int64(b.Weeks)
}

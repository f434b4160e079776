package signal

import (
	"time"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/window"
)

// A quarter of an hour stands out if it is in the tail (surgeScore is -log10 of the
// probability: 1.4e-3, at which the detector does best on recorded series) and a
// page is worth while. A surge goes on for as long as half of that is there, at
// most for surgeNews: then it is how things are. It is over after surgeCalm.
const (
	surgeScore  = 2.86
	surgeFactor = 4.0
	surgeRise   = 200.0
	surgeGoesOn = 0.5
	surgeSample = 1344 // two weeks
	surgeNews   = window.Day
	surgeCalm   = window.Hour
)

func surge() Definition {
	return Definition{
		Code: codeSurge, Title: "Surge of a series", Kind: Immediate, Label: Runaway,
		ScopeKinds: []string{ScopeTenant, ScopeTeam, ScopeTool},
		Needs:      []string{"requests by the quarter of an hour, of scopes with at least 500 in a week (48 of a tenant at most)"},
		Statistic:  "-log10 of the tail probability of the residual from the daily pattern (package seaspot), upwards only and where it is new",
		MinimumN:   surgeSample, Sample: "quarters of an hour",
		Thresholds: []Threshold{
			{"score", surgeScore, "-log10 p"}, {"times what is usual", surgeFactor, "ratio"}, {"more than usual", surgeRise, "requests in 15 min"},
		},
		LookAlikes: []LookAlike{
			look("a declared release, migration or incident", "a load of its own; it is asked about with less urgency", nil),
			look("what is told of already", "the guard of a service (of the same team), or the surge of a part, is open; it is asked about with less urgency", nil),
			look("the time of day", "the daily pattern is subtracted", nil),
			look("a rise that goes on", "only what is new stands out, and after a day it is how things are", nil),
		},
		Question: "What started here, and is it meant to go on?",
		Formula:  "surge/1",
		shared:   "{scope}, from {time} on: {seen} requests in 15 min, where {usual} are usual at this time of day; the score is {value}.",
	}
}

// Point is a closed quarter of an hour of a series, as package seaspot scores it.
type Point struct {
	Tenant string
	// Kind is ScopeTenant, ScopeTeam or ScopeTool, Scope its name.
	Kind, Scope string
	// Start of the quarter, ms.
	Start int64
	// Requests, and how many are usual at this time of day; Score and N are the
	// detector's.
	Requests, Usual, Score float64
	N                      int64
	// CostNanos is what the requests cost, known if all of them have a price.
	CostNanos int64
	CostKnown bool
	// At is the watermark, ms.
	At            int64
	Policy        *policy.Policy
	ConfigVersion uint64
	// Publishable: the scope is large enough to be spoken of. It is asked for only if
	// the point Matters.
	Publishable bool
}

// Matters reports whether there is so much that a surge could begin or go on.
func (p *Point) Matters() bool { return p.exceeds(surgeGoesOn) }

// exceeds reports whether the requests are a share of the least effect, or more.
func (p *Point) exceeds(share float64) bool {
	return p.Requests >= share*surgeFactor*p.Usual && p.Requests-p.Usual >= share*surgeRise
}

// Surge opens, updates or resolves the signal of a series. It is told of the parts
// before the whole: teams, tools, then the tenant.
func (s *State) Surge(p *Point) (Signal, bool) {
	st := s.running(codeSurge, p.Kind, p.Scope)
	out := p.Publishable && p.N >= surgeSample && p.Score >= surgeScore && p.exceeds(1)
	switch {
	case out && st == nil:
		if s.muted(codeSurge, p.Kind, p.Scope, p.At) {
			return Signal{}, false
		}
		st = s.start(p.Tenant, Standing{Code: codeSurge, Kind: p.Kind, Scope: p.Scope, Label: Runaway}, p.Start, p.At)
	case st == nil || st.Status == Disputed:
		return Signal{}, false
	case out:
		st.revise(Updated, p.At)
	case p.Publishable && p.Matters() && p.At-st.OpenedAt < surgeNews:
		st.SeenAt = p.Start
		return Signal{}, false
	case p.Start-st.SeenAt >= surgeCalm:
		st.revise(Resolved, p.At)
		return p.over(st), true
	default:
		return Signal{}, false
	}
	st.SeenAt, st.CostNanos, st.CostKnown = p.Start, p.CostNanos, p.CostKnown
	at := policy.Place{}
	switch p.Kind {
	case ScopeTeam:
		st.Team, at.Team = p.Scope, p.Scope
	case ScopeTool:
		at.Tool = p.Scope
	}
	declared := declaredAt(p.Policy, at, p.Start, p.Start+quarter, policy.Release, policy.Migration, policy.Incident)
	told := s.told(p)
	st.Severity = Critical
	if declared || told {
		st.Severity = Warning
	}
	return p.signal(st, []Finding{found(declared), found(told), LeftOut, LeftOut}), true
}

const quarter = 15 * window.Minute

// breadth orders the kinds of series from the parts to the whole.
func breadth(kind string) int {
	switch kind {
	case ScopeTeam:
		return 0
	case ScopeTool:
		return 1
	default:
		return 2
	}
}

// told reports whether something that is shared tells of the same incident, as far
// as can be known: a service's guard, or the surge of a part. What concerns a person
// alone must not show here.
func (s *State) told(p *Point) bool {
	for i := range s.Signals {
		st := &s.Signals[i]
		switch {
		case !st.open():
		case isGuard(st.Code) && st.Kind == ScopeService && (p.Kind != ScopeTeam || st.Team == p.Scope),
			st.Code == codeSurge && breadth(st.Kind) < breadth(p.Kind):
			return true
		}
	}
	return false
}

// over states the end, without figures: the scope may be too small to be shown by
// now.
func (p *Point) over(st *Standing) Signal {
	d, _ := Lookup(codeSurge)
	calm := surgeCalm / quarter
	fact := count("quiet", "quarters of an hour running in which it was no more", calm, "quarters of an hour", calm).against(float64(calm))
	fact.Window = "1 h to " + time.UnixMilli(p.Start+quarter).UTC().Format(time.RFC3339)
	return Signal{
		Tenant: p.Tenant, Standing: *st, W: p.At, Title: d.Title, Question: over.fill("{title}", d.Title, "{quiet}", decimal(float64(calm), "")),
		Evidence: []Fact{fact}, Formula: d.Formula, ConfigVersion: p.ConfigVersion,
	}
}

func (p *Point) signal(st *Standing, findings []Finding) Signal {
	d, _ := Lookup(codeSurge)
	at := time.UnixMilli(p.Start).UTC().Format(time.RFC3339)
	r := Reading{N: p.N, Value: p.Score, Threshold: surgeScore}
	question := d.question(d.shared, &r, findings, "{scope}", scopeName(p.Kind, p.Scope),
		"{time}", at, "{seen}", decimal(p.Requests, ""), "{usual}", decimal(p.Usual, ""))
	facts := []Fact{
		d.headline(&r, findings),
		number("requests", "requests of the quarter of an hour", p.Requests, "requests", p.N).against(max(surgeFactor*p.Usual, p.Usual+surgeRise)),
		number("usual", "requests that are usual at this time of day", p.Usual, "requests", p.N),
	}
	for i := range facts {
		facts[i].Window = "15 min from " + at
	}
	return Signal{
		Tenant: p.Tenant, Standing: *st, W: p.At, Title: d.Title, Question: question,
		Evidence: facts, Formula: d.Formula, ConfigVersion: p.ConfigVersion,
	}
}

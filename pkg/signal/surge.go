package signal

import (
	"time"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/window"
)

// surgeScore is -log10 of the tail probability from which a series asks: 1.4e-3,
// the threshold at which the detector does best on recorded series. calm is how
// long nothing may stand out for it to be over.
const (
	surgeScore = 2.86
	surgeCalm  = window.Hour
)

func surge() Definition {
	return Definition{
		Code: codeSurge, Title: "Surge of a series", Kind: Immediate, Label: Runaway,
		ScopeKinds: []string{ScopeTenant, ScopeTeam, ScopeTool},
		Needs:      []string{"requests, tokens or cost by the quarter of an hour"},
		Statistic:  "-log10 of the tail probability of the residual from the daily pattern (package seaspot), upwards only and where it is new",
		MinimumN:   100, Sample: "quarters of an hour",
		Thresholds: []Threshold{{"score", surgeScore, "-log10 p"}},
		LookAlikes: []LookAlike{
			look("a declared release, migration or incident", "a load of its own; it is asked about with less urgency", nil),
			look("the time of day", "the daily pattern is subtracted", nil),
			look("a rise that goes on", "only what is new stands out", nil),
		},
		Question: "What started here, and is it meant to go on?",
		Formula:  "surge/1",
		shared:   "{scope}, from {time} on: {metric} reached {seen} in 15 min, where {usual} is usual at this time of day; the score is {value}.",
	}
}

// Point is a closed quarter of an hour of a series, as package seaspot scores it.
type Point struct {
	Tenant string
	// Kind is ScopeTenant, ScopeTeam or ScopeTool, Scope its name.
	Kind, Scope string
	Metric      policy.Metric
	// Start of the quarter, ms.
	Start int64
	// Value and what is usual at this time of day; Score and N are the
	// detector's.
	Value, Usual, Score float64
	N                   int64
	// At is the watermark, ms.
	At            int64
	Policy        *policy.Policy
	ConfigVersion uint64
	// Publishable: the scope is large enough to be spoken of.
	Publishable bool
}

// Surge opens, updates or resolves the signal of a series.
func (s *State) Surge(p *Point) (Signal, bool) {
	d, _ := Lookup(codeSurge)
	st := s.running(codeSurge, p.Kind, p.Scope)
	out := p.Score >= surgeScore && p.Value > p.Usual && p.N >= d.MinimumN && p.Publishable
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
	case p.Start-st.SeenAt >= surgeCalm:
		st.revise(Resolved, p.At)
	default:
		return Signal{}, false
	}
	st.Severity = Critical
	at := policy.Place{}
	switch p.Kind {
	case ScopeTeam:
		st.Team, at.Team = p.Scope, p.Scope
	case ScopeTool:
		at.Tool = p.Scope
	}
	declared := declaredAt(p.Policy, at, p.Start, p.Start+quarter, policy.Release, policy.Migration, policy.Incident)
	if declared {
		st.Severity = Warning
	}
	if out {
		st.SeenAt = p.Start
		if p.Metric == policy.Cost {
			st.CostNanos, st.CostKnown = int64(p.Value-p.Usual), true
		}
	}
	return p.signal(&d, st, []Finding{found(declared), LeftOut, LeftOut}), true
}

const quarter = 15 * window.Minute

func (p *Point) signal(d *Definition, st *Standing, findings []Finding) Signal {
	metric, unit, scale := string(p.Metric), string(p.Metric), 1.0
	if p.Metric == policy.Cost {
		metric, unit, scale = "cost in USD", "USD", 1e-9
	}
	at := time.UnixMilli(p.Start).UTC().Format(time.RFC3339)
	r := Reading{N: p.N, Value: p.Score, Threshold: surgeScore}
	question := d.question(d.shared, &r, findings, "{scope}", scopeName(p.Kind, p.Scope),
		"{time}", at, "{metric}", metric, "{seen}", decimal(p.Value*scale, ""), "{usual}", decimal(p.Usual*scale, ""))
	if st.Status == Resolved {
		question = over.fill("{title}", d.Title, "{quiet}", "4")
	}
	facts := []Fact{
		d.headline(&r, findings),
		number("value", metric+" of the quarter of an hour", p.Value*scale, unit, p.N),
		number("usual", "what is usual at this time of day", p.Usual*scale, unit, p.N),
	}
	for i := range facts {
		facts[i].Window = "15 min from " + at
	}
	return Signal{
		Tenant: p.Tenant, Standing: *st, W: p.At, Title: d.Title, Question: question,
		Evidence: facts, Formula: d.Formula, ConfigVersion: p.ConfigVersion,
	}
}

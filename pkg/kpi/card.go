package kpi

import (
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/record"
	"github.com/goodhartlabs/goodhart/pkg/window"
)

// Kind and Type of the record in kpi.v1: its kind and its CloudEvents type.
const (
	Kind = "kpi_health"
	Type = "ai.goodhart.kpi.health.v1"
)

// Formula names the rule that makes a verdict of findings; it changes when that
// does.
const Formula = "card/1"

// Verdict is what is left of a target's meaning.
type Verdict string

// The verdicts.
const (
	// Healthy: outcomes follow tokens as before, and nothing looks adversarial.
	Healthy Verdict = "healthy"
	// Watch: some check raises an alarm, and not those that make LosingMeaning.
	Watch Verdict = "watch"
	// LosingMeaning: outcomes follow tokens less than before, and an adversarial
	// check says that the number is aimed at.
	LosingMeaning Verdict = "losing meaning"
	// InsufficientData: nobody can say whether outcomes still follow tokens, and
	// nothing looks adversarial. That is common.
	InsufficientData Verdict = "insufficient data"
)

// Result is a check and what it found.
type Result struct {
	Check
	Finding
}

// Card is the health of a target in a week: estimates side by side, never blended
// into one number.
type Card struct {
	Tenant string
	Target string
	// ScopeKind is tenant or team, Scope the name of the team.
	ScopeKind, Scope string
	// WeekStart is the Monday 00:00 UTC of the week, ms.
	WeekStart int64
	// Rev counts the records of this card from 0; W is the watermark at emission,
	// ms.
	Rev uint32
	W   int64
	// ComparedFrom and ComparedTo bound the weeks since the announcement that are
	// compared with those before it, ms; both 0 if none are.
	ComparedFrom, ComparedTo int64
	// Results are in the order of the catalogue.
	Results []Result
	Verdict Verdict
	// Reasons are the names of the checks that raise an alarm; of a card with
	// insufficient data, what is lacking.
	Reasons []string
	// ConfigVersion is that of the tenant's configuration in force, 0 if none.
	ConfigVersion uint64
}

// Assess returns the card of a target. Tenant, scope, revision, watermark and
// version are the caller's to fill in.
func Assess(in *Input) Card {
	s := newSample(in)
	c := Card{Target: in.Target.ID, WeekStart: s.weekStart(in.Week)}
	if s.short == "" {
		c.ComparedFrom, c.ComparedTo = s.weekStart(s.after.from), s.weekStart(s.after.to)
	}
	for _, check := range Catalogue() {
		c.Results = append(c.Results, Result{check, check.assess(s)})
	}
	c.Verdict, c.Reasons = verdict(c.Results)
	return c
}

// primary is the check that says whether outcomes still follow tokens.
const primary = "elasticity"

// What a check can contribute to a verdict.
const (
	contributesNothing     = "none"
	contributesWatch       = "watch"
	contributesAdversarial = "adversarial"
	contributesDecoupling  = "decoupling"
)

// contribution is what the check says for the verdict.
func (r *Result) contribution() string {
	switch {
	case !r.Alarm:
		return contributesNothing
	case r.Name == primary:
		return contributesDecoupling
	case r.Adversarial:
		return contributesAdversarial
	}
	return contributesWatch
}

// verdict judges results; the first of the reasons weighs most.
func verdict(results []Result) (Verdict, []string) {
	var reasons []string
	var decoupled, adversarial, known bool
	lacking := ReasonNotGiven
	for i := range results {
		r := &results[i]
		if r.Name == primary {
			known, lacking = r.Known, r.Reason
		}
		switch r.contribution() {
		case contributesNothing:
			continue
		case contributesDecoupling:
			decoupled = true
		case contributesAdversarial:
			adversarial = true
		}
		reasons = append(reasons, r.Name)
	}
	switch {
	case decoupled && adversarial:
		return LosingMeaning, reasons
	case len(reasons) > 0:
		return Watch, reasons
	case !known || lacking != "":
		return InsufficientData, []string{primary + ": " + lacking}
	}
	return Healthy, nil
}

// Result returns what a check found, by name; nil if the catalogue has none.
func (c *Card) Result(name string) *Result {
	i := slices.IndexFunc(c.Results, func(r Result) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return &c.Results[i]
}

// AppendJSON appends the record, fields in the order of the schema. What people
// read most stands beside the list of all checks under names of its own.
func (c *Card) AppendJSON(dst []byte) []byte {
	elasticity, bunching, concentration := c.finding(primary), c.finding("bunching"), c.finding("concentration")
	signalled, excess := c.finding("signalled_share"), c.finding("excess_share")
	compared := c.ComparedTo > c.ComparedFrom
	o := record.Open(dst)
	o.String("kind", Kind)
	o.String("tenant", c.Tenant)
	o.String("target", c.Target)
	o.String("scope_kind", c.ScopeKind)
	o.String("scope", c.Scope)
	o.String("iso_week", window.WeekName(c.WeekStart))
	o.Int("week_start", c.WeekStart)
	o.Int("rev", int64(c.Rev))
	o.Int("w", c.W)
	o.Number("elasticity", elasticity.Value, elasticity.Known)
	o.Number("elasticity_lo", elasticity.Lo, elasticity.Bounded)
	o.Number("elasticity_hi", elasticity.Hi, elasticity.Bounded)
	o.Number("bunching", bunching.Value, bunching.Known)
	o.Number("concentration", concentration.Value, concentration.Known)
	o.Number("signalled_share", signalled.Value, signalled.Known)
	o.Number("excess_share", excess.Value, excess.Known)
	o.Number("excess_share_lo", excess.Lo, excess.Bounded)
	o.Number("excess_share_hi", excess.Hi, excess.Bounded)
	o.Known("excess_cost_nanos", excess.CostNanos, excess.CostKnown)
	o.Number("placebo_excess", excess.Placebo, excess.PlaceboKnown)
	o.String("verdict", string(c.Verdict))
	o.Strings("reasons", c.Reasons)
	o.String("formula", Formula)
	o.Uint("config_version", c.ConfigVersion)
	o.Known("compared_from", c.ComparedFrom, compared)
	o.Known("compared_to", c.ComparedTo, compared)
	o.Value("checks", c.appendChecks)
	return o.Close()
}

// finding returns what a check found, nothing known if there is none.
func (c *Card) finding(name string) Finding {
	if r := c.Result(name); r != nil {
		return r.Finding
	}
	return Finding{}
}

func (c *Card) appendChecks(dst []byte) []byte {
	dst = append(dst, '[')
	for i := range c.Results {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = c.Results[i].appendJSON(dst)
	}
	return append(dst, ']')
}

func (r *Result) appendJSON(dst []byte) []byte {
	o := record.Open(dst)
	o.String("check", r.Name)
	o.Number("value", r.Value, r.Known)
	o.Number("lo", r.Lo, r.Bounded)
	o.Number("hi", r.Hi, r.Bounded)
	o.Int("n", int64(r.N))
	o.Number("placebo", r.Placebo, r.PlaceboKnown)
	o.Number("z", r.Z, r.ZKnown)
	o.Bool("alarm", r.Alarm)
	o.String("reason", r.Reason)
	o.String("formula", r.Formula)
	o.String("contribution", r.contribution())
	return o.Close()
}

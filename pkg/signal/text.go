package signal

import (
	"math"
	"strconv"
	"strings"
)

// template is a sentence with places for what was measured:
//
//	{week}       the ISO week
//	{value}      the headline
//	{scope}      what a shared question goes to; never a person
type template string

// fill replaces pairs of place and text.
func (t template) fill(pairs ...string) string {
	return strings.NewReplacer(pairs...).Replace(string(t))
}

// tail follows what was seen: what it rests on, what was looked for, and the
// question.
const tail template = " It rests on {n} {sample}; the threshold is {threshold}. Innocent explanations: {lookalikes}. {question}"

// moved is what a shared question says about how many it concerns.
const moved template = " {moved} of {others} who could be compared moved together."

// question writes out what is asked: seen, filled with pairs, and the tail.
func (d *Definition) question(seen template, r *Reading, findings []Finding, pairs ...string) string {
	unit := d.unit(r)
	pairs = append(pairs, "{value}", decimal(r.Value, unit))
	return seen.fill(pairs...) + tail.fill(
		"{n}", strconv.FormatInt(r.N, 10), "{sample}", d.Sample, "{threshold}", decimal(r.Threshold, unit),
		"{lookalikes}", d.lookedFor(findings), "{question}", d.Question,
	)
}

// unit of the headline.
func (d *Definition) unit(r *Reading) string {
	if r.unit != "" {
		return r.unit
	}
	return d.Thresholds[0].Unit
}

// headline is the fact that a signal begins with.
func (d *Definition) headline(r *Reading, findings []Finding) Fact {
	f := number("headline", d.Statistic, r.Value, d.unit(r), r.N).against(r.Threshold)
	for i, l := range d.LookAlikes {
		f.LookAlikes = append(f.LookAlikes, l.Name+": "+findingOf(findings, i).String())
	}
	return f
}

// lookedFor lists the look-alikes by what was found.
func (d *Definition) lookedFor(findings []Finding) string {
	var parts []string
	for f := NotFound; f <= Unseen; f++ {
		var names []string
		for i, l := range d.LookAlikes {
			if findingOf(findings, i) == f {
				names = append(names, l.Name)
			}
		}
		if len(names) > 0 {
			parts = append(parts, f.String()+": "+strings.Join(names, ", "))
		}
	}
	return strings.Join(parts, "; ")
}

// findingOf is the ith; what was not looked for cannot be seen.
func findingOf(findings []Finding, i int) Finding {
	if i < len(findings) {
		return findings[i]
	}
	return Unseen
}

// decimal writes a figure for people: three digits, or all of its whole part;
// shares in percent.
func decimal(x float64, unit string) string {
	if unit == "share" {
		return decimal(100*x, "") + " %"
	}
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return "0"
	}
	digits := max(2-int(math.Floor(math.Log10(math.Abs(x)))), 0)
	if digits > 6 {
		return strconv.FormatFloat(x, 'g', 2, 64)
	}
	scale := math.Pow10(digits)
	return strconv.FormatFloat(math.Round(x*scale)/scale, 'f', -1, 64)
}

// scopeName names a scope in a sentence.
func scopeName(kind, scope string) string {
	switch kind {
	case ScopeTenant:
		return "Everyone"
	case ScopeMetric:
		return "Target " + scope
	default:
		return strings.ToUpper(kind[:1]) + kind[1:] + " " + scope
	}
}

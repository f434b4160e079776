package signal

import (
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
const tail template = " It rests on {n} {sample}; this is asked from {threshold} on. Innocent explanations that were looked for: {lookalikes}. {question}"

// moved is what a shared question says about how many it concerns.
const moved template = " {moved} of {others} who could be compared moved together."

// question writes out what is asked: seen, filled with pairs, and the tail.
func (d *Definition) question(seen template, r *Reading, findings []string, pairs ...string) string {
	pairs = append(pairs, "{value}", decimal(r.Value))
	return seen.fill(pairs...) + tail.fill(
		"{n}", strconv.FormatInt(r.N, 10), "{sample}", d.Sample, "{threshold}", decimal(r.Threshold),
		"{lookalikes}", strings.Join(findings, ", "), "{question}", d.Question,
	)
}

// findings lists the look-alikes with what was found.
func (d *Definition) findings(of []Finding) []string {
	out := make([]string, 0, len(d.LookAlikes))
	for i, l := range d.LookAlikes {
		f := Unseen
		if i < len(of) {
			f = of[i]
		}
		out = append(out, l.Name+": "+f.String())
	}
	return out
}

// decimal writes a figure for people: three digits, or all of its whole part.
func decimal(x float64) string {
	switch {
	case x >= 100 || x <= -100:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case x >= 10 || x <= -10:
		return strconv.FormatFloat(x, 'f', 1, 64)
	case x > -0.01 && x < 0.01 && x != 0:
		return strconv.FormatFloat(x, 'g', 2, 64)
	}
	return strconv.FormatFloat(x, 'f', 2, 64)
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

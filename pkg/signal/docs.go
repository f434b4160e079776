package signal

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Doc documents the catalogue for those who are asked and for those who ask, as
// Markdown.
func Doc() string {
	var b strings.Builder
	b.WriteString(docIntro)
	catalogue := Catalogue()
	b.WriteString("\n## All of them\n\n| code | title | kind | label | about | minimum |\n|---|---|---|---|---|---|\n")
	for i := range catalogue {
		d := &catalogue[i]
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s | %s | %s |\n", d.Code, anchor(d), d.Title, d.Kind, d.Label, scopes(d), minimum(d))
	}
	for i := range catalogue {
		d := &catalogue[i]
		fmt.Fprintf(&b, "\n## %s %s\n\n*%s*\n\n", d.Code, d.Title, d.Question)
		fmt.Fprintf(&b, "- **Needs:** %s.\n- **Statistic:** %s.\n- **Minimum sample:** %s.\n- **Thresholds:** %s.\n- **Formula:** `%s`.\n",
			strings.Join(d.Needs, ", "), d.Statistic, minimum(d), thresholds(d), d.Formula)
		b.WriteString("\n| innocent explanation | what it looks like |\n|---|---|\n")
		for _, l := range d.LookAlikes {
			fmt.Fprintf(&b, "| %s | %s |\n", l.Name, l.Why)
		}
	}
	return b.String()
}

func anchor(d *Definition) string {
	title := strings.ToLower(d.Code + " " + d.Title)
	return strings.ReplaceAll(strings.ReplaceAll(title, ",", ""), " ", "-")
}

func scopes(d *Definition) string {
	if len(d.ScopeKinds) == 0 {
		return "adds to others"
	}
	return strings.Join(d.ScopeKinds, ", ")
}

func minimum(d *Definition) string {
	if d.MinimumN == 0 {
		return d.Sample + ", no minimum"
	}
	return strconv.FormatInt(d.MinimumN, 10) + " " + d.Sample
}

func thresholds(d *Definition) string {
	parts := slices.Collect(func(yield func(string) bool) {
		for _, t := range d.Thresholds {
			text := t.Name
			if t.Value != 0 {
				text += " " + strconv.FormatFloat(t.Value, 'g', -1, 64) + " " + t.Unit
			}
			if !yield(text) {
				return
			}
		}
	})
	return strings.Join(parts, "; ")
}

const docIntro = `# Signals

Generated from the catalogue of ` + "`pkg/signal`" + ` by ` + "`go generate`" + `.

A signal is a question with evidence: what was measured, on how many records, against which threshold, and which innocent explanations were
looked for. It is no verdict, ranks nobody and has no consequence of its own. A level of use is never a signal; a change with a mechanism is.

| topic | speaks of | who reads it |
|---|---|---|
| ` + "`goodhart.signals.v1`" + ` | metric, tenant, team, model, tool, service | alerts, ClickHouse, anyone |
| ` + "`goodhart.self.v1`" + ` | one person, or one personal key | that person |

## When a question is asked

| rule | what it asks |
|---|---|
| known | the source supplies the figures; without them the signal is unknown and says nothing. Each record states the share of records that it could be measured on |
| sample | the minimum below; and, for what is compared with the subject's own past, four active weeks of it |
| threshold | all of those below. z is (x - median) / max(1.4826 MAD, floor) over the last 10 active weeks; the floor is 0.25 for logarithms, 0.05 for shares, 6 for hours |
| usual | from the first week in which a statistic is beyond its thresholds, and nothing innocent explains it, the subject is compared with what was usual before that week, until three windows running lie within them, at most for 13 weeks: then a change that lasted is what is usual. S8 and S9 hold what was usual of periods before those that run late likewise. What all those beside the subject do is held too, since it may end for them alone; what has an explanation of its own is not |
| persistence | two of the last three windows that could be measured; a window is an ISO week in local time. What looks at several periods itself (S8, S9) is asked in the week in which the last of them ends |
| look-alikes | none of them is found, and no declared migration, on-call duty, vacation (and the week after), incident or release covers the week |
| common cause | if at least 30 % of at least five others in the same client version, model, team or repository moved at least half as far in the same week, the question goes to the tool, the model or the team and to no person. Of the choice of models (S11) those who use one are no cohort: everyone is, instead |
| group size | a question to a team whose week may not be shown, or about fewer people than k, is not asked; it is counted |
| false discoveries | Benjamini and Hochberg at 0.10 over all subjects of the signal and week, on the probability that two of three windows are so unlikely; that of a z is Student's, with as many degrees of freedom as weeks behind it, less one |
| mute | after an accepted dispute, until the day that it names |

Only a **mechanism** opens a question to a subject. What is **supporting** adds confidence: the number of independent families that stand (1 low, 2 medium, 3
and more high), which is no probability of anything. What is asked only beside other signals is not counted beside them. An **aggregate** speaks of many people and
of none. What is **immediate** opens and resolves within minutes.

## Life

` + "`opened` → `updated` (each window in which it fires again) → `resolved`" + ` (two windows running without it, or five weeks without a measurement). A
` + "`disputed`" + ` signal stands still until the dispute is closed, which resolves it. The id is a hash of tenant, code, scope and opening week, for immediate ones the
minute: it is the same in every revision. An immediate signal that comes back within half an hour goes on under its id. What is remembered of a subject is
forgotten 13 weeks after its last week; a resolved signal can be disputed for as long.

Label: ` + "`tooling`" + ` if the client or the model is the common cause, ` + "`runaway`" + ` if a rate guard is above its threshold too, else that of the table. Severity: ` + "`info`" + `,
from two families on and for shared scopes ` + "`warning`" + `; ` + "`critical`" + ` for what runs away, ` + "`warning`" + ` if it was registered or declared.
`

package evaluate

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/signal"
	"github.com/goodhartlabs/goodhart/services/evaluate/traces"
)

// leastEpisodes is of how many episodes a recall is given.
const leastEpisodes = 5

// injectedReport is what the page shows of real traces.
type injectedReport struct {
	Files []traces.File
	Times []float64
	Codes []string
	Rules []string
	Bases []injectedBase
}

// injectedBase is what became of one trace.
type injectedBase struct {
	*traces.Base
	// Label names it in tables.
	Label string
	// Active are the weeks of people with requests; Onsets is how many people have weeks
	// enough to be injected.
	Active, Onsets int
	// Measured weeks by code, in the order of Codes.
	Measured []int
	// False alarms of the untouched trace by rule, the last being ours, and ours one
	// by one.
	False  []estimate
	Alerts []string
	// None is what no alarm at all would still allow, per 1,000, with 95 %.
	None    float64
	Tactics []injectedTactic
	// Recalls of all episodes by rule and intensity.
	Recalls [][]estimate
}

// injectedTactic is how often one tactic was seen by intensity.
type injectedTactic struct {
	Tactic traces.Tactic
	Code   string
	// Lacks is what the trace cannot show it by; empty if it can.
	Lacks string
	// Supporting: its signal asks nothing by itself.
	Supporting     bool
	Asked, Crossed []string
}

// injectedRules are the rules in the order of columns.
var injectedRules = []struct{ key, name string }{
	{ruleP95, "above p95"},
	{ruleP99, "above p99"},
	{ruleLeaders, "most tokens of the week"},
	{ruleSelfZ, "own z > 3"},
	{rulePeerZ, "z among the group > 3.5"},
	{ruleUngated, "mechanisms, one week"},
	{ruleOurs, "**goodhart**"},
}

func newInjectedReport(files []traces.File, bases []*traces.Base, played []*injected) *injectedReport {
	r := &injectedReport{Files: files, Times: times}
	for _, t := range traces.Tactics() {
		if !slices.Contains(r.Codes, t.Signal()) {
			r.Codes = append(r.Codes, t.Signal())
		}
	}
	for _, rule := range injectedRules {
		r.Rules = append(r.Rules, rule.name)
	}
	for _, b := range bases {
		var mine []*injected
		for _, x := range played {
			if x.Base == b.Name {
				mine = append(mine, x)
			}
		}
		row := baseReport(b, mine, r.Codes)
		row.Label = string(rune('A' + len(r.Bases)))
		r.Bases = append(r.Bases, row)
	}
	return r
}

func baseReport(b *traces.Base, played []*injected, codes []string) injectedBase {
	row := injectedBase{Base: b}
	untouched := played[0]
	for i := range b.People {
		if _, ok := b.Onset(i); ok {
			row.Onsets++
		}
		for _, asked := range b.People[i].Asked {
			if asked > 0 {
				row.Active++
			}
		}
	}
	row.None = 1000 * 3 / float64(row.Active)
	for _, code := range codes {
		n := 0
		for at, m := range untouched.Readings {
			if at.Code == code && measured(m) {
				n++
			}
		}
		row.Measured = append(row.Measured, n)
	}
	for _, rule := range injectedRules {
		row.False = append(row.False, falseAlarms(judgeAll([]*run{untouched.Run}, rule.key, (*episode).hits)))
		var by []estimate
		for _, t := range times {
			by = append(by, recallOf(played, t, rule.key))
		}
		row.Recalls = append(row.Recalls, by)
	}
	for _, a := range untouched.Run.Alerts[ruleOurs] {
		row.Alerts = append(row.Alerts, fmt.Sprintf("%s of %s in week %d", a.Code, untouched.Names[a.Person], a.From+1))
	}
	slices.Sort(row.Alerts)
	for _, t := range traces.Tactics() {
		row.Tactics = append(row.Tactics, tacticReport(b, played, t))
	}
	return row
}

// recallOf is the recall of a rule over all episodes of an intensity.
func recallOf(played []*injected, times float64, rule string) estimate {
	return episodes(played, func(x *injected, e *episode) bool { return x.Times == times && e.waste() > 0 },
		func(_ *injected, first int, _ *episode) bool { return first >= 0 }, rule)
}

func tacticReport(b *traces.Base, played []*injected, t traces.Tactic) injectedTactic {
	row := injectedTactic{Tactic: t, Code: t.Signal(), Lacks: b.Lacks(t)}
	for _, d := range signal.Catalogue() {
		row.Supporting = row.Supporting || d.Code == row.Code && d.Kind == signal.Supporting
	}
	for _, intensity := range times {
		of := func(x *injected, e *episode) bool {
			return x.Times == intensity && e.Tactic == string(t) && e.waste() > 0
		}
		enough := func(x *injected, e *episode) bool { return of(x, e) && x.weeks(e, row.Code, measured) >= row.least() }
		all := episodes(played, of, func(*injected, int, *episode) bool { return true }, ruleOurs)
		asked := episodes(played, enough, func(_ *injected, first int, _ *episode) bool { return first >= 0 }, ruleOurs)
		crossed := episodes(played, enough, func(x *injected, _ int, e *episode) bool {
			return x.weeks(e, row.Code, func(m signal.Measure) bool { return m == signal.Fired }) > 0
		}, ruleOurs)
		row.Asked = append(row.Asked, cell(asked, all))
		row.Crossed = append(row.Crossed, cell(crossed, all))
	}
	return row
}

// least is in how many weeks of an episode the signal must have been measured: two
// must fire before a question is asked.
func (r *injectedTactic) least() int {
	if r.Supporting {
		return 1
	}
	return 2
}

// cell is a share of the episodes that could be measured, with their count.
func cell(of, all estimate) string {
	n := fmt.Sprintf("%.0f of %.0f", of.Den, all.Den)
	if of.Den < leastEpisodes {
		return "insufficient data, " + n
	}
	return est(of, 2) + ", " + n
}

// measured: the statistic was known and had its sample and history.
func measured(m signal.Measure) bool { return m == signal.Quiet || m == signal.Fired }

// weeks counts the gamed weeks of an episode in which a signal had such a measure.
func (x *injected) weeks(e *episode, code string, of func(signal.Measure) bool) (n int) {
	for i, wasted := range e.Wasted {
		if m, ok := x.Readings[reading{e.Person, e.From + i, code}]; ok && wasted > 0 && of(m) {
			n++
		}
	}
	return n
}

// episodes is the share of some episodes that something is true of; first is the
// week in which the rule first raised a true alert, -1 for none.
func episodes(played []*injected, among func(*injected, *episode) bool, is func(x *injected, first int, e *episode) bool, rule string) estimate {
	var parts []part
	for _, x := range played {
		o := judge(x.Run, x.Run.Alerts[rule], (*episode).hits)
		for i := range x.Run.Episodes {
			e := &x.Run.Episodes[i]
			if !among(x, e) {
				continue
			}
			p := part{den: 1}
			if is(x, o.first[i], e) {
				p.num = 1
			}
			parts = append(parts, p)
		}
	}
	return ratio(parts)
}

// Who is what the subjects of a trace are.
func (b injectedBase) Who() string {
	if b.Clients {
		return "programs"
	}
	return "people"
}

// Restless writes the spread of weeks.
func (b injectedBase) Restless() string { return number(b.Spread(), 2) }

// Hourly writes in how many distinct hours of a week the subjects asked: the median,
// the 99th percentile, and the share of weeks at which S5 begins.
func (b injectedBase) Hourly() string {
	hours := b.Hours()
	many, _ := slices.BinarySearch(hours, 100)
	values := make([]float64, len(hours))
	for i, h := range hours {
		values[i] = float64(h)
	}
	return number(quantile(values, .5), 0) + ", " + number(quantile(values, .99), 0) + ", " + percent(float64(len(hours)-many)/float64(len(hours)))
}

// Missing lists what the trace has nothing for.
func (b injectedBase) Missing() string {
	var out []string
	for _, t := range b.Tactics {
		if t.Lacks != "" && !slices.Contains(out, t.Lacks) {
			out = append(out, t.Lacks)
		}
	}
	return strings.Join(out, ", ")
}

// Bound writes what no alarm would allow.
func (b injectedBase) Bound() string {
	if ours := b.False[len(b.False)-1]; ours.Num > 0 || math.IsInf(b.None, 0) {
		return unknown
	}
	return number(b.None, 1)
}

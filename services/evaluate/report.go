package evaluate

import (
	"bytes"
	_ "embed"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/goodhartlabs/goodhart/pkg/signal"
	"github.com/goodhartlabs/goodhart/services/evaluate/organisation"
	"github.com/goodhartlabs/goodhart/services/evaluate/runaway"
)

//go:embed report.md.tmpl
var page string

// report is all that the page shows. Numbers follow from the seeds alone, whatever
// the machine.
type report struct {
	Version           int
	Hash, Seeds       string
	People, Weeks     int
	Announced, Events int
	Runs              int
	Companies         int
	HonestWeeks       int
	Episodes          int
	Gamed             float64
	Rules             []ruleRow
	Tactics           []tacticRow
	Looks             []lookRow
	Roles, Sizes      []groupRow
	Calibration       []calibrationRow
	Shared            []countRow
	Guards            estimate
	Tokens, Adoption  []verdictRow
	Excess            []excessRow
	Checks            []checksSection
	Saved             saved
	Removing          []removingRow
	Scores            []scoreRow
	Targets           []targetRow
	Bands             []bandRow
	// Injected is of real traces, nil without any.
	Injected *injectedReport
	// Runaways is a section of its own; RunawaySeconds the median delay.
	Runaways       string
	RunawaySeconds float64
}

// ruleRow compares a rule with the truth.
type ruleRow struct {
	Key, Name                                    string
	Precision, FalseAlarms                       estimate
	Recall, RecallTwice, RecallSeen, RecallAdapt estimate
	// Curve is the average precision by week.
	Curve                estimate
	Delay, Delay90, Gone float64
}

type tacticRow struct {
	Tactic, Family string
	All            estimate
	Low, Mid, High estimate
	Delay, Gone    float64
}

type lookRow struct {
	Look                string
	Weeks               int
	Ours, Self, P95, Un estimate
	// Times is the rate of ours by that of all.
	Times float64
}

type groupRow struct {
	Name               string
	People             int
	FalseAlarms, Ratio estimate
}

type calibrationRow struct {
	Code, Title string
	N           int
	Below       []float64
	// Above and Under are distances of Kolmogorov and Smirnov.
	Above, Under float64
}

type countRow struct {
	Name  string
	Count int
	Each  float64
}

// checksSection is of one target.
type checksSection struct {
	Target string
	Rows   []checkRow
}

type removingRow struct {
	Prevalence float64
	Saved      estimate
}

type targetRow struct {
	What, Want, Got string
	Met             bool
	Known           bool
}

// bandRow says where a cheap rule lies beside what is known of it.
type bandRow struct{ What, Known, Got, In string }

// newReport works everything out.
func newReport(cfg *Config, runs []*run, guards *runaway.Result) *report {
	base := cfg.organisation()
	r := &report{
		Version: base.Version, Hash: base.Hash(), Seeds: cfg.Seeds, People: base.People, Weeks: base.Weeks,
		Announced: base.AnnouncedWeek, Runs: len(runs), Companies: companies(cfg),
	}
	byName := map[string][]*run{}
	for _, x := range runs {
		byName[x.Scenario] = append(byName[x.Scenario], x)
		r.Events += x.Events
	}
	if played := byName["signals"]; len(played) > 0 {
		r.signals(played)
		r.Scores = scoresOf(played)
		r.Saved = savedBy(played)
	}
	var groups [][]*run
	for _, s := range scenarios() {
		played := byName[s.Name]
		if s.Signals || len(played) == 0 {
			continue
		}
		groups = append(groups, played)
		r.Tokens = append(r.Tokens, verdictsOf(played, targetTokens, s.Prevalence))
		r.Adoption = append(r.Adoption, verdictsOf(played, targetAdoption, s.Prevalence))
		r.Excess = append(r.Excess, excessOf(played, s.Prevalence))
		r.Removing = append(r.Removing, removingRow{s.Prevalence, savedBy(played).Removing})
	}
	if len(groups) > 0 {
		r.Checks = []checksSection{
			{"weekly tokens", checksOf(groups, targetTokens)}, {"weekly use", checksOf(groups, targetAdoption)},
		}
	}
	if len(guards.Seeds) > 0 {
		r.Runaways = guards.Markdown()
		if medians := guards.Medians(); len(medians) > 0 {
			r.RunawaySeconds = medians[(len(medians)-1)/2].Seconds()
		}
	}
	r.judge()
	return r
}

// companies is how many seeds were played.
func companies(cfg *Config) int {
	seeds, _ := parseSeeds(cfg.Seeds) // it was validated
	return len(seeds)
}

// signals works out what alerts came to.
func (r *report) signals(runs []*run) {
	outcomes := map[string][]*outcome{}
	for _, rule := range []struct{ key, name string }{
		{ruleP95, "tokens above the p95 of before"},
		{ruleP99, "tokens above the p99 of before"},
		{ruleLeaders, "the 25 with most tokens of the week"},
		{ruleSelfZ, "own z of ln tokens > 3"},
		{rulePeerZ, "z among the role > 3.5"},
		{ruleUngated, "mechanisms, one week, nothing checked"},
		{ruleOurs, "**goodhart**"},
	} {
		o := judgeAll(runs, rule.key, (*episode).hits)
		outcomes[rule.key] = o
		weeks, gone := delays(o, naive(0, false))
		r.Rules = append(r.Rules, ruleRow{
			Key: rule.key, Name: rule.name, Precision: precision(o), FalseAlarms: falseAlarms(o),
			Recall: recall(o, naive(0, false)), RecallTwice: recall(o, naive(2, false)), RecallSeen: recall(o, naive(2, true)),
			RecallAdapt: recall(o, adaptive), Curve: precisionRecall(runs, rule.key),
			Delay: quantile(weeks, .5), Delay90: quantile(weeks, .9), Gone: quantile(gone, .5),
		})
	}
	for _, x := range runs {
		r.Episodes += len(x.Episodes)
		for i := range x.People {
			r.HonestWeeks += x.People[i].Honest
		}
	}
	r.Gamed = gamed(runs)
	r.bands(precision(judgeAll(runs, ruleP95, (*episode).touches)), falseAlarms(judgeAll(runs, ruleSelfZ, (*episode).touches)))
	ours := outcomes[ruleOurs]
	r.tactics(ours)
	r.looks(outcomes)
	r.groups(runs, ours)
	r.calibrate(runs)
	r.Guards = falseAlarms(judgeAll(runs, ruleGuards, (*episode).hits))
	counts := map[string]int{}
	for _, x := range runs {
		for name, n := range x.Shared {
			counts[name] += n
		}
	}
	for name, n := range counts {
		r.Shared = append(r.Shared, countRow{name, n, float64(n) / float64(len(runs))})
	}
	slices.SortFunc(r.Shared, func(a, b countRow) int { return strings.Compare(a.Name, b.Name) })
}

func (r *report) tactics(ours []*outcome) {
	for _, t := range organisation.Tactics() {
		name := t.String()
		between := func(low, high float64) estimate {
			return recall(ours, func(e *episode) bool { return e.Tactic == name && e.Intensity >= low && e.Intensity < high })
		}
		of := func(e *episode) bool { return e.Tactic == name }
		weeks, gone := delays(ours, of)
		family := families[name]
		if family == "" {
			family = unknown
		}
		r.Tactics = append(r.Tactics, tacticRow{
			Tactic: name, Family: family, All: recall(ours, of), Low: between(0, 2), Mid: between(2, 4), High: between(4, 100),
			Delay: quantile(weeks, .5), Gone: quantile(gone, .5),
		})
	}
}

// looks counts the false alarms of the weeks in which something looked like gaming.
func (r *report) looks(outcomes map[string][]*outcome) {
	i := 0
	for look := range organisation.Looks() {
		rate := func(rule string) estimate {
			return ratio(each(outcomes[rule], func(o *outcome, person int) part {
				var wrong int
				for _, a := range o.falseAlarms[person] {
					if a.Looks.Has(look) {
						wrong++
					}
				}
				return part{1000 * float64(wrong), float64(o.run.People[person].Looks[i])}
			}))
		}
		row := lookRow{Look: look.String(), Ours: rate(ruleOurs), Self: rate(ruleSelfZ), P95: rate(ruleP95), Un: rate(ruleUngated)}
		row.Weeks = int(row.Ours.Den)
		row.Times = row.Ours.Value / falseAlarms(outcomes[ruleOurs]).Value
		r.Looks = append(r.Looks, row)
		i++
	}
}

// groups compares roles and sizes of teams: each with everybody else.
func (r *report) groups(runs []*run, ours []*outcome) {
	row := func(name string, in func(*person) bool) groupRow {
		mine := falseParts(ours, in)
		rest := falseParts(ours, func(p *person) bool { return !in(p) })
		out := groupRow{Name: name, FalseAlarms: ratio(mine), Ratio: contrast(mine, rest)}
		for _, x := range runs {
			for i := range x.People {
				if in(&x.People[i]) {
					out.People++
				}
			}
		}
		return out
	}
	var roles []string
	for _, x := range runs {
		for i := range x.People {
			if !slices.Contains(roles, x.People[i].Role) {
				roles = append(roles, x.People[i].Role)
			}
		}
	}
	slices.Sort(roles)
	for _, role := range roles {
		r.Roles = append(r.Roles, row(role, func(p *person) bool { return p.Role == role }))
	}
	for _, s := range []struct {
		name      string
		low, high int
	}{{"up to 20", 0, 20}, {"21 to 27", 21, 27}, {"28 and more", 28, 1000}} {
		r.Sizes = append(r.Sizes, row(s.name, func(p *person) bool { return p.Size >= s.low && p.Size <= s.high }))
	}
}

// calibrate adds up the chances of all honest weeks.
func (r *report) calibrate(runs []*run) {
	for _, d := range signal.Catalogue() {
		sum := chances{}
		for _, x := range runs {
			if c := x.Nulls[d.Code]; c != nil {
				sum.merge(c)
			}
		}
		if sum.N == 0 {
			continue
		}
		row := calibrationRow{Code: d.Code, Title: d.Title, N: sum.N}
		row.Above, row.Under = sum.distance()
		for _, n := range sum.Below {
			row.Below = append(row.Below, float64(n)/float64(sum.N))
		}
		r.Calibration = append(r.Calibration, row)
	}
}

// render fills the page.
func render(r *report) (string, error) {
	t, err := template.New("report").Funcs(template.FuncMap{
		"est": est, "three": func(x float64) string { return number(x, 3) }, "two": func(x float64) string { return number(x, 2) },
		"one": func(x float64) string { return number(x, 1) }, "percent": percent,
		"quantile": quantile, "levels": func() []float64 { return chanceLevels[:] }, "yes": func(b bool) string {
			if b {
				return "yes"
			}
			return "**no**"
		}, "thousand": thousand, "last": func(x []float64) float64 { return x[len(x)-1] }, "sub": func(a, b int) int { return a - b },
	}).Parse(page)
	if err != nil {
		return "", fmt.Errorf("report: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, r); err != nil {
		return "", fmt.Errorf("report: %w", err)
	}
	return b.String(), nil
}

// number writes x with some decimals, – where it is none.
func number(x float64, decimals int) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return unknown
	}
	return strconv.FormatFloat(x, 'f', decimals, 64)
}

// percent writes a share.
func percent(x float64) string {
	if s := number(100*x, 0); s != unknown {
		return s + " %"
	}
	return unknown
}

// unknown is written where there is no number.
const unknown = "–"

// est writes an estimate with its interval.
func est(e estimate, decimals int) string {
	if !e.Known {
		return unknown
	}
	return number(e.Value, decimals) + " (" + number(e.Lo, decimals) + "–" + number(e.Hi, decimals) + ")"
}

// thousand writes a count with separators.
func thousand(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

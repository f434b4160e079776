package truth

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Names of the files, each the output of the SQL file of the same name.
const (
	UsageFile    = "usage_by_team_hour.tsv"
	DailyFile    = "usage_daily.tsv"
	RollingFile  = "rolling_24h.tsv"
	OutcomesFile = "outcomes_by_team_day.tsv"
	TotalsFile   = "totals.tsv"
	// LeastFile holds the counts that may be larger in the database.
	LeastFile = "at_least.tsv"
	// ProvokedFile says how many records provoke what; where that is not 0, the
	// database must show some.
	ProvokedFile = "provoked.tsv"
	// CastFile says who has which part in the story, EfficiencyFile how efficient
	// teams are, ExcessFile what the target has cost.
	CastFile       = "cast.tsv"
	EfficiencyFile = "efficiency.tsv"
	ExcessFile     = "excess.tsv"
)

// Write writes the files into a directory.
func (t *Truth) Write(dir string) error {
	for name, render := range map[string]func(*bytes.Buffer){
		UsageFile:    t.printUsage,
		DailyFile:    t.printDaily,
		RollingFile:  t.printRolling,
		OutcomesFile: t.printOutcomes,
		TotalsFile:   t.printTotals,
		LeastFile:    t.printLeast,
		ProvokedFile: t.printProvoked,

		CastFile:       t.story.printCast,
		EfficiencyFile: t.story.printEfficiency,
		ExcessFile:     t.story.printExcess,
	} {
		var b bytes.Buffer
		render(&b)
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644); err != nil {
			return fmt.Errorf("write truth: %w", err)
		}
	}
	return nil
}

func hourText(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.DateTime) }

func dayText(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.DateOnly) }

// printUsage prints by hour, team and model: records, requests, tokens by class
// and nano-USD.
func (t *Truth) printUsage(w *bytes.Buffer) {
	keys := slices.SortedFunc(maps.Keys(t.usage), func(a, b usageKey) int {
		return cmp.Or(cmp.Compare(a.hour, b.hour), cmp.Compare(a.team, b.team), cmp.Compare(a.model, b.model))
	})
	for _, k := range keys {
		u := t.usage[k]
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", hourText(k.hour), k.team, k.model,
			u.records, u.requests, u.input, u.cacheRead, u.cacheWrite, u.output, u.reasoning, u.cost)
	}
}

// printDaily prints by day, over all teams: requests, tokens by class and
// nano-USD.
func (t *Truth) printDaily(w *bytes.Buffer) {
	days := map[string]*usage{}
	for k, u := range t.usage {
		day := dayText(k.hour)
		if days[day] == nil {
			days[day] = new(usage)
		}
		days[day].add(*u)
	}
	for _, day := range slices.Sorted(maps.Keys(days)) {
		u := days[day]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", day,
			u.requests, u.input, u.cacheRead, u.cacheWrite, u.output, u.reasoning, u.cost)
	}
}

// printRolling prints windows of 24 h that end at midnight, the tenant's and the
// teams', in their last revision: records, requests, tokens by class, nano-USD.
func (t *Truth) printRolling(w *bytes.Buffer) {
	keys := slices.SortedFunc(maps.Keys(t.rolling), func(a, b rollingKey) int {
		return cmp.Or(cmp.Compare(a.end, b.end), cmp.Compare(a.team, b.team))
	})
	for _, k := range keys {
		kind := "team"
		if k.all {
			kind = "tenant"
		}
		u := t.rolling[k]
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", hourText(k.end), kind, k.team,
			u.records, u.requests, u.input, u.cacheRead, u.cacheWrite, u.output, u.reasoning, u.cost)
	}
}

// printOutcomes prints by team and the object's day: provisional, final and
// reverted, net.
func (t *Truth) printOutcomes(w *bytes.Buffer) {
	keys := slices.SortedFunc(maps.Keys(t.credits), func(a, b creditKey) int {
		return cmp.Or(cmp.Compare(a.team, b.team), cmp.Compare(a.day, b.day))
	})
	for _, k := range keys {
		c := t.credits[k]
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\n", k.team, dayText(k.day), c.provisional, c.final, c.reverted)
	}
}

// printTotals prints the counts that must be equal.
func (t *Truth) printTotals(w *bytes.Buffer) {
	printCounts(w, map[string]int64{
		"activity":           t.Totals.Activity,
		"clock_skew":         t.Totals.ClockSkew,
		"late":               t.Totals.Late,
		"merged":             t.Totals.Merged,
		"outcomes_announced": t.Totals.Announced,
		"usage":              t.Totals.Usage,
	})
}

// printLeast prints the counts that grow when a client has to repeat itself
// more often than planned.
func (t *Truth) printLeast(w *bytes.Buffer) {
	printCounts(w, map[string]int64{
		"accepted":   t.Totals.Accepted,
		"dead":       t.Totals.Rejected,
		"duplicates": t.Totals.Duplicates,
	})
}

func (t *Truth) printProvoked(w *bytes.Buffer) {
	printCounts(w, map[string]int64{
		"clock_skew": t.Totals.ClockSkew,
		"dead":       t.Totals.Rejected,
		"duplicates": t.Totals.Duplicates,
		"late":       t.Totals.Late,
		"merged":     t.Totals.Merged,
		"rejected":   t.Totals.Rejected,
		"reverted":   t.Totals.Reverted,
		"revisions":  t.Totals.Delayed,
		"unpriced":   t.Totals.Unpriced,
	})
}

func printCounts(w *bytes.Buffer, counts map[string]int64) {
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(w, "%s\t%d\n", name, counts[name])
	}
}

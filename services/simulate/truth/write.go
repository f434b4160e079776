package truth

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
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
	OutcomesFile = "outcomes_by_team_day.tsv"
	TotalsFile   = "totals.tsv"
	// LeastFile holds the counts that may be larger in the database.
	LeastFile = "at_least.tsv"
)

// Write writes the files into a directory.
func (t *Truth) Write(dir string) error {
	for name, write := range map[string]func(io.Writer){
		UsageFile:    t.writeUsage,
		DailyFile:    t.writeDaily,
		OutcomesFile: t.writeOutcomes,
		TotalsFile:   t.writeTotals,
		LeastFile:    t.writeLeast,
	} {
		if err := writeFile(filepath.Join(dir, name), write); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(path string, write func(io.Writer)) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("create truth: %w", err)
	}
	w := bufio.NewWriter(f)
	write(w) // errors stick to w
	if err := w.Flush(); err != nil {
		_ = f.Close()
		return fmt.Errorf("write truth: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write truth: %w", err)
	}
	return nil
}

func hourText(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.DateTime) }

func dayText(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.DateOnly) }

// writeUsage prints by hour, team and model: records, requests, tokens by class
// and nano-USD.
func (t *Truth) writeUsage(w io.Writer) {
	keys := slices.SortedFunc(maps.Keys(t.usage), func(a, b usageKey) int {
		return cmp.Or(cmp.Compare(a.hour, b.hour), cmp.Compare(a.team, b.team), cmp.Compare(a.model, b.model))
	})
	for _, k := range keys {
		u := t.usage[k]
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", hourText(k.hour), k.team, k.model,
			u.records, u.requests, u.input, u.cacheRead, u.cacheWrite, u.output, u.reasoning, u.cost)
	}
}

// writeDaily prints by day, over all teams: requests, tokens by class and
// nano-USD.
func (t *Truth) writeDaily(w io.Writer) {
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

// writeOutcomes prints by team and the object's day: provisional, final and
// reverted, net.
func (t *Truth) writeOutcomes(w io.Writer) {
	keys := slices.SortedFunc(maps.Keys(t.credits), func(a, b creditKey) int {
		return cmp.Or(cmp.Compare(a.team, b.team), cmp.Compare(a.day, b.day))
	})
	for _, k := range keys {
		c := t.credits[k]
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\n", k.team, dayText(k.day), c.provisional, c.final, c.reverted)
	}
}

// writeTotals prints the counts that must be equal.
func (t *Truth) writeTotals(w io.Writer) {
	writeCounts(w, map[string]int64{
		"activity":           t.Totals.Activity,
		"clock_skew":         t.Totals.ClockSkew,
		"late":               t.Totals.Late,
		"merged":             t.Totals.Merged,
		"outcomes_announced": t.Totals.Announced,
		"usage":              t.Totals.Usage,
	})
}

// writeLeast prints the counts that grow when a client has to repeat itself
// more often than planned.
func (t *Truth) writeLeast(w io.Writer) {
	writeCounts(w, map[string]int64{
		"accepted":   t.Totals.Accepted,
		"dead":       t.Totals.Rejected,
		"duplicates": t.Totals.Duplicates,
		"rejected":   t.Totals.Rejected,
	})
}

func writeCounts(w io.Writer, counts map[string]int64) {
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(w, "%s\t%d\n", name, counts[name])
	}
}

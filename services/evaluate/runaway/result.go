package runaway

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Result is what all companies showed.
type Result struct{ Seeds []Seed }

// Bound is how soon the median of the companies must be told.
const Bound = 5 * time.Minute

// Medians are the median delays of the companies, sorted. One that was told of no
// runaway is left out.
func (r *Result) Medians() []time.Duration {
	var out []time.Duration
	for i := range r.Seeds {
		if m, ok := r.Seeds[i].Median(); ok {
			out = append(out, m)
		}
	}
	slices.Sort(out)
	return out
}

// Delays are those of all runaways, sorted; missed is how many were not told.
func (r *Result) Delays() (delays []time.Duration, missed int) {
	for i := range r.Seeds {
		delays = append(delays, r.Seeds[i].Delays...)
		missed += r.Seeds[i].Missed
	}
	slices.Sort(delays)
	return delays, missed
}

// Classes adds up what the classes of all companies heard.
func (r *Result) Classes() []Class {
	var sum []Class
	for i := range r.Seeds {
		if sum == nil {
			sum = slices.Clone(r.Seeds[i].Classes)
			continue
		}
		for k, c := range r.Seeds[i].Classes {
			sum[k].Weeks += c.Weeks
			sum[k].False += c.False
		}
	}
	return sum
}

// quantile is the value at a rank of sorted values, percent; 0 of none.
func quantile(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)-1)*percent/100]
}

// Markdown is the section of the report, with the bad rows beside the good ones.
func (r *Result) Markdown() string {
	var b strings.Builder
	medians := r.Medians()
	delays, missed := r.Delays()
	fmt.Fprintf(&b, `## Runaway agents

An agent makes requests at 20 times the 99th percentile of its subject's active minutes, for 10 to 30 minutes. The delay is in event time, from its first request
to the newest event known when the signal went out. %d companies, %d runaways.

| | delay |
|---|---|
| median of the companies' medians | %s (bound: %s) |
| slowest company's median | %s |
| median of all runaways | %s |
| 90th percentile | %s |
| slowest | %s |
| not told at all | %d of %d |

What the guards say when nothing runs away, by weeks of subjects with requests:

| who | weeks | signals | by 1,000 weeks |
|---|---|---|---|
`, len(r.Seeds), len(delays)+missed, seconds(quantile(medians, 50)), seconds(Bound), seconds(quantile(medians, 100)),
		seconds(quantile(delays, 50)), seconds(quantile(delays, 90)), seconds(quantile(delays, 100)), missed, len(delays)+missed)
	for _, c := range r.Classes() {
		fmt.Fprintf(&b, "| %s | %d | %d | %.2f |\n", strings.ReplaceAll(c.Name, "_", " "), c.Weeks, c.False, c.PerThousand())
	}
	surges := r.Surges()
	surges.markdown(&b, len(r.Seeds))
	return b.String()
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.0f s", d.Seconds()) }

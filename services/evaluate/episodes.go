package evaluate

import (
	"math"
	"slices"
)

// judged by episodes: an alert is true if it is raised from the first week of an
// episode of that person to one week after its last; an episode is hit if any alert
// is true of it. Whatever else is raised is a false alarm.

// hits reports whether an alert is true of an episode.
func (e *episode) hits(a *alert) bool {
	return a.Person == e.Person && a.From >= e.From && a.From <= e.To+1
}

// touches reports whether an alert goes on into an episode, which those count as true
// who published how the cheap rules do.
func (e *episode) touches(a *alert) bool {
	return a.Person == e.Person && a.To >= e.From && a.From <= e.To+1
}

// waste is all that an episode wasted.
func (e *episode) waste() (sum float64) {
	for _, w := range e.Wasted {
		sum += w
	}
	return sum
}

// wastedUntil is what an episode had wasted when an alert on a week was published,
// in the middle of the week after it.
func (e *episode) wastedUntil(week int) (sum float64) {
	const published = 3.0 / 7
	for i, w := range e.Wasted {
		switch at := e.From + i; {
		case at <= week:
			sum += w
		case at == week+1:
			sum += published * w
		}
	}
	return sum
}

// outcome is what a rule made of one seed: of each person and of each episode.
type outcome struct {
	run *run
	// alerts and right ones of each person; false ones by person.
	alerts, right, wrong []int
	// first is the week of the first true alert of each episode, -1 for none.
	first []int
	// falseAlarms by person.
	falseAlarms map[int][]alert
}

// judge compares the alerts of a rule with the truth; hits says which are true.
func judge(r *run, alerts []alert, hits func(*episode, *alert) bool) *outcome {
	o := &outcome{
		run: r, alerts: make([]int, len(r.People)), right: make([]int, len(r.People)), wrong: make([]int, len(r.People)),
		first: make([]int, len(r.Episodes)), falseAlarms: map[int][]alert{},
	}
	byPerson := map[int][]int{}
	for i := range r.Episodes {
		o.first[i] = -1
		byPerson[r.Episodes[i].Person] = append(byPerson[r.Episodes[i].Person], i)
	}
	for _, a := range alerts {
		o.alerts[a.Person]++
		right := false
		for _, i := range byPerson[a.Person] {
			if !hits(&r.Episodes[i], &a) {
				continue
			}
			right = true
			if o.first[i] < 0 || a.From < o.first[i] {
				o.first[i] = a.From
			}
		}
		if right {
			o.right[a.Person]++
			continue
		}
		o.wrong[a.Person]++
		o.falseAlarms[a.Person] = append(o.falseAlarms[a.Person], a)
	}
	return o
}

// judgeAll judges a rule on every run.
func judgeAll(runs []*run, rule string, hits func(*episode, *alert) bool) []*outcome {
	out := make([]*outcome, len(runs))
	for i, r := range runs {
		out[i] = judge(r, r.Alerts[rule], hits)
	}
	return out
}

// each returns a part for every person of every run.
func each(outcomes []*outcome, of func(o *outcome, person int) part) []part {
	var parts []part
	for _, o := range outcomes {
		for i := range o.run.People {
			parts = append(parts, of(o, i))
		}
	}
	return parts
}

// precision is the share of alerts that are true.
func precision(outcomes []*outcome) estimate {
	return ratio(each(outcomes, func(o *outcome, i int) part { return part{float64(o.right[i]), float64(o.alerts[i])} }))
}

// falseAlarms are per 1,000 honest person-weeks.
func falseAlarms(outcomes []*outcome) estimate {
	return ratio(falseParts(outcomes, func(*person) bool { return true }))
}

// falseParts counts false alarms and honest weeks of some people.
func falseParts(outcomes []*outcome, among func(*person) bool) []part {
	return each(outcomes, func(o *outcome, i int) part {
		p := &o.run.People[i]
		if !among(p) {
			return part{}
		}
		return part{1000 * float64(o.wrong[i]), float64(p.Honest)}
	})
}

// recall is the share of some episodes that are hit.
func recall(outcomes []*outcome, among func(*episode) bool) estimate {
	var parts []part
	for _, o := range outcomes {
		mine := make([]part, len(o.run.People))
		for i := range o.run.Episodes {
			e := &o.run.Episodes[i]
			if !among(e) {
				continue
			}
			mine[e.Person].den++
			if o.first[i] >= 0 {
				mine[e.Person].num++
			}
		}
		parts = append(parts, mine...)
	}
	return ratio(parts)
}

// delays are how many weeks it took to hit some episodes, ascending, and what share
// of what they wasted was gone by then.
func delays(outcomes []*outcome, among func(*episode) bool) (weeks, gone []float64) {
	for _, o := range outcomes {
		for i := range o.run.Episodes {
			e := &o.run.Episodes[i]
			if !among(e) || o.first[i] < 0 {
				continue
			}
			weeks = append(weeks, float64(o.first[i]-e.From))
			gone = append(gone, e.wastedUntil(o.first[i])/math.Max(1, e.waste()))
		}
	}
	slices.Sort(weeks)
	slices.Sort(gone)
	return weeks, gone
}

// naive at an intensity of at least, and among the tactics that a mechanism sees.
func naive(least float64, seen bool) func(*episode) bool {
	return func(e *episode) bool {
		return !e.Adaptive && e.Intensity >= least && (!seen || visible(e.Tactic) || visible(e.Second))
	}
}

func adaptive(e *episode) bool { return e.Adaptive }

// families are the signals that a tactic should raise; what has none cannot be
// asked about by itself.
var families = map[string]string{
	"context_bloat": "S1", "duplicates": "S2", "vague_prompts": "S3", "round_the_clock": "S5", "timer": "S5",
	"top_up": "S8", "end_surge": "S9", "cheap_loop": "S11", "cache_busting": "S12",
}

// visible reports whether a mechanism is meant for a tactic.
func visible(tactic string) bool { return families[tactic] != "" }

package evaluate

import (
	"cmp"
	"slices"
)

// ranking is what a rule says of every week that counts: the weeks in which people
// worked, in order of person and week. The higher, the more suspicious.
type ranking []float32

// precisionRecall is the average precision of a rule over the weeks of all runs,
// which is the area under its curve of precision by recall: the mean, over the weeks
// that were gamed, of the precision among all weeks that rank at least as high. Weeks
// of the same rank are taken at once, so that their order does not matter. Nothing
// known of the rule comes to the share of weeks that were gamed.
func precisionRecall(runs []*run, rule string) estimate {
	var weeks []rankedWeek
	cluster := int32(0)
	for _, r := range runs {
		ranks := r.Ranks[rule]
		for i, w := range r.Judged {
			if i == 0 || r.Judged[i-1].Person != w.Person {
				cluster++
			}
			week := rankedWeek{cluster: cluster - 1, gamed: w.Gamed}
			if ranks != nil {
				week.rank = ranks[i]
			}
			weeks = append(weeks, week)
		}
	}
	slices.SortFunc(weeks, func(a, b rankedWeek) int {
		return cmp.Or(cmp.Compare(b.rank, a.rank), cmp.Compare(a.cluster, b.cluster))
	})
	return resampled(int(cluster), func(times []float64) float64 { return averagePrecision(weeks, times) })
}

// rankedWeek is one week of the cluster of one person.
type rankedWeek struct {
	rank    float32
	cluster int32
	gamed   bool
}

// averagePrecision of weeks in descending order of rank, each cluster as often as
// times says; NaN if nobody gamed.
func averagePrecision(weeks []rankedWeek, times []float64) float64 {
	var seen, found, area float64
	for from := 0; from < len(weeks); {
		to, hit := from, 0.0
		for ; to < len(weeks) && weeks[to].rank == weeks[from].rank; to++ {
			n := times[weeks[to].cluster]
			seen += n
			if weeks[to].gamed {
				hit += n
			}
		}
		found += hit
		if hit > 0 {
			area += float64(hit * found / seen)
		}
		from = to
	}
	return area / found
}

// judgedWeek is a week in which a person worked, and whether tokens were wasted in
// it.
type judgedWeek struct {
	Person, Week int32
	Gamed        bool
}

// rank notes what a rule says of the weeks that count.
func (r *run) rank(rule string, of func(person, week int) float64) {
	ranks := make(ranking, len(r.Judged))
	for i, w := range r.Judged {
		ranks[i] = float32(of(int(w.Person), int(w.Week)))
	}
	if r.Ranks == nil {
		r.Ranks = map[string]ranking{}
	}
	r.Ranks[rule] = ranks
}

// gamed is the share of weeks in which tokens were wasted.
func gamed(runs []*run) float64 {
	var all, some int
	for _, r := range runs {
		all += len(r.Judged)
		for _, w := range r.Judged {
			if w.Gamed {
				some++
			}
		}
	}
	return float64(some) / float64(all)
}

package evaluate

import (
	"math"
	"slices"
)

// scoreRow compares the scores of teams in one window with the truth.
type scoreRow struct {
	Window           string
	N                int
	Covered          estimate
	Error, Tau, Bias float64
	// Same is the share of pairs of teams that cannot be told apart.
	Same estimate
}

// scoresOf compares final scores of whole weeks with the truth, both relative to
// the teams that were scored in the same window: 100 is their mean.
func scoresOf(runs []*run) []scoreRow {
	var windows []string
	for _, r := range runs {
		for i := range r.Scores {
			if w := r.Scores[i].Window; !slices.Contains(windows, w) {
				windows = append(windows, w)
			}
		}
	}
	slices.Sort(windows)
	var rows []scoreRow
	for _, window := range windows {
		row := scoreRow{Window: window}
		var parts, same []part
		var square, bias float64
		var taus []float64
		for _, r := range runs {
			var in, pairs part
			for week := range r.Weeks + 4 {
				scores := r.scoresAt(window, week)
				for _, s := range scores {
					in.den++
					if s.Lo <= s.True && s.True <= s.Hi {
						in.num++
					}
					square += (s.Score - s.True) * (s.Score - s.True)
					bias += s.Score - s.True
					pairs.num += float64(s.Peers - s.Told)
					pairs.den += float64(s.Peers)
				}
				if t := tau(scores); !math.IsNaN(t) {
					taus = append(taus, t)
				}
			}
			parts, same = append(parts, in), append(same, pairs)
		}
		row.Covered, row.Same = ratio(parts), ratio(same)
		n := row.Covered.Den
		row.N, row.Error, row.Bias, row.Tau = int(n), math.Sqrt(square/n), bias/n, median(taus)
		rows = append(rows, row)
	}
	return rows
}

// scoresAt are the last scores of the teams in the window that ends with a week, the
// truth made relative to their mean.
func (r *run) scoresAt(window string, week int) []efficiency {
	var scores []efficiency
	for _, s := range r.Scores {
		if s.Window != window || s.Week != week {
			continue
		}
		if i := slices.IndexFunc(scores, func(x efficiency) bool { return x.Team == s.Team }); i >= 0 {
			scores[i] = s
			continue
		}
		scores = append(scores, s)
	}
	var sum float64
	for i := range scores {
		sum += scores[i].True
	}
	for i := range scores {
		scores[i].True *= 100 * float64(len(scores)) / sum
	}
	return scores
}

// tau is Kendall's rank correlation of scores with the truth; NaN of fewer than
// two.
func tau(scores []efficiency) float64 {
	var agree, pairs float64
	for i := range scores {
		for j := range i {
			d := (scores[i].Score - scores[j].Score) * (scores[i].True - scores[j].True)
			pairs++
			switch {
			case d > 0:
				agree++
			case d < 0:
				agree--
			}
		}
	}
	if pairs == 0 {
		return math.NaN()
	}
	return agree / pairs
}

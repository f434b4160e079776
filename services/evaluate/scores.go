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
}

// scoresOf compares final scores of whole weeks. Truth and score are both relative:
// the truth to people of average luck at the same spend, the score to the peers of
// its model, so that both are centred on their mean by seed and window.
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
		var parts []part
		var square, bias float64
		var taus []float64
		for _, r := range runs {
			var in part
			weeks := map[int][]efficiency{}
			for _, s := range r.Scores {
				if s.Window != window {
					continue
				}
				row.N++
				in.den++
				if s.Lo <= s.True && s.True <= s.Hi {
					in.num++
				}
				square += (s.Score - s.True) * (s.Score - s.True)
				bias += s.Score - s.True
				weeks[s.Week] = append(weeks[s.Week], s)
			}
			parts = append(parts, in)
			for week := range r.Weeks + 4 {
				if t := tau(weeks[week]); !math.IsNaN(t) {
					taus = append(taus, t)
				}
			}
		}
		row.Covered = ratio(parts)
		row.Error, row.Bias, row.Tau = math.Sqrt(square/float64(row.N)), bias/float64(row.N), median(taus)
		rows = append(rows, row)
	}
	return rows
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

package evaluate

import (
	"math"
	"slices"
)

// scoreRow compares the scores of teams in one window with the truth.
type scoreRow struct {
	Window string
	N      int
	// Peers compares with what a score estimates; Persons with people who each spend
	// what this one did, which is something else.
	Peers, Persons accuracy
	// Same is the share of pairs of teams that cannot be told apart.
	Same estimate
}

// accuracy is how far scores are from a truth, in points.
type accuracy struct {
	Covered          estimate
	Error, Bias, Tau float64
}

// scoresOf compares final scores of whole weeks with the truth.
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
		row := scoreRow{
			Window:  window,
			Peers:   accuracyOf(runs, window, func(s *efficiency) float64 { return s.True }),
			Persons: accuracyOf(runs, window, func(s *efficiency) float64 { return s.TrueOfPersons }),
		}
		row.N = int(row.Peers.Covered.Den)
		var same []part
		for _, r := range runs {
			var pairs part
			for week := range r.Weeks + 1 {
				for _, s := range r.scoresAt(window, week) {
					pairs.num += float64(s.Peers - s.Told)
					pairs.den += float64(s.Peers)
				}
			}
			same = append(same, pairs)
		}
		row.Same = ratio(same)
		rows = append(rows, row)
	}
	return rows
}

// accuracyOf compares the scores of a window with a truth.
func accuracyOf(runs []*run, window string, truth func(*efficiency) float64) accuracy {
	var a accuracy
	var parts []part
	var square, bias float64
	var taus []float64
	for _, r := range runs {
		var in part
		for week := range r.Weeks + 1 {
			scores := r.scoresAt(window, week)
			for i := range scores {
				s := &scores[i]
				s.True = truth(s)
				in.den++
				if s.Lo <= s.True && s.True <= s.Hi {
					in.num++
				}
				square += (s.Score - s.True) * (s.Score - s.True)
				bias += s.Score - s.True
			}
			if t := tau(scores); !math.IsNaN(t) {
				taus = append(taus, t)
			}
		}
		parts = append(parts, in)
	}
	a.Covered = ratio(parts)
	n := a.Covered.Den
	a.Error, a.Bias, a.Tau = math.Sqrt(square/n), bias/n, median(taus)
	return a
}

// scoresAt are the last scores of the teams in the window that ends before a week.
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

package kpi

import (
	"math"
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/policy"
)

func shiftCheck() Check {
	return Check{
		Name: "shift", Title: "Undeclared shift",
		Question: "Did the distribution of usage change at a time when no target was announced?",
		MinimumN: shiftWeeks + 1, Formula: "shift/1", assess: shift,
	}
}

// CUSUM accumulates upward deviations of standard scores: S = max(0, S + z - K),
// z winsorised at ±4. With K 0.5 and H 6 it raises a false alarm about every
// 2,600 normal observations and finds a shift of 1 after about 12.
type CUSUM struct {
	K, H float64
	S    float64
}

// NewCUSUM returns one with the defaults.
func NewCUSUM() CUSUM { return CUSUM{K: 0.5, H: 6} }

// winsor bounds a standard score: heavy tails would raise two to three times as
// many false alarms.
const winsor = 4

// Add counts an observation and reports whether S exceeds H. It does not start
// anew by itself.
func (c *CUSUM) Add(z float64) bool {
	c.S = max(0, c.S+min(max(z, -winsor), winsor)-c.K)
	return c.S > c.H
}

// EDetector is the Shiryaev-Roberts e-detector for a share in [0, 1]: as long as
// the share has a mean of at most Mean given its past, it takes A observations or
// more on average until it raises a false alarm, whatever their distribution.
type EDetector struct {
	// Mean is between 0 and 1; Bet between 0 and 1/Mean: the larger, the sooner it
	// finds a large shift and the later a small one.
	Mean, Bet float64
	// A is the run length without a shift.
	A float64
	// M is the evidence.
	M float64
}

// Add counts a share and reports whether the evidence has reached A.
func (d *EDetector) Add(share float64) bool {
	const enough = 1e15 // and no overflow
	d.M = min(enough, (d.M+1)*(1+float64(d.Bet*(share-d.Mean))))
	return d.M >= d.A
}

const (
	// shiftWeeks is how many weeks say what is usual.
	shiftWeeks = 8
	// minShiftTail is how many units must make a figure: a quantile that a few decide
	// moves with each of them.
	minShiftTail = 20
	// Least deviations between weeks that are believed: of logarithms, of shares.
	floorNats, floorShare = 0.25, 0.05
	// detectorRun is the run length of the e-detector, weeks.
	detectorRun = 1000
)

// shift runs a CUSUM in both directions on the quantiles and the concentration of
// usage, and an e-detector on the share of units just above the threshold. The
// announcement begins a new history, for what it changes is the other checks'
// business. The value is the greatest S; an alarm names the series as its reason.
func shift(s *sample) Finding {
	from := 0
	if s.Week >= s.Target.Announced {
		from = max(0, s.Target.Announced)
	}
	n := s.Week + 1 - from
	if n <= shiftWeeks {
		return unknown(n, ReasonHistory)
	}
	users := len(s.holdings(s.Week))
	if why := s.enough(users); why != "" && why != ReasonClusters {
		return unknown(n, why)
	}
	f := Finding{Known: true, N: n}
	for _, series := range s.series(from) {
		if float64(series.tail*float64(users)) < minShiftTail {
			continue
		}
		for _, sign := range [2]float64{1, -1} {
			c := NewCUSUM()
			alarm := false
			for w := shiftWeeks; w < len(series.values); w++ {
				alarm = c.Add(sign * standardScore(series.values[:w], series.values[w], series.floor))
			}
			f.Value = max(f.Value, c.S)
			if alarm && !f.Alarm {
				f.Alarm, f.Reason = true, series.name
			}
		}
	}
	near := s.near(from)
	if len(near) == 0 {
		return f
	}
	mean, _ := meanVariance(near[:shiftWeeks])
	d := EDetector{Mean: min(max(1.5*mean, 0.02), 0.5), A: detectorRun}
	d.Bet = 0.5 / d.Mean
	alarm := false
	for _, share := range near[shiftWeeks:] {
		alarm = d.Add(share)
	}
	if alarm && !f.Alarm {
		f.Alarm, f.Reason = true, "just above the threshold"
	}
	return f
}

// series is a figure of every week to the card's, and the floor of its deviation.
type series struct {
	name  string
	floor float64
	// tail is the share of units that the figure is made by.
	tail   float64
	values []float64
}

// series returns the figures of usage per week from one to the card's.
func (s *sample) series(from int) []series {
	all := []series{
		{name: "median", floor: floorNats, tail: 0.5},
		{name: "ninth decile", floor: floorNats, tail: 0.1},
		{name: "99th percentile", floor: floorNats, tail: 0.01},
		{name: "gini", floor: floorShare, tail: 1},
		{name: "top hundredth", floor: floorShare, tail: 0.01},
	}
	once := make([]float64, s.clusters)
	for g := range once {
		once[g] = 1
	}
	for w := from; w <= s.Week; w++ {
		h := s.holdings(w)
		if len(h) == 0 {
			for k := range all { // as if nothing had changed
				if n := len(all[k].values); n > 0 {
					all[k].values = append(all[k].values, all[k].values[n-1])
				} else {
					all[k].values = append(all[k].values, 0)
				}
			}
			continue
		}
		at := func(q float64) float64 {
			return math.Log(h[min(len(h)-1, int(float64(q*float64(len(h)))))].tokens)
		}
		for k, v := range [...]float64{at(.5), at(.9), at(.99), gini(h, once), topShare(h, .01)} {
			all[k].values = append(all[k].values, v)
		}
	}
	return all
}

// near returns the share of units in the tenth above the threshold per week, of a
// target per week on what a person uses.
func (s *sample) near(from int) []float64 {
	if s.Target.Metric == policy.WeeklyUse || s.Target.Threshold <= 0 || s.Target.Period != policy.Week {
		return nil
	}
	var all []float64
	for w := from; w <= s.Week; w++ {
		var n, in float64
		for _, u := range s.units {
			used, ok := s.used(u, days{7 * w, 7*w + 7})
			if !ok || used <= 0 {
				continue
			}
			n++
			if t := float64(s.Target.Threshold); float64(used) >= t && float64(used) < 1.1*t {
				in++
			}
		}
		all = append(all, in/max(1, n))
	}
	return all
}

// standardScore returns that of a value among earlier ones, by their median. The
// deviation is the greater of the robust and the plain one: of few weeks the
// robust one is too small as often as not.
func standardScore(earlier []float64, value, floor float64) float64 {
	_, variance := meanVariance(earlier)
	sorted := slices.Clone(earlier)
	slices.Sort(sorted)
	mid := median(sorted)
	for i := range sorted {
		sorted[i] = math.Abs(sorted[i] - mid)
	}
	slices.Sort(sorted)
	return (value - mid) / max(floor, 1.4826*median(sorted), math.Sqrt(variance))
}

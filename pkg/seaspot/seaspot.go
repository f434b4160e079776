// Package seaspot finds what is new in a rate: it subtracts the daily pattern of a
// series, fits a generalised Pareto distribution to the largest residuals, and
// scores each value by how far out in that tail it lies, so that scores of
// different series mean the same. A novelty gate lets only the greatest score of
// the last hundred through: what goes on is said once.
//
// It is meant for the rates of tenants, teams and tools by the quarter of an hour,
// not for people, whose days differ too much. On recorded series it does as well
// as the published detectors of its kind when settings are chosen on other series
// than they are judged on; it is no proof of absence.
//
// Pure, deterministic, for one goroutine. A Detector is plain values, about 17 KiB,
// which can be saved field by field.
package seaspot

import (
	"math"
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/window"
)

// Width of a bucket of the day, ms.
const Width = 15 * window.Minute

const (
	// buckets of a day.
	buckets = 96
	// follow is how much of a residual the pattern takes over.
	follow = 0.05
	// ringSize is how many residuals the tail is fitted to: six weeks of them.
	ringSize = 4000
	// refit is after how many rows it is fitted again; warmUp how many it needs.
	refit  = 25
	warmUp = 100
	// tail is the share of residuals above the threshold of the fit.
	tail = 0.01
	// gate is how many scores a new one must exceed.
	gate = 100
)

// Detector is the state of one series. The zero value has seen nothing.
type Detector struct {
	// Level of each bucket of the day, and which are known.
	Level [buckets]float64
	Known [buckets]bool
	// Residuals are the last ones; Next is where the next one goes when all of
	// them are there.
	Residuals []float32
	Next      int
	// Rows that were added.
	Rows int64
	// Threshold, Shape and Scale of the fitted tail.
	Threshold, Shape, Scale float64
	// Scores are the last ones before the gate, oldest first.
	Scores []float32
}

// Score is what is said of a value.
type Score struct {
	// Usual is the level at this time of day before the value; it is unknown on
	// the first day.
	Usual float64
	Known bool
	// Score is -log10 of the probability of so large a residual, 0 if it is in no
	// tail, not new, or if too little has been seen.
	Score float64
	// N is how many residuals the tail rests on.
	N int64
}

// Add scores the value of the bucket that starts at start, ms since the epoch,
// and learns it. Buckets without activity are added as 0, or the pattern would be
// that of the busy ones.
func (d *Detector) Add(start int64, value float64) Score {
	k := (start - window.Floor(start, window.Day)) / Width
	if !d.Known[k] {
		d.Level[k], d.Known[k] = value, true
		return Score{}
	}
	s := Score{Usual: d.Level[k], Known: true, N: int64(len(d.Residuals))}
	residual := math.Abs(value - d.Level[k])
	d.Level[k] += float64(follow * (value - d.Level[k]))
	raw := d.score(residual)
	if raw > d.greatest() {
		s.Score = raw
	}
	d.remember(residual, raw)
	return s
}

// score is -log10 of the tail probability of a residual.
func (d *Detector) score(residual float64) float64 {
	if len(d.Residuals) < warmUp || residual <= d.Threshold || d.Scale <= 0 {
		return 0
	}
	excess := (residual - d.Threshold) / d.Scale
	if d.Shape < 1e-9 {
		return -math.Log10(tail) + float64(excess*math.Log10E)
	}
	return -math.Log10(tail) + math.Log10(1+float64(d.Shape*excess))/d.Shape
}

// greatest of the scores that the gate looks back on.
func (d *Detector) greatest() float64 {
	var top float32
	for _, s := range d.Scores {
		top = max(top, s)
	}
	return float64(top)
}

// remember takes a residual into the tail and its score into the gate.
func (d *Detector) remember(residual, score float64) {
	if len(d.Residuals) < ringSize {
		d.Residuals = append(d.Residuals, float32(residual))
	} else {
		d.Residuals[d.Next] = float32(residual)
		d.Next = (d.Next + 1) % ringSize
	}
	if len(d.Scores) == gate {
		copy(d.Scores, d.Scores[1:])
		d.Scores = d.Scores[:gate-1]
	}
	d.Scores = append(d.Scores, float32(score))
	if d.Rows++; d.Rows%refit == 0 && len(d.Residuals) >= warmUp {
		d.fit()
	}
}

// fit estimates the tail above the 99th percentile of the residuals, by moments.
func (d *Detector) fit() {
	top := largest(d.Residuals, len(d.Residuals)/100+1)
	d.Threshold = float64(top[0])
	var sum, square, n float64
	for _, r := range top[1:] {
		excess := float64(r) - d.Threshold
		sum += excess
		square += float64(excess * excess)
		n++
	}
	if n == 0 || sum == 0 {
		// The residuals above it are all the same: take their size for the scale.
		d.Shape, d.Scale = 0, d.Threshold
		return
	}
	mean := sum / n
	variance := square/n - float64(mean*mean)
	d.Shape = 0
	if variance > 0 {
		d.Shape = min(max(0.5*(1-float64(mean*mean)/variance), 0), 0.5)
	}
	d.Scale = mean * (1 - d.Shape)
}

// largest returns the n largest values, ascending: few of many, so that sorting
// all of them would cost the most of a fit.
func largest(values []float32, n int) []float32 {
	top := make([]float32, 0, n+1)
	for _, v := range values {
		if len(top) == n && v <= top[0] {
			continue
		}
		at, _ := slices.BinarySearch(top, v)
		top = slices.Insert(top, at, v)
		if len(top) > n {
			top = slices.Delete(top, 0, 1)
		}
	}
	return top
}

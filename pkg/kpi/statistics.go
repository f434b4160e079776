package kpi

import (
	"math"
	"math/rand/v2"
	"slices"
)

const (
	// alarmZ is the distance in standard errors that raises an alarm: 1 % one-sided.
	alarmZ = 2.33
	// intervalZ bounds intervals: 5 to 95 %.
	intervalZ = 1.645
	// draws of a bootstrap.
	draws = 200
)

// median of sorted values, 0 of none.
func median(sorted []float64) float64 {
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// quantile of sorted values, at least one.
func quantile(sorted []float64, q float64) float64 {
	return sorted[min(len(sorted)-1, int(float64(q*float64(len(sorted)))))]
}

func meanVariance(values []float64) (mean, variance float64) {
	n := float64(len(values))
	for _, v := range values {
		mean += v
	}
	mean /= n
	for _, v := range values {
		variance += float64((v - mean) * (v - mean))
	}
	return mean, variance / (n - 1)
}

// line is a weighted least squares line.
type line struct {
	slope, intercept float64
	// residuals is the weighted sum of squares about it, weights the sum of weights.
	residuals, weights float64
}

// fit returns the line through n points. The slope is NaN if all x are equal.
func fit(n int, at func(i int) (x, y, weight float64)) line {
	var l line
	var mx, my float64
	for i := range n {
		x, y, w := at(i)
		l.weights += w
		mx += float64(w * x)
		my += float64(w * y)
	}
	mx, my = mx/l.weights, my/l.weights
	var sxx, sxy, syy float64
	for i := range n {
		x, y, w := at(i)
		sxx += float64(w * (x - mx) * (x - mx))
		sxy += float64(w * (x - mx) * (y - my))
		syy += float64(w * (y - my) * (y - my))
	}
	if sxx <= 0 {
		l.slope = math.NaN()
		return l
	}
	l.slope = sxy / sxx
	l.intercept = my - float64(l.slope*mx)
	l.residuals = max(0, syy-float64(l.slope*sxy))
	return l
}

// bootstrap calls estimate with draws of the clusters with replacement: how
// often each was drawn. It returns the values that are finite, sorted.
func bootstrap(rng *rand.Rand, clusters int, estimate func(times []float64) float64) []float64 {
	values := make([]float64, 0, draws)
	times := make([]float64, clusters)
	for range draws {
		clear(times)
		for range clusters {
			times[rng.IntN(clusters)]++
		}
		if v := estimate(times); !math.IsNaN(v) && !math.IsInf(v, 0) {
			values = append(values, v)
		}
	}
	slices.Sort(values)
	return values
}

package score

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// ExpectedNeeded is how many outcomes must be expected before a shortfall by the
// factor ratio > 1 is seen with the given power, while it is claimed wrongly with
// the probability size, each between 0 and 1: one-sided, on the square roots of
// Poisson counts.
func ExpectedNeeded(ratio, size, power float64) float64 {
	z := distuv.UnitNormal.Quantile(1-size) + distuv.UnitNormal.Quantile(power)
	root := z / (2 * (1 - 1/math.Sqrt(ratio)))
	return root * root
}

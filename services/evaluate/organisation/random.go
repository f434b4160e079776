package organisation

import (
	"math"
	"math/rand/v2"
)

// purpose keeps streams of random numbers apart, so that what is drawn for one
// reason shifts nothing that is drawn for another: the honest part of an
// organisation is the same whoever games.
type purpose uint64

const (
	forTeams purpose = iota + 1
	forPeople
	forLooks
	forGamers
	forPlan
	forWaste
	forRequests
	forGaming
	forOutcomes
	forDeliveries
	forServices
	forRunaways
)

// stream returns the random numbers of a purpose and up to two indices.
func (o *Organisation) stream(p purpose, a, b int) *rand.Rand {
	return rand.New(rand.NewPCG(mix(o.Seed, uint64(p)), mix(uint64(a)+1, uint64(b)+1)))
}

// mix scatters two words over one (the finaliser of SplitMix64).
func mix(a, b uint64) uint64 {
	z := a*0x9e3779b97f4a7c15 + b
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// normal draws from the standard normal distribution, cut at ±limit.
func normal(rng *rand.Rand, limit float64) float64 {
	return max(-limit, min(limit, rng.NormFloat64()))
}

func uniform(rng *rand.Rand, low, high float64) float64 { return low + (high-low)*rng.Float64() }

// between draws an integer from low to high, both included.
func between(rng *rand.Rand, low, high int) int {
	if high <= low {
		return low
	}
	return low + rng.IntN(high-low+1)
}

// choose draws an index with the given weights.
func choose(rng *rand.Rand, weights ...float64) int {
	var sum float64
	for _, w := range weights {
		sum += w
	}
	r := rng.Float64() * sum
	for i, w := range weights {
		if r < w {
			return i
		}
		r -= w
	}
	return len(weights) - 1
}

// gamma draws from the Gamma distribution of a whole shape and the given mean:
// a sum of exponentials.
func gamma(rng *rand.Rand, shape int, mean float64) float64 {
	var sum float64
	for range shape {
		sum += rng.ExpFloat64()
	}
	return sum * mean / float64(shape)
}

// poisson draws by inversion below 30, by a rounded normal above.
func poisson(rng *rand.Rand, mean float64) int {
	switch {
	case mean <= 0:
		return 0
	case mean > 30:
		return max(0, int(math.Round(mean+math.Sqrt(mean)*rng.NormFloat64())))
	}
	p := math.Exp(-mean)
	r := rng.Float64()
	n := 0
	for sum := p; r > sum && n < 200; sum += p {
		n++
		p *= mean / float64(n)
	}
	return n
}

package score

// Lag is how many days after it was spent a cost still counts towards outcomes.
const Lag = 14

// kernel is K(d) = exp(−d/5) ÷ Σ exp(−d'/5), d' = 0..Lag, in millionths that add
// up to one million: the share of a day's cost that counts towards outcomes d
// days later. The mean lag is 3.7 days.
var kernel = [Lag + 1]int64{
	190767, 156187, 127875, 104695, 85717, 70179, 57458, 47043, 38515, 31534, 25817, 21138, 17306, 14169, 11600,
}

// Kernel returns the share of a day's cost, in millionths, that counts towards
// outcomes d days later; 0 outside 0..Lag.
func Kernel(d int) int64 {
	if d < 0 || d > Lag {
		return 0
	}
	return kernel[d]
}

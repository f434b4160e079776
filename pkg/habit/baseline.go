package habit

import (
	"math"
	"slices"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// statistics is how many there are, the unspecified one among them.
const statistics = int(goodhartv1.Statistic_STATISTIC_REQUESTS) + 1

// baselineWeeks is how many active weeks a baseline rests on at most.
const baselineWeeks = 10

// rings are those of all statistics.
type rings [statistics]ring

// ring holds the values of a statistic in the last active weeks, in millionths,
// oldest first.
type ring struct {
	values [baselineWeeks]int32
	n      uint8
}

func (r *ring) add(v int64) {
	if r.n == baselineWeeks {
		copy(r.values[:], r.values[1:])
		r.n--
	}
	r.values[r.n] = int32(max(math.MinInt32, min(math.MaxInt32, v)))
	r.n++
}

// baseline is the median and the median absolute deviation.
func (r *ring) baseline(s int) *goodhartv1.Baseline {
	var scratch [baselineWeeks]int64
	values := scratch[:r.n]
	for i, v := range r.values[:r.n] {
		values[i] = int64(v)
	}
	median := middle(values)
	for i, v := range r.values[:r.n] {
		values[i] = max(int64(v)-median, median-int64(v))
	}
	return &goodhartv1.Baseline{
		Statistic: goodhartv1.Statistic(s), Median: median, Mad: middle(values), Weeks: int32(r.n),
	}
}

// middle is the median of values, which it sorts; of two the mean, rounded down.
func middle(values []int64) int64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) >> 1
}

// statistic is the value of a statistic in a week, in millionths, and whether the
// week has one.
func statistic(s goodhartv1.Statistic, k *goodhartv1.Week) (int64, bool) {
	tokens := k.InputUncachedTokens + k.CacheReadTokens + k.CacheWriteTokens + k.OutputTokens
	switch s {
	case goodhartv1.Statistic_STATISTIC_TOKENS:
		return ln(tokens), tokens > 0
	case goodhartv1.Statistic_STATISTIC_COST:
		return ln(k.CostNanos), k.CostNanos > 0
	case goodhartv1.Statistic_STATISTIC_CONTEXT:
		return mean(k.ContextLnSum, k.ContextRequests)
	case goodhartv1.Statistic_STATISTIC_PROMPT:
		return mean(k.PromptLnSum, k.PromptRequests)
	case goodhartv1.Statistic_STATISTIC_REPEATED:
		return ratio(k.RepeatedTokens, k.PairTokens)
	case goodhartv1.Statistic_STATISTIC_HOURS:
		return hoursUsed(k.Hours) * 1e6, k.Requests > 0
	case goodhartv1.Statistic_STATISTIC_CONCURRENCY:
		return ratio(k.BusyMs, k.UnionMs)
	case goodhartv1.Statistic_STATISTIC_CACHE:
		return ratio(k.CacheTurnReadTokens, k.CacheTurnInputTokens)
	case goodhartv1.Statistic_STATISTIC_PRICE:
		// ln of nano-USD per million tokens.
		return ln(k.CostNanos) - ln(tokens) + lnMillion, k.CostNanos > 0 && tokens > 0 && k.UnpricedRequests == 0
	case goodhartv1.Statistic_STATISTIC_SINKLESS:
		return ratio(k.SinklessCostNanos, k.SessionCostNanos)
	case goodhartv1.Statistic_STATISTIC_REQUESTS:
		return ln(k.Requests), k.Requests > 0
	default:
		return 0, false
	}
}

// lnMillion is ln(1e6) in millionths.
const lnMillion = 13_815_511

func mean(sum, n int64) (int64, bool) {
	if n <= 0 {
		return 0, false
	}
	return int64(math.Round(float64(sum) / float64(n))), true
}

// ratio is a/b in millionths.
func ratio(a, b int64) (int64, bool) {
	if b <= 0 {
		return 0, false
	}
	return int64(math.Round(float64(a) / float64(b) * 1e6)), true
}

// learn takes a stated week into what is usual.
func (h *Habit) learn(k *goodhartv1.Week) {
	if k.Requests == 0 {
		return // not an active week
	}
	if h.rings == nil {
		h.rings = new(rings)
	}
	for s := 1; s < statistics; s++ {
		if v, ok := statistic(goodhartv1.Statistic(s), k); ok {
			h.rings[s].add(v)
		}
	}
	h.before = favourites{k.ToolVersion, k.Model, k.Repository}
}

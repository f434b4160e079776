package event

import (
	"math"
	"strconv"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

const (
	// MaxCount bounds token and other counts of one record.
	MaxCount = int64(1e10)
	// MaxNanos bounds the cost of one record: a hundred million US dollars.
	MaxNanos = int64(1e17)
	// MaxMillis bounds durations: 400 days.
	MaxMillis = int64(400 * 24 * 3600 * 1000)
	// maxTime bounds times that a source states ahead: the year 2106.
	maxTime = int64(1<<32) * 1000
	// MaxNumber bounds the numbers of an activity.
	MaxNumber = 1e15
)

// Problem says what is wrong with a number; empty: nothing.
type Problem string

// The problems of numbers.
const (
	NotFinite   Problem = "not a finite number"
	Negative    Problem = "negative"
	OutOfRange  Problem = "out of range"
	NotIntegral Problem = "not a whole number"
	NotNumber   Problem = "not a number"
)

// Count turns a float into a count of at most limit.
func Count(f float64, limit int64) (int64, Problem) {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return 0, NotFinite
	case f < 0:
		return 0, Negative
	case f > float64(limit):
		return 0, OutOfRange
	case f != math.Trunc(f):
		return 0, NotIntegral
	}
	return int64(f), ""
}

// Nanos turns US dollars into nano-USD, rounded half up.
func Nanos(usd float64) (int64, Problem) {
	switch {
	case math.IsNaN(usd) || math.IsInf(usd, 0):
		return 0, NotFinite
	case usd < 0:
		return 0, Negative
	case usd > float64(MaxNanos)/1e9:
		return 0, OutOfRange
	}
	return int64(math.Floor(usd*1e9 + 0.5)), ""
}

// Measure checks a number of an activity: finite, not negative, in range.
func Measure(f float64) Problem {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return NotFinite
	case f < 0:
		return Negative
	case f > MaxNumber:
		return OutOfRange
	}
	return ""
}

// inRange checks a count.
func inRange(n, limit int64) Problem {
	switch {
	case n < 0:
		return Negative
	case n > limit:
		return OutOfRange
	}
	return ""
}

// checkNumbers looks at every number of the payload and returns the first bad
// field, by its name in the protobuf message.
func checkNumbers(e *goodhartv1.Event) (string, Problem) {
	if u := e.Usage; u != nil {
		if field, p := checkUsage(u); p != "" {
			return field, p
		}
	}
	if a := e.Activity; a != nil {
		for _, n := range a.Numbers {
			if p := Measure(n.Value); p != "" {
				return n.Key, p
			}
		}
	}
	if o := e.Outcome; o != nil {
		for _, f := range [...]struct {
			name  string
			value *int64
			limit int64
		}{
			{"additions", o.Additions, MaxCount},
			{"deletions", o.Deletions, MaxCount},
			{"files", o.Files, MaxCount},
			{"commits", o.Commits, MaxCount},
			{"value_millipoints", o.ValueMillipoints, MaxCount},
			{"finalises_at_ms", o.FinalisesAtMs, maxTime},
		} {
			if f.value == nil {
				continue
			}
			if p := inRange(*f.value, f.limit); p != "" {
				return f.name, p
			}
		}
	}
	return "", ""
}

func checkUsage(u *goodhartv1.Usage) (string, Problem) {
	for _, f := range [...]struct {
		name  string
		value *int64
		limit int64
	}{
		{"input_uncached_tokens", u.InputUncachedTokens, MaxCount},
		{"cache_read_tokens", u.CacheReadTokens, MaxCount},
		{"cache_write_5m_tokens", u.CacheWrite_5MTokens, MaxCount},
		{"cache_write_1h_tokens", u.CacheWrite_1HTokens, MaxCount},
		{"cache_write_tokens", u.CacheWriteTokens, MaxCount},
		{"output_tokens", u.OutputTokens, MaxCount},
		{"reasoning_tokens", u.ReasoningTokens, MaxCount},
		{"new_turn_tokens", u.NewTurnTokens, MaxCount},
		{"cost_nanos", u.CostNanos, MaxNanos},
		{"reported_cost_nanos", u.ReportedCostNanos, MaxNanos},
		{"duration_ms", u.DurationMs, MaxMillis},
		{"ttft_ms", u.TtftMs, MaxMillis},
	} {
		if f.value == nil {
			continue
		}
		if p := inRange(*f.value, f.limit); p != "" {
			return f.name, p
		}
	}
	for _, f := range [...]struct {
		name  string
		value *int32
	}{{"kappa_ppm", u.KappaPpm}, {"side_effects", u.SideEffects}} {
		if f.value != nil && *f.value < 0 {
			return f.name, Negative
		}
	}
	return "", ""
}

// ParseHash reads a 64-bit hash of 16 hex digits.
func ParseHash(s string) (uint64, bool) {
	if len(s) != 16 {
		return 0, false
	}
	h, err := strconv.ParseUint(s, 16, 64)
	return h, err == nil
}

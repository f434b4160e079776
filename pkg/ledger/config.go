package ledger

import (
	"errors"
	"fmt"
	"time"
)

// Config holds the settings of a ledger fold. They are part of the function
// that it computes: folds of one generation must agree on them.
type Config struct {
	// Partition is the partition of goodhart.events.v1 that is folded.
	Partition int32
	// Partitions is the partition count of goodhart.facts.v1.
	Partitions int32
	// OutOfOrderness is B: how far the watermark stays behind the newest event.
	OutOfOrderness time.Duration
	// Horizon is how long event ids, counted requests and conversations are
	// remembered, in record time: whole hours, 1 h to 168 h.
	Horizon time.Duration
	// IDsPerShard bounds the event ids and requests that a shard remembers; over
	// it the oldest hour is forgotten.
	IDsPerShard int
	// SpanHold and MetricHold are how long a conversation waits, in watermark
	// time, for a better class than spans and metrics.
	SpanHold   time.Duration
	MetricHold time.Duration
	// ObjectTTL is how long an outcome object is kept after it was last named,
	// in watermark time.
	ObjectTTL time.Duration
	// FinaliseAfter is when a credit becomes final, unless the source says when.
	FinaliseAfter time.Duration
	// LateAfter is how far behind the watermark an event becomes late.
	LateAfter time.Duration
}

// Default returns the settings of a production fold of one partition among
// many; the caller sets Partition and Partitions.
func Default() Config {
	return Config{
		Partitions:     1,
		OutOfOrderness: 30 * time.Second,
		Horizon:        72 * time.Hour,
		IDsPerShard:    1 << 16,
		SpanHold:       time.Minute,
		MetricHold:     10 * time.Minute,
		ObjectTTL:      90 * 24 * time.Hour,
		FinaliseAfter:  14 * 24 * time.Hour,
		LateAfter:      48 * time.Hour,
	}
}

// maxHorizon keeps the age of an id in one byte, see seenSet.
const maxHorizon = 168 * time.Hour

// Validate reports every setting that is out of range, joined.
func (c Config) Validate() error {
	var errs []error
	bad := func(wrong bool, key string, value any, want string) {
		if wrong {
			errs = append(errs, fmt.Errorf("%s: %v is not %s", key, value, want))
		}
	}
	bad(c.Partition < 0, "partition", c.Partition, "0 or more")
	bad(c.Partitions < 1, "partitions", c.Partitions, "1 or more")
	bad(c.OutOfOrderness < 0, "out_of_orderness", c.OutOfOrderness, "0 or more")
	bad(c.Horizon < time.Hour || c.Horizon > maxHorizon || c.Horizon%time.Hour != 0,
		"horizon", c.Horizon, "a whole number of hours from 1 h to 168 h")
	bad(c.IDsPerShard < 1, "ids_per_shard", c.IDsPerShard, "1 or more")
	for _, d := range []struct {
		key   string
		value time.Duration
	}{
		{"span_hold", c.SpanHold},
		{"metric_hold", c.MetricHold},
		{"object_ttl", c.ObjectTTL},
		{"finalise_after", c.FinaliseAfter},
		{"late_after", c.LateAfter},
	} {
		bad(d.value < time.Millisecond, d.key, d.value, "1 ms or more")
	}
	return errors.Join(errs...)
}

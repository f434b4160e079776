// Package fold runs deterministic machines (package machine) over Kafka, each
// input record with exactly one effect.
//
// A partition of the input topic is one machine, driven by one goroutine at a
// time. What a machine emits, the input offsets and a piece of its state are
// committed in one Kafka transaction, so that no crash can separate them. State
// lives in memory and in a compacted topic: a rolling snapshot writes a few
// shards per transaction, and a restart loads the newest snapshot of every
// shard and silently replays the input since the oldest of them.
//
// Delivery: exactly once from the input topic to the output topics, as seen by
// read_committed consumers. An aborted transaction is redone from the buffered
// outputs; state is never undone. Bad records are the machine's business (it
// emits dead letters); a record that Kafka refuses for good stops its partition
// and no other.
package fold

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/tracing"
)

// Stage says what a fold reads, writes and runs.
type Stage struct {
	// Name labels metrics and logs: ledger, subject, tenant.
	Name string
	// Input is the topic that is folded, State the compacted topic of its
	// snapshots with the same partition numbers, Group the consumer group.
	Input, State, Group string
	// Upstreams is how many upstream partitions are merged by stamp; 0 applies
	// records in the order of their offsets.
	Upstreams int32
	// Stamped is the output topic whose records carry a stamp and whose every
	// partition is told the watermark; empty if there is none.
	Stamped string
	// Dead is the topic for outputs that are too large.
	Dead string
	// New returns the machine of a partition, empty.
	New func(partition int32) machine.Machine
	// Observe is called with a machine at rest, for metrics: once it is restored,
	// then about once a second, at last with nil when the partition has gone. It
	// returns how many keys have state. May be nil.
	Observe func(partition int32, m machine.Machine) (keys int)
}

// Config is what Run needs. Zero durations and sizes take the defaults named.
type Config struct {
	Stage Stage
	// Client reaches the brokers.
	Client []kgo.Opt
	// Partitions returns the recorded partition count of a topic.
	Partitions func(topic string) int32
	// Instance names this process among its group, the same after a restart.
	Instance string
	// Interval is how long a transaction collects records (250 ms).
	Interval time.Duration
	// MaxRecords ends a transaction early (50,000 input records).
	MaxRecords int
	// SnapshotPeriod is the shortest time to write all shards once (60 s).
	SnapshotPeriod time.Duration
	// SnapshotRate is the most snapshot bytes per second and partition (5 MB).
	SnapshotRate int
	// MergeMemory is how many bytes of held records stay in memory per upstream
	// partition before they spill to a file (32 MiB).
	MergeMemory int
	// SpillDir is where they spill to; the system's temporary directory if empty.
	SpillDir string
	Log      *slog.Logger
	Metrics  prometheus.Registerer
	// Tracer makes a span per transaction; nil for none.
	Tracer *tracing.Tracer
	// Ready is told once all assigned partitions are restored; may be nil.
	Ready func()

	// patience is how long to wait for others; tests that must not wait set it, and
	// tests that must not be saved by it.
	patience patience
}

// patience with others.
type patience struct {
	// transaction is when the brokers give up a transaction (15 s): an open one keeps
	// every read_committed consumer waiting.
	transaction time.Duration
	// rebalance is how long the group waits for its members to join again (10 s): one
	// that has died keeps all others waiting, with their transactions open. It must
	// be shorter than transaction.
	rebalance time.Duration
	// ends is how often the ends of the input are asked for (5 s): no fetch tells
	// them while a partition is silent or stopped.
	ends time.Duration
}

func (c *Config) setDefaults() {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&c.Interval, 250*time.Millisecond)
	set(&c.SnapshotPeriod, time.Minute)
	set(&c.patience.transaction, 15*time.Second)
	set(&c.patience.rebalance, 10*time.Second)
	set(&c.patience.ends, 5*time.Second)
	if c.MaxRecords == 0 {
		c.MaxRecords = 50_000
	}
	if c.SnapshotRate == 0 {
		c.SnapshotRate = 5 << 20
	}
	if c.MergeMemory == 0 {
		c.MergeMemory = 32 << 20
	}
}

// fatalError is an error that a new session cannot mend.
type fatalError struct{ error }

func (e fatalError) Unwrap() error { return e.error }

// Run folds until ctx ends, then commits what it has, hands its state over in
// the state topic and returns nil. A broken session (a fenced transactional id,
// an unreachable broker) is closed, its state dropped and restored from Kafka;
// Run returns an error only when that cannot help: inconsistent state, wrong
// partition counts.
func Run(ctx context.Context, cfg Config) error {
	cfg.setDefaults()
	m := newMetrics(cfg.Metrics, cfg.Stage.Name)
	defer m.standings.keep(func(int32) bool { return false })
	retry := backoff.NewExponentialBackOff(backoff.WithMaxInterval(10*time.Second), backoff.WithMaxElapsedTime(0))
	for {
		began := time.Now()
		err := runSession(ctx, &cfg, m)
		if fatal := (fatalError{}); errors.As(err, &fatal) {
			return fmt.Errorf("%s fold: %w", cfg.Stage.Name, fatal.error)
		}
		if ctx.Err() != nil { // a stop in the middle of something is a stop
			return nil // what it interrupted is restored by the next start
		}
		if time.Since(began) > time.Minute {
			retry.Reset()
		}
		wait := retry.NextBackOff()
		m.sessions.Inc()
		cfg.Log.Error("fold session ended, reopening", "stage", cfg.Stage.Name, "error", err, "wait", wait)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

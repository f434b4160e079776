package processor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/ledger"
	"github.com/goodhartlabs/goodhart/pkg/tenant"
	"github.com/goodhartlabs/goodhart/services/config"
	"github.com/goodhartlabs/goodhart/services/kafka"
)

// The folds a processor can run.
const (
	Ledger  = "ledger"
	Subject = "subject"
	Tenant  = "tenant"
)

// Config of a processor.
type Config struct {
	// Instance names this process in its consumer groups; it must stay the same
	// over restarts and differ between processors.
	Instance string       `yaml:"instance"`
	Kafka    kafka.Config `yaml:"kafka"`
	// Folds are those to run here: ledger, subject, tenant; all by default.
	Folds []string `yaml:"folds"`
	// Interval is how long a transaction collects records, 10 ms to 10 s.
	Interval time.Duration `yaml:"interval"`
	// SnapshotPeriod is the shortest time to write a partition's state once.
	SnapshotPeriod time.Duration `yaml:"snapshot_period"`
	// MergeMemory is how many bytes wait in memory per upstream partition.
	MergeMemory int `yaml:"merge_memory"`
	// SpillDir takes what waits beyond that; empty for the temporary directory.
	SpillDir string `yaml:"spill_dir"`
	// Rules are part of what the folds compute: all processors of a generation
	// must agree on them, and a change takes a new generation.
	Rules Rules `yaml:"rules"`
	// Admin is the address of /metrics, /healthz, /readyz; empty for none.
	Admin string `yaml:"admin"`

	// dial lets tests cut a processor off from its brokers.
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Rules of the folds.
type Rules struct {
	// OutOfOrderness is how far the watermark stays behind the newest event.
	OutOfOrderness time.Duration `yaml:"out_of_orderness"`
	// Horizon is how long re-sends are recognised, whole hours.
	Horizon time.Duration `yaml:"horizon"`
	// IDsPerShard bounds the ids remembered per shard of a partition (256 shards).
	IDsPerShard int `yaml:"ids_per_shard"`
	// FinaliseAfter is when an outcome's credit becomes final.
	FinaliseAfter time.Duration `yaml:"finalise_after"`
	// MinimumGroup is k: fewer people in a team-week are not shown; 5 or more.
	MinimumGroup int `yaml:"minimum_group"`
	// PanelWeeks is for how many weeks the sums of each person's weeks are kept, and
	// the scores of teams, for the health cards of targets; 0 for none.
	PanelWeeks int `yaml:"panel_weeks"`
}

// Default runs every fold beside a broker on this machine.
func Default() Config {
	rules := ledger.Default()
	return Config{
		Instance:       "processor",
		Kafka:          kafka.Config{Brokers: []string{"127.0.0.1:9092"}},
		Folds:          []string{Ledger, Subject, Tenant},
		Interval:       250 * time.Millisecond,
		SnapshotPeriod: time.Minute,
		MergeMemory:    32 << 20,
		Rules: Rules{
			OutOfOrderness: rules.OutOfOrderness,
			Horizon:        rules.Horizon,
			IDsPerShard:    rules.IDsPerShard,
			FinaliseAfter:  rules.FinaliseAfter,
			MinimumGroup:   10,
			PanelWeeks:     52,
		},
		Admin: "127.0.0.1:9462",
	}
}

// Validate reports every problem, each with its key.
func (c Config) Validate() error {
	errs := []error{c.Kafka.Validate()}
	bad := func(wrong bool, key string, value any, want string) {
		if wrong {
			errs = append(errs, fmt.Errorf("%s: %v is not %s", key, value, want))
		}
	}
	bad(c.Instance == "", "instance", `""`, "a name")
	bad(len(c.Folds) == 0, "folds", "[]", "one or more of ledger, subject, tenant")
	bad(len(slices.Compact(slices.Sorted(slices.Values(c.Folds)))) != len(c.Folds), "folds", c.Folds, "a list without repetition")
	for _, name := range c.Folds {
		bad(!slices.Contains([]string{Ledger, Subject, Tenant}, name), "folds", name, "one of ledger, subject, tenant")
	}
	bad(c.Interval < 10*time.Millisecond || c.Interval > 10*time.Second, "interval", c.Interval, "in 10ms..10s")
	bad(c.SnapshotPeriod < time.Second, "snapshot_period", c.SnapshotPeriod, "1s or more")
	bad(c.MergeMemory < 1<<20, "merge_memory", c.MergeMemory, "1 MiB or more")
	bad(c.Rules.MinimumGroup < 5, "rules.minimum_group", c.Rules.MinimumGroup, "5 or more")
	bad(c.Rules.PanelWeeks < 0 || c.Rules.PanelWeeks > tenant.MostPanelWeeks, "rules.panel_weeks", c.Rules.PanelWeeks, "0 to 104")
	return errors.Join(append(errs, config.Under("rules", c.Rules.ledger(0, 1).Validate()))...)
}

func (r Rules) ledger(partition, partitions int32) ledger.Config {
	cfg := ledger.Default()
	cfg.Partition, cfg.Partitions = partition, partitions
	cfg.OutOfOrderness = r.OutOfOrderness
	cfg.Horizon = r.Horizon
	cfg.IDsPerShard = r.IDsPerShard
	cfg.FinaliseAfter = r.FinaliseAfter
	return cfg
}

// client is how the folds reach the brokers.
func (c Config) client() []kgo.Opt {
	opts := c.Kafka.Options()
	if c.dial != nil {
		opts = append(opts, kgo.Dialer(c.dial))
	}
	return opts
}

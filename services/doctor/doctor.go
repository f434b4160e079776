// Package doctor is the command that looks at everything the pipeline stands on
// and says what to do about what is wrong: broker, topics, consumer groups,
// tables, clocks, disks, files. It reads and changes nothing.
//
// A check is a function in a file of its own and a row of checks(). Every check
// runs, all at once, whatever becomes of the others, each under the same limit
// of time.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	schema "github.com/goodhartlabs/goodhart/schemas/clickhouse"
	"github.com/goodhartlabs/goodhart/services/clickhouse"
	"github.com/goodhartlabs/goodhart/services/config"
	"github.com/goodhartlabs/goodhart/services/kafka"
	"github.com/goodhartlabs/goodhart/services/probe"
)

// Formats of the report.
const (
	FormatText = "text"
	FormatJSON = "json"
)

// Config of a visit.
type Config struct {
	Kafka      kafka.Config      `yaml:"kafka"`
	ClickHouse clickhouse.Config `yaml:"clickhouse"`
	// Schema is that of the migration: the tables are compared with it.
	Schema schema.Params `yaml:"schema"`
	// Data are local directories whose disks are looked at; none means .goodhart,
	// where it exists.
	Data []string `yaml:"data"`
	// Collector is the configuration file of a collector whose files are looked at.
	Collector string `yaml:"collector_config"`
	// Timeout bounds every check, 100ms to 10m.
	Timeout time.Duration `yaml:"timeout"`
	Limits  Limits        `yaml:"limits"`

	// Only names the checks to make; none means all.
	Only []string `yaml:"-"`
	// Format is text or json.
	Format string `yaml:"-"`
	// Out receives the report; required.
	Out io.Writer `yaml:"-"`
	// Getenv finds the environment that the collector's file refers to.
	Getenv func(string) (string, bool) `yaml:"-"`
}

// Limits say from where on a figure is worth a warning, and a failure.
type Limits struct {
	// Lag is how long a record may wait for a consumer group.
	Lag Limit[time.Duration] `yaml:"lag"`
	// IntentAge is how long a sink may be storing a batch.
	IntentAge Limit[time.Duration] `yaml:"intent_age"`
	// TickAge is how old the newest stored tick of a partition may be.
	TickAge Limit[time.Duration] `yaml:"tick_age"`
	// WatermarkAge is how far the ledger's watermark may be behind.
	WatermarkAge Limit[time.Duration] `yaml:"watermark_age"`
	// ClockSkew is how far two clocks may be apart.
	ClockSkew Limit[time.Duration] `yaml:"clock_skew"`
	// DedupWindow is the shortest time for which the server must remember an
	// insert.
	DedupWindow Limit[time.Duration] `yaml:"dedup_window"`
	// FileAge is how old people, prices and keys may be.
	FileAge Limit[time.Duration] `yaml:"file_age"`
	// DiskFree is how much of a disk must be free, percent.
	DiskFree Limit[float64] `yaml:"disk_free"`
	// DeadShare is how many of the records of the last hour may be dead, percent.
	DeadShare Limit[float64] `yaml:"dead_share"`
	// Parts is how full a partition of a table may be of parts, percent of the
	// number at which the server slows inserts.
	Parts Limit[float64] `yaml:"parts"`
}

// Limit is a pair of bounds.
type Limit[T time.Duration | float64] struct {
	Warn T `yaml:"warn"`
	Fail T `yaml:"fail"`
}

// above judges a figure that must stay small.
func (l Limit[T]) above(v T) Status {
	switch {
	case v > l.Fail:
		return Fail
	case v > l.Warn:
		return Warn
	default:
		return OK
	}
}

// below judges a figure that must stay large.
func (l Limit[T]) below(v T) Status {
	switch {
	case v < l.Fail:
		return Fail
	case v < l.Warn:
		return Warn
	default:
		return OK
	}
}

// Default suits `goodhart up` on this machine.
func Default() Config {
	const day = 24 * time.Hour
	return Config{
		Kafka:      kafka.Config{Brokers: []string{"127.0.0.1:9092"}},
		ClickHouse: clickhouse.Config{DSN: "http://default@127.0.0.1:8123/default"},
		Schema:     schema.Default(),
		Timeout:    10 * time.Second,
		Limits: Limits{
			Lag:          Limit[time.Duration]{30 * time.Second, 5 * time.Minute},
			IntentAge:    Limit[time.Duration]{time.Minute, 5 * time.Minute},
			TickAge:      Limit[time.Duration]{30 * time.Second, 2 * time.Minute},
			WatermarkAge: Limit[time.Duration]{2 * time.Minute, 10 * time.Minute},
			ClockSkew:    Limit[time.Duration]{time.Second, 5 * time.Second},
			DedupWindow:  Limit[time.Duration]{20 * time.Minute, 10 * time.Minute},
			FileAge:      Limit[time.Duration]{90 * day, 400 * day},
			DiskFree:     Limit[float64]{20, 5},
			DeadShare:    Limit[float64]{0.1, 5},
			Parts:        Limit[float64]{30, 80},
		},
		Format: FormatText,
		Out:    os.Stdout,
	}
}

// Validate reports every problem, each with its key.
func (c Config) Validate() error {
	errs := []error{c.Kafka.Validate(), c.ClickHouse.Validate(), config.Under("schema", c.Schema.Validate())}
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(c.Timeout < 100*time.Millisecond || c.Timeout > 10*time.Minute, "timeout: %v is not in 100ms..10m", c.Timeout)
	bad(c.Format != FormatText && c.Format != FormatJSON, "--format: %q is not one of text, json", c.Format)
	for _, name := range c.Only {
		bad(!slices.ContainsFunc(everyCheck(), func(k check) bool { return k.name == name }), "--only: no check is called %q", name)
	}
	l := c.Limits
	small := func(key string, warn, fail float64) {
		bad(warn < 0 || fail < warn, "limits.%s: want 0 <= warn <= fail, not %v and %v", key, warn, fail)
	}
	large := func(key string, warn, fail float64) {
		bad(fail < 0 || warn < fail, "limits.%s: want 0 <= fail <= warn, not %v and %v", key, fail, warn)
	}
	for key, d := range map[string]Limit[time.Duration]{
		"lag": l.Lag, "intent_age": l.IntentAge, "tick_age": l.TickAge, "watermark_age": l.WatermarkAge,
		"clock_skew": l.ClockSkew, "file_age": l.FileAge,
	} {
		small(key, d.Warn.Seconds(), d.Fail.Seconds())
	}
	large("dedup_window", l.DedupWindow.Warn.Seconds(), l.DedupWindow.Fail.Seconds())
	large("disk_free", l.DiskFree.Warn, l.DiskFree.Fail)
	small("dead_share", l.DeadShare.Warn, l.DeadShare.Fail)
	small("parts", l.Parts.Warn, l.Parts.Fail)
	return errors.Join(errs...)
}

// Run makes every check and prints the report. What is wrong is an *UnwellError,
// any other error means that no check was made.
func Run(ctx context.Context, cfg Config, _ *probe.Telemetry) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("doctor: %w", err)
	}
	b, err := openBench(cfg)
	if err != nil {
		return err
	}
	defer b.close()
	all := checks(cfg)
	found := make([][]Finding, len(all))
	var group sync.WaitGroup
	for i, c := range all {
		group.Go(func() { found[i] = c.make(ctx, b) })
	}
	group.Wait()
	report := newReport(found)
	if err := report.print(cfg.Out, cfg.Format); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	if report.Status != OK {
		return &UnwellError{report.Status, report.Warnings, report.Failures}
	}
	return nil
}

// UnwellError says that something is wrong.
type UnwellError struct {
	Status             Status
	Warnings, Failures int
}

func (e *UnwellError) Error() string {
	return fmt.Sprintf("doctor: %s, %s", plural(e.Failures, "failure", "failures"), plural(e.Warnings, "warning", "warnings"))
}

// ExitCode is 1 for warnings alone, 2 for failures.
func (e *UnwellError) ExitCode() int {
	if e.Status == Warn {
		return 1
	}
	return 2
}

// layout reads the partition counts on record.
func (b *bench) layout(ctx context.Context) (kschema.Layout, error) {
	return kschema.Read(ctx, b.client)
}

// Package reconcile proves that ClickHouse agrees with itself: that the rollups
// equal the raw rows, by month and hour, and that every accepted record has a
// fate (accepted = duplicate + held + stored + merged + dead). With Repair it
// rebuilds a rollup month that differs.
//
// It reads what raw still covers: hours younger than the raw retention. A rollup
// is written in the insert of its raw rows, but becomes visible a moment after
// them; a difference counts when it is found again after a pause.
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/goodhartlabs/goodhart/services/clickhouse"
	"github.com/goodhartlabs/goodhart/services/probe"
)

// Config of a reconciliation.
type Config struct {
	ClickHouse clickhouse.Config `yaml:"clickhouse"`
	// Attempts is how often a difference must be found before it counts.
	Attempts int `yaml:"attempts"`
	// Pause lies between attempts.
	Pause time.Duration `yaml:"pause"`
	// Quiet is how long nothing may have been stored before a repair begins: the
	// sink repeats an insert younger than 5 min under its token, and a rebuilt
	// rollup would count that twice.
	Quiet time.Duration `yaml:"quiet"`
	// Every makes Run compare again and again at this interval, and show what it
	// finds as metrics; 0 compares once.
	Every time.Duration `yaml:"every"`
	// Admin is the address of /metrics, /healthz, /readyz while Every is set;
	// empty for none.
	Admin string `yaml:"admin"`
	// Repair rebuilds what differs.
	Repair bool `yaml:"-"`
	// SinkStopped is the operator's word that no sink runs; Repair needs it.
	SinkStopped bool `yaml:"-"`
}

// Default suits one server.
func Default() Config {
	return Config{
		ClickHouse: clickhouse.Config{DSN: "http://default@127.0.0.1:8123/default"},
		Attempts:   3, Pause: 2 * time.Second, Quiet: 6 * time.Minute,
		Admin: "127.0.0.1:9465",
	}
}

// Validate reports every problem, each with its key.
func (c Config) Validate() error {
	problems := []error{c.ClickHouse.Validate()}
	if c.Attempts < 1 || c.Attempts > 100 {
		problems = append(problems, fmt.Errorf("attempts: %d, want 1 to 100", c.Attempts))
	}
	if c.Pause < 0 || c.Pause > time.Minute {
		problems = append(problems, fmt.Errorf("pause: %s, want 0s to 1m", c.Pause))
	}
	if c.Quiet < 0 || c.Quiet > time.Hour {
		problems = append(problems, fmt.Errorf("quiet: %s, want 0s to 1h", c.Quiet))
	}
	if c.Every != 0 && (c.Every < time.Second || c.Every > 24*time.Hour) {
		problems = append(problems, fmt.Errorf("every: %s, want 0s, or 1s to 24h", c.Every))
	}
	if c.Repair && c.Every != 0 {
		problems = append(problems, errors.New("repair: needs the sinks stopped, so it runs once: leave every out"))
	}
	if c.Repair && !c.SinkStopped {
		problems = append(problems, errors.New("repair: stop every sink first, then say so with --i-stopped-the-sink"))
	}
	return errors.Join(problems...)
}

// MismatchError says that the database contradicts itself.
type MismatchError struct {
	// Differences of rollups, in order of table, month and time.
	Differences []Difference
	// Imbalances of the conservation of records, in order of hour.
	Imbalances []Imbalance
}

func (e *MismatchError) equal() bool { return len(e.Differences)+len(e.Imbalances) == 0 }

const shownLines = 20

// Error lists the first differences, one a line.
func (e *MismatchError) Error() string {
	lines := []string{fmt.Sprintf("%d rollup figures differ from raw, %d hours do not balance", len(e.Differences), len(e.Imbalances))}
	for _, d := range e.Differences {
		lines = append(lines, d.String())
	}
	for _, i := range e.Imbalances {
		lines = append(lines, i.String())
	}
	if more := len(lines) - 1 - shownLines; more > 0 {
		lines = append(lines[:1+shownLines], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "\n  ")
}

// Run compares, and with Repair rebuilds and compares again. What still differs
// is a *MismatchError; any other error means that it could not tell. With Every
// it runs until ctx ends, shows as metrics what it finds, and returns nil.
func Run(ctx context.Context, cfg Config, tel *probe.Telemetry) (err error) {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("reconcile: %w", err)
	}
	if cfg.Every != 0 {
		return watch(ctx, cfg, tel)
	}
	found, err := once(ctx, cfg, tel.Log)
	if err != nil {
		return err
	}
	if !found.equal() {
		return found
	}
	tel.Log.InfoContext(ctx, "rollups equal raw, every accepted record has a fate")
	return nil
}

// once compares, and repairs if it is told to.
func once(ctx context.Context, cfg Config, log *slog.Logger) (found *MismatchError, err error) {
	conn, err := cfg.ClickHouse.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	found, err = confirm(ctx, conn, cfg)
	if err != nil || !cfg.Repair {
		return found, err
	}
	months, err := repair(ctx, conn, cfg, found.Differences)
	if err != nil {
		return nil, err
	}
	for _, m := range months {
		log.InfoContext(ctx, "rollup month rebuilt", "table", m.table, "month", m.month)
	}
	return confirm(ctx, conn, cfg)
}

// confirm returns what is found in every attempt.
func confirm(ctx context.Context, conn driver.Conn, cfg Config) (*MismatchError, error) {
	var found *MismatchError
	for attempt := range cfg.Attempts {
		if attempt > 0 {
			if err := sleep(ctx, cfg.Pause); err != nil {
				return nil, err
			}
		}
		now, err := compare(ctx, conn)
		if err != nil {
			return nil, err
		}
		if found == nil {
			found = now
		} else {
			found = both(found, now)
		}
		if found.equal() {
			break
		}
	}
	return found, nil
}

// both keeps of now what was found before, too.
func both(before, now *MismatchError) *MismatchError {
	places := map[string]bool{}
	for _, d := range before.Differences {
		places[d.place()] = true
	}
	for _, i := range before.Imbalances {
		places[i.place()] = true
	}
	kept := &MismatchError{}
	for _, d := range now.Differences {
		if places[d.place()] {
			kept.Differences = append(kept.Differences, d)
		}
	}
	for _, i := range now.Imbalances {
		if places[i.place()] {
			kept.Imbalances = append(kept.Imbalances, i)
		}
	}
	return kept
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

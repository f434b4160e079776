// Package dead is the command that reads goodhart.dead.v1 for a person: it lists
// the letters, shows what is known of one, and replays the records whose cause
// of death is mended.
//
// What a replay is depends on who gave up. A letter of the ledger fold speaks of
// a record that was accepted and never decided: the record is published to
// goodhart.events.v1 again, like any re-send. A letter of the sink speaks of a
// fact that was decided and counted and only has no row: its rows go into the
// tables under the place of the original record. Letters of the other folds and
// of the collector cannot be replayed. docs/dead.md says why.
//
// Delivery: a record is counted once, however often it is replayed. Within the
// horizon of the ledger by its event id; beyond it a replay is refused unless it
// is forced, and never done for what the tables hold. Run one replay at a time.
package dead

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/goodhartlabs/goodhart/services/clickhouse"
	"github.com/goodhartlabs/goodhart/services/kafka"
	"github.com/goodhartlabs/goodhart/services/probe"
)

// Commands.
const (
	CommandList   = "list"
	CommandShow   = "show"
	CommandReplay = "replay"
)

// Formats of the output.
const (
	FormatText = "text"
	FormatJSON = "json"
)

// Config of a run.
type Config struct {
	Kafka kafka.Config `yaml:"kafka"`
	// ClickHouse is asked by replay for what is stored already.
	ClickHouse clickhouse.Config `yaml:"clickhouse"`
	// Horizon is how long the ledger fold remembers an event id: its
	// rules.horizon, or less where its budget of ids is smaller. 1h to 168h.
	Horizon time.Duration `yaml:"horizon"`

	// Command is list, show or replay.
	Command string `yaml:"-"`
	// Filter chooses the letters.
	Filter Filter `yaml:"-"`
	// Count makes list count letters by reason.
	Count bool `yaml:"-"`
	// Format is text or json.
	Format string `yaml:"-"`
	// Yes makes replay do what it would only tell otherwise.
	Yes bool `yaml:"-"`
	// Force replays letters that are older than the horizon, and records that this
	// program's ledger would refuse again.
	Force bool `yaml:"-"`
	// Out receives the result; required.
	Out io.Writer `yaml:"-"`
}

// Default reads a broker and a ClickHouse on this machine.
func Default() Config {
	return Config{
		Kafka:      kafka.Config{Brokers: []string{"127.0.0.1:9092"}},
		ClickHouse: clickhouse.Config{DSN: "http://default@127.0.0.1:8123/default"},
		Horizon:    72 * time.Hour,
		Command:    CommandList,
		Format:     FormatText,
	}
}

// Validate reports every problem, each with its key or flag.
func (c Config) Validate() error {
	errs := []error{c.Kafka.Validate(), c.ClickHouse.Validate()}
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(c.Horizon < time.Hour || c.Horizon > 168*time.Hour, "horizon: %v is not in 1h..168h", c.Horizon)
	bad(c.Format != FormatText && c.Format != FormatJSON, "--format: %q is not one of text, json", c.Format)
	f := c.Filter
	bad(!f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until), "--since: %s is not before --until %s", f.Since.Format(timeForm), f.Until.Format(timeForm))
	bad(c.Command == CommandShow && len(f.Addresses) == 0, "show: want the address of a letter, partition:offset")
	bad(c.Command == CommandReplay && c.Filter.everything(), "replay: say which letters: --all, a filter or addresses")
	return errors.Join(errs...)
}

// Run executes the command and prints its result.
func Run(ctx context.Context, cfg Config, _ *probe.Telemetry) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("dead: %w", err)
	}
	switch cfg.Command {
	case CommandList:
		return list(ctx, cfg, cfg.Out)
	case CommandShow:
		return show(ctx, cfg, cfg.Out)
	case CommandReplay:
		return replay(ctx, cfg, cfg.Out)
	default:
		return fmt.Errorf("dead: %q is not one of list, show, replay", cfg.Command)
	}
}

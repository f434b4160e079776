// Package explain is the command that recomputes a published figure from the log:
// it finds the record, folds goodhart.features.v1 again until the record comes out,
// prints everything that it rests on, and compares the two byte by byte.
//
// It reads and never writes, but for one thing: whoever asks about a person needs
// a purpose that two roles have approved, and each use of it is recorded before
// anything is shown.
package explain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/tenant"
	"github.com/goodhartlabs/goodhart/services/kafka"
	"github.com/goodhartlabs/goodhart/services/probe"
	"github.com/goodhartlabs/goodhart/services/purpose"
)

// What can be explained.
const (
	Signal = "signal"
	Score  = "score"
)

// Formats of the output.
const (
	FormatText = "text"
	FormatJSON = "json"
)

// Config of a run.
type Config struct {
	Kafka kafka.Config `yaml:"kafka"`
	// Rules are those of the processors: with others the fold says something else.
	Rules tenant.Config `yaml:"rules"`
	// SpillDir takes what waits in the merge beyond its memory; empty for the
	// temporary directory.
	SpillDir string `yaml:"spill_dir"`
	// Purpose says who may approve a look at a person, and is off by default.
	Purpose purpose.Config `yaml:"purpose"`

	// What is Signal or Score.
	What string `yaml:"-"`
	// ID of the signal; Rev of it, negative for the newest.
	ID  string `yaml:"-"`
	Rev int64  `yaml:"-"`
	// Tenant, Team, Day (YYYY-MM-DD, the last one of the window) and Window (7d,
	// 28d) name a score.
	Tenant, Team, Day, Window string `yaml:"-"`
	// Grant is the id of the purpose under which a question to a person is
	// explained, Key the file with the private key of the role that asks.
	Grant, Key string `yaml:"-"`
	// Format is text or json.
	Format string `yaml:"-"`
	// Out receives the result; required.
	Out io.Writer `yaml:"-"`
}

// Default reads a broker on this machine.
func Default() Config {
	return Config{
		Kafka: kafka.Config{Brokers: []string{"127.0.0.1:9092"}}, Rules: tenant.Default(),
		Rev: -1, Window: "7d", Format: FormatText,
	}
}

// Validate reports every problem, each with its key, flag or argument.
func (c Config) Validate() error {
	errs := []error{c.Kafka.Validate(), c.Rules.Validate(), c.Purpose.Validate()}
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(c.Format != FormatText && c.Format != FormatJSON, "--format: %q is not one of text, json", c.Format)
	switch c.What {
	case Signal:
		bad(!isID(c.ID), "signal: %q is not the id of a signal: 32 hex digits", c.ID)
		bad((c.Grant == "") != (c.Key == ""), "--purpose and --key belong together")
	case Score:
		bad(!event.IsLabel(c.Tenant), "--tenant: want the tenant of the team")
		bad(!event.IsLabel(c.Team), "score: %q is not a team", c.Team)
		bad(c.Window != "7d" && c.Window != "28d", "--window: %q is not one of 7d, 28d", c.Window)
		_, err := time.Parse(time.DateOnly, c.Day)
		bad(err != nil, "score: %q is not a day, YYYY-MM-DD", c.Day)
	default:
		bad(true, "explain: want signal or score; --help tells more")
	}
	return errors.Join(errs...)
}

func isID(s string) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == 32
}

// DifferentError says that the log does not give the record that was published.
type DifferentError struct{ Detail string }

func (e *DifferentError) Error() string { return e.Detail }

// ExitCode is 1: everything else that goes wrong is trouble.
func (e *DifferentError) ExitCode() int { return 1 }

// MissingError says that what the record rests on is no longer kept.
type MissingError struct{ Detail string }

func (e *MissingError) Error() string { return e.Detail }

// Run explains one figure. A record that the log does not give is a
// DifferentError; where the log has forgotten too much to tell, a MissingError.
func Run(ctx context.Context, cfg Config, _ *probe.Telemetry) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("explain: %w", err)
	}
	cl, err := kgo.NewClient(cfg.Kafka.Options()...)
	if err != nil {
		return fmt.Errorf("open kafka: %w", err)
	}
	defer cl.Close()
	layout, err := kschema.Load(ctx, cl)
	if err != nil {
		return err
	}
	f := finder{cfg: cfg, client: cl, layout: layout}
	said, err := f.find(ctx)
	if err != nil {
		return fmt.Errorf("explain %s: %w", cfg.What, err)
	}
	e, err := recompute(ctx, cfg, cl, layout, said)
	if err != nil {
		return fmt.Errorf("explain %s: %w", cfg.What, err)
	}
	if err := e.write(cfg.Out, cfg.Format); err != nil {
		return err
	}
	return e.fault()
}

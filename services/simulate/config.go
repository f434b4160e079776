// Package simulate plays a company that uses AI tools for some weeks, over the
// real protocols, and says beforehand what must be in the database afterwards.
//
// It has two phases. Plan writes a directory: the people and keys files of the
// collector, the secrets of the clients, and the truth as TSV files. Send
// regenerates the same traffic from the seed and sends it, hour by hour of event
// time. A Send that was interrupted is started again with the same directory: it
// repeats the step it was in, so that the pipeline gets every record at least
// once.
package simulate

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"
)

// Phases of a run.
const (
	PhasePlan = "plan"
	PhaseSend = "send"
)

// Config of a run. Seed, People, Days, Events and End are Plan's; Send reads
// them from the directory and ignores them here.
type Config struct {
	// Phase is plan or send.
	Phase string `yaml:"phase"`
	// Dir is the directory of the plan.
	Dir string `yaml:"dir"`
	// Seed makes the company and its traffic.
	Seed uint64 `yaml:"seed"`
	// People in the company, 12 to 2000.
	People int `yaml:"people"`
	// Days of event time, 1 to 364.
	Days int `yaml:"days"`
	// Events is about how many records to send, 1000 to 50 million.
	Events int `yaml:"events"`
	// End is the last day, exclusive, YYYY-MM-DD in UTC; empty: the latest day
	// that leaves three days until now.
	End string `yaml:"end"`
	// HTTP is the base URL of the collector, GRPC its OTLP/gRPC address.
	HTTP string `yaml:"http"`
	GRPC string `yaml:"grpc"`
	// Concurrency is how many requests are under way at once, 1 to 64.
	Concurrency int `yaml:"concurrency"`
	// Rate is how many records a second are sent at most, on average over a step;
	// 0: as fast as they are acknowledged.
	Rate int `yaml:"rate"`
	// Hours is after how many hours of the period Send stops; the rest is sent by
	// the next one. 0: it sends all.
	Hours int `yaml:"hours"`
	// Patience is how long an unreachable collector is tried again before Send
	// gives up.
	Patience time.Duration `yaml:"patience"`
	// Out receives progress and statistics; nil: nowhere.
	Out io.Writer `yaml:"-"`

	// pause is the first wait of a client, 0 for its default; tests shorten it.
	pause time.Duration
}

// Default is the demo's configuration.
func Default() Config {
	return Config{
		Phase: PhasePlan, Dir: ".goodhart/simulation", Seed: 1, People: 120, Days: 28, Events: 240_000,
		HTTP: "http://127.0.0.1:4318", GRPC: "127.0.0.1:4317", Concurrency: 8, Patience: 2 * time.Minute,
	}
}

// Validate reports every problem, each with its key.
func (c Config) Validate() error {
	var problems []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	check(c.Phase == PhasePlan || c.Phase == PhaseSend, "phase: %q is neither plan nor send", c.Phase)
	check(c.Dir != "", "dir: must not be empty")
	check(c.People >= 12 && c.People <= 2000, "people: %d is not in 12..2000", c.People)
	check(c.Days >= 1 && c.Days <= 364, "days: %d is not in 1..364", c.Days)
	check(c.Events >= 1000 && c.Events <= 50_000_000, "events: %d is not in 1000..50000000", c.Events)
	if c.End != "" {
		_, err := time.Parse(time.DateOnly, c.End)
		check(err == nil, "end: %q is not a date as 2006-01-02", c.End)
	}
	check(c.Concurrency >= 1 && c.Concurrency <= 64, "concurrency: %d is not in 1..64", c.Concurrency)
	check(c.Rate >= 0, "rate: %d is negative", c.Rate)
	check(c.Hours >= 0, "hours: %d is negative", c.Hours)
	check(c.Patience > 0, "patience: %s is not positive", c.Patience)
	if c.Phase == PhaseSend {
		check(c.HTTP != "", "http: must not be empty")
		check(c.GRPC != "", "grpc: must not be empty")
	}
	return errors.Join(problems...)
}

const usage = `usage: goodhart simulate plan [flags]
       goodhart simulate send [flags]

plan writes a directory: people and keys for the collector, secrets for the
clients, and what must be in the database afterwards. send plays that traffic to
a running collector. docs/demo.md; each takes --help.
`

// ParseArgs reads the command line: the phase, then flags. Usage goes to out,
// to which the run's progress will go as well; --help is flag.ErrHelp.
func ParseArgs(args []string, out io.Writer) (Config, error) {
	c := Default()
	c.Out = out
	if len(args) == 0 {
		return c, errors.New("simulate: want plan or send, then flags; --help tells more")
	}
	if c.Phase = args[0]; c.Phase == "--help" || c.Phase == "-h" || c.Phase == "help" {
		_, _ = io.WriteString(out, usage) // nobody is left to tell
		return c, flag.ErrHelp
	}
	f := flag.NewFlagSet("goodhart simulate "+c.Phase, flag.ContinueOnError)
	f.SetOutput(out)
	f.Usage = func() {
		_, _ = fmt.Fprintf(out, "usage: goodhart simulate %s [flags]\n\n", c.Phase)
		f.PrintDefaults()
	}
	switch c.Phase {
	case PhasePlan:
		f.StringVar(&c.Dir, "out", c.Dir, "directory to write the plan to")
		f.Uint64Var(&c.Seed, "seed", c.Seed, "makes the company and its traffic")
		f.IntVar(&c.People, "people", c.People, "people in the company")
		f.IntVar(&c.Days, "days", c.Days, "days of event time")
		f.IntVar(&c.Events, "events", c.Events, "about how many records to send")
		f.StringVar(&c.End, "end", c.End, "last day, exclusive (YYYY-MM-DD); default three days ago")
	case PhaseSend:
		f.StringVar(&c.Dir, "dir", c.Dir, "directory of the plan")
		f.StringVar(&c.HTTP, "http", c.HTTP, "base URL of the collector")
		f.StringVar(&c.GRPC, "grpc", c.GRPC, "address of the collector's OTLP/gRPC")
		f.IntVar(&c.Concurrency, "concurrency", c.Concurrency, "requests under way at once")
		f.IntVar(&c.Rate, "rate", c.Rate, "records a second at most; 0: as fast as they are acknowledged")
		f.IntVar(&c.Hours, "hours", c.Hours, "stop after so many hours of the period, to go on later; 0: send all")
		f.DurationVar(&c.Patience, "patience", c.Patience, "how long to try an unreachable collector")
	default:
		return c, fmt.Errorf("simulate: phase %q is neither plan nor send", c.Phase)
	}
	if err := f.Parse(args[1:]); err != nil {
		return c, err
	}
	if f.NArg() > 0 {
		return c, fmt.Errorf("simulate %s: unexpected argument %q", c.Phase, f.Arg(0))
	}
	return c, c.Validate()
}

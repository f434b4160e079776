package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/goodhartlabs/goodhart/services/alerter"
	"github.com/goodhartlabs/goodhart/services/apply"
	"github.com/goodhartlabs/goodhart/services/broker"
	"github.com/goodhartlabs/goodhart/services/collector"
	"github.com/goodhartlabs/goodhart/services/config"
	"github.com/goodhartlabs/goodhart/services/console"
	"github.com/goodhartlabs/goodhart/services/dead"
	"github.com/goodhartlabs/goodhart/services/doctor"
	"github.com/goodhartlabs/goodhart/services/evaluate"
	"github.com/goodhartlabs/goodhart/services/explain"
	"github.com/goodhartlabs/goodhart/services/migrate"
	"github.com/goodhartlabs/goodhart/services/probe"
	"github.com/goodhartlabs/goodhart/services/processor"
	"github.com/goodhartlabs/goodhart/services/reconcile"
	"github.com/goodhartlabs/goodhart/services/simulate"
	"github.com/goodhartlabs/goodhart/services/sink"
	"github.com/goodhartlabs/goodhart/services/up"
)

// role is one word after goodhart.
type role struct {
	name, help string
	run        func(ctx context.Context, args []string, out io.Writer) error
}

func roles() []role {
	return []role{
		{"up", "run everything on this machine", runUp},
		of("migrate", "create topics and tables", migrate.Default, migrate.Run,
			func(*migrate.Config) string { return "" }, func(c *migrate.Config, f *flag.FlagSet) {
				f.BoolVar(&c.DryRun, "dry-run", false, "say what would be done and do nothing")
			}),
		of("broker", "run the embedded Kafka broker", broker.Default, broker.Run,
			func(c *broker.Config) string { return c.Admin }, nil),
		of("collector", "receive OTLP and CloudEvents, publish events", collector.Default, collector.Run,
			func(c *collector.Config) string { return c.Admin }, nil),
		of("processor", "fold events into facts, features and scores", processor.Default, processor.Run,
			func(c *processor.Config) string { return c.Admin }, nil),
		of("sink", "write facts and scores into ClickHouse", sink.Default, sink.Run,
			func(c *sink.Config) string { return c.Admin }, func(c *sink.Config, f *flag.FlagSet) {
				f.StringVar(&c.From, "from", c.From, "where to go on when the group's offsets are gone: start, stored or end")
			}),
		of("alerter", "tell Alertmanager, chat and webhooks about signals", alerter.Default, alerter.Run,
			func(c *alerter.Config) string { return c.Admin }, nil),
		of("reconcile", "prove that rollups equal raw rows", reconcile.Default, reconcile.Run,
			func(c *reconcile.Config) string {
				if c.Every == 0 {
					return "" // ends by itself
				}
				return c.Admin
			}, func(c *reconcile.Config, f *flag.FlagSet) {
				f.DurationVar(&c.Every, "every", c.Every, "compare again at this interval and serve the result as metrics")
				f.StringVar(&c.Admin, "admin", c.Admin, "`address` of /metrics while --every is given")
				f.BoolVar(&c.Repair, "repair", false, "rebuild the months whose rollups differ")
				f.BoolVar(&c.SinkStopped, "i-stopped-the-sink", false, "confirm that no sink runs, as --repair wants")
			}),
		{"apply", "publish teams, weights, targets and context of a tenant", runApply},
		{"console", "show people what concerns them, take their disputes", runConsole},
		{"explain", "recompute a published figure from the log and print what it rests on", runExplain},
		{"dead", "list, show and replay dead letters", runDead},
		{"doctor", doctorHelp, runDoctor},
		{"evaluate", "measure the detectors on simulated companies", runEvaluate},
		{"simulate", "plan and send the traffic of an invented company", runSimulate},
	}
}

// configuration is what every role's Config offers.
type configuration interface{ Validate() error }

// of makes a role of a package with the usual Default, Run and Config; more adds
// flags that win over the file.
func of[C configuration](
	name, help string, defaults func() C, run func(context.Context, C, *probe.Telemetry) error,
	admin func(*C) string, more func(*C, *flag.FlagSet),
) role {
	return role{name, help, func(ctx context.Context, args []string, out io.Writer) error {
		cfg := defaults()
		flags := newFlags(name, help, out)
		file := flags.String("config", "", "YAML `file`; see services/"+name+"/config.example.yaml")
		check := flags.Bool("check-config", false, "validate the configuration and exit")
		if more != nil {
			more(&cfg, flags)
		}
		if err := flags.Parse(args); err != nil {
			return ignoreHelp(err)
		}
		if err := config.Load(*file, &cfg, os.LookupEnv); err != nil {
			return err
		}
		if more != nil { // the file may have overwritten what flags set
			_ = flags.Parse(args)
		}
		if err := cfg.Validate(); err != nil || *check {
			return err
		}
		return serve(ctx, name, admin(&cfg), func(ctx context.Context, tel *probe.Telemetry) error { return run(ctx, cfg, tel) })
	}}
}

// newFlags returns the flags of a role, whose --help says what the role is for.
func newFlags(name, help string, out io.Writer) *flag.FlagSet {
	flags := flag.NewFlagSet("goodhart "+name, flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		_, _ = fmt.Fprintf(out, "usage: goodhart %s [flags]\n%s; docs/%s.md\n\n", name, help, name) // nobody is left to tell
		flags.PrintDefaults()
	}
	return flags
}

func ignoreHelp(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	return err
}

// flushTraces is how long the end of a role waits for the last traces.
const flushTraces = 5 * time.Second

// serve runs a role beside its probes; the probes end with it.
func serve(ctx context.Context, name, admin string, run func(context.Context, *probe.Telemetry) error) error {
	tel := probe.New(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	var err error
	if tel.Tracer, err = probe.OpenTracer(ctx, name, os.LookupEnv); err != nil {
		return err
	}
	defer func() {
		flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTraces)
		defer cancel()
		if err := tel.Tracer.Close(flush); err != nil {
			tel.Log.Warn("traces were lost", "error", err)
		}
	}()
	probes, stop := context.WithCancel(context.WithoutCancel(ctx))
	ctx, fail := context.WithCancel(ctx)
	defer fail()
	group := errgroup.Group{}
	group.Go(func() error {
		err := tel.Serve(probes, admin)
		if err != nil { // a role that nobody can watch does not run
			fail()
		}
		return err
	})
	group.Go(func() error {
		defer stop()
		return run(ctx, tel)
	})
	return group.Wait()
}

func runUp(ctx context.Context, args []string, out io.Writer) error {
	cfg := up.Default()
	cfg.DSN = os.Getenv("CLICKHOUSE_DSN")
	cfg.Output, cfg.Getenv = out, os.LookupEnv
	flags := newFlags("up", "run everything on this machine", out)
	file := flags.String("config", "", "YAML `file` with the keys of docs/up.md; flags win over it")
	check := flags.Bool("check-config", false, "validate the configuration and exit")
	flags.StringVar(&cfg.Data, "data", cfg.Data, "`directory` of all state")
	flags.StringVar(&cfg.Library, "library", cfg.Library, "`file` libchdb.so")
	flags.StringVar(&cfg.Chserve, "chserve", cfg.Chserve, "`binary` chserve (default: beside goodhart)")
	flags.StringVar(&cfg.Keys, "keys", cfg.Keys, "`file` of API keys (default: one key, made at the first start)")
	flags.StringVar(&cfg.People, "people", cfg.People, "`file` of people and teams")
	flags.StringVar(&cfg.Console, "console", cfg.Console, "`address` of a console, which then runs too, such as 127.0.0.1:8321")
	flags.StringVar(&cfg.Alerter, "alerter", cfg.Alerter, "`file` of an alerter, which then runs too; see services/alerter/config.example.yaml")
	flags.BoolVar(&cfg.Simulation, "simulation", cfg.Simulation, "take the time from the Goodhart-Clock header")
	if err := flags.Parse(args); err != nil {
		return ignoreHelp(err)
	}
	if err := config.Load(*file, &cfg, os.LookupEnv); err != nil {
		return err
	}
	_ = flags.Parse(args) // the file may have overwritten what flags set
	if err := cfg.Validate(); err != nil || *check {
		return err
	}
	return serve(ctx, "up", cfg.Admin, func(ctx context.Context, tel *probe.Telemetry) error { return up.Run(ctx, cfg, tel) })
}

func runApply(ctx context.Context, args []string, out io.Writer) error {
	cfg, err := apply.ParseArgs(args, out, os.LookupEnv)
	if errors.Is(err, apply.ErrChecked) {
		return nil
	}
	if err != nil {
		return untold(ignoreHelp(err))
	}
	err = apply.Run(ctx, cfg, probe.New(slog.New(slog.NewTextHandler(os.Stderr, nil))))
	if different := (*apply.DifferentError)(nil); errors.As(err, &different) {
		return err
	}
	return untold(err)
}

func runConsole(ctx context.Context, args []string, out io.Writer) error {
	command, err := console.ParseArgs(args, out, os.LookupEnv)
	if errors.Is(err, console.ErrChecked) {
		return nil
	}
	if err != nil {
		return ignoreHelp(err)
	}
	if !command.Serves() {
		return command.Run(ctx)
	}
	cfg := command.Config
	return serve(ctx, "console", cfg.Admin, func(ctx context.Context, tel *probe.Telemetry) error { return console.Run(ctx, cfg, tel) })
}

func runExplain(ctx context.Context, args []string, out io.Writer) error {
	cfg, err := explain.ParseArgs(args, out, os.LookupEnv)
	if errors.Is(err, explain.ErrChecked) {
		return nil
	}
	if err != nil {
		return untold(ignoreHelp(err))
	}
	err = explain.Run(ctx, cfg, probe.New(slog.New(slog.NewTextHandler(os.Stderr, nil))))
	if different := (*explain.DifferentError)(nil); errors.As(err, &different) {
		return err
	}
	return untold(err)
}

func runDead(ctx context.Context, args []string, out io.Writer) error {
	cfg, err := dead.ParseArgs(args, out, os.LookupEnv)
	if errors.Is(err, dead.ErrChecked) {
		return nil
	}
	if err != nil {
		return ignoreHelp(err)
	}
	return dead.Run(ctx, cfg, probe.New(slog.New(slog.NewTextHandler(os.Stderr, nil))))
}

const doctorHelp = "check everything the pipeline stands on and say what to do"

func runDoctor(ctx context.Context, args []string, out io.Writer) error {
	cfg := doctor.Default()
	cfg.Out, cfg.Getenv = out, os.LookupEnv
	flags := newFlags("doctor", doctorHelp, out)
	file := flags.String("config", "", "YAML `file`; see services/doctor/config.example.yaml")
	check := flags.Bool("check-config", false, "validate the configuration and exit")
	flags.StringVar(&cfg.Format, "format", cfg.Format, "text or json")
	flags.Func("only", "make these `checks` alone, separated by commas", func(s string) error {
		cfg.Only = strings.Split(s, ",")
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return untold(ignoreHelp(err))
	}
	if err := config.Load(*file, &cfg, os.LookupEnv); err != nil {
		return untold(err)
	}
	if err := cfg.Validate(); err != nil || *check {
		return untold(err)
	}
	return doctor.Run(ctx, cfg, probe.New(slog.New(slog.NewTextHandler(os.Stderr, nil))))
}

// untoldError ends with the code of a failure, for commands whose code 1 means
// less than that.
type untoldError struct{ error }

func (e untoldError) ExitCode() int { return 2 }

func (e untoldError) Unwrap() error { return e.error }

func untold(err error) error {
	if err == nil {
		return nil
	}
	return untoldError{err}
}

func runEvaluate(ctx context.Context, args []string, out io.Writer) error {
	cfg, err := evaluate.ParseArgs(args, out)
	if err != nil {
		return ignoreHelp(err)
	}
	cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	return evaluate.Run(ctx, cfg)
}

func runSimulate(ctx context.Context, args []string, out io.Writer) error {
	cfg, err := simulate.ParseArgs(args, out)
	if err != nil {
		return ignoreHelp(err)
	}
	return simulate.Run(ctx, cfg, probe.New(slog.New(slog.NewTextHandler(os.Stderr, nil))))
}

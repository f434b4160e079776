package evaluate

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// ParseArgs reads a command line; out receives help.
func ParseArgs(args []string, out io.Writer) (Config, error) {
	cfg := Default()
	cfg.Out = out
	flags := flag.NewFlagSet("goodhart evaluate", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		_, _ = fmt.Fprint(out, "usage: goodhart evaluate [flags]\nmeasure what the detectors are worth; docs/evaluation.md\n\n") // nobody is left to tell
		flags.PrintDefaults()
	}
	flags.StringVar(&cfg.Seeds, "seeds", cfg.Seeds, "`seeds` of the organisations: numbers and ranges, separated by commas")
	flags.IntVar(&cfg.People, "people", 0, "people of an organisation, 200 to 2000; 0: as committed")
	flags.IntVar(&cfg.Weeks, "weeks", 0, "weeks of the period, 26 to 52; 0: as committed")
	flags.Func("scenarios", "play these `names` alone, separated by commas", func(s string) error {
		cfg.Scenarios = strings.Split(s, ",")
		return nil
	})
	flags.StringVar(&cfg.Traces, "traces", "", "`directory` of public traces of real usage to inject gaming into: NASA iPSC (.swf), Azure LLM 2023 and ServeGen (.csv),\n"+
		"Mooncake (.jsonl); with --scenarios traces nothing else is played")
	flags.StringVar(&cfg.Cache, "cache", "", "`directory` for what was played, so that a run that was interrupted goes on")
	flags.StringVar(&cfg.Report, "report", "", "`file` to write the page to instead of standard output")
	flags.IntVar(&cfg.Parallel, "parallel", cfg.Parallel, "how many organisations are played at once")
	if err := flags.Parse(args); err != nil {
		return Config{}, err
	}
	if flags.NArg() > 0 {
		return Config{}, errors.New("evaluate: unexpected argument " + flags.Arg(0))
	}
	return cfg, cfg.Validate()
}

package dead

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/goodhartlabs/goodhart/services/config"
)

const usage = `usage: goodhart dead list   [filters] [--count] [--format json]
       goodhart dead show   <partition:offset>... [--format json]
       goodhart dead replay [filters | <partition:offset>... | --all] [--yes] [--force]

list prints the letters of goodhart.dead.v1, show everything that is known of
one, replay lets a record whose cause of death is mended take part again; without
--yes it only says what it would do. docs/dead.md

`

// ParseArgs reads the command line: list, show or replay, then flags and
// addresses in any order. --help prints the usage to out and returns
// flag.ErrHelp.
func ParseArgs(args []string, out io.Writer, getenv func(string) (string, bool)) (Config, error) {
	c := Default()
	c.Out = out
	now := time.Now()
	f := flag.NewFlagSet("goodhart dead", flag.ContinueOnError)
	f.SetOutput(out)
	f.Usage = func() {
		_, _ = io.WriteString(out, usage) // nobody is left to tell
		f.PrintDefaults()
	}
	file := f.String("config", "", "YAML `file`; see services/dead/config.example.yaml")
	check := f.Bool("check-config", false, "validate the configuration and exit")
	f.Func("since", "only letters written at or after this `time` (RFC 3339, or 24h for a day ago)", moment(&c.Filter.Since, now))
	f.Func("until", "only letters written before this `time`", moment(&c.Filter.Until, now))
	f.StringVar(&c.Filter.Reason, "reason", "", "only letters with this `code`")
	f.StringVar(&c.Filter.Component, "component", "", "only letters of collector, ledger, subject, tenant, sink or alerter")
	f.StringVar(&c.Filter.Topic, "topic", "", "only records that lay in this `topic`")
	f.StringVar(&c.Filter.Source, "source", "", "only records of this `adapter`")
	f.StringVar(&c.Filter.Tenant, "tenant", "", "only records of this `tenant`")
	f.StringVar(&c.Format, "format", c.Format, "text or json")
	f.BoolVar(&c.Count, "count", false, "list: count the letters by reason")
	f.BoolVar(&c.Filter.All, "all", false, "replay: every letter, where no filter is given")
	f.BoolVar(&c.Yes, "yes", false, "replay: do it")
	f.BoolVar(&c.Force, "force", false, "replay: letters older than the horizon too, and records that would die again")
	if len(args) == 0 {
		return c, errors.New("dead: want list, show or replay; --help tells more")
	}
	if c.Command = args[0]; c.Command == "-h" || c.Command == "--help" || c.Command == "help" {
		f.Usage()
		return c, flag.ErrHelp
	}
	if err := config.ParseWords(f, args[1:], func(word string) error {
		a, err := ParseAddress(word)
		if err != nil {
			return fmt.Errorf("dead %s: %w", c.Command, err)
		}
		c.Filter.Addresses = append(c.Filter.Addresses, a)
		return nil
	}); err != nil {
		return c, err
	}
	if err := config.Load(*file, &c, getenv); err != nil {
		return c, err
	}
	if err := c.Validate(); err != nil {
		return c, err
	}
	if *check {
		return c, ErrChecked
	}
	return c, nil
}

// ErrChecked says that the configuration was to be checked only, and is good.
var ErrChecked = errors.New("the configuration is good")

// moment reads a point in time, or how long ago it was.
func moment(into *time.Time, now time.Time) func(string) error {
	return func(s string) error {
		if ago, err := time.ParseDuration(s); err == nil {
			*into = now.Add(-ago)
			return nil
		}
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return errors.New("want a time such as 2026-11-20T08:00:00Z, or a duration such as 24h")
		}
		*into = t
		return nil
	}
}

package explain

import (
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/goodhartlabs/goodhart/services/config"
)

const usage = `usage: goodhart explain signal <id> [flags]
       goodhart explain score <team> <date> --tenant <tenant> [flags]

Recomputes a published figure from the log, prints everything that it rests on, and
compares it with the record byte for byte; docs/explain.md.
Exit code 0: they are equal; 1: they differ; 2: trouble, or the log has forgotten it.

`

// ErrChecked says that the configuration was to be checked only, and is good.
var ErrChecked = errors.New("the configuration is good")

// ParseArgs reads the command line: what to explain, its name, and flags in any
// order. --help prints the usage to out and returns flag.ErrHelp.
func ParseArgs(args []string, out io.Writer, getenv func(string) (string, bool)) (Config, error) {
	c := Default()
	c.Out = out
	f := flag.NewFlagSet("goodhart explain", flag.ContinueOnError)
	f.SetOutput(out)
	f.Usage = func() {
		_, _ = io.WriteString(out, usage) // nobody is left to tell
		f.PrintDefaults()
	}
	file := f.String("config", "", "YAML `file`; see services/explain/config.example.yaml")
	check := f.Bool("check-config", false, "validate the configuration and exit")
	asJSON := f.Bool("json", false, "write JSON, not text")
	f.Int64Var(&c.Rev, "rev", c.Rev, "`revision` to explain; negative: the newest")
	f.StringVar(&c.Tenant, "tenant", "", "score: `tenant` of the team")
	f.StringVar(&c.Window, "window", c.Window, "score: 7d or 28d, the `window` that ends with the date")
	f.StringVar(&c.Grant, "purpose", "", "`id` of an approved purpose, for a question to a person")
	f.StringVar(&c.Key, "key", "", "`file` with the private key of the role that looks, for --purpose")
	var words []string
	if err := config.ParseWords(f, args, func(word string) error { words = append(words, word); return nil }); err != nil {
		return c, err
	}
	if *asJSON {
		c.Format = FormatJSON
	}
	if err := config.Load(*file, &c, getenv); err != nil {
		return c, err
	}
	if *check && len(words) == 0 {
		if err := errors.Join(c.Kafka.Validate(), c.Rules.Validate(), c.Purpose.Validate()); err != nil {
			return c, err
		}
		return c, ErrChecked
	}
	if err := c.words(words); err != nil {
		return c, err
	}
	if err := c.Validate(); err != nil || !*check {
		return c, err
	}
	return c, ErrChecked
}

// words are what to explain.
func (c *Config) words(words []string) error {
	if len(words) == 0 {
		return errors.New("explain: want signal or score; --help tells more")
	}
	c.What = words[0]
	switch {
	case c.What == Signal && len(words) == 2:
		c.ID = words[1]
	case c.What == Score && len(words) == 3:
		c.Team, c.Day = words[1], words[2]
	case c.What == Signal:
		return errors.New("explain signal: want the id of one signal")
	case c.What == Score:
		return errors.New("explain score: want a team and a date")
	default:
		return fmt.Errorf("explain: %q is not one of signal, score", c.What)
	}
	return nil
}

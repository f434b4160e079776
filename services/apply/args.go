package apply

import (
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/goodhartlabs/goodhart/services/config"
)

const usage = `usage: goodhart apply <policy.yaml> [flags]

Publishes what a tenant declares about itself: teams and sizes, roles, weights of
outcomes, KPI targets, registered automation, context, disputes; docs/apply.md.
Exit code 0: it is in force; 1: --diff has found differences; 2: trouble.

`

// ErrChecked says that the configuration and the policy file were to be checked
// only, and are good.
var ErrChecked = errors.New("the configuration is good")

// ParseArgs reads the command line: the policy file and flags, in any order.
// --help prints the usage to out and returns flag.ErrHelp.
func ParseArgs(args []string, out io.Writer, getenv func(string) (string, bool)) (Config, error) {
	c := Default()
	c.Out = out
	f := flag.NewFlagSet("goodhart apply", flag.ContinueOnError)
	f.SetOutput(out)
	f.Usage = func() {
		_, _ = io.WriteString(out, usage) // nobody is left to tell
		f.PrintDefaults()
	}
	file := f.String("config", "", "YAML `file` that says where Kafka is; see services/apply/config.example.yaml")
	check := f.Bool("check-config", false, "validate the configuration and the policy file and exit")
	f.BoolVar(&c.Diff, "diff", false, "say what would change and publish nothing")
	f.BoolVar(&c.Again, "again", false, "publish it although it is in force, as after a dead letter")
	f.StringVar(&c.Tenant, "tenant", "", "`tenant` that the file must speak of; needed if it names none")
	if err := config.ParseWords(f, args, func(word string) error {
		if c.File != "" {
			return fmt.Errorf("apply: %q: want one policy file: one tenant a file", word)
		}
		c.File = word
		return nil
	}); err != nil {
		return c, err
	}
	if err := config.Load(*file, &c, getenv); err != nil {
		return c, err
	}
	if err := c.Validate(); err != nil || !*check {
		return c, err
	}
	if _, err := readPolicy(c.File, c.Tenant); err != nil {
		return c, err
	}
	return c, ErrChecked
}

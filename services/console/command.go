package console

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/identity"
	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/schemas"
	"github.com/goodhartlabs/goodhart/services/config"
	"github.com/goodhartlabs/goodhart/services/kafka"
	"github.com/goodhartlabs/goodhart/services/keyring"
	"github.com/goodhartlabs/goodhart/services/purpose"
)

const usage = `usage: goodhart console [--config console.yaml] [--check-config]
       goodhart console token --tenant <tenant> --subject <pseudonym> [--days 30]
       goodhart console purpose request --key <file> --tenant <tenant> --subject <pseudonym> --reason <text> [--days 14]
       goodhart console purpose approve|withdraw|show <id> --key <file>
       goodhart console purpose list

Without a command: answers people about themselves over HTTP. token makes a personal
token; purpose keeps the log of who else may see what concerns one person, and why.
docs/console.md, docs/privacy.md

`

// Command is what a command line asks for.
type Command struct {
	Config Config
	// Words are the command: none to answer people, token, purpose <act>.
	Words []string
	// ID of a purpose, Key the file with the private key of the role that acts.
	ID, Key string
	// Tenant and Subject are who it is about; Person is an id of the people file
	// that stands for a pseudonym.
	Tenant, Subject, Person string
	Reason                  string
	Days                    int
	Out                     io.Writer
}

// ErrChecked says that the configuration was to be checked only, and is good.
var ErrChecked = errors.New("the configuration is good")

// ParseArgs reads the command line. --help prints the usage to out and returns
// flag.ErrHelp.
func ParseArgs(args []string, out io.Writer, getenv func(string) (string, bool)) (Command, error) {
	c := Command{Config: Default(), Out: out}
	f := flag.NewFlagSet("goodhart console", flag.ContinueOnError)
	f.SetOutput(out)
	f.Usage = func() {
		_, _ = io.WriteString(out, usage) // nobody is left to tell
		f.PrintDefaults()
	}
	file := f.String("config", "", "YAML `file`; see services/console/config.example.yaml")
	check := f.Bool("check-config", false, "validate the configuration and exit")
	ring := f.String("keyring", "", "`file` with the keys of the tenants, instead of keyring_file")
	f.StringVar(&c.Tenant, "tenant", "", "`tenant` that it is about")
	f.StringVar(&c.Subject, "subject", "", "`pseudonym` that it is about")
	f.StringVar(&c.Person, "person", "", "`id` in the people file, instead of --subject")
	f.StringVar(&c.Key, "key", "", "`file` with the private key of the role that acts, PEM, mode 0600")
	f.StringVar(&c.Reason, "reason", "", "purpose request: why, in one line of `text`")
	f.IntVar(&c.Days, "days", 0, "token: it is good for so many `days`, 1 to 90 (30); purpose request: 1 to 30 (14)")
	if err := config.ParseWords(f, args, func(word string) error { c.Words = append(c.Words, word); return nil }); err != nil {
		return c, err
	}
	if err := config.Load(*file, &c.Config, getenv); err != nil {
		return c, err
	}
	if *ring != "" {
		c.Config.KeyringFile = *ring
	}
	if err := c.words(); err != nil {
		return c, err
	}
	if len(c.Words) > 0 && c.Words[0] == "purpose" {
		if err := errors.Join(c.Config.Kafka.Validate(), c.Config.Purpose.Validate()); err != nil {
			return c, err
		}
	} else if err := c.Config.Validate(); err != nil {
		return c, err
	}
	if *check {
		return c, ErrChecked
	}
	return c, nil
}

// words checks the command.
func (c *Command) words() error {
	switch {
	case len(c.Words) == 0, len(c.Words) == 1 && c.Words[0] == "token":
		return nil
	case c.Words[0] != "purpose":
		return fmt.Errorf("console: %q is not one of token, purpose", c.Words[0])
	case len(c.Words) == 1:
		return errors.New("console purpose: want request, approve, withdraw, show or list")
	}
	switch act := c.Words[1]; act {
	case "request", "list":
		if len(c.Words) > 2 {
			return fmt.Errorf("console purpose %s: %q: want flags alone", act, c.Words[2])
		}
	case "approve", "withdraw", "show":
		if len(c.Words) != 3 {
			return fmt.Errorf("console purpose %s: want the id of one purpose", act)
		}
		c.ID = c.Words[2]
	default:
		return fmt.Errorf("console purpose: %q is not one of request, approve, withdraw, show, list", act)
	}
	return nil
}

// Serves reports whether people are to be answered; otherwise Run does what is
// asked for and ends.
func (c *Command) Serves() bool { return len(c.Words) == 0 }

// Run makes a token, or acts on the log of purposes.
func (c *Command) Run(ctx context.Context) error {
	if c.Words[0] == "token" {
		return c.token()
	}
	k, p := c.Config.Kafka, c.Config.Purpose
	var e purpose.Entry
	var err error
	switch c.Words[1] {
	case "request":
		var subject string
		if subject, err = c.subject(p.KeyringFile); err != nil {
			return err
		}
		e, err = purpose.Request(ctx, k, p, c.Key, purpose.Entry{
			Tenant: c.Tenant, Subject: subject, Reason: c.Reason, Until: time.Now().Add(c.days(14)).UnixMilli(),
		})
	case "approve":
		e, err = purpose.Approve(ctx, k, p, c.Key, c.ID)
	case "withdraw":
		e, err = purpose.Withdraw(ctx, k, p, c.Key, c.ID)
	case "show":
		return c.show(ctx)
	default:
		return c.list(ctx)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.Out, "%s %s by the %s, until %s\n", e.Kind, e.ID, e.Role, day(e.Until))
	return err
}

func (c *Command) days(otherwise int) time.Duration {
	if c.Days == 0 {
		c.Days = otherwise
	}
	return time.Duration(c.Days) * 24 * time.Hour
}

// subject is the pseudonym that a command is about.
func (c *Command) subject(ring string) (string, error) {
	if (c.Subject == "") == (c.Person == "") {
		return "", errors.New("console: want one of --subject, --person")
	}
	if c.Subject != "" {
		return c.Subject, nil
	}
	keys, err := keyring.Read(ring)
	if err != nil {
		return "", err
	}
	var nobody *identity.Directory // who owns a key is who its entry says, known or not
	return keys.Pseudonym(c.Tenant, nobody.Find(identity.Query{Tenant: c.Tenant, Person: c.Person}))
}

// token prints a personal token.
func (c *Command) token() error {
	subject, err := c.subject(c.Config.KeyringFile)
	if err != nil {
		return err
	}
	ring, err := keyring.Read(c.Config.KeyringFile)
	if err != nil {
		return err
	}
	now := c.Config.now()
	text, err := Token{Tenant: c.Tenant, Subject: subject, Issued: now, Expires: now.Add(c.days(30))}.Text(ring)
	if err != nil {
		return fmt.Errorf("console token: %w", err)
	}
	_, err = fmt.Fprintln(c.Out, text)
	return err
}

// list prints the log of purposes.
func (c *Command) list(ctx context.Context) error {
	entries, err := purpose.List(ctx, c.Config.Kafka, c.Config.Purpose)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, err := fmt.Fprintf(c.Out, "%d  %s  %-8s %s  %s  %s|%s  until %s  %s%s\n",
			e.Seq, time.UnixMilli(e.At).UTC().Format(time.RFC3339), e.Kind, e.ID, e.Role, e.Tenant, e.Subject, day(e.Until), e.Reason, e.What); err != nil {
			return err
		}
	}
	return nil
}

func day(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }

// show prints everything on goodhart.self.v1 about the person whom a purpose names.
// The look is recorded before the topic is read.
func (c *Command) show(ctx context.Context) error {
	grant, err := purpose.Use(ctx, c.Config.Kafka, c.Config.Purpose, c.Key, c.ID, "console purpose show")
	if err != nil {
		return err
	}
	cl, err := kgo.NewClient(c.Config.Kafka.Options()...)
	if err != nil {
		return fmt.Errorf("open kafka: %w", err)
	}
	defer cl.Close()
	layout, err := kschema.Load(ctx, cl)
	if err != nil {
		return err
	}
	key := grant.Tenant + "|" + grant.Subject
	partition := schemas.Partition([]byte(key), layout.Partitions(schemas.TopicSelf))
	spans, err := kafka.Spans(ctx, cl, schemas.TopicSelf, time.Time{})
	if err != nil {
		return err
	}
	for _, s := range spans {
		if s.Partition != partition {
			continue
		}
		err := s.Read(ctx, c.Config.Kafka.Options(), func(rec *kgo.Record) error {
			if string(rec.Key) != key || !json.Valid(rec.Value) {
				return nil
			}
			_, err := fmt.Fprintf(c.Out, "%s\n", rec.Value)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

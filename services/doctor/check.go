package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Status is how bad a finding is.
type Status int

// From good to bad.
const (
	OK Status = iota
	Warn
	Fail
)

// String is ok, warn or fail.
func (s Status) String() string { return [...]string{"ok", "warn", "fail"}[s] }

// MarshalText implements encoding.TextMarshaler.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Finding is what a check found of one thing.
type Finding struct {
	Check  string `json:"check"`
	Status Status `json:"status"`
	// Found is what is, Want what should be.
	Found string `json:"found"`
	Want  string `json:"want,omitempty"`
	// Do is what to do about it, Page where it is explained. Empty when all is
	// well.
	Do   string `json:"do,omitempty"`
	Page string `json:"page,omitempty"`
}

func fine(format string, args ...any) Finding { return Finding{Found: fmt.Sprintf(format, args...)} }

// judged is a finding of some status; want and do count when it is not OK.
func judged(s Status, found, want, do string) Finding {
	if s == OK {
		return Finding{Found: found}
	}
	return Finding{Status: s, Found: found, Want: want, Do: do}
}

// dependency is what a check asks.
type dependency string

const (
	onBroker     dependency = "broker"
	onClickHouse dependency = "clickhouse"
	onNothing    dependency = ""
)

// check looks at one thing. run returns its findings, or an error if it cannot
// tell; what it has found until then counts.
type check struct {
	name string
	page string
	on   dependency
	run  func(ctx context.Context, b *bench) ([]Finding, error)
}

// checks lists the checks to make.
func checks(cfg Config) []check {
	return slices.DeleteFunc(everyCheck(), func(c check) bool {
		return len(cfg.Only) > 0 && !slices.Contains(cfg.Only, c.name)
	})
}

// everyCheck lists all checks, in the order of the report.
func everyCheck() []check {
	return []check{
		{"broker", "operations.md", onNothing, checkBroker},
		{"broker-settings", "operations.md", onBroker, checkBrokerSettings},
		{"topics", "migrate.md", onBroker, checkTopics},
		{"topic-settings", "migrate.md", onBroker, checkTopicSettings},
		{"groups", "processor.md", onBroker, checkGroups},
		{"intents", "sink.md", onBroker, checkIntents},
		{"dead-letters", "dead.md", onBroker, checkDeadLetters},
		{"purposes", "console.md", onBroker, checkPurposes},
		{"clickhouse", "chserve.md", onNothing, checkClickHouse},
		{"schema", "migrate.md", onClickHouse, checkSchema},
		{"dedup-windows", "sink.md", onClickHouse, checkWindows},
		{"parts", "sink.md", onClickHouse, checkParts},
		{"insert-settings", "sink.md", onClickHouse, checkInsertSettings},
		{"ticks", "collector.md", onClickHouse, checkTicks},
		{"watermarks", "processor.md", onClickHouse, checkWatermarks},
		{"broker-clock", "doctor.md", onBroker, checkBrokerClock},
		{"clickhouse-clock", "doctor.md", onClickHouse, checkClickHouseClock},
		{"clickhouse-disks", "operations.md", onClickHouse, checkClickHouseDisks},
		{"local-disks", "operations.md", onNothing, checkLocalDisks},
		{"collector-files", "collector.md", onNothing, checkFiles},
	}
}

// make runs the check under the limit of time.
func (c check) make(ctx context.Context, b *bench) []Finding {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.Timeout)
	defer cancel()
	found, err := c.run(ctx, b)
	if err != nil {
		found = append(found, c.untold(ctx, b, err))
	}
	for i := range found {
		f := &found[i]
		f.Check = c.name
		if f.Status != OK && f.Page == "" {
			f.Page = "docs/" + c.page
		}
	}
	return found
}

// untold is the finding of a check that could not tell.
func (c check) untold(ctx context.Context, b *bench, err error) Finding {
	f := Finding{Status: Fail, Found: "cannot tell: " + oneLine(err), Want: "an answer"}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		f.Found = fmt.Sprintf("cannot tell: no answer within %v: %s", b.cfg.Timeout, oneLine(err))
	}
	switch c.on {
	case onNothing:
		f.Do = "mend what the error names"
	default:
		f.Do = fmt.Sprintf("mend what the check %s says first, then run this again", c.on)
	}
	return f
}

// plural is a count of things.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

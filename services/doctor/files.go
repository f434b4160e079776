package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/goodhartlabs/goodhart/services/collector"
	"github.com/goodhartlabs/goodhart/services/config"
)

// checkFiles reads what a collector reads: keys, keyring, people, prices.
func checkFiles(_ context.Context, b *bench) ([]Finding, error) {
	const do = "mend the file: a running collector keeps the old ones, a new one does not start"
	if b.cfg.Collector == "" {
		return []Finding{fine("no collector_config is given")}, nil
	}
	cfg := collector.Default()
	err := config.Load(b.cfg.Collector, &cfg, b.cfg.Getenv)
	if err == nil {
		err = cfg.Validate()
	}
	if err != nil {
		return []Finding{{Status: Fail, Found: oneLine(err), Want: "a collector's configuration", Do: "mend " + b.cfg.Collector}}, nil
	}
	files, err := collector.Files(cfg)
	var found []Finding
	for _, problem := range problems(err) {
		found = append(found, Finding{Status: Fail, Found: oneLine(problem), Want: "files that a collector can read", Do: do})
	}
	const day = 24 * time.Hour
	for _, f := range files {
		age := time.Since(f.Modified)
		status := b.cfg.Limits.FileAge.above(age)
		if f.Key == "keyring_file" { // it should never change
			status = OK
		}
		found = append(found, judged(status, fmt.Sprintf("%s %s was written %d days ago", f.Key, f.Path, age/day),
			fmt.Sprintf("at most %d days ago", b.cfg.Limits.FileAge.Warn/day), "bring it up to date: teams, leavers, prices and keys change"))
	}
	if len(found) == 0 {
		found = append(found, fine("the collector reads no files"))
	}
	return found, nil
}

// problems are the errors that err joins.
func problems(err error) []error {
	if err == nil {
		return nil
	}
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.Unwrap()
	}
	return []error{err}
}

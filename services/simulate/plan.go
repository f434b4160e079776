package simulate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/goodhartlabs/goodhart/services/simulate/org"
	"github.com/goodhartlabs/goodhart/services/simulate/traffic"
	"github.com/goodhartlabs/goodhart/services/simulate/truth"
)

// Names of the files of a plan.
const (
	planFile     = "plan.json"
	peopleFile   = "people.yaml"
	keysFile     = "keys.yaml"
	secretsFile  = "secrets.json"
	policyFile   = "policy.yaml"
	targetFile   = "policy.target.yaml"
	truthDir     = "truth"
	progressFile = "progress.json"
)

// rest is how far the period must lie in the past: the clock moves on for
// truth.Epilogue after it, and must not pass the wall clock.
const rest = 72 * time.Hour

// generation changes when the same seed gives other traffic than before.
const generation = 2

// plan is what Send needs to know to make the same traffic again.
type plan struct {
	Generation int    `json:"generation"`
	Seed       uint64 `json:"seed"`
	People     int    `json:"people"`
	Days       int    `json:"days"`
	Events     int    `json:"events"`
	// Start and End bound the period, RFC 3339.
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	// FinalClock is the last Goodhart-Clock, ms since the epoch.
	FinalClock int64 `json:"final_clock"`
	// Mark is in everything that must not be stored.
	Mark string `json:"mark"`
	// AnnouncedHour is the hour of the period at which the target is announced,
	// RunawayHour the one in which a service has run away; 0 if there is none.
	AnnouncedHour int `json:"announced_hour"`
	RunawayHour   int `json:"runaway_hour"`
	// Totals are what will be sent.
	Totals truth.Totals `json:"totals"`
}

func (p plan) traffic() traffic.Config {
	return traffic.Config{Seed: p.Seed, Start: p.Start.UnixMilli(), Days: p.Days, Events: p.Events}
}

func (p plan) company() *org.Org { return org.New(p.Seed, p.People, p.Days, p.Start) }

// epilogue lists the last values of the clock. After the period it moves on until
// nothing can be corrected any more, and then a minute for each of the two folds
// that merge: they hold the newest watermark back until there is a newer one.
func (p plan) epilogue() []int64 {
	minute := time.Minute.Milliseconds()
	return []int64{p.FinalClock - 2*minute, p.FinalClock - minute, p.FinalClock}
}

// newPlan fixes the period.
func newPlan(cfg Config, now time.Time) (plan, error) {
	latest := now.Add(-rest).UTC().Truncate(24 * time.Hour)
	end := latest
	if cfg.End != "" {
		var err error
		if end, err = time.Parse(time.DateOnly, cfg.End); err != nil {
			return plan{}, fmt.Errorf("end of the period: %w", err)
		}
	}
	if end.After(latest) {
		return plan{}, fmt.Errorf("end: %s is after %s, which leaves three days until now", cfg.End, latest.Format(time.DateOnly))
	}
	return plan{
		Generation: generation, Seed: cfg.Seed, People: cfg.People, Days: cfg.Days, Events: cfg.Events,
		Start: end.AddDate(0, 0, -cfg.Days), End: end,
		FinalClock: end.UnixMilli() + truth.Epilogue, Mark: traffic.Mark,
	}, nil
}

// Plan writes the directory. It sends nothing. A directory with a plan of its
// own is refused if it was sent in part, since the database would then hold two
// companies.
func Plan(ctx context.Context, cfg Config) error {
	p, err := newPlan(cfg, time.Now())
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	if _, err := os.Stat(filepath.Join(cfg.Dir, progressFile)); err == nil {
		return fmt.Errorf("plan: %s was sent in part: send the rest of it, or plan into another directory", cfg.Dir)
	}
	if err := os.MkdirAll(filepath.Join(cfg.Dir, truthDir), 0o755); err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	company := p.company()
	t := truth.New(p.End.UnixMilli())
	if company.Target != nil {
		p.AnnouncedHour, p.RunawayHour = company.Target.Announced*24, company.Runaway.Hour
	}
	generator := traffic.New(p.traffic(), company)
	for step := range generator.All() {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("plan: %w", err)
		}
		t.Add(step)
	}
	p.Totals = t.Totals
	if err := errors.Join(p.writeCompany(cfg.Dir, company, generator.Threshold()), t.Write(filepath.Join(cfg.Dir, truthDir)), p.write(cfg.Dir)); err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	return p.announce(cfg, company)
}

// announce prints what is planned.
func (p plan) announce(cfg Config, o *org.Org) error {
	if cfg.Out == nil {
		return nil
	}
	_, err := fmt.Fprintf(cfg.Out, "planned %s to %s: %d people in %d teams, %d records in %d requests, %d of them repetitions; truth in %s\n",
		p.Start.Format(time.DateOnly), p.End.Format(time.DateOnly), p.People, len(o.Teams),
		p.Totals.Accepted+p.Totals.Rejected, p.Totals.Requests, p.Totals.Duplicates, filepath.Join(cfg.Dir, truthDir))
	if err != nil {
		return fmt.Errorf("plan: print: %w", err)
	}
	return nil
}

func (p plan) writeCompany(dir string, o *org.Org, threshold int64) error {
	for _, f := range []struct {
		name   string
		encode func() ([]byte, error)
		mode   os.FileMode
	}{
		{peopleFile, o.PeopleYAML, 0o644},
		{keysFile, o.KeysYAML, 0o644},
		{secretsFile, o.SecretsJSON, 0o600},
		{policyFile, func() ([]byte, error) { return o.PolicyYAML(p.Start, 0) }, 0o644},
		{targetFile, func() ([]byte, error) { return o.PolicyYAML(p.Start, threshold) }, 0o644},
	} {
		raw, err := f.encode()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, f.name), raw, f.mode); err != nil {
			return fmt.Errorf("write %s: %w", f.name, err)
		}
	}
	return nil
}

func (p plan) write(dir string) error {
	raw, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return fmt.Errorf("encode plan: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, planFile), append(raw, '\n'), 0o644); err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	return nil
}

func readPlan(dir string) (plan, error) {
	var p plan
	raw, err := os.ReadFile(filepath.Join(dir, planFile))
	if err != nil {
		return p, fmt.Errorf("read plan: %w", err)
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return p, fmt.Errorf("read plan: %w", err)
	}
	if p.Generation != generation {
		return p, fmt.Errorf("read plan: generation %d, this program makes %d: plan again", p.Generation, generation)
	}
	return p, nil
}

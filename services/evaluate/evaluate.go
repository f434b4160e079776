package evaluate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/goodhartlabs/goodhart/services/evaluate/organisation"
)

// Config of a run.
type Config struct {
	// Seeds are those of the organisations, such as 100-149 or 1,2,7-9.
	Seeds string
	// People and Weeks make the organisation smaller or larger; 0: as committed.
	People, Weeks int
	// Scenarios to play; empty: all.
	Scenarios []string
	// Cache is a directory for what became of each seed, so that a run that was
	// interrupted goes on; empty: none. What another build has left there is not used.
	Cache string
	// Report is the file to write; empty: Out.
	Report string
	// Parallel is how many seeds are played at once.
	Parallel int
	Log      *slog.Logger
	Out      io.Writer
}

// Default is the run of `make evaluate`.
func Default() Config {
	return Config{Seeds: "100-119", Parallel: runtime.GOMAXPROCS(0), Log: slog.Default(), Out: os.Stdout}
}

// organisation is the committed one in the size that is asked for.
func (c *Config) organisation() organisation.Config {
	base := organisation.Default()
	if c.People > 0 {
		base.People = c.People
	}
	if c.Weeks > 0 {
		base.Weeks = c.Weeks
		base.AnnouncedWeek = min(base.AnnouncedWeek, max(18, c.Weeks-6))
	}
	return base
}

// Validate reports everything that is wrong, joined.
func (c *Config) Validate() error {
	var errs []error
	if _, err := parseSeeds(c.Seeds); err != nil {
		errs = append(errs, err)
	}
	if c.Parallel < 1 {
		errs = append(errs, fmt.Errorf("parallel: %d: want 1 or more", c.Parallel))
	}
	for _, name := range c.Scenarios {
		if !slices.ContainsFunc(scenarios(), func(s scenario) bool { return s.Name == name }) {
			errs = append(errs, fmt.Errorf("scenarios: %q: unknown", name))
		}
	}
	base := c.organisation()
	if err := base.Validate(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// parseSeeds reads numbers and ranges, separated by commas.
func parseSeeds(s string) ([]uint64, error) {
	var seeds []uint64
	for part := range strings.SplitSeq(s, ",") {
		low, high, ranged := strings.Cut(strings.TrimSpace(part), "-")
		if !ranged {
			high = low
		}
		from, err := strconv.ParseUint(low, 10, 32)
		to, err2 := strconv.ParseUint(high, 10, 32)
		if err != nil || err2 != nil || to < from {
			return nil, fmt.Errorf("seeds: %q: want numbers and ranges such as 1,2,7-9", s)
		}
		for seed := from; seed <= to; seed++ {
			seeds = append(seeds, seed)
		}
	}
	slices.Sort(seeds)
	return slices.Compact(seeds), nil
}

// Run plays every seed in every scenario and writes the report.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	seeds, _ := parseSeeds(cfg.Seeds) // Validate did
	runs, err := playAll(ctx, &cfg, seeds)
	if err != nil {
		return err
	}
	text, err := render(newReport(&cfg, runs))
	if err != nil {
		return err
	}
	if cfg.Report == "" {
		_, err = io.WriteString(cfg.Out, text)
		return err
	}
	if err := os.WriteFile(cfg.Report, []byte(text), 0o644); err != nil { //nolint:gosec // a page to be read by all
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// playAll returns the runs by scenario and seed, in their order.
func playAll(ctx context.Context, cfg *Config, seeds []uint64) ([]*run, error) {
	cache, err := openCache(ctx, cfg.Cache, cfg.organisation())
	if err != nil {
		return nil, err
	}
	var played []scenario
	for _, s := range scenarios() {
		if len(cfg.Scenarios) == 0 || slices.Contains(cfg.Scenarios, s.Name) {
			played = append(played, s)
		}
	}
	runs := make([]*run, len(played)*len(seeds))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(cfg.Parallel)
	for n, seed := range seeds {
		for i, s := range played {
			group.Go(func() error {
				r, err := cache.load(&s, seed)
				if err != nil {
					return err
				}
				if r == nil {
					begin := time.Now()
					if r, err = play(ctx, s, seed, cfg.organisation()); err != nil {
						return err
					}
					cfg.Log.Info("played", "scenario", s.Name, "seed", seed, "events", r.Events, "took", time.Since(begin).Round(time.Millisecond))
					if err := cache.store(&s, r); err != nil {
						return err
					}
				}
				runs[i*len(seeds)+n] = r
				return nil
			})
		}
	}
	return runs, group.Wait()
}

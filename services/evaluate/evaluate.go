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
	"github.com/goodhartlabs/goodhart/services/evaluate/runaway"
	"github.com/goodhartlabs/goodhart/services/evaluate/traces"
)

// Config of a run.
type Config struct {
	// Seeds are those of the organisations, such as 100-149 or 1,2,7-9.
	Seeds string
	// People and Weeks make the organisation smaller or larger; 0: as committed.
	People, Weeks int
	// Scenarios to play; empty: all.
	Scenarios []string
	// Traces is a directory of public traces to inject gaming into; empty: none.
	Traces string
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
		if name == fromTraces && c.Traces == "" {
			errs = append(errs, errors.New("scenarios: traces: want --traces, a directory of them"))
		}
		if name != runaways && name != fromTraces && !slices.ContainsFunc(scenarios(), func(s scenario) bool { return s.Name == name }) {
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
	var set *traces.Set
	if cfg.Traces != "" {
		var err error
		if set, err = traces.Read(cfg.Traces); err != nil {
			return err
		}
	}
	runs, guards, err := playAll(ctx, &cfg, seeds)
	if err != nil {
		return err
	}
	r := newReport(&cfg, runs, guards)
	if set != nil {
		bases := set.Bases()
		played, err := injectAll(ctx, &cfg, bases)
		if err != nil {
			return err
		}
		r.Injected = newInjectedReport(set.Files, bases, played)
	}
	text, err := render(r)
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

// Names of what is played besides the scenarios: agents that run away, and real
// traces.
const (
	runaways   = "runaways"
	fromTraces = "traces"
)

// plays reports whether a scenario is asked for.
func (c *Config) plays(name string) bool {
	return len(c.Scenarios) == 0 || slices.Contains(c.Scenarios, name)
}

// playAll returns the runs by scenario and seed, in their order, and what the guards
// said of agents that run away.
func playAll(ctx context.Context, cfg *Config, seeds []uint64) ([]*run, *runaway.Result, error) {
	var played []scenario
	for _, s := range scenarios() {
		if cfg.plays(s.Name) {
			played = append(played, s)
		}
	}
	cache, err := openCache(ctx, cfg, played)
	if err != nil {
		return nil, nil, err
	}
	runs, guards := make([]*run, len(played)*len(seeds)), make([]*runaway.Result, len(seeds))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(cfg.Parallel)
	for n, seed := range seeds {
		for i, s := range played {
			group.Go(func() (err error) {
				runs[i*len(seeds)+n], err = kept(cache.path(s.Name, seed, s.Signals), func() (*run, error) {
					defer cfg.tell(s.Name, seed)()
					return play(ctx, s, seed, cfg.organisation())
				})
				return err
			})
		}
		if !cfg.plays(runaways) {
			continue
		}
		group.Go(func() (err error) {
			guards[n], err = kept(cache.path(runaways, seed, true), func() (*runaway.Result, error) {
				defer cfg.tell(runaways, seed)()
				r, err := runaway.Run(runaway.Default(), []uint64{seed})
				return &r, err
			})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	all := &runaway.Result{}
	for _, g := range guards {
		if g != nil {
			all.Seeds = append(all.Seeds, g.Seeds...)
		}
	}
	return runs, all, nil
}

// tell logs that something was played, once it was.
func (c *Config) tell(name string, seed uint64) func() {
	begin := time.Now()
	return func() {
		c.Log.Info("played", "scenario", name, "seed", seed, "took", time.Since(begin).Round(time.Millisecond))
	}
}

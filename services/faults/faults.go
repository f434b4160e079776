// Package faults runs the pipeline as one process a role and breaks the
// processes, by a schedule that follows from a seed, while the traffic of an
// invented company flows: they are killed, frozen past their session, and kept
// from the database with an insert begun. Then plain SQL says whether the
// database holds the truth that was written down before.
package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Config of a run.
type Config struct {
	// Seed makes the company and the schedule.
	Seed uint64
	// Bin holds goodhart and chserve, Library is the file libchdb.so, Deploy the
	// directory deploy of the repository.
	Bin, Library, Deploy string
	// Dir gets all state. What a run before has left there is removed. At the end
	// all is, but for logs, truth and answers of a run that failed.
	Dir string
	// Keep leaves everything in Dir.
	Keep bool
	// Cluster is a running one of deploy/kafka; nil: `goodhart broker` is run.
	Cluster *Cluster

	// People, Days and Events are those of the company.
	People, Days, Events int
	// Rate is how many records are sent a second at most; 0: no bound.
	Rate int
	// Rounds is how often each role is killed, 1 or 2.
	Rounds int
	// Freeze is how long a process is stopped, longer than the 45 s of a session;
	// 0: none is.
	Freeze time.Duration
	// Out receives what happens.
	Out io.Writer
}

// Cluster is what `deploy/kafka/cluster.sh run` tells its command; the script
// finds the cluster by the environment that it set.
type Cluster struct {
	// Brokers are the addresses of the nodes 1, 2 and 3.
	Brokers []string
	// Dir holds what the nodes have logged.
	Dir string
}

// Floor is how many events a second should flow when a fault strikes.
const Floor = 2000

// Default is a run of about three minutes; Bin, Library, Deploy and Dir are
// still to be set.
func Default() Config {
	return Config{
		Seed: 1, People: 120, Days: 28, Events: 300_000, Rate: 2600,
		Rounds: 2, Freeze: 50 * time.Second, Out: os.Stdout,
	}
}

// Validate reports every problem.
func (c Config) Validate() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(c.Bin == "" || c.Library == "" || c.Deploy == "" || c.Dir == "", "bin, library, deploy and dir are needed")
	bad(c.Rounds != 1 && c.Rounds != 2, "rounds: %d is neither 1 nor 2", c.Rounds)
	bad(c.Freeze != 0 && c.Freeze <= session, "freeze: %s is within the session of %s", c.Freeze, session)
	bad(c.Cluster != nil && len(c.Cluster.Brokers) != nodes, "cluster: want the %d nodes of deploy/kafka", nodes)
	return errors.Join(errs...)
}

// session is after how long the folds' and sinks' groups give up a silent member.
const session = 45 * time.Second

// run is one run under way.
type run struct {
	cfg      Config
	began    time.Time
	fail     context.CancelCauseFunc // ends the run
	fleet    *fleet
	counters *counters
	flow     *flow
	sender   *sender
	toll     *toll
	log      *journal
}

// Run runs the pipeline, breaks it and compares. It returns an error if the
// database differs from the truth, if a provoked thing did not happen, and if a
// process ended by itself. Every process it started has ended when it returns.
func Run(ctx context.Context, cfg Config) (Report, error) {
	if err := cfg.Validate(); err != nil {
		return Report{}, fmt.Errorf("faults: %w", err)
	}
	if err := empty(cfg.Dir); err != nil {
		return Report{}, fmt.Errorf("faults: %w", err)
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	r := &run{
		cfg: cfg, began: time.Now(), fail: fail, counters: newCounters(), toll: newToll(), sender: &sender{},
		flow: &flow{path: filepath.Join(cfg.Dir, planDir, "progress.json")},
	}
	r.log = &journal{out: cfg.Out, began: r.began}
	report, err := r.play(ctx)
	if cause := context.Cause(ctx); cause != nil && err != nil {
		err = cause // what came first: the rest followed from it
	}
	fail(nil) // kills what still runs
	if r.fleet != nil {
		r.fleet.wait()
	}
	return report, errors.Join(err, r.tidy(err))
}

// empty makes the directory empty, if it is a run's.
func empty(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		if _, err := os.Stat(filepath.Join(dir, logDir)); err != nil {
			return fmt.Errorf("%s exists and is not of a run before: remove it, or choose another", dir)
		}
	}
	return errors.Join(os.RemoveAll(dir), os.MkdirAll(filepath.Join(dir, logDir), 0o755))
}

// play is the run from the plan to the verdict.
func (r *run) play(ctx context.Context) (Report, error) {
	total, err := r.plan(ctx)
	if err != nil {
		return Report{}, err
	}
	if r.fleet, err = newFleet(r.cfg, r.fail); err != nil {
		return Report{}, err
	}
	if err := r.fleet.start(ctx); err != nil {
		return Report{}, err
	}
	r.log.say("every role is ready, each a process of its own; logs in %s", filepath.Join(r.cfg.Dir, logDir))
	for _, p := range r.fleet.processes {
		go r.counters.watch(ctx, p)
	}
	sent := make(chan error, 1)
	go func() { sent <- r.send(ctx) }()
	if err := r.strikeAll(ctx, total, sent); err != nil {
		return Report{}, err
	}
	differs := r.verdict(ctx)
	report, err := r.report(ctx)
	if err != nil {
		return report, errors.Join(differs, err)
	}
	r.log.print(report.String())
	return report, errors.Join(differs, report.lacking(), r.fleet.stop(ctx))
}

// Directories under Config.Dir.
const (
	planDir = "plan"
	logDir  = "logs"
	dataDir = "data"
)

// tidy removes what nobody needs any more.
func (r *run) tidy(failed error) error {
	switch {
	case r.cfg.Keep:
		r.log.say("everything is left in %s", r.cfg.Dir)
		return nil
	case failed == nil:
		return os.RemoveAll(r.cfg.Dir)
	}
	r.keepClusterLogs()
	r.log.say("logs, truth and answers are left in %s", r.cfg.Dir)
	return os.RemoveAll(filepath.Join(r.cfg.Dir, dataDir))
}

package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// plan writes the truth and returns how many records will be sent.
func (r *run) plan(ctx context.Context) (total int64, err error) {
	dir := filepath.Join(r.cfg.Dir, planDir)
	cmd := r.simulate(ctx, "plan", "--out", dir, "--seed", fmt.Sprint(r.cfg.Seed), "--people", fmt.Sprint(r.cfg.People),
		"--days", fmt.Sprint(r.cfg.Days), "--events", fmt.Sprint(r.cfg.Events))
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("plan: %w\n%s", err, out)
	}
	r.log.say("%s", bytes.TrimSpace(out))
	raw, err := os.ReadFile(filepath.Join(dir, "plan.json"))
	if err != nil {
		return 0, fmt.Errorf("read plan: %w", err)
	}
	var plan struct {
		Totals struct{ Accepted, Rejected int64 }
	}
	if err := json.Unmarshal(raw, &plan); err != nil {
		return 0, fmt.Errorf("read plan: %w", err)
	}
	return plan.Totals.Accepted + plan.Totals.Rejected, nil
}

func (r *run) simulate(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, filepath.Join(r.cfg.Bin, "goodhart"), append([]string{"simulate"}, args...)...)
}

// verdict waits until all has arrived, and has SQL and `goodhart reconcile` say
// whether each record counts once.
func (r *run) verdict(ctx context.Context) error {
	compare := exec.CommandContext(ctx, "bash", filepath.Join(r.cfg.Deploy, "demo", "compare.sh"), r.cfg.Dir, r.fleet.clickhouse)
	compare.Stdout, compare.Stderr = r.log, r.log
	if err := compare.Run(); err != nil {
		return fmt.Errorf("the database differs from the truth: %w", err)
	}
	path, err := r.fleet.write("reconcile", r.fleet.dsn())
	if err != nil {
		return err
	}
	if err := r.fleet.goodhart(ctx, "reconcile", "--config", path); err != nil {
		return err
	}
	r.log.print("  holds   rollups equal raw rows (goodhart reconcile)\n")
	return nil
}

// keepClusterLogs copies what the nodes of a cluster have logged beside the logs
// of the roles: their directory goes with the cluster.
func (r *run) keepClusterLogs() {
	if r.cfg.Cluster == nil {
		return
	}
	found, _ := filepath.Glob(filepath.Join(r.cfg.Cluster.Dir, "[1-9]", "log*")) // the pattern is well-formed
	for _, path := range found {
		if text, err := os.ReadFile(path); err == nil {
			name := broker + "-" + filepath.Base(filepath.Dir(path)) + "." + filepath.Base(path)
			_ = os.WriteFile(filepath.Join(r.cfg.Dir, logDir, name), text, 0o644)
		}
	}
}

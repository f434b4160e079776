package faults

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Report is what a run provoked. What only the processes themselves could tell is
// a lower bound: a kill takes with it what it has counted since the last look.
type Report struct {
	// Killed and Frozen count by role; Down is how long processes of the role
	// were dead, starting or frozen, all together.
	Killed, Frozen map[string]int
	Down           map[string]time.Duration
	// Aborted transactions, by their marks in the log; AbortedByFolds are those
	// that a living fold decided on.
	Aborted, AbortedByFolds int64
	// Replayed ranges were begun by a former life or another sink.
	Replayed int64
	// Shards of state were loaded from snapshots.
	Shards int64
	// Checked intents were compared with the tables, by what was found there.
	Checked map[string]int64
	// Repeated requests were not acknowledged and sent again.
	Repeated int64
	// Faults struck, Below of them while fewer than Floor events a second flowed;
	// Slowest is the least that flowed when one did.
	Faults, Below int
	Slowest       float64
	// Took is the whole run so far.
	Took time.Duration

	rounds int
}

// outcomes of a comparison of an intent with the tables.
var outcomes = []string{"absent", "partial", "complete"}

func (r *run) report(ctx context.Context) (Report, error) {
	aborted, err := abortMarkers(ctx, r.fleet.brokers)
	if err != nil {
		return Report{}, err
	}
	for _, p := range r.fleet.processes {
		r.counters.look(ctx, p)
	}
	checked := map[string]int64{}
	for _, outcome := range outcomes {
		checked[outcome] = r.counters.total("", counterChecked, `outcome="`+outcome+`"`)
	}
	return Report{
		Killed: r.toll.killed, Frozen: r.toll.frozen, Down: r.toll.down,
		Aborted: int64(aborted), AbortedByFolds: r.counters.total("", counterTransactions, `result="aborted"`),
		Replayed: r.counters.total("", counterReplayed, ""),
		Shards:   r.counters.total("", counterShards, ""),
		Checked:  checked,
		Repeated: r.flow.read().Repeated,
		Faults:   r.toll.struck, Below: r.toll.below, Slowest: r.toll.slowest,
		Took: time.Since(r.began), rounds: r.cfg.Rounds,
	}, nil
}

func (r Report) checked() (sum int64) {
	for _, n := range r.Checked {
		sum += n
	}
	return sum
}

// lacking says what should have happened and did not.
func (r Report) lacking() error {
	var errs []error
	least := func(what string, n, want int64) {
		if n < want {
			errs = append(errs, fmt.Errorf("%s: %d, want %d or more", what, n, want))
		}
	}
	for _, role := range []string{chserve, sink, processor, collector} {
		least(role+" killed", int64(r.Killed[role]), int64(r.rounds))
	}
	least("broker killed", int64(r.Killed[broker]), 1)
	least("aborted transactions", r.Aborted, 1)
	least("replayed ranges", r.Replayed, 1)
	least("restored shards", r.Shards, 1)
	least("checked intents", r.checked(), 1)
	return errors.Join(errs...)
}

// String is the report as a table.
func (r Report) String() string {
	var b strings.Builder
	b.WriteString("provoked by faults:\n")
	fmt.Fprintf(&b, "  %-12s %7s %7s %9s\n", "", "killed", "frozen", "down")
	for _, role := range roles {
		fmt.Fprintf(&b, "  %-12s %7d %7d %7.1f s\n", role, r.Killed[role], r.Frozen[role], r.Down[role].Seconds())
	}
	fmt.Fprintf(&b, "  %-22s %7d  %d of them by a fold that lived on\n", "aborted transactions", r.Aborted, r.AbortedByFolds)
	fmt.Fprintf(&b, "  %-22s %7d\n", "replayed ranges", r.Replayed)
	fmt.Fprintf(&b, "  %-22s %7d\n", "restored shards", r.Shards)
	fmt.Fprintf(&b, "  %-22s %7d ", "checked intents", r.checked())
	for _, outcome := range outcomes {
		fmt.Fprintf(&b, " %s %d", outcome, r.Checked[outcome])
	}
	fmt.Fprintf(&b, "\n  %-22s %7d  by clients, until they were acknowledged\n", "requests repeated", r.Repeated)
	fmt.Fprintf(&b, "  %d faults, %d of them while fewer than %d events/s flowed; the least was %.0f\n", r.Faults, r.Below, Floor, r.Slowest)
	return b.String()
}

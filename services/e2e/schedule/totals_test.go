package schedule

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// counts counts what happened, by kind. Safe for concurrent use.
type counts struct {
	mu sync.Mutex
	n  map[string]int64
}

func (c *counts) add(kind string) { c.more(kind, 1) }

func (c *counts) more(kind string, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int64{}
	}
	c.n[kind] += n
}

func (c *counts) all() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.n)
}

// Kinds that are counted beside faults.
const (
	countEvents = "events"
	countLost   = "lost"
	countDouble = "double"
	// phenomenon stands before what the traffic provokes.
	phenomenon = "records: "
	// reaction stands before what the pipeline did about it.
	reaction = "done: "
)

var (
	phenomena = []string{"dead", "delayed", "duplicate", "fast clock", "late", "merged", "rejected", "reverted"}
	reactions = []string{
		abortedTransactions, confirmedTransactions, restoredPartitions, reopenedSessions, stoppedPartitions,
		retriedInserts, replayedRanges, siftedRecords, repeatedRequests,
	}
)

// What the pipeline does about faults.
const (
	abortedTransactions   = "transactions aborted"
	confirmedTransactions = "transactions confirmed"
	restoredPartitions    = "partitions restored"
	reopenedSessions      = "fold sessions reopened"
	stoppedPartitions     = "partitions stopped"
	retriedInserts        = "inserts retried"
	replayedRanges        = "ranges replayed"
	siftedRecords         = "records sifted"
	repeatedRequests      = "requests repeated"
)

// tally counts what the processes say of themselves.
func (w *world) tally() {
	folds, sinks := w.crews[processorRole], w.crews[sinkRole]
	for kind, n := range map[string]int64{
		abortedTransactions:   folds.sum("goodhart_fold_transactions_total", "aborted"),
		confirmedTransactions: folds.sum("goodhart_fold_transactions_total", "confirmed"),
		restoredPartitions:    folds.sum("goodhart_fold_restores_total", ""),
		reopenedSessions:      folds.sum("goodhart_fold_sessions_reopened_total", ""),
		retriedInserts:        sinks.sum("goodhart_sink_insert_retries_total", ""),
		replayedRanges:        sinks.sum("goodhart_sink_replayed_ranges_total", ""),
		siftedRecords:         w.crews[collectorRole].sum("goodhart_collector_sifted_records_total", ""),
	} {
		w.struck.more(reaction+kind, n)
	}
}

// kinds lists everything that a run of all seeds must have seen.
func kinds() []string {
	var all []string
	for _, k := range kindsFaults {
		for _, err := range k.errs {
			all = append(all, fault{name: k.name, err: err}.kind())
		}
	}
	for _, c := range kindsCuts {
		for _, c.when = range c.ways() {
			all = append(all, c.kind())
		}
	}
	for _, s := range waysToStore {
		all = append(all, string(s))
	}
	all = append(all, drawable...)
	for _, p := range phenomena {
		all = append(all, phenomenon+p)
	}
	for _, r := range reactions {
		all = append(all, reaction+r)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// report prints the totals. A run of all seeds fails if something never
// happened.
func (b *bench) report(t *testing.T, schedules int, took time.Duration) {
	t.Helper()
	all := b.totals.all()
	lines := []string{fmt.Sprintf("%d schedules in %.0f s (%.0f a minute): %d events, lost %d, double %d",
		schedules, took.Seconds(), float64(schedules)/took.Minutes(), all[countEvents], all[countLost], all[countDouble])}
	for _, kind := range kinds() {
		lines = append(lines, fmt.Sprintf("%8d  %s", all[kind], kind))
		if all[kind] == 0 && schedules >= allSeeds {
			t.Errorf("%d schedules, and never: %s", schedules, kind)
		}
	}
	t.Log(strings.Join(lines, "\n"))
}

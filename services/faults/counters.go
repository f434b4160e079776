package faults

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What is watched.
const (
	counterTransactions = "goodhart_fold_transactions_total"
	counterShards       = "goodhart_fold_restored_shards_total"
	counterReplayed     = "goodhart_sink_replayed_ranges_total"
	counterChecked      = "goodhart_sink_checked_intents_total"
	counterRetries      = "goodhart_sink_insert_retries_total"
	counterRows         = "goodhart_sink_rows_total"
	gaugeLag            = "goodhart_sink_lag_seconds"
)

// counters holds the last values seen of every life of every process: a counter
// begins anew with each life, and what a killed one had counted still counts.
// What it counted after the last look is lost, so sums are lower bounds. Safe for
// concurrent use.
type counters struct {
	mu   sync.Mutex
	seen map[string]map[string]float64 // life → series → value
}

func newCounters() *counters { return &counters{seen: map[string]map[string]float64{}} }

const lookEvery = 500 * time.Millisecond

// watch looks at a process until ctx ends.
func (c *counters) watch(ctx context.Context, p *process) {
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	for {
		c.look(ctx, p)
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

// look reads what a process has counted. One that does not answer keeps its last
// values.
func (c *counters) look(ctx context.Context, p *process) {
	life := p.life() // before the question: the answer may be that of the next life, never of the last one
	body, err := get(ctx, "http://"+p.admin+"/metrics")
	if err != nil || p.life() != life {
		return
	}
	c.note(life, body)
}

func (c *counters) note(life string, page []byte) {
	values := map[string]float64{}
	for line := range bytes.Lines(page) {
		series, number, ok := cutLast(strings.TrimSpace(string(line)))
		if !ok || !strings.HasPrefix(series, "goodhart_") {
			continue
		}
		if v, err := strconv.ParseFloat(number, 64); err == nil {
			values[series] = v
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[life] = values
}

// cutLast cuts a line before its last word: labels may hold spaces.
func cutLast(line string) (before, last string, ok bool) {
	i := strings.LastIndexByte(line, ' ')
	if i < 0 {
		return "", "", false
	}
	return line[:i], line[i+1:], true
}

// total sums a counter over the series that have the label, given as name="value"
// or empty for all, and over all lives, or that of the given name.
func (c *counters) total(life, counter, label string) int64 {
	var sum float64
	c.each(life, counter, label, func(v float64) { sum += v })
	return int64(sum)
}

// largest is the largest of a gauge's series, chosen as total does; 0 for none.
func (c *counters) largest(life, gauge, label string) float64 {
	var most float64
	c.each(life, gauge, label, func(v float64) { most = max(most, v) })
	return most
}

func (c *counters) each(life, metric, label string, value func(float64)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, values := range c.seen {
		if life != "" && name != life {
			continue
		}
		for series, v := range values {
			of, labels, _ := strings.Cut(series, "{")
			if of == metric && strings.Contains(labels, label) {
				value(v)
			}
		}
	}
}

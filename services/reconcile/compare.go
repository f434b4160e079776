package reconcile

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Difference is one figure of a rollup that raw contradicts.
type Difference struct {
	Table string
	// Month is the partition, e.g. 202610.
	Month uint32
	// Bucket is the start of the minute, hour or day.
	Bucket time.Time
	// Key is the row's key without its time, in the table's order, joined by |.
	Key    string
	Metric string
	// Raw and Rollup are what each side says; nil is NULL: unknown.
	Raw, Rollup *int64
}

// String is one line for an operator.
func (d Difference) String() string {
	return fmt.Sprintf("%s %s %s: %s is %s, raw says %s", d.Table, d.Bucket.UTC().Format("2006-01-02T15:04Z"), d.Key,
		d.Metric, number(d.Rollup), number(d.Raw))
}

// row identifies the row of the rollup.
func (d Difference) row() string {
	return d.Table + "|" + strconv.FormatInt(d.Bucket.Unix(), 10) + "|" + d.Key
}

// place identifies the figure, whatever its value.
func (d Difference) place() string { return d.row() + "|" + d.Metric }

func number(n *int64) string {
	if n == nil {
		return "unknown"
	}
	return strconv.FormatInt(*n, 10)
}

// compare finds every difference and imbalance at this moment.
func compare(ctx context.Context, conn driver.Conn) (*MismatchError, error) {
	horizons, err := readHorizons(ctx, conn)
	if err != nil {
		return nil, err
	}
	found := &MismatchError{}
	for _, c := range checks() {
		from := horizons.of(c.table)
		months, err := readMonths(ctx, conn, c, from)
		if err != nil {
			return nil, err
		}
		for _, month := range months {
			diffs, err := c.run(ctx, conn, "core."+c.table, month, from)
			if err != nil {
				return nil, fmt.Errorf("compare %s of %d: %w", c.table, month, err)
			}
			found.Differences = append(found.Differences, diffs...)
		}
	}
	found.Imbalances, err = readImbalances(ctx, conn, horizons.of("quality_hour"))
	return found, err
}

// run compares one month of a rollup, or of a rebuilt copy of it.
func (c check) run(ctx context.Context, conn driver.Conn, rollup string, month uint32, from time.Time) ([]Difference, error) {
	ctx = clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters{
		"from": strconv.FormatInt(from.Unix(), 10), "month": strconv.FormatUint(uint64(month), 10),
	}))
	rows, err := conn.Query(ctx, c.query(rollup))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var diffs []Difference
	for rows.Next() {
		var (
			bucket      time.Time
			key         []string
			raw, rolled []*int64
		)
		if err := rows.Scan(&bucket, &key, &raw, &rolled); err != nil {
			return nil, fmt.Errorf("scan: %w", err)
		}
		for i, metric := range c.metrics {
			if number(raw[i]) == number(rolled[i]) {
				continue
			}
			diffs = append(diffs, Difference{
				Table: c.table, Month: month, Bucket: bucket, Key: strings.Join(key, "|"),
				Metric: metric, Raw: raw[i], Rollup: rolled[i],
			})
		}
	}
	return diffs, rows.Err()
}

// horizons are the times since which raw rows, and rows of a rollup, are all
// there.
type horizons map[string]time.Time

// of returns from when on a rollup can be compared: raw and the rollup must both
// be complete.
func (h horizons) of(rollup string) time.Time {
	raw := h["usage"]
	for _, table := range []string{"activity", "outcomes", "tallies", "dead"} {
		if h[table].After(raw) {
			raw = h[table]
		}
	}
	if h[rollup].After(raw) {
		return h[rollup]
	}
	return raw
}

var ttlDays = regexp.MustCompile(`TTL .*?toIntervalDay\((\d+)\)`)

// readHorizons reads the retention that the server applies. A row is stored after
// it happened, so a day is complete in raw until the retention has passed it; one
// more day keeps clear of the merge that is deleting it.
func readHorizons(ctx context.Context, conn driver.Conn) (horizons, error) {
	rows, err := conn.Query(ctx, "SELECT name, engine_full, toStartOfDay(now('UTC')) FROM system.tables WHERE database = 'core' AND engine LIKE '%MergeTree'")
	if err != nil {
		return nil, fmt.Errorf("read retention: %w", err)
	}
	defer func() { _ = rows.Close() }()
	h := horizons{}
	for rows.Next() {
		var (
			name, engine string
			today        time.Time
		)
		if err := rows.Scan(&name, &engine, &today); err != nil {
			return nil, fmt.Errorf("scan retention: %w", err)
		}
		h[name] = time.Unix(0, 0)
		if m := ttlDays.FindStringSubmatch(strings.ReplaceAll(engine, "\n", " ")); m != nil {
			days, err := strconv.Atoi(m[1])
			if err != nil {
				return nil, fmt.Errorf("retention of %s: %w", name, err)
			}
			h[name] = today.AddDate(0, 0, 2-days)
		}
	}
	if _, ok := h["usage"]; !ok {
		return nil, fmt.Errorf("read retention: no table core.usage: run goodhart migrate")
	}
	return h, rows.Err()
}

// readMonths lists the partitions that raw or the rollup has rows in.
func readMonths(ctx context.Context, conn driver.Conn, c check, from time.Time) ([]uint32, error) {
	parts := []string{"SELECT toYYYYMM(t." + c.bucket + ") AS month FROM core." + c.table + " AS t GROUP BY month"}
	for _, r := range c.raw {
		parts = append(parts, "SELECT toYYYYMM("+r.bucket+") AS month FROM "+r.from+" GROUP BY month")
	}
	var months []uint32
	rows, err := conn.Query(ctx, "SELECT DISTINCT month FROM ("+strings.Join(parts, " UNION ALL ")+") WHERE month >= ? ORDER BY month",
		from.UTC().Year()*100+int(from.UTC().Month()))
	if err != nil {
		return nil, fmt.Errorf("months of %s: %w", c.table, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var month uint32
		if err := rows.Scan(&month); err != nil {
			return nil, fmt.Errorf("months of %s: %w", c.table, err)
		}
		months = append(months, month)
	}
	return months, rows.Err()
}

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// month is a partition of a rollup.
type month struct {
	table string
	month uint32
}

// repair rebuilds every month that differs, then clears the suspicion of months
// that were marked. It returns the months rebuilt.
func repair(ctx context.Context, conn driver.Conn, cfg Config, diffs []Difference) ([]month, error) {
	if err := checkQuiet(ctx, conn, cfg.Quiet); err != nil {
		return nil, err
	}
	horizons, err := readHorizons(ctx, conn)
	if err != nil {
		return nil, err
	}
	byTable := map[string]check{}
	for _, c := range checks() {
		byTable[c.table] = c
	}
	var done []month
	seen := map[month]bool{}
	for _, d := range diffs {
		m := month{d.Table, d.Month}
		if seen[m] {
			continue
		}
		seen[m] = true
		if err := rebuild(ctx, conn, byTable[m.table], m.month, horizons.of(m.table)); err != nil {
			return done, fmt.Errorf("rebuild %s of %d: %w", m.table, m.month, err)
		}
		done = append(done, m)
	}
	err = conn.Exec(ctx, `INSERT INTO core.suspect_months (month, base_table, reason, marked_at, repaired_at)
		SELECT s.month, s.base_table, 'reconciled', max(s.marked_at), now64(3, 'UTC') FROM core.suspect_months AS s
		GROUP BY s.month, s.base_table
		HAVING max(s.marked_at) > max(ifNull(s.repaired_at, toDateTime64(0, 3, 'UTC')))`)
	if err != nil {
		return done, fmt.Errorf("clear suspect months: %w", err)
	}
	return done, nil
}

// checkQuiet refuses while rows are being stored, or were a moment ago.
func checkQuiet(ctx context.Context, conn driver.Conn, quiet time.Duration) error {
	var age float64
	err := conn.QueryRow(ctx, `SELECT dateDiff('millisecond', max(x.newest), now64(3, 'UTC')) / 1000 FROM (
		SELECT max(u.stored_at) AS newest FROM core.usage AS u
		UNION ALL SELECT max(a.stored_at) FROM core.activity AS a
		UNION ALL SELECT max(o.stored_at) FROM core.outcomes AS o
		UNION ALL SELECT max(t.stored_at) FROM core.ticks AS t
		UNION ALL SELECT max(d.stored_at) FROM core.dead AS d) AS x`).Scan(&age)
	if err != nil {
		return fmt.Errorf("read newest insert: %w", err)
	}
	if age < quiet.Seconds() {
		return fmt.Errorf("repair: rows were stored %.0f s ago, want %.0f s of quiet: stop the sinks and wait", age, quiet.Seconds())
	}
	return nil
}

// rebuild makes a month of a rollup anew beside the old one, compares it with
// raw, and only then swaps it in: what raw no longer covers is copied from the
// old one.
func rebuild(ctx context.Context, conn driver.Conn, c check, month uint32, from time.Time) (err error) {
	shadow := "core." + c.table + "_rebuild"
	if err := conn.Exec(ctx, "DROP TABLE IF EXISTS "+shadow+" SYNC"); err != nil {
		return fmt.Errorf("drop shadow: %w", err)
	}
	if err := conn.Exec(ctx, "CREATE TABLE "+shadow+" AS core."+c.table); err != nil {
		return fmt.Errorf("create shadow: %w", err)
	}
	defer func() {
		err = errors.Join(err, conn.Exec(context.WithoutCancel(ctx), "DROP TABLE IF EXISTS "+shadow+" SYNC"))
	}()
	where := fmt.Sprintf("toYYYYMM(x.%s) = %d AND toDateTime(x.%s, 'UTC')", c.bucket, month, c.bucket)
	horizon := fmt.Sprintf("toDateTime(%d, 'UTC')", from.Unix())
	err = conn.Exec(ctx, fmt.Sprintf("INSERT INTO %s SELECT x.* FROM core.%s AS x WHERE %s < %s", shadow, c.table, where, horizon))
	if err != nil {
		return fmt.Errorf("copy what raw does not cover: %w", err)
	}
	views, err := readFeeders(ctx, conn, c.table)
	if err != nil {
		return err
	}
	for _, v := range views {
		err := conn.Exec(ctx, fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM (%s) AS x WHERE %s >= %s",
			shadow, strings.Join(v.columns, ", "), "x."+strings.Join(v.columns, ", x."), v.query, where, horizon))
		if err != nil {
			return fmt.Errorf("fill from %s: %w", v.name, err)
		}
	}
	left, err := c.run(ctx, conn, shadow, month, from)
	if err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	if len(left) > 0 {
		return fmt.Errorf("the rebuilt month differs as well, so nothing was swapped: %w", &MismatchError{Differences: left})
	}
	if err := conn.Exec(ctx, fmt.Sprintf("ALTER TABLE core.%s REPLACE PARTITION %d FROM %s", c.table, month, shadow)); err != nil {
		return fmt.Errorf("swap: %w", err)
	}
	return nil
}

// feeder is a materialized view that writes to a rollup.
type feeder struct {
	name, query string
	columns     []string
}

// readFeeders takes the views' own queries, so that a rebuilt month is made the
// way inserts make it.
func readFeeders(ctx context.Context, conn driver.Conn, rollup string) ([]feeder, error) {
	rows, err := conn.Query(ctx, `SELECT t.name, any(t.as_select), groupArray(c.name)
		FROM system.tables AS t INNER JOIN system.columns AS c ON c.database = t.database AND c.table = t.name
		WHERE t.database = 'core' AND t.engine = 'MaterializedView'
			AND extract(t.create_table_query, '^CREATE MATERIALIZED VIEW \\S+ TO (\\S+)') = ? GROUP BY t.name ORDER BY t.name`, "core."+rollup)
	if err != nil {
		return nil, fmt.Errorf("read views of %s: %w", rollup, err)
	}
	defer func() { _ = rows.Close() }()
	var views []feeder
	for rows.Next() {
		var v feeder
		if err := rows.Scan(&v.name, &v.query, &v.columns); err != nil {
			return nil, fmt.Errorf("scan views of %s: %w", rollup, err)
		}
		views = append(views, v)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read views of %s: %w", rollup, err)
	}
	if len(views) == 0 {
		return nil, fmt.Errorf("no view writes to %s: run goodhart migrate", rollup)
	}
	return views, nil
}

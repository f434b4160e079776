package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Imbalance is an hour of a source in which records are missing or too many.
type Imbalance struct {
	Tenant, Source string
	// Hour of acceptance at the collector.
	Hour time.Time
	// Accepted, Duplicate and Held come from the tallies, Stored, Merged and
	// Dead from the rows.
	Accepted, Duplicate, Held, Stored, Merged, Dead int64
}

// Missing is how many accepted records have no fate; negative: too many have.
func (i Imbalance) Missing() int64 {
	return i.Accepted - i.Duplicate - i.Held - i.Stored - i.Merged - i.Dead
}

// String is one line for an operator.
func (i Imbalance) String() string {
	return fmt.Sprintf("conservation %s %s|%s: accepted %d = duplicate %d + held %d + stored %d + merged %d + dead %d, off by %d",
		i.Hour.UTC().Format("2006-01-02T15:04Z"), i.Tenant, i.Source,
		i.Accepted, i.Duplicate, i.Held, i.Stored, i.Merged, i.Dead, i.Missing())
}

// place identifies the hour and how far it is off: in-flight records move that
// number between attempts.
func (i Imbalance) place() string {
	return fmt.Sprintf("balance|%d|%s|%s|%d", i.Hour.Unix(), i.Tenant, i.Source, i.Missing())
}

// settled is the time up to which every tally has been told, in SQL: the ledger
// writes the tallies of a record when its watermark passes the next full minute,
// and each tick carries that watermark. Without ticks everything is settled.
const settled = `(SELECT if(count() = 0, now64(3), min(t.w)) FROM (SELECT max(w) AS w FROM core.ticks GROUP BY p) AS t)`

func readImbalances(ctx context.Context, conn driver.Conn, from time.Time) ([]Imbalance, error) {
	rows, err := conn.Query(ctx, `SELECT q.tenant, q.source, q.hour, sum(q.accepted) AS a, sum(q.duplicate) AS d, sum(q.held) AS h,
			sum(q.stored) AS s, sum(q.merged) AS m, toInt64(uniqExactMerge(q.dead)) AS x
		FROM core.quality_hour AS q
		WHERE q.hour >= ? AND q.hour <= `+settled+` - INTERVAL 61 MINUTE
		GROUP BY q.tenant, q.source, q.hour
		HAVING a != d + h + s + m + x ORDER BY q.hour, q.tenant, q.source LIMIT 10000`, from)
	if err != nil {
		return nil, fmt.Errorf("read conservation: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var found []Imbalance
	for rows.Next() {
		var i Imbalance
		err := rows.Scan(&i.Tenant, &i.Source, &i.Hour, &i.Accepted, &i.Duplicate, &i.Held, &i.Stored, &i.Merged, &i.Dead)
		if err != nil {
			return nil, fmt.Errorf("scan conservation: %w", err)
		}
		found = append(found, i)
	}
	return found, rows.Err()
}

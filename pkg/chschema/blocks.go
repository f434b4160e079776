package chschema

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	schema "github.com/goodhartlabs/goodhart/schemas/clickhouse"
)

// Blocks returns, for each table of core that holds rows, the number of blocks
// that it has been given so far. Only the difference between two calls means
// something: it is how many parts inserts have made in between, whatever merges
// made of them. Servers differ in how long they list parts that a merge has
// replaced (the embedded engine: seconds), so that counting parts would not do.
func Blocks(ctx context.Context, conn driver.Conn) (map[string]int64, error) {
	// A merged part keeps the number of its last block. MergeTree numbers the
	// blocks of a table, ReplicatedMergeTree those of each partition.
	rows, err := conn.Query(ctx, `SELECT p.table, toInt64(if(any(startsWith(p.engine, 'Replicated')), sum(p.newest), max(p.newest))) FROM (
		SELECT table, engine, partition_id, max(max_block_number) AS newest FROM system.parts WHERE database = ? GROUP BY table, engine, partition_id
	) AS p GROUP BY p.table`, schema.DatabaseCore)
	if err != nil {
		return nil, fmt.Errorf("read system.parts: %w", err)
	}
	defer func() { _ = rows.Close() }()
	blocks := map[string]int64{}
	for rows.Next() {
		var table string
		var n int64
		if err := rows.Scan(&table, &n); err != nil {
			return nil, fmt.Errorf("scan system.parts: %w", err)
		}
		blocks[table] = n
	}
	return blocks, rows.Err()
}

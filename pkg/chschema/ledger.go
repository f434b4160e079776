package chschema

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	schema "github.com/goodhartlabs/goodhart/schemas/clickhouse"
)

// progress is how far a file has been applied.
type progress struct {
	version   int
	checksum  string
	statement int
}

// ledger maps the name of a file to its progress.
type ledger map[string]progress

// version is the highest migration that was begun; 0 for none.
func (l ledger) version() int {
	highest := 0
	for _, p := range l {
		highest = max(highest, p.version)
	}
	return highest
}

// add takes one row of the ledger, in order of time: a new checksum begins the
// file anew.
func (l ledger) add(name string, row progress) {
	if have := l[name]; have.checksum == row.checksum && have.statement > row.statement {
		return
	}
	l[name] = row
}

const tableLedger = schema.DatabaseCore + "." + schema.TableLedger

func readLedger(ctx context.Context, conn driver.Conn) (ledger, error) {
	applied := ledger{}
	var exists uint64
	err := conn.QueryRow(ctx, "SELECT count() FROM system.tables WHERE database = ? AND name = ?",
		schema.DatabaseCore, schema.TableLedger).Scan(&exists)
	if err != nil {
		return nil, fmt.Errorf("look for ledger: %w", err)
	}
	if exists == 0 {
		return applied, nil
	}
	rows, err := conn.Query(ctx, "SELECT version, name, checksum, statement FROM "+tableLedger+" ORDER BY applied_at, statement")
	if err != nil {
		return nil, fmt.Errorf("read ledger: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			version, statement uint32
			name, checksum     string
		)
		if err := rows.Scan(&version, &name, &checksum, &statement); err != nil {
			return nil, fmt.Errorf("scan ledger: %w", err)
		}
		applied.add(name, progress{version: int(version), checksum: checksum, statement: int(statement)})
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read ledger: %w", err)
	}
	return applied, nil
}

func record(ctx context.Context, conn driver.Conn, s Step) error {
	return conn.Exec(ctx, "INSERT INTO "+tableLedger+
		" (version, name, statement, statements, checksum, applied_at) SELECT ?, ?, ?, ?, ?, now64(3, 'UTC')",
		s.Version, s.File, s.Statement, s.Statements, s.checksum)
}

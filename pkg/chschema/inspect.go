package chschema

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	schema "github.com/goodhartlabs/goodhart/schemas/clickhouse"
)

// Live is a table as a server has it.
type Live struct {
	schema.Table
	// DedupWindow is the number of parts remembered; 0 for views.
	DedupWindow int
}

var (
	dedupWindow = regexp.MustCompile(`[a-z]_deduplication_window = (\d+)`)
	target      = regexp.MustCompile(`^CREATE MATERIALIZED VIEW \S+ TO (\S+)`)
)

// Inspect reads the tables and views of our databases from a server, sorted by
// name.
func Inspect(ctx context.Context, conn driver.Conn) ([]Live, error) {
	columns, err := inspectColumns(ctx, conn)
	if err != nil {
		return nil, err
	}
	rows, err := conn.Query(ctx, `SELECT database, name, engine, partition_key, sorting_key, comment, as_select, engine_full, create_table_query
		FROM system.tables WHERE database IN (?, ?) AND NOT startsWith(name, '.') ORDER BY database, name`,
		schema.DatabaseCore, schema.DatabasePublic)
	if err != nil {
		return nil, fmt.Errorf("read system.tables: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var tables []Live
	for rows.Next() {
		var (
			t                         Live
			query, engineFull, create string
		)
		err := rows.Scan(&t.Database, &t.Name, &t.Engine, &t.Partition, &t.Order, &t.Comment, &query, &engineFull, &create)
		if err != nil {
			return nil, fmt.Errorf("scan system.tables: %w", err)
		}
		t.Engine = strings.TrimPrefix(t.Engine, "Replicated")
		if query != "" {
			t.Query = digest(query)
		}
		if m := target.FindStringSubmatch(create); m != nil && t.MaterializedView() {
			t.Target = m[1]
		}
		if m := dedupWindow.FindStringSubmatch(engineFull); m != nil {
			if t.DedupWindow, err = strconv.Atoi(m[1]); err != nil {
				return nil, fmt.Errorf("deduplication window of %s: %w", t.FullName(), err)
			}
		}
		if !t.MaterializedView() {
			t.Columns = columns[t.FullName()]
		}
		tables = append(tables, t)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read system.tables: %w", err)
	}
	return tables, nil
}

func inspectColumns(ctx context.Context, conn driver.Conn) (map[string][]schema.Column, error) {
	rows, err := conn.Query(ctx, `SELECT database, table, name, type, default_expression, comment
		FROM system.columns WHERE database IN (?, ?) ORDER BY database, table, position`,
		schema.DatabaseCore, schema.DatabasePublic)
	if err != nil {
		return nil, fmt.Errorf("read system.columns: %w", err)
	}
	defer func() { _ = rows.Close() }()
	columns := map[string][]schema.Column{}
	for rows.Next() {
		var (
			database, table string
			c               schema.Column
		)
		if err := rows.Scan(&database, &table, &c.Name, &c.Type, &c.Default, &c.Comment); err != nil {
			return nil, fmt.Errorf("scan system.columns: %w", err)
		}
		columns[database+"."+table] = append(columns[database+"."+table], c)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read system.columns: %w", err)
	}
	return columns, nil
}

var layout = strings.NewReplacer(" ", "", "\n", "", "\t", "", "(", "", ")", "", "`", "")

// digest identifies a view's query but for layout, parentheses and back-quotes,
// which versions of the server print differently.
func digest(query string) string {
	sum := sha256.Sum256([]byte(layout.Replace(query)))
	return hex.EncodeToString(sum[:8])
}

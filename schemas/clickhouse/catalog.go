package clickhouse

import (
	_ "embed"
	"encoding/json"
	"fmt"
)

//go:embed catalog.json
var catalog []byte

// Table is what a server says of a table or view that the schema created.
type Table struct {
	Database string `json:"database"`
	Name     string `json:"name"`
	// Engine without the prefix Replicated.
	Engine string `json:"engine"`
	// Partition and Order are the expressions of the keys; empty for views.
	Partition string `json:"partition,omitempty"`
	Order     string `json:"order,omitempty"`
	Comment   string `json:"comment,omitempty"`
	// Query is a digest of a view's query, without its layout.
	Query string `json:"query,omitempty"`
	// Target is database.table that a materialized view writes to.
	Target string `json:"target,omitempty"`
	// Columns in order; none for materialized views, whose target has them.
	Columns []Column `json:"columns,omitempty"`
}

// Column is one column of a Table.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"`
	// Default is the expression of the default; empty for none.
	Default string `json:"default,omitempty"`
	Comment string `json:"comment"`
}

// FullName is database.table.
func (t Table) FullName() string { return t.Database + "." + t.Name }

// View says whether the table is a plain view.
func (t Table) View() bool { return t.Engine == "View" }

// MaterializedView says whether the table is a materialized view.
func (t Table) MaterializedView() bool { return t.Engine == "MaterializedView" }

// Catalog returns what the schema of this binary looks like on a server, sorted
// by name: the golden copy that drift is measured against and documentation is
// made from. A test keeps it equal to what the real engine reports.
func Catalog() ([]Table, error) {
	var tables []Table
	if err := json.Unmarshal(catalog, &tables); err != nil {
		return nil, fmt.Errorf("decode catalogue: %w", err)
	}
	return tables, nil
}

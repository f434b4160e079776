// Gendocs writes docs/tables.md and the generated section of schemas/FORMAT.md
// from the catalogue. It runs in schemas/clickhouse, by go generate.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/goodhartlabs/goodhart/schemas/clickhouse"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "gendocs:", err)
		os.Exit(1)
	}
}

func run() error {
	tables, err := clickhouse.Catalog()
	if err != nil {
		return err
	}
	public := filepath.Join("..", "..", "docs", "tables.md")
	if err := os.WriteFile(public, []byte(clickhouse.PublicDoc(tables)), 0o644); err != nil {
		return fmt.Errorf("write tables: %w", err)
	}
	format := filepath.Join("..", "FORMAT.md")
	have, err := os.ReadFile(format)
	if err != nil {
		return fmt.Errorf("read format: %w", err)
	}
	merged, err := clickhouse.MergeSection(string(have), clickhouse.PrivateDoc(tables))
	if err != nil {
		return fmt.Errorf("merge format: %w", err)
	}
	if err := os.WriteFile(format, []byte(merged), 0o644); err != nil {
		return fmt.Errorf("write format: %w", err)
	}
	return nil
}

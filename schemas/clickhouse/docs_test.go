package clickhouse

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The documentation is generated from the catalogue, which a test keeps equal to
// the engine.
func TestDocs(t *testing.T) {
	tables, err := Catalog()
	if err != nil {
		t.Fatal(err)
	}
	read := func(path ...string) string {
		raw, err := os.ReadFile(filepath.Join(path...))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	const hint = "run go generate ./schemas/clickhouse"
	if read("..", "..", "docs", "tables.md") != PublicDoc(tables) {
		t.Error("docs/tables.md is not up to date:", hint)
	}
	format := read("..", "FORMAT.md")
	merged, err := MergeSection(format, PrivateDoc(tables))
	if err != nil {
		t.Fatal(err)
	}
	if merged != format {
		t.Error("schemas/FORMAT.md is not up to date:", hint)
	}
	for _, table := range tables {
		if table.Database == DatabaseCore && !table.MaterializedView() && !strings.Contains(format, "### `"+table.FullName()+"`") {
			t.Errorf("schemas/FORMAT.md does not name %s", table.FullName())
		}
	}
}

func TestMergeSection(t *testing.T) {
	f := func(document, want, wantErr string) {
		t.Helper()
		got, err := MergeSection(document, "new")
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) {
			t.Errorf("error %v, want %q", err, wantErr)
		}
	}
	f("a\n"+sectionBegin+"\nold\n"+sectionEnd+"\nb\n", "a\n"+sectionBegin+"\nnew\n"+sectionEnd+"\nb\n", "")
	f("a", "", "no line "+sectionBegin)
	f("a"+sectionBegin, "", "no line "+sectionEnd)
}

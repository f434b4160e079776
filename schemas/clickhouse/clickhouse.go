// Package clickhouse holds goodhart's ClickHouse schema as templates, and renders
// them for the three kinds of server it runs on: the embedded engine, a single
// server, a cluster.
//
// Files named NNNN_name.sql are migrations: applied once, in order, never
// changed afterwards. Files in always/ are definitions (views, retention,
// access): applied again whenever their rendered text changes. Every statement
// is idempotent, because an interrupted file is run again.
package clickhouse

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"text/template"
)

//go:embed *.sql always/*.sql ledger.sql.tmpl
var files embed.FS

const (
	// DatabaseCore is private to the services.
	DatabaseCore = "core"
	// DatabasePublic holds the views.
	DatabasePublic = "goodhart"
	// TableLedger is the table of DatabaseCore that records what was applied.
	TableLedger = "schema_migrations"
)

// File is one rendered file of the schema.
type File struct {
	// Version is the number of a migration, from 1; 0 for a definition.
	Version int
	// Name is the file's name without number and extension.
	Name string
	// Checksum is the hex SHA-256 of a migration's template, so that it does not
	// depend on the rendering; of a definition's rendered text, so that a changed
	// parameter applies it again.
	Checksum string
	// Statements in order, without comments before them and without semicolons.
	Statements []string
}

// Migration says whether the file is applied once, rather than whenever it
// changes.
func (f File) Migration() bool { return f.Version > 0 }

var migrationName = regexp.MustCompile(`^(\d{4})_([a-z0-9_]+)\.sql$`)

// Render returns the migrations in order of number, then the definitions in
// order of name. Parameters out of range, gaps in the numbering and templates
// that do not execute are errors.
func Render(p Params) ([]File, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("schema parameters: %w", err)
	}
	return render(files, p)
}

// Ledger returns the statements that create TableLedger and its database.
func Ledger(p Params) ([]string, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("schema parameters: %w", err)
	}
	f, err := renderFile(files, "ledger.sql.tmpl", p)
	return f.Statements, err
}

func render(fsys fs.FS, p Params) ([]File, error) {
	names, err := fs.Glob(fsys, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	sort.Strings(names)
	var rendered []File
	for i, name := range names {
		m := migrationName.FindStringSubmatch(name)
		if m == nil {
			return nil, fmt.Errorf("migration %s: want a name like 0001_what.sql", name)
		}
		f, err := renderFile(fsys, name, p)
		if err != nil {
			return nil, err
		}
		if f.Version, err = strconv.Atoi(m[1]); err != nil || f.Version != i+1 {
			return nil, fmt.Errorf("migration %s: want number %04d", name, i+1)
		}
		f.Name = m[2]
		rendered = append(rendered, f)
	}
	names, err = fs.Glob(fsys, "always/*.sql")
	if err != nil {
		return nil, fmt.Errorf("list definitions: %w", err)
	}
	sort.Strings(names)
	for _, name := range names {
		f, err := renderFile(fsys, name, p)
		if err != nil {
			return nil, err
		}
		f.Name = strings.TrimSuffix(path.Base(name), ".sql")
		rendered = append(rendered, f)
	}
	return rendered, nil
}

func renderFile(fsys fs.FS, name string, p Params) (File, error) {
	raw, err := fs.ReadFile(fsys, name)
	if err != nil {
		return File{}, fmt.Errorf("read %s: %w", name, err)
	}
	t, err := template.New(name).Funcs(p.funcs()).Option("missingkey=error").Parse(string(raw))
	if err != nil {
		return File{}, fmt.Errorf("parse template: %w", err)
	}
	var text bytes.Buffer
	if err := t.Execute(&text, p); err != nil {
		return File{}, fmt.Errorf("execute template: %w", err)
	}
	statements, err := Split(text.String())
	if err != nil {
		return File{}, fmt.Errorf("split %s: %w", name, err)
	}
	hashed := raw
	if path.Dir(name) == "always" {
		hashed = []byte(strings.Join(statements, ";\n"))
	}
	sum := sha256.Sum256(hashed)
	return File{Checksum: hex.EncodeToString(sum[:]), Statements: statements}, nil
}

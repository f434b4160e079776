package clickhouse

import (
	"errors"
	"fmt"
	"strings"
)

//go:generate go run ./internal/gendocs

// The section of schemas/FORMAT.md that MergeSection replaces lies between these
// lines.
const (
	sectionBegin = "<!-- generated: clickhouse tables -->"
	sectionEnd   = "<!-- end generated -->"
)

// PublicDoc documents the views of DatabasePublic for their users, as Markdown.
func PublicDoc(tables []Table) string {
	var b strings.Builder
	b.WriteString(publicIntro)
	for _, t := range tables {
		if t.Database != DatabasePublic {
			continue
		}
		fmt.Fprintf(&b, "\n## `%s`\n\n%s.\n\n", t.Name, t.Comment)
		writeColumns(&b, t.Columns)
	}
	return b.String()
}

const publicIntro = `# Tables

Generated from the comments of the database by ` + "`go generate`" + `; BI tools show the same text.

The database ` + "`goodhart`" + ` is the public interface: its names and meanings are stable and only added to. The database
` + "`core`" + ` is private to the services (schemas/FORMAT.md describes it). Times and days are UTC, money is USD, shares are 0 to 1,
unknown is NULL, never 0 and never the empty string. Columns marked additive may be summed further. No view needs FINAL, a
-Merge function or a join.

A team is shown under its name in the weeks in which it is large enough and nobody dominates it; its other weeks are part of
` + "`(small groups)`" + `, so that totals still add up.
`

// PrivateDoc documents the tables of DatabaseCore for those who work on the
// services, as Markdown.
func PrivateDoc(tables []Table) string {
	var b strings.Builder
	for _, t := range tables {
		if t.Database != DatabaseCore || t.MaterializedView() {
			continue
		}
		fmt.Fprintf(&b, "\n### `%s`\n\n%s.\n\n", t.FullName(), t.Comment)
		fmt.Fprintf(&b, "Engine %s, partition `%s`, order `%s`", t.Engine, orNone(t.Partition), t.Order)
		if feeders := feeders(tables, t); feeders != "" {
			fmt.Fprintf(&b, ", fed by %s", feeders)
		}
		b.WriteString(".\n\n")
		writeColumns(&b, t.Columns)
	}
	return b.String()
}

// feeders lists the materialized views that write to a rollup.
func feeders(tables []Table, target Table) string {
	var names []string
	for _, t := range tables {
		if t.MaterializedView() && t.Target == target.FullName() {
			names = append(names, "`"+t.Name+"`")
		}
	}
	return strings.Join(names, ", ")
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func writeColumns(b *strings.Builder, columns []Column) {
	b.WriteString("| column | type | meaning |\n|---|---|---|\n")
	for _, c := range columns {
		fmt.Fprintf(b, "| `%s` | `%s` | %s |\n", c.Name, c.Type, strings.ReplaceAll(c.Comment, "|", `\|`))
	}
}

// MergeSection returns document with its generated section replaced.
func MergeSection(document, section string) (string, error) {
	before, rest, ok := strings.Cut(document, sectionBegin)
	if !ok {
		return "", errors.New("document has no line " + sectionBegin)
	}
	_, after, ok := strings.Cut(rest, sectionEnd)
	if !ok {
		return "", errors.New("document has no line " + sectionEnd)
	}
	return before + sectionBegin + "\n" + section + "\n" + sectionEnd + after, nil
}

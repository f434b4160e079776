package chschema

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	schema "github.com/goodhartlabs/goodhart/schemas/clickhouse"
)

// Difference is one way in which a server differs from the schema.
type Difference struct {
	// Object is database.table or database.table.column.
	Object string
	// What differs: "missing", "unknown to this binary", "type", "order", ...
	What string
	// Want and Have are the schema's and the server's idea; both empty for
	// missing and unknown objects.
	Want, Have string
}

// String is one line for an operator.
func (d Difference) String() string {
	if d.Want == "" && d.Have == "" {
		return d.Object + ": " + d.What
	}
	return fmt.Sprintf("%s: %s is %q, want %q", d.Object, d.What, d.Have, d.Want)
}

// Drift compares the server's databases with the schema of this binary: tables,
// engines, keys, deduplication windows, columns, comments, and the queries of
// views. No difference means that this binary may write there. Differences come
// in the order of the objects' names.
func Drift(ctx context.Context, conn driver.Conn, p schema.Params) ([]Difference, error) {
	want, err := schema.Catalog()
	if err != nil {
		return nil, err
	}
	have, err := Inspect(ctx, conn)
	if err != nil {
		return nil, err
	}
	var diffs []Difference
	live := map[string]Live{}
	for _, h := range have {
		live[h.FullName()] = h
	}
	known := map[string]bool{}
	for _, w := range want {
		known[w.FullName()] = true
		h, ok := live[w.FullName()]
		if !ok {
			diffs = append(diffs, Difference{Object: w.FullName(), What: "missing"})
			continue
		}
		diffs = append(diffs, compareTables(w, h, p)...)
	}
	for _, h := range have {
		if known[h.FullName()] || p.Kind == schema.Cluster && isTwin(h.Table, known) {
			continue
		}
		diffs = append(diffs, Difference{Object: h.FullName(), What: "unknown to this binary"})
	}
	slices.SortStableFunc(diffs, func(a, b Difference) int { return strings.Compare(a.Object, b.Object) })
	return diffs, nil
}

// isTwin says whether t is the Distributed table that the cluster rendering adds
// to a known one.
func isTwin(t schema.Table, known map[string]bool) bool {
	base, ok := strings.CutSuffix(t.FullName(), "_all")
	return ok && known[base] && t.Engine == "Distributed"
}

func compareTables(want schema.Table, have Live, p schema.Params) []Difference {
	name := want.FullName()
	diffs := compareTexts(name, []text{
		{"engine", want.Engine, have.Engine},
		{"partition key", want.Partition, have.Partition},
		{"order key", want.Order, have.Order},
		{"comment", want.Comment, have.Comment},
		{"target", want.Target, have.Target},
	})
	readsTwins := want.View() && p.Kind == schema.Cluster // so its query is another
	if want.Query != have.Query && !readsTwins {
		diffs = append(diffs, Difference{Object: name, What: "query", Want: want.Query, Have: have.Query})
	}
	if strings.HasSuffix(want.Engine, "MergeTree") && have.DedupWindow < p.DedupWindow {
		diffs = append(diffs, Difference{
			Object: name, What: "deduplication window",
			Want: "at least " + strconv.Itoa(p.DedupWindow), Have: strconv.Itoa(have.DedupWindow),
		})
	}
	return append(diffs, compareColumns(name, want.Columns, have.Columns)...)
}

func compareColumns(table string, want, have []schema.Column) []Difference {
	var diffs []Difference
	live := map[string]schema.Column{}
	for _, c := range have {
		live[c.Name] = c
	}
	for _, w := range want {
		name := table + "." + w.Name
		h, ok := live[w.Name]
		if !ok {
			diffs = append(diffs, Difference{Object: name, What: "missing"})
			continue
		}
		delete(live, w.Name)
		diffs = append(diffs, compareTexts(name, []text{
			{"type", w.Type, h.Type},
			{"default", w.Default, h.Default},
			{"comment", w.Comment, h.Comment},
		})...)
	}
	for _, h := range have {
		if _, left := live[h.Name]; left {
			diffs = append(diffs, Difference{Object: table + "." + h.Name, What: "unknown to this binary"})
		}
	}
	return diffs
}

type text struct{ what, want, have string }

func compareTexts(object string, texts []text) []Difference {
	var diffs []Difference
	for _, t := range texts {
		if t.want != t.have {
			diffs = append(diffs, Difference{Object: object, What: t.what, Want: t.want, Have: t.have})
		}
	}
	return diffs
}

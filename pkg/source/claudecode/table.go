package claudecode

import (
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/source/record"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// table says which attributes of an event become numbers and labels. What has
// no row is dropped.
type table map[string]column

// column is the fate of one attribute.
type column struct {
	kind columnKind
	// values are the vocabulary of an enumerated label; anything else becomes
	// "other".
	values []string
}

type columnKind int

const (
	number columnKind = iota
	boolean
	enumerated
	// labelled passes any label; Stamp replaces what is not one.
	labelled
	// toolName is a name of a built-in tool; the tools of MCP servers, whose
	// names say what a company runs, become "mcp".
	toolName
)

func tool() column                  { return column{kind: toolName, values: builtinTools()} }
func num() column                   { return column{kind: number} }
func flag() column                  { return column{kind: boolean} }
func label() column                 { return column{kind: labelled} }
func oneOf(values ...string) column { return column{kind: enumerated, values: values} }

// fill adds what the table allows of the attributes to an activity, in the
// order of their names.
func (t table) fill(e *goodhartv1.Event, attributes pcommon.Map, n *record.Numbers) {
	a := e.Activity
	for key, value := range attributes.All() {
		col, ok := t[key]
		if !ok {
			continue
		}
		switch col.kind {
		case number:
			if f, ok := n.Measure(key, value); ok {
				record.Number(a, key, f)
			}
		case boolean:
			if b, ok := record.Bool(value); ok {
				record.Label(a, key, strconv.FormatBool(b))
			}
		default:
			if s := record.Text(value); s != "" {
				record.Label(a, key, col.label(e, s))
			}
		}
	}
	slices.SortFunc(a.Numbers, func(x, y *goodhartv1.Number) int { return strings.Compare(x.Key, y.Key) })
	slices.SortFunc(a.Labels, func(x, y *goodhartv1.Label) int { return strings.Compare(x.Key, y.Key) })
}

// label maps a string into the vocabulary of the column.
func (c column) label(e *goodhartv1.Event, s string) string {
	switch {
	case c.kind == labelled:
		return s
	case c.kind == toolName && (s == "mcp_tool" || strings.HasPrefix(s, "mcp__")):
		return "mcp"
	case slices.Contains(c.values, s):
		return s
	}
	event.Flag(e, goodhartv1.Quality_QUALITY_LABEL_REPLACED)
	return event.Other
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

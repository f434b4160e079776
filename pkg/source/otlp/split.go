package otlp

import (
	"encoding/json"
	"fmt"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/source/record"
)

// node is a JSON object whose members are not decoded yet.
type node map[string]json.RawMessage

// member returns a member by its lowerCamelCase or snake_case name.
func (n node) member(camel string) (json.RawMessage, bool) {
	if raw, ok := n[camel]; ok {
		return raw, true
	}
	raw, ok := n[snake(camel)]
	return raw, ok
}

// list returns the elements of a member; none if it is absent or null.
func (n node) list(camel string) ([]json.RawMessage, error) {
	raw, ok := n.member(camel)
	if !ok {
		return nil, nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("%s: %w", camel, err)
	}
	return list, nil
}

func snake(camel string) string {
	var b strings.Builder
	for _, c := range camel {
		if c >= 'A' && c <= 'Z' {
			b.WriteByte('_')
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}

// wrap puts raw between two pieces of JSON.
func wrap(before string, raw []byte, after string) []byte {
	b := make([]byte, 0, len(before)+len(raw)+len(after))
	return append(append(append(b, before...), raw...), after...)
}

// split decodes a JSON body record by record, so that only the bad ones are
// lost. Each piece of the body is decoded once, whatever its size.
func (d *decoder) split(body []byte, s signal) error {
	d.out.Drafts, d.out.Rejected = nil, nil
	levels := d.levels
	var top node
	if err := json.Unmarshal(body, &top); err != nil {
		return fmt.Errorf("JSON: %w", ErrMalformed)
	}
	resources, err := top.list(levels[0])
	if err != nil {
		return fmt.Errorf("JSON: %w", ErrMalformed)
	}
	if _, wrapped := top.member(levels[0]); !wrapped && len(top) > 0 {
		return ErrNoRecords
	}
	for i, raw := range resources {
		d.out.Path.Index = [5]int{i}
		d.level(1, raw, func(n node) {
			origin, ok := d.origin(n)
			scopes, err := n.list(levels[1])
			if err != nil {
				d.malformed(raw)
				return
			}
			for j, raw := range scopes {
				d.out.Path.Index = [5]int{i, j}
				d.level(2, raw, func(n node) { d.scope(n, raw, origin, ok, s) })
			}
		})
	}
	return nil
}

// level opens an object at a depth of the path, or rejects it.
func (d *decoder) level(depth int, raw []byte, then func(node)) {
	d.out.Path.Names = d.levels[:depth]
	var n node
	if err := json.Unmarshal(raw, &n); err != nil {
		d.malformed(raw)
		return
	}
	then(n)
}

// scope decodes the records of one scope.
func (d *decoder) scope(n node, raw []byte, origin *record.Origin, resourceOK bool, s signal) {
	records, err := n.list(d.levels[2])
	if err != nil {
		d.malformed(raw)
		return
	}
	d.out.Path.Names = d.levels
	scope, ok := pieceScope(n)
	origin.Scope = scope
	for k, raw := range records {
		d.out.Path.Index[2] = k
		if !ok || !resourceOK {
			d.malformed(raw)
			continue
		}
		s.piece(origin, raw)
	}
}

// origin decodes the resource of a piece; logs serve for all signals, whose
// resources and scopes are the same.
func (d *decoder) origin(n node) (*record.Origin, bool) {
	resource := pcommon.NewMap()
	raw, ok := n["resource"]
	if ok {
		ld, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs(wrap(`{"resourceLogs":[{"resource":`, raw, `}]}`))
		if err != nil {
			return record.NewOrigin(resource, d.transport), false
		}
		resource = ld.ResourceLogs().At(0).Resource().Attributes()
	}
	return record.NewOrigin(resource, d.transport), true
}

func pieceScope(n node) (pcommon.InstrumentationScope, bool) {
	raw, ok := n["scope"]
	if !ok {
		return pcommon.NewInstrumentationScope(), true
	}
	ld, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs(
		wrap(`{"resourceLogs":[{"scopeLogs":[{"scope":`, raw, `}]}]}`))
	if err != nil {
		return pcommon.NewInstrumentationScope(), false
	}
	return ld.ResourceLogs().At(0).ScopeLogs().At(0).Scope(), true
}

// malformed rejects a piece of JSON that does not decode.
func (d *decoder) malformed(raw []byte) {
	d.out.RejectRaw(source, event.ReasonMalformed, "a value of another type or size than OTLP gives this field",
		raw, event.JSONShape(raw, known))
}

package event

import (
	"encoding/json"
	"slices"
	"strings"
)

// JSONShape names the members of a JSON value and their types, without values.
// Names for which known is not true appear as a question mark: a key can carry
// content too.
func JSONShape(raw []byte, known func(string) bool) string {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return "?"
	}
	var b strings.Builder
	appendShape(&b, v, known)
	return b.String()
}

func appendShape(b *strings.Builder, v any, known func(string) bool) {
	if b.Len() > MaxShape {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		b.WriteByte('{')
		keys := make([]string, 0, len(v))
		for key := range v {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for i, key := range keys {
			if i > 0 {
				b.WriteByte(',')
			}
			if known(key) {
				b.WriteString(key)
			} else {
				b.WriteByte('?')
			}
			b.WriteByte(':')
			appendShape(b, v[key], known)
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, element := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			appendShape(b, element, known)
		}
		b.WriteByte(']')
	case string:
		b.WriteString("string")
	case float64:
		b.WriteString("number")
	case bool:
		b.WriteString("bool")
	default:
		b.WriteString("null")
	}
}

package explain

import (
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// node is a value with a name: a scalar, or what it is made of in order. It is
// what both formats of the output are written from, so that they say the same.
type node struct {
	name string
	// text is that of a scalar; quoted: it is a string in JSON.
	text   string
	quoted bool
	list   bool
	nested bool
	kids   []node
}

// outline makes a node of any value of ours. Floats have as many digits as tell
// them apart; what is unknown or empty is left out.
func outline(name string, v any) node {
	if m, ok := v.(proto.Message); ok {
		return message(name, m.ProtoReflect())
	}
	return reflected(name, reflect.ValueOf(v))
}

func object(name string, kids ...node) node { return node{name: name, nested: true, kids: kids} }

func text(name, value string) node { return node{name: name, text: value, quoted: true} }

func reflected(name string, v reflect.Value) node {
	if v.CanInterface() {
		switch x := v.Interface().(type) {
		case json.RawMessage:
			return node{name: name, text: string(x)}
		case proto.Message:
			if !v.IsNil() {
				return message(name, x.ProtoReflect())
			}
		}
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return node{name: name, text: "null"}
		}
		return reflected(name, v.Elem())
	case reflect.Struct:
		n := object(name)
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() || v.Field(i).IsZero() && v.Field(i).Kind() != reflect.Float64 {
				continue
			}
			if f.Anonymous {
				n.kids = append(n.kids, reflected("", v.Field(i)).kids...)
				continue
			}
			n.kids = append(n.kids, reflected(snake(f.Name), v.Field(i)))
		}
		return n
	case reflect.Slice, reflect.Array:
		n := node{name: name, nested: true, list: true}
		for i := range v.Len() {
			n.kids = append(n.kids, reflected("", v.Index(i)))
		}
		return n
	case reflect.Float64:
		return node{name: name, text: number(v.Float())}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return node{name: name, text: strconv.FormatInt(v.Int(), 10)}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return node{name: name, text: strconv.FormatUint(v.Uint(), 10)}
	case reflect.Bool:
		return node{name: name, text: strconv.FormatBool(v.Bool())}
	default:
		return text(name, v.String())
	}
}

// number is a float with as many digits as tell it from every other; null if it
// is none.
func number(f float64) string {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return "null"
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// message makes a node of the fields that are set, in the order of the schema.
func message(name string, m protoreflect.Message) node {
	n := object(name)
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if !m.Has(f) {
			continue
		}
		if !f.IsList() {
			n.kids = append(n.kids, single(string(f.Name()), f, m.Get(f)))
			continue
		}
		list := node{name: string(f.Name()), nested: true, list: true}
		for j := range m.Get(f).List().Len() {
			list.kids = append(list.kids, single("", f, m.Get(f).List().Get(j)))
		}
		n.kids = append(n.kids, list)
	}
	return n
}

func single(name string, f protoreflect.FieldDescriptor, v protoreflect.Value) node {
	switch f.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return message(name, v.Message())
	case protoreflect.BytesKind:
		return bits(name, v.Bytes())
	case protoreflect.EnumKind:
		if e := f.Enum().Values().ByNumber(v.Enum()); e != nil {
			return text(name, strings.ToLower(string(e.Name())))
		}
		return node{name: name, text: v.String()}
	case protoreflect.StringKind:
		return text(name, v.String())
	default:
		return node{name: name, text: v.String()}
	}
}

// bits lists those that are set: the hours of a week.
func bits(name string, b []byte) node {
	n := node{name: name, nested: true, list: true}
	for i := range 8 * len(b) {
		if b[i/8]>>(i%8)&1 == 1 {
			n.kids = append(n.kids, node{text: strconv.Itoa(i)})
		}
	}
	return n
}

// snake writes the name of a field as our topics do.
func snake(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 && (unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// flat reports whether a node fits into a line.
func (n *node) flat() bool {
	for i := range n.kids {
		if n.kids[i].nested && (len(n.kids[i].kids) > 0 && !n.kids[i].scalars() || !n.list && len(n.kids[i].kids) > 30) {
			return false
		}
	}
	return true
}

// scalars reports whether a node is a list of scalars.
func (n *node) scalars() bool {
	for i := range n.kids {
		if n.kids[i].nested {
			return false
		}
	}
	return n.list
}

// line writes a node that is flat, without its name.
func (n *node) line(b *strings.Builder) {
	if !n.nested {
		b.WriteString(n.text)
		return
	}
	for i := range n.kids {
		if i > 0 {
			b.WriteString(separator(n))
		}
		if n.kids[i].name != "" {
			b.WriteString(n.kids[i].name + " ")
		}
		n.kids[i].line(b)
	}
}

// separator stands between the parts of a line: texts have commas of their own.
func separator(n *node) string {
	switch {
	case n.list && n.kids[0].quoted:
		return "; "
	case n.list:
		return " "
	default:
		return ", "
	}
}

// write writes a node as text, two spaces deeper for each level.
func (n *node) write(b *strings.Builder, indent string) {
	switch {
	case !n.nested || n.scalars() && (len(n.kids) == 0 || !n.kids[0].quoted):
		b.WriteString(indent + n.name + " ")
		n.line(b)
		b.WriteByte('\n')
		return
	case n.name != "":
		b.WriteString(indent + n.name + "\n")
		indent += "  "
	}
	for i := range n.kids {
		kid := &n.kids[i]
		if n.list && kid.flat() {
			b.WriteString(indent + "- ")
			kid.line(b)
			b.WriteByte('\n')
			continue
		}
		if n.list {
			b.WriteString(indent + "-\n")
			kid.write(b, indent+"  ")
			continue
		}
		kid.write(b, indent)
	}
}

// appendJSON appends the value of a node.
func (n *node) appendJSON(dst []byte) []byte {
	if !n.nested {
		if n.quoted {
			quoted, _ := json.Marshal(n.text) // a string always encodes
			return append(dst, quoted...)
		}
		return append(dst, n.text...)
	}
	open, end := byte('{'), byte('}')
	if n.list {
		open, end = '[', ']'
	}
	dst = append(dst, open)
	for i := range n.kids {
		if i > 0 {
			dst = append(dst, ',')
		}
		if !n.list {
			dst = append(strconv.AppendQuote(dst, n.kids[i].name), ':')
		}
		dst = n.kids[i].appendJSON(dst)
	}
	return append(dst, end)
}

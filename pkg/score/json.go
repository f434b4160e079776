package score

import (
	"strconv"
	"unicode/utf8"
)

// object appends the fields of one JSON object in the order of the calls.
type object struct{ b []byte }

func open(dst []byte) object { return object{append(dst, '{')} }

func (o *object) close() []byte { return append(o.b, '}') }

func (o *object) name(name string) {
	if o.b[len(o.b)-1] != '{' {
		o.b = append(o.b, ',')
	}
	o.b = append(append(append(o.b, '"'), name...), '"', ':')
}

func (o *object) string(name, value string) {
	o.name(name)
	o.b = appendString(o.b, value)
}

func (o *object) int(name string, value int64) {
	o.name(name)
	o.b = strconv.AppendInt(o.b, value, 10)
}

// known appends value, null unless known.
func (o *object) known(name string, value int64, known bool) {
	if known {
		o.int(name, value)
		return
	}
	o.name(name)
	o.b = append(o.b, "null"...)
}

func (o *object) uint(name string, value uint64) {
	o.name(name)
	o.b = strconv.AppendUint(o.b, value, 10)
}

func (o *object) ratio(name string, value Millionths) {
	o.name(name)
	o.b = value.append(o.b)
}

func (o *object) bool(name string, value bool) {
	o.name(name)
	o.b = strconv.AppendBool(o.b, value)
}

// appendString appends s as a JSON string. Labels need no escaping; anything
// else is made valid rather than trusted.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default: // a broken byte arrives as the replacement character
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}

// Package record writes the values of the topics that carry plain JSON: one
// object per record, its fields in the order of the calls, so that equal records
// are equal bytes. What is not known is written as null, never as zero.
package record

import (
	"math"
	"strconv"
	"unicode/utf8"
)

// Object appends the fields of one JSON object. Field names are written as they
// are: they come from the source, not from data.
type Object struct{ b []byte }

// Open appends the beginning of an object to dst.
func Open(dst []byte) Object { return Object{append(dst, '{')} }

// Close ends the object and returns dst with all of it appended.
func (o *Object) Close() []byte { return append(o.b, '}') }

func (o *Object) name(name string) {
	if o.b[len(o.b)-1] != '{' {
		o.b = append(o.b, ',')
	}
	o.b = append(append(append(o.b, '"'), name...), '"', ':')
}

// String appends a field.
func (o *Object) String(name, value string) {
	o.name(name)
	o.b = AppendString(o.b, value)
}

// Int appends a field.
func (o *Object) Int(name string, value int64) {
	o.name(name)
	o.b = strconv.AppendInt(o.b, value, 10)
}

// Known appends value, null unless known.
func (o *Object) Known(name string, value int64, known bool) {
	if known {
		o.Int(name, value)
		return
	}
	o.name(name)
	o.b = append(o.b, "null"...)
}

// Uint appends a field.
func (o *Object) Uint(name string, value uint64) {
	o.name(name)
	o.b = strconv.AppendUint(o.b, value, 10)
}

// Bool appends a field.
func (o *Object) Bool(name string, value bool) {
	o.name(name)
	o.b = strconv.AppendBool(o.b, value)
}

// Number appends value rounded to six significant digits, null unless it is
// known and finite.
func (o *Object) Number(name string, value float64, known bool) {
	o.name(name)
	if !known || math.IsNaN(value) || math.IsInf(value, 0) {
		o.b = append(o.b, "null"...)
		return
	}
	if value == 0 {
		value = 0 // there is one zero
	}
	o.b = strconv.AppendFloat(o.b, value, 'g', 6, 64)
}

// Strings appends a list.
func (o *Object) Strings(name string, values []string) {
	o.name(name)
	o.b = append(o.b, '[')
	for i, value := range values {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.b = AppendString(o.b, value)
	}
	o.b = append(o.b, ']')
}

// Value appends a field whose JSON value appendJSON appends: a number of a type
// of its own, a nested object, a list.
func (o *Object) Value(name string, appendJSON func(dst []byte) []byte) {
	o.name(name)
	o.b = appendJSON(o.b)
}

// AppendString appends s as a JSON string. Labels need no escaping; anything
// else is made valid rather than trusted.
func AppendString(dst []byte, s string) []byte {
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

package chsink

import (
	"encoding/binary"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// column is a column of a block under construction. It encodes itself in
// ClickHouse's Native format; sel selects rows, nil all of them.
type column interface {
	label() string
	kind() string
	rows() int
	size() int
	truncate(rows int)
	prefix(dst []byte) []byte
	encode(dst []byte, sel []int) []byte
	send(to driver.BatchColumn, sel []int) error
}

// head is the name and the type of a column.
type head struct{ name, typ string }

func (h head) label() string            { return h.name }
func (h head) kind() string             { return h.typ }
func (h head) prefix(dst []byte) []byte { return dst }
func putString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func putInt64(dst []byte, v int64) []byte { return binary.LittleEndian.AppendUint64(dst, uint64(v)) }

func chosen[T any](from []T, sel []int) []T {
	if sel == nil {
		return from
	}
	out := make([]T, len(sel))
	for i, row := range sel {
		out[i] = from[row]
	}
	return out
}

// Number is what a Fixed column can hold.
type Number interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | float64
}

func putNumbers[T Number](dst []byte, v []T) []byte {
	out, err := binary.Append(dst, binary.LittleEndian, v)
	if err != nil {
		panic("chsink: " + err.Error()) // the types of Number all have a size
	}
	return out
}

func width[T Number]() int { return binary.Size(T(0)) }

// Fixed is a column of numbers, or of times and dates as numbers.
type Fixed[T Number] struct {
	head
	v []T
	// boxed turns values into what the client wants for this type.
	boxed func([]T) any
}

// Append adds a row.
func (c *Fixed[T]) Append(v T) { c.v = append(c.v, v) }

func (c *Fixed[T]) rows() int         { return len(c.v) }
func (c *Fixed[T]) size() int         { return len(c.v) * width[T]() }
func (c *Fixed[T]) truncate(rows int) { c.v = c.v[:rows] }
func (c *Fixed[T]) encode(dst []byte, sel []int) []byte {
	return putNumbers(dst, chosen(c.v, sel))
}

func (c *Fixed[T]) send(to driver.BatchColumn, sel []int) error {
	v := chosen(c.v, sel)
	if c.boxed != nil {
		return to.Append(c.boxed(v))
	}
	return to.Append(v)
}

// Nullable is a column of numbers that may be unknown.
type Nullable[T Number] struct {
	head
	null  []uint8
	v     []T
	boxed func(T) any
}

// Append adds a row; nil is NULL.
func (c *Nullable[T]) Append(v *T) {
	if v == nil {
		c.null, c.v = append(c.null, 1), append(c.v, 0)
		return
	}
	c.null, c.v = append(c.null, 0), append(c.v, *v)
}

// AppendValue adds a row that is not NULL.
func (c *Nullable[T]) AppendValue(v T) { c.null, c.v = append(c.null, 0), append(c.v, v) }

func (c *Nullable[T]) rows() int         { return len(c.v) }
func (c *Nullable[T]) size() int         { return len(c.v) * (1 + width[T]()) }
func (c *Nullable[T]) truncate(rows int) { c.null, c.v = c.null[:rows], c.v[:rows] }
func (c *Nullable[T]) encode(dst []byte, sel []int) []byte {
	return putNumbers(append(dst, chosen(c.null, sel)...), chosen(c.v, sel))
}

func (c *Nullable[T]) send(to driver.BatchColumn, sel []int) error {
	null, v := chosen(c.null, sel), chosen(c.v, sel)
	for i := range v {
		var err error
		switch {
		case null[i] != 0:
			err = to.AppendRow(nil)
		case c.boxed != nil:
			err = to.AppendRow(c.boxed(v[i]))
		default:
			err = to.AppendRow(v[i])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// String is a column of strings, kept as they go over the wire.
type String struct {
	head
	wire []byte
	ends []int
}

// Append adds a row; the bytes are copied.
func (c *String) Append(v string) {
	c.wire = putString(c.wire, v)
	c.ends = append(c.ends, len(c.wire))
}

func (c *String) rows() int { return len(c.ends) }
func (c *String) size() int { return len(c.wire) }
func (c *String) truncate(rows int) {
	c.ends = c.ends[:rows]
	c.wire = c.wire[:c.start(rows)]
}

func (c *String) start(row int) int {
	if row == 0 {
		return 0
	}
	return c.ends[row-1]
}

func (c *String) at(row int) string {
	b := c.wire[c.start(row):c.ends[row]]
	_, n := binary.Uvarint(b)
	return string(b[n:])
}

func (c *String) encode(dst []byte, sel []int) []byte {
	if sel == nil {
		return append(dst, c.wire...)
	}
	for _, row := range sel {
		dst = append(dst, c.wire[c.start(row):c.ends[row]]...)
	}
	return dst
}

func (c *String) send(to driver.BatchColumn, sel []int) error { return to.Append(texts(c, sel)) }

// FixedString is a column of strings of one length.
type FixedString struct {
	head
	n    int
	wire []byte
}

// Append adds a row: v must be as long as the type says, or empty, which stands
// for zero bytes. It reports whether it was.
func (c *FixedString) Append(v []byte) bool {
	switch len(v) {
	case c.n:
		c.wire = append(c.wire, v...)
	case 0:
		c.wire = append(c.wire, make([]byte, c.n)...)
	default:
		return false
	}
	return true
}

func (c *FixedString) rows() int         { return len(c.wire) / c.n }
func (c *FixedString) size() int         { return len(c.wire) }
func (c *FixedString) truncate(rows int) { c.wire = c.wire[:rows*c.n] }
func (c *FixedString) encode(dst []byte, sel []int) []byte {
	if sel == nil {
		return append(dst, c.wire...)
	}
	for _, row := range sel {
		dst = append(dst, c.wire[row*c.n:(row+1)*c.n]...)
	}
	return dst
}

func (c *FixedString) send(to driver.BatchColumn, sel []int) error {
	out := make([]string, 0, c.rows())
	for row := range c.rows() {
		out = append(out, string(c.wire[row*c.n:(row+1)*c.n]))
	}
	return to.Append(chosen(out, sel))
}

// textual is a column whose rows read as strings.
type textual interface {
	column
	at(row int) string
}

func texts(c textual, sel []int) []string {
	out := make([]string, 0, c.rows())
	for row := range c.rows() {
		out = append(out, c.at(row))
	}
	return chosen(out, sel)
}

// Words is a LowCardinality(String) column: a dictionary per block, and the
// rows as places in it. A word is copied once per block.
type Words struct {
	head
	places map[string]uint32
	words  []string
	bytes  int
	keys   []uint32
	last   string
	lastAt uint32
}

// Append adds a row.
func (c *Words) Append(v string) {
	if len(c.words) > 0 && v == c.last {
		c.keys = append(c.keys, c.lastAt)
		return
	}
	at, ok := c.places[v]
	if !ok {
		at = uint32(len(c.words))
		v = strings.Clone(v)
		c.places[v] = at
		c.words = append(c.words, v)
		c.bytes += len(v)
	}
	c.last, c.lastAt = c.words[at], at
	c.keys = append(c.keys, at)
}

func (c *Words) at(row int) string { return c.words[c.keys[row]] }
func (c *Words) rows() int         { return len(c.keys) }
func (c *Words) size() int         { return c.bytes + len(c.keys)*keyWidth(len(c.words)) }

// truncate keeps words that no row names any more, except when all rows go.
func (c *Words) truncate(rows int) {
	c.keys = c.keys[:rows]
	if rows == 0 {
		clear(c.places)
		c.words, c.bytes, c.last = c.words[:0], 0, ""
	}
}

func (c *Words) prefix(dst []byte) []byte { return putInt64(dst, lowCardinalityVersion) }
func (c *Words) encode(dst []byte, sel []int) []byte {
	return putLowCardinality(dst, c.words, chosen(c.keys, sel))
}
func (c *Words) send(to driver.BatchColumn, sel []int) error { return to.Append(texts(c, sel)) }

// Enum is a LowCardinality(String) column whose words are known beforehand; rows
// are given by number.
type Enum struct {
	head
	words []string
	keys  []uint8
}

// Append adds a row by the number of its word. It reports whether there is one;
// if not, no row is added.
func (c *Enum) Append(word int32) bool {
	if word < 0 || int(word) >= len(c.words) {
		return false
	}
	c.keys = append(c.keys, uint8(word))
	return true
}

func (c *Enum) at(row int) string        { return c.words[c.keys[row]] }
func (c *Enum) rows() int                { return len(c.keys) }
func (c *Enum) size() int                { return len(c.keys) }
func (c *Enum) truncate(rows int)        { c.keys = c.keys[:rows] }
func (c *Enum) prefix(dst []byte) []byte { return putInt64(dst, lowCardinalityVersion) }
func (c *Enum) encode(dst []byte, sel []int) []byte {
	return putLowCardinality(dst, c.words, chosen(c.keys, sel))
}
func (c *Enum) send(to driver.BatchColumn, sel []int) error { return to.Append(texts(c, sel)) }

// The Native format of LowCardinality: the version as prefix; then flags with
// the width of the keys, the dictionary, the keys.
const (
	lowCardinalityVersion = 1
	lowCardinalityFlags   = 1<<9 | 1<<10 // the block brings its own dictionary
)

func keyWidth(words int) int {
	switch {
	case words <= 1<<8:
		return 1
	case words <= 1<<16:
		return 2
	default:
		return 4
	}
}

func putLowCardinality[K uint8 | uint32](dst []byte, words []string, keys []K) []byte {
	if len(keys) == 0 {
		return dst
	}
	w := keyWidth(len(words))
	dst = putInt64(dst, lowCardinalityFlags|int64(w>>1))
	dst = putInt64(dst, int64(len(words)))
	for _, word := range words {
		dst = putString(dst, word)
	}
	dst = putInt64(dst, int64(len(keys)))
	switch w {
	case 1:
		for _, k := range keys {
			dst = append(dst, uint8(k))
		}
	case 2:
		for _, k := range keys {
			dst = binary.LittleEndian.AppendUint16(dst, uint16(k))
		}
	default:
		for _, k := range keys {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(k))
		}
	}
	return dst
}

func millis(v []int64) any {
	out := make([]time.Time, len(v))
	for i, ms := range v {
		out[i] = time.UnixMilli(ms).UTC()
	}
	return out
}

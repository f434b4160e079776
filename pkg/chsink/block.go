package chsink

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Columns that every table has and that Block fills itself.
const (
	topicColumn     = "k_topic"
	partitionColumn = "k_partition"
	offsetColumn    = "k_offset"
)

// Table says which table a Block is for.
type Table struct {
	// Name is "database.table".
	Name string
	// Replacing says that a row inserted again replaces itself and that no
	// rollup reads the table, so an old intent needs no comparison.
	Replacing bool
}

// Origin is the topic-partition whose records a decoder sees.
type Origin struct {
	Topic     string
	TopicID   [16]byte
	Partition int32
}

// Name is the topic's name, '@' and the first eight hex digits of its id: what
// rows carry in k_topic, so that a topic made anew shares no offsets with its
// predecessor.
func (o Origin) Name() string { return o.Topic + "@" + o.shortID() }

func (o Origin) shortID() string { return fmt.Sprintf("%x", o.TopicID[:4]) }

// Block collects rows of one table from one topic-partition, in columns. Define
// the columns once, in any order; then, for each row, append to every column and
// call End. A Block belongs to one goroutine.
type Block struct {
	table   Table
	columns []column

	topic     *Enum
	partition *Fixed[uint16]
	offset    *Fixed[uint64]
	origin    Origin
	at        int64 // offset of the record being decoded

	months  []uint32 // distinct months of the rows, in order of appearance
	monthOf []uint8  // per row, its place in months
	current struct{ from, to int64 }
	last    uint8
}

// NewBlock returns a block without columns, for records of origin.
func NewBlock(t Table, origin Origin) *Block {
	b := &Block{table: t, origin: origin}
	b.topic = b.Enum(topicColumn, []string{origin.Name()})
	b.partition = b.UInt16(partitionColumn)
	b.offset = b.UInt64(offsetColumn)
	return b
}

func add[C column](b *Block, c C) C {
	b.columns = append(b.columns, c)
	return c
}

func words(name string) *Words {
	return &Words{head: head{name, "LowCardinality(String)"}, places: map[string]uint32{}}
}

// Words adds a LowCardinality(String) column.
func (b *Block) Words(name string) *Words { return add(b, words(name)) }

// Enum adds a LowCardinality(String) column of at most 256 known words.
func (b *Block) Enum(name string, list []string) *Enum {
	return add(b, &Enum{head: head{name, "LowCardinality(String)"}, words: list})
}

// String adds a String column.
func (b *Block) String(name string) *String { return add(b, &String{head: head{name, "String"}}) }

// FixedString adds a FixedString(n) column.
func (b *Block) FixedString(name string, n int) *FixedString {
	return add(b, &FixedString{head: head{name, fmt.Sprintf("FixedString(%d)", n)}, n: n})
}

// Millis adds a DateTime64(3, 'UTC') column, in ms since the epoch.
func (b *Block) Millis(name string) *Fixed[int64] {
	return add(b, &Fixed[int64]{head: head{name, millisType}, boxed: millis})
}

// NullableMillis adds a Nullable(DateTime64(3, 'UTC')) column.
func (b *Block) NullableMillis(name string) *Nullable[int64] {
	return add(b, &Nullable[int64]{
		head:  head{name, "Nullable(" + millisType + ")"},
		boxed: func(ms int64) any { return time.UnixMilli(ms).UTC() },
	})
}

const millisType = "DateTime64(3, 'UTC')"

// Seconds adds a DateTime('UTC') column, in s since the epoch.
func (b *Block) Seconds(name string) *Fixed[uint32] {
	return add(b, &Fixed[uint32]{head: head{name, "DateTime('UTC')"}, boxed: func(v []uint32) any {
		out := make([]time.Time, len(v))
		for i, s := range v {
			out[i] = time.Unix(int64(s), 0).UTC()
		}
		return out
	}})
}

// Date adds a Date column, in days since the epoch.
func (b *Block) Date(name string) *Fixed[uint16] {
	return add(b, &Fixed[uint16]{head: head{name, "Date"}, boxed: func(v []uint16) any {
		out := make([]time.Time, len(v))
		for i, days := range v {
			out[i] = time.Unix(int64(days)*86400, 0).UTC()
		}
		return out
	}})
}

// UInt8 adds a UInt8 column.
func (b *Block) UInt8(name string) *Fixed[uint8] { return number[uint8](b, name, "UInt8") }

// UInt16 adds a UInt16 column.
func (b *Block) UInt16(name string) *Fixed[uint16] { return number[uint16](b, name, "UInt16") }

// UInt32 adds a UInt32 column.
func (b *Block) UInt32(name string) *Fixed[uint32] { return number[uint32](b, name, "UInt32") }

// UInt64 adds a UInt64 column.
func (b *Block) UInt64(name string) *Fixed[uint64] { return number[uint64](b, name, "UInt64") }

// Int8 adds an Int8 column.
func (b *Block) Int8(name string) *Fixed[int8] { return number[int8](b, name, "Int8") }

// Int32 adds an Int32 column.
func (b *Block) Int32(name string) *Fixed[int32] { return number[int32](b, name, "Int32") }

// Int64 adds an Int64 column.
func (b *Block) Int64(name string) *Fixed[int64] { return number[int64](b, name, "Int64") }

func number[T Number](b *Block, name, typ string) *Fixed[T] {
	return add(b, &Fixed[T]{head: head{name, typ}})
}

// NullableBool adds a Nullable(Bool) column: 0 or 1.
func (b *Block) NullableBool(name string) *Nullable[uint8] {
	return add(b, &Nullable[uint8]{head: head{name, "Nullable(Bool)"}, boxed: func(v uint8) any { return v != 0 }})
}

// NullableInt16 adds a Nullable(Int16) column.
func (b *Block) NullableInt16(name string) *Nullable[int16] {
	return nullable[int16](b, name, "Nullable(Int16)")
}

// NullableInt32 adds a Nullable(Int32) column.
func (b *Block) NullableInt32(name string) *Nullable[int32] {
	return nullable[int32](b, name, "Nullable(Int32)")
}

// NullableInt64 adds a Nullable(Int64) column.
func (b *Block) NullableInt64(name string) *Nullable[int64] {
	return nullable[int64](b, name, "Nullable(Int64)")
}

// NullableUInt32 adds a Nullable(UInt32) column.
func (b *Block) NullableUInt32(name string) *Nullable[uint32] {
	return nullable[uint32](b, name, "Nullable(UInt32)")
}

// NullableUInt64 adds a Nullable(UInt64) column.
func (b *Block) NullableUInt64(name string) *Nullable[uint64] {
	return nullable[uint64](b, name, "Nullable(UInt64)")
}

// NullableFloat64 adds a Nullable(Float64) column.
func (b *Block) NullableFloat64(name string) *Nullable[float64] {
	return nullable[float64](b, name, "Nullable(Float64)")
}

func nullable[T Number](b *Block, name, typ string) *Nullable[T] {
	return add(b, &Nullable[T]{head: head{name, typ}})
}

// Strings adds an Array(String) column.
func (b *Block) Strings(name string) *Strings {
	elem := &String{}
	return add(b, &Strings{list: list{head: head{name, "Array(String)"}, elems: []column{elem}}, Elem: elem})
}

// EnumSet adds an Array(LowCardinality(String)) column of known words.
func (b *Block) EnumSet(name string, known []string) *EnumSet {
	elem := &Enum{words: known}
	return add(b, &EnumSet{list: list{head: head{name, "Array(LowCardinality(String))"}, elems: []column{elem}}, Elem: elem})
}

// NumberMap adds a Map(LowCardinality(String), Float64) column.
func (b *Block) NumberMap(name string) *NumberMap {
	k, v := words(""), &Fixed[float64]{}
	return add(b, &NumberMap{
		list: list{head: head{name, "Map(LowCardinality(String), Float64)"}, elems: []column{k, v}},
		Keys: k, Values: v,
	})
}

// WordMap adds a Map(LowCardinality(String), LowCardinality(String)) column.
func (b *Block) WordMap(name string) *WordMap {
	k, v := words(""), words("")
	return add(b, &WordMap{
		list: list{head: head{name, "Map(LowCardinality(String), LowCardinality(String))"}, elems: []column{k, v}},
		Keys: k, Values: v,
	})
}

// EndIn ends a row of a table whose partitions are the months of a time, in ms
// since the epoch. Rows of one record in one table share one month.
func (b *Block) EndIn(ms int64) {
	if ms < b.current.from || ms >= b.current.to {
		b.enterMonth(ms)
	}
	b.end()
}

// End ends a row of a table without partitions.
func (b *Block) End() {
	if len(b.months) == 0 {
		b.months, b.last = append(b.months, 0), 0
	}
	b.end()
}

func (b *Block) end() {
	b.monthOf = append(b.monthOf, b.last)
	b.topic.Append(0)
	b.partition.Append(uint16(b.origin.Partition))
	b.offset.Append(uint64(b.at))
}

func (b *Block) enterMonth(ms int64) {
	t := time.UnixMilli(ms).UTC()
	first := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
	b.current.from, b.current.to = first.UnixMilli(), first.AddDate(0, 1, 0).UnixMilli()
	month := uint32(t.Year()*100 + int(t.Month()))
	for i, m := range b.months {
		if m == month {
			b.last = uint8(i)
			return
		}
	}
	b.last = uint8(len(b.months))
	b.months = append(b.months, month)
}

// Rows is how many rows have ended.
func (b *Block) Rows() int { return len(b.monthOf) }

// Bytes is about how much memory the rows take.
func (b *Block) Bytes() int {
	n := 0
	for _, c := range b.columns {
		n += c.size()
	}
	return n
}

// truncate drops the rows from the given one on, and any row that did not end.
func (b *Block) truncate(rows int) {
	for _, c := range b.columns {
		c.truncate(rows)
	}
	b.monthOf = b.monthOf[:rows]
	used := 0
	for _, m := range b.monthOf {
		used = max(used, int(m)+1)
	}
	b.months = b.months[:used]
	b.current.from, b.current.to = 0, 0
}

// Reset drops all rows and keeps the memory that they took.
func (b *Block) Reset() { b.truncate(0) }

// encode appends the selected rows as a Native block.
func (b *Block) encode(dst []byte, sel []int) ([]byte, error) {
	if err := b.check(); err != nil {
		return dst, err
	}
	rows := b.Rows()
	if sel != nil {
		rows = len(sel)
	}
	dst = binary.AppendUvarint(dst, uint64(len(b.columns)))
	dst = binary.AppendUvarint(dst, uint64(rows))
	for _, c := range b.columns {
		dst = putString(putString(dst, c.label()), c.kind())
		dst = c.encode(c.prefix(dst), sel)
	}
	return dst, nil
}

// AppendNative appends all rows as a block in ClickHouse's Native format. An
// error says that a column has more or fewer rows than the block.
func (b *Block) AppendNative(dst []byte) ([]byte, error) { return b.encode(dst, nil) }

// check catches decoders that forget a column.
func (b *Block) check() error {
	for _, c := range b.columns {
		if c.rows() != b.Rows() {
			return fmt.Errorf("block of %s: column %s has %d rows of %d", b.table.Name, c.label(), c.rows(), b.Rows())
		}
	}
	return nil
}

// Statement is the INSERT that takes the block, without FORMAT.
func (b *Block) Statement() string {
	names := make([]string, len(b.columns))
	for i, c := range b.columns {
		names[i] = "`" + c.label() + "`"
	}
	return "INSERT INTO " + b.table.Name + " (" + strings.Join(names, ", ") + ")"
}

func (b *Block) namesAndTypes() []clickhouse.ColumnNameAndType {
	out := make([]clickhouse.ColumnNameAndType, len(b.columns))
	for i, c := range b.columns {
		out[i] = clickhouse.ColumnNameAndType{Name: c.label(), Type: c.kind()}
	}
	return out
}

// inMonths groups the rows with keep by month, in order of appearance.
func (b *Block) inMonths(keep func(row int) bool) map[uint32][]int {
	groups := map[uint32][]int{}
	for row, m := range b.monthOf {
		if keep(row) {
			month := b.months[m]
			groups[month] = append(groups[month], row)
		}
	}
	return groups
}

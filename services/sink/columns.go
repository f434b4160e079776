package sink

import (
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/goodhartlabs/goodhart/pkg/chsink"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// columns are those that hold a field of a message as it is.
type columns struct {
	block   *chsink.Block
	words   []bound[*chsink.Words]
	strings []bound[*chsink.String]
	enums   []bound[*chsink.Enum]
	int64s  []bound[*chsink.Nullable[int64]]
	uint32s []bound[*chsink.Nullable[uint32]]
	uint64s []bound[*chsink.Nullable[uint64]]
	int32s  []bound[*chsink.Nullable[int32]]
}

// bound is a column and the field that it holds.
type bound[C any] struct {
	from slot
	to   C
	path string // of an enum: the field, for a reject
}

// field finds a field of Fact, Event or Usage by its name in the schema.
func field(of slot, name protoreflect.Name) slot {
	return of | slot(messageOf(of).Fields().ByName(name).Number())
}

func messageOf(of slot) protoreflect.MessageDescriptor {
	switch of {
	case ofFact:
		return (&goodhartv1.Fact{}).ProtoReflect().Descriptor()
	case ofEvent:
		return (&goodhartv1.Event{}).ProtoReflect().Descriptor()
	default:
		return (&goodhartv1.Usage{}).ProtoReflect().Descriptor()
	}
}

func bind[C any](list []bound[C], of slot, name string, to C) []bound[C] {
	path := "event." + name
	if of == ofUsage {
		path = "event.usage." + name
	}
	return append(list, bound[C]{field(of, protoreflect.Name(name)), to, path})
}

func (c *columns) word(of slot, name, column string) {
	c.words = bind(c.words, of, name, c.block.Words(column))
}

func (c *columns) string(name string) {
	c.strings = bind(c.strings, ofEvent, name, c.block.String(name))
}

func (c *columns) enum(of slot, name string, words []string) {
	c.enums = bind(c.enums, of, name, c.block.Enum(name, words))
}

func (c *columns) int64(of slot, name string) {
	c.int64s = bind(c.int64s, of, name, c.block.NullableInt64(name))
}

func (c *columns) uint32(of slot, name string) {
	c.uint32s = bind(c.uint32s, of, name, c.block.NullableUInt32(name))
}

func (c *columns) uint64(of slot, name string) {
	c.uint64s = bind(c.uint64s, of, name, c.block.NullableUInt64(name))
}

func (c *columns) int32(of slot, name string) {
	c.int32s = bind(c.int32s, of, name, c.block.NullableInt32(name))
}

// add appends a row's part of these columns.
func (c *columns) add(v *view) *reject {
	for _, b := range c.enums {
		if n := v.int32(b.from); !b.to.Append(n) {
			return outOfRange(b.path, int64(n))
		}
	}
	for _, b := range c.words {
		b.to.Append(v.str(b.from))
	}
	for _, b := range c.strings {
		b.to.Append(v.str(b.from))
	}
	addNumbers(c.int64s, v)
	addNumbers(c.uint32s, v)
	addNumbers(c.uint64s, v)
	addNumbers(c.int32s, v)
	return nil
}

func addNumbers[T int64 | uint32 | uint64 | int32](list []bound[*chsink.Nullable[T]], v *view) {
	for _, b := range list {
		if v.is(b.from) {
			b.to.AppendValue(T(v.numbers[b.from]))
		} else {
			b.to.Append(nil)
		}
	}
}

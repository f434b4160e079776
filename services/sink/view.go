package sink

import (
	"encoding/binary"
	"unsafe"

	"google.golang.org/protobuf/reflect/protoreflect"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// view is a Fact with its event and usage as they lie on the wire: where in the
// record each string is, and the numbers. It is read by hand because the
// generated decoder allocates every optional number (BENCH.md); a fuzz test holds
// the two against each other. It is used for one record after the other.
type view struct {
	wire *wireTypes

	record  []byte
	text    string    // the record again
	has     [3]uint64 // which fields are there: bits by number, for each message
	places  [3 * fields]struct{ from, to uint32 }
	numbers [3 * fields]uint64
	quality []int32
	// activity is that payload, decoded.
	activity    goodhartv1.Activity
	hasActivity bool
}

// fields is above the greatest field number of the three messages.
const fields = 64

// slot is a field of Fact, Event or Usage: where the message begins, plus the
// field's number.
type slot uint8

const (
	ofFact  slot = 0 * fields
	ofEvent slot = 1 * fields
	ofUsage slot = 2 * fields
)

// Fields that rows are not made of one by one.
const (
	factEvent     = ofFact | 10
	eventQuality  = ofEvent | 22
	eventUsage    = ofEvent | 40
	eventActivity = ofEvent | 41
)

func (v *view) is(s slot) bool { return v.has[s/fields]>>(s%fields)&1 != 0 }

// str is a string or bytes field, empty if absent; valid as long as the record.
func (v *view) str(s slot) string {
	if !v.is(s) {
		return ""
	}
	at := v.places[s]
	return v.text[at.from:at.to]
}

// bytes is a bytes field, empty if absent; valid as long as the record.
func (v *view) bytes(s slot) []byte {
	if !v.is(s) {
		return nil
	}
	at := v.places[s]
	return v.record[at.from:at.to:at.to]
}

// num is a numeric field as its wire has it, 0 if absent.
func (v *view) num(s slot) uint64 {
	if !v.is(s) {
		return 0
	}
	return v.numbers[s]
}

func (v *view) int64(s slot) int64   { return int64(v.num(s)) }
func (v *view) int32(s slot) int32   { return int32(v.num(s)) }
func (v *view) uint32(s slot) uint32 { return uint32(v.num(s)) }
func (v *view) bool(s slot) bool     { return v.num(s) != 0 }

// sint32 is a field of that type.
func (v *view) sint32(s slot) int32 {
	n := v.uint32(s)
	return int32(n>>1) ^ -int32(n&1)
}

// read reads a Fact and reports whether it could. Of the payloads it looks into
// usage and activity. It refuses groups, which proto3 never writes. The record
// must not change while the view is in use.
func (v *view) read(b []byte) bool {
	v.record, v.text = b, unsafe.String(unsafe.SliceData(b), len(b))
	v.has = [3]uint64{}
	v.quality = v.quality[:0]
	if v.hasActivity {
		v.activity, v.hasActivity = goodhartv1.Activity{}, false
	}
	message, ends := 0, [3]int{} // being read, and where those around it end
	for i, end := 0, len(b); ; {
		for i == end {
			if message == 0 {
				return true
			}
			message--
			end = ends[message]
		}
		tag, at := varint(b[:end], i)
		number := int32(tag >> 3)
		if at < 0 || number <= 0 {
			return false
		}
		switch tag & 7 {
		case wireVarint:
			n, next := varint(b[:end], at)
			if i = next; i < 0 || !v.setNumber(v.wire.varint[message], message, number, n) {
				return false
			}
		case wireFixed64:
			if i = at + 8; i > end {
				return false
			}
			if !v.setNumber(v.wire.fixed64[message], message, number, binary.LittleEndian.Uint64(b[at:])) {
				return false
			}
		case wireBytes:
			n, from := varint(b[:end], at)
			if from < 0 || n > uint64(end-from) {
				return false
			}
			i = from + int(n)
			if s := slot(message)*fields + slot(number); number < fields && (s == factEvent || s == eventUsage) {
				v.has[message] |= 1 << number
				ends[message] = end
				message, i, end = message+1, from, i
				continue
			}
			if !v.setBytes(b, message, number, from, i) {
				return false
			}
		case wireFixed32:
			if i = at + 4; i > end || v.wire.knows(message, number) {
				return false
			}
		default:
			return false
		}
	}
}

// setNumber notes a number, if the field is of those that look like it. It
// reports false for a field that must look otherwise.
func (v *view) setNumber(right uint64, message int, number int32, n uint64) bool {
	if number >= fields || right>>number&1 == 0 {
		return !v.wire.knows(message, number)
	}
	s := slot(message)*fields + slot(number)
	v.numbers[s] = n
	v.has[message] |= 1 << number
	if s == eventQuality {
		v.quality = append(v.quality, int32(n))
	}
	return true
}

// setBytes notes where a string is, and reads the nested message or the packed
// numbers that it may be instead.
func (v *view) setBytes(b []byte, message int, number int32, from, to int) bool {
	if number >= fields || v.wire.bytes[message]>>number&1 == 0 {
		return !v.wire.knows(message, number)
	}
	s := slot(message)*fields + slot(number)
	v.places[s].from, v.places[s].to = uint32(from), uint32(to)
	v.has[message] |= 1 << number
	if s == eventActivity {
		v.hasActivity = true
		return v.activity.UnmarshalVTUnsafe(b[from:to]) == nil
	}
	for s == eventQuality && from < to {
		var n uint64
		if n, from = varint(b[:to], from); from < 0 {
			return false
		}
		v.quality = append(v.quality, int32(n))
	}
	return true
}

// Wire types of protobuf.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

// varint reads the varint at i and returns the place behind it, -1 if there is
// none.
func varint(b []byte, i int) (uint64, int) {
	if i < len(b) && b[i] < 0x80 {
		return uint64(b[i]), i + 1
	}
	return longVarint(b, i)
}

func longVarint(b []byte, i int) (uint64, int) {
	if i+1 < len(b) && b[i+1] < 0x80 {
		return uint64(b[i]&0x7f) | uint64(b[i+1])<<7, i + 2
	}
	var n uint64
	for k := 0; k < 10 && i+k < len(b); k++ {
		c := b[i+k]
		n |= uint64(c&0x7f) << (7 * k)
		if c < 0x80 {
			return n, i + k + 1
		}
	}
	return 0, -1
}

// wireTypes says how the fields of Fact, Event and Usage look on the wire: bits
// by number, for each message.
type wireTypes struct{ varint, fixed64, bytes [3]uint64 }

func newWireTypes() *wireTypes {
	w := &wireTypes{}
	for message, m := range []protoreflect.ProtoMessage{&goodhartv1.Fact{}, &goodhartv1.Event{}, &goodhartv1.Usage{}} {
		list := m.ProtoReflect().Descriptor().Fields()
		for k := range list.Len() {
			field := list.Get(k)
			bit := uint64(1) << field.Number()
			switch field.Kind() {
			case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
				w.bytes[message] |= bit
			case protoreflect.Fixed64Kind:
				w.fixed64[message] |= bit
			default:
				w.varint[message] |= bit
			}
			if field.IsPacked() {
				w.bytes[message] |= bit
			}
		}
	}
	return w
}

func (w *wireTypes) knows(message int, number int32) bool {
	return number < fields && (w.varint[message]|w.fixed64[message]|w.bytes[message])>>number&1 != 0
}

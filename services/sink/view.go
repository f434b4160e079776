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
	places  [256]place
	numbers [256]uint64
	quality []int32
	// activity is that payload, decoded.
	activity    goodhartv1.Activity
	hasActivity bool
}

// place is a part of the record.
type place struct{ from, to uint32 }

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
	message, ends := uint64(0), [3]int{} // being read, and where those around it end
	for i, end := 0, len(b); ; {
		for i >= end {
			if message == 0 {
				return true
			}
			message--
			end = ends[message]
		}
		tag, at := uint64(b[i]), i+1
		if tag >= 0x80 {
			tag, at = longVarint(b[:end], i)
		}
		if at < 0 || at >= end { // every field has a value
			return false
		}
		number := tag >> 3
		s := slot(message*fields + number%fields)
		n, next := uint64(b[at]), at+1
		if n >= 0x80 && tag&7 != wireFixed64 {
			n, next = longVarint(b[:end], at)
		}
		looks := v.wire[s]
		if next < 0 || number >= fields || looks != byte(tag&7) {
			looks = inspect
		}
		switch looks {
		case wireVarint:
			v.numbers[s] = n
			i = next
		case wireBytes:
			if n > uint64(end-next) {
				return false
			}
			i = next + int(n)
			v.places[s] = place{uint32(next), uint32(i)}
		default:
			to, ok := v.inspect(b[:end], tag, at, message)
			if !ok {
				return false
			}
			if i = to; number < fields && (s == factEvent || s == eventUsage) {
				ends[message] = end
				i, end = next, to
				v.has[message] |= 1 << number
				message++
			}
			continue
		}
		v.has[message] |= 1 << number
	}
}

// inspect reads a field that is not simply a varint or bytes, or not known, and
// returns the place behind it. It reports false if the value does not end, or is
// not what its field is made of.
func (v *view) inspect(b []byte, tag uint64, at int, message uint64) (int, bool) {
	number := int32(tag >> 3)
	looks := wireUnknown
	var s slot
	if number > 0 && number < fields {
		s = slot(message)*fields + slot(number)
		looks = int(v.wire[s])
	}
	var n uint64
	to := at
	switch tag & 7 {
	case wireVarint:
		n, to = longVarint(b, at)
	case wireFixed64:
		to += 8
	case wireFixed32:
		to += 4
	case wireBytes:
		if n, at = longVarint(b, at); at < 0 || n > uint64(len(b)-at) {
			return 0, false
		}
		to = at + int(n)
	default:
		return 0, false
	}
	if to < 0 || to > len(b) || number <= 0 {
		return 0, false
	}
	switch {
	case looks == wireUnknown:
		return to, true
	case looks == wireMessage && tag&7 == wireBytes:
		if s == eventActivity {
			v.hasActivity = true
			v.has[message] |= 1 << number
			return to, v.activity.UnmarshalVTUnsafe(b[at:to]) == nil
		}
		return to, true
	case looks == wirePacked && tag&7 == wireVarint:
		v.quality = append(v.quality, int32(n))
	case looks == wirePacked && tag&7 == wireBytes:
		for at < to {
			if n, at = longVarint(b[:to], at); at < 0 {
				return 0, false
			}
			v.quality = append(v.quality, int32(n))
		}
	case looks == wireFixed64 && tag&7 == wireFixed64:
		v.numbers[s] = binary.LittleEndian.Uint64(b[at:])
	default:
		return 0, false
	}
	v.has[message] |= 1 << number
	return to, true
}

// Wire types of protobuf, and what else a field of ours may be.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
	wireUnknown = 8
	wireMessage = 9  // of which the view reads the inside
	wirePacked  = 10 // varints one by one or packed
)

// inspect leaves a field to the function of that name.
const inspect = 255

// longVarint reads the varint at i, of one byte or more, and returns the place
// behind it, -1 if there is none.
func longVarint(b []byte, i int) (uint64, int) {
	if i+1 < len(b) && b[i+1] < 0x80 && b[i] >= 0x80 {
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

// wireTypes says how each field of Fact, Event and Usage looks on the wire, by
// slot.
type wireTypes [256]uint8

func newWireTypes() *wireTypes {
	w := &wireTypes{}
	for i := range w {
		w[i] = wireUnknown
	}
	for _, of := range []slot{ofFact, ofEvent, ofUsage} {
		list := messageOf(of).Fields()
		for k := range list.Len() {
			f := list.Get(k)
			s := of | slot(f.Number())
			switch f.Kind() {
			case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
				w[s] = wireBytes
			case protoreflect.Fixed64Kind:
				w[s] = wireFixed64
			default:
				w[s] = wireVarint
			}
			if f.IsPacked() {
				w[s] = wirePacked
			}
		}
	}
	for _, s := range []slot{factEvent, eventUsage, eventActivity} {
		w[s] = wireMessage
	}
	return w
}

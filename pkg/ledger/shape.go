package ledger

import "errors"

var errWire = errors.New("not a valid protobuf message")

// Wire types of protobuf. Groups are not among them: proto3 never writes them.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
	// wirePacked stands for a repeated scalar: varints one by one or packed.
	wirePacked = 6
	// wireUnknown stands for a field that this version does not know.
	wireUnknown = 7
)

// shape says how the fields of a message must look on the wire, so that a
// message can be checked without being decoded. A test compares the shapes with
// the schema.
type shape struct {
	wire []byte // by field number
	sub  map[int32]*shape
}

// shapes are those of the messages that pass through the ledger undecoded.
type shapes struct {
	event, usage, activity, outcome, config, tick *shape
}

func newShapes() shapes {
	const v, f, b, p, u = wireVarint, wireFixed64, wireBytes, wirePacked, wireUnknown
	pair := &shape{wire: []byte{u, b, b}}
	number := &shape{wire: []byte{u, b, f}}
	rejected := &shape{wire: []byte{u, b, b, v, b, v}}
	s := shapes{
		usage: &shape{wire: []byte{
			u, b, b, b, b, b, v, v, v, v, v, v, v, v, v, b, v, b, v, v, v, b, v, b, v, b, b, v, v, f, f, v, v, v,
		}},
		activity: &shape{
			wire: []byte{u, b, b, b},
			sub:  map[int32]*shape{2: number, 3: pair},
		},
		outcome: &shape{wire: []byte{
			u, v, b, b, b, b, b, v, v, v, v, v, v, v, b, b, b, v, v, b, b, v, b, v,
		}},
		config: &shape{wire: []byte{u, v, b}},
		tick:   &shape{wire: []byte{u, b, v, b}, sub: map[int32]*shape{3: rejected}},
	}
	s.event = &shape{
		wire: []byte{
			u, v, b, b, v, b, b, v, v, b, v, v, b, b, b, v, v, b, b, b, v, b, p, v, b, v, b, b, v,
			u, u, u, u, u, u, u, u, u, u, u, b, b, b, b, b,
		},
		sub: map[int32]*shape{40: s.usage, 41: s.activity, 42: s.outcome, 43: s.config, 44: s.tick},
	}
	return s
}

// check reports whether b is a message of this shape.
func (s *shape) check(b []byte) error {
	if s.sub == nil {
		return s.checkFlat(b)
	}
	var f field
	for f.next < len(b) {
		if !f.read(s, b) {
			return errWire
		}
		if sub := s.sub[f.num]; sub != nil {
			if err := sub.check(f.bytes); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkFlat checks a message without messages in it. Known fields with tags of
// one or two bytes are checked in place; the rest is left to read.
func (s *shape) checkFlat(b []byte) error {
	for i := 0; i < len(b); {
		tag, at := uint(b[i]), i+1
		if tag >= 0x80 && at < len(b) && b[at] < 0x80 {
			tag, at = tag&0x7f|uint(b[at])<<7, at+1
		} else if tag >= 0x80 {
			tag = 0
		}
		num, wire := tag>>3, byte(tag&7)
		if num == 0 || num >= uint(len(s.wire)) || s.wire[num] != wire || wire > wireBytes {
			f := field{next: i}
			if !f.read(s, b) {
				return errWire
			}
			i = f.next
			continue
		}
		if wire == wireFixed64 {
			if i = at + 8; i > len(b) {
				return errWire
			}
			continue
		}
		x, ok := uint64(0), at < len(b)
		if ok && b[at] < 0x80 {
			x, at = uint64(b[at]), at+1
		} else if ok {
			x, at, ok = uvarint(b, at)
		}
		if wire == wireVarint {
			x = 0
		}
		if !ok || x > uint64(len(b)-at) {
			return errWire
		}
		i = at + int(x)
	}
	return nil
}

// field is a field on the wire: varint is the value of a varint, bytes that of
// what has a length; next is the index behind it.
type field struct {
	num    int32
	varint uint64
	bytes  []byte
	next   int
}

// read reads the field at b[f.next:] and reports whether it is well-formed and
// has the wire type of the shape. The varints of one byte, which are most, are
// read in place.
func (f *field) read(s *shape, b []byte) bool {
	i := f.next
	tag, ok := uint64(b[i]), true
	if i++; tag >= 0x80 {
		tag, i, ok = uvarint(b, i-1)
	}
	f.num = int32(tag >> 3)
	if !ok || f.num <= 0 {
		return false
	}
	wire := byte(tag & 7)
	switch wire {
	case wireVarint, wireBytes:
		if i >= len(b) {
			return false
		}
		x := uint64(b[i])
		if i++; x >= 0x80 {
			if x, i, ok = uvarint(b, i-1); !ok {
				return false
			}
		}
		if wire == wireVarint {
			f.varint = x
			break
		}
		if x > uint64(len(b)-i) {
			return false
		}
		f.bytes = b[i : i+int(x)]
		i += int(x)
	case wireFixed64:
		i += 8
	case wireFixed32:
		i += 4
	default:
		return false
	}
	f.next = i
	return i <= len(b) && (int(f.num) >= len(s.wire) || s.wire[f.num] == wire || s.fits(f, wire))
}

// fits deals with what is rare: repeated scalars and unknown fields.
func (s *shape) fits(f *field, wire byte) bool {
	switch s.wire[f.num] {
	case wireUnknown:
		return true
	case wirePacked:
		return wire == wireVarint || wire == wireBytes && packedVarints(f.bytes)
	default:
		return false
	}
}

func packedVarints(b []byte) bool {
	for i := 0; i < len(b); {
		_, next, ok := uvarint(b, i)
		if !ok {
			return false
		}
		i = next
	}
	return true
}

// uvarint reads the varint at b[i:] and returns the index behind it.
func uvarint(b []byte, i int) (x uint64, next int, ok bool) {
	for shift := uint(0); shift < 64 && i < len(b); shift += 7 {
		c := b[i]
		i++
		x |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return x, i, true
		}
	}
	return 0, i, false
}

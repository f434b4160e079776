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
			u, b, b, b, b, b, v, v, v, v, v, v, v, v, v, b, v, b, v, v, v, b, v, b, v, b, b, v, v, f, f, v, v,
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
	for i := 0; i < len(b); {
		num, val, next, err := s.field(b, i)
		if err != nil {
			return err
		}
		if sub := s.sub[num]; sub != nil {
			if err := sub.check(val.bytes); err != nil {
				return err
			}
		}
		i = next
	}
	return nil
}

// value is a field's value: num for varints, bytes for what has a length.
type value struct {
	num   uint64
	bytes []byte
}

// field reads the field at b[i:] and checks its wire type.
func (s *shape) field(b []byte, i int) (num int32, val value, next int, err error) {
	tag, i, ok := uvarint(b, i)
	num = int32(tag >> 3)
	if !ok || num <= 0 {
		return 0, val, 0, errWire
	}
	wire := byte(tag & 7)
	switch wire {
	case wireVarint:
		val.num, i, ok = uvarint(b, i)
	case wireBytes:
		var n uint64
		n, i, ok = uvarint(b, i)
		if !ok || n > uint64(len(b)-i) {
			return 0, val, 0, errWire
		}
		val.bytes = b[i : i+int(n)]
		i += int(n)
	case wireFixed64:
		i += 8
	case wireFixed32:
		i += 4
	default:
		return 0, val, 0, errWire
	}
	if !ok || i > len(b) {
		return 0, val, 0, errWire
	}
	if int(num) >= len(s.wire) || s.wire[num] == wire || s.wire[num] == wireUnknown {
		return num, val, i, nil
	}
	if s.wire[num] != wirePacked || (wire == wireBytes && !packedVarints(val.bytes)) ||
		(wire != wireBytes && wire != wireVarint) {
		return 0, val, 0, errWire
	}
	return num, val, i, nil
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
	if i < len(b) && b[i] < 0x80 {
		return uint64(b[i]), i + 1, true
	}
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

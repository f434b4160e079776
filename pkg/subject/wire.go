package subject

import (
	"encoding/binary"
	"math/bits"
)

// Wire types of protobuf.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

// field is a field on the wire: v is the value of a varint, start and end are the
// bounds of what has a length.
type field struct {
	tag, v     uint64
	start, end int
}

// next returns the first of the wanted fields from b[i] on, or the last field of
// all. It stays in one loop over what nobody wants, nearly everything.
func next(b []byte, i int, want uint64) (f field, ok bool) {
	for {
		tag, j := uint64(b[i]), i+1
		switch {
		case tag < 0x80:
		case j < len(b) && b[j] < 0x80:
			tag, j = tag&0x7f|uint64(b[j])<<7, i+2
		default:
			tag, j = uvarint(b, i)
		}
		if j < 0 || j >= len(b) { // every field has a value
			return field{}, false
		}
		v := uint64(b[j])
		if i = j + 1; v >= 0x80 && tag&7 != wireFixed64 && tag&7 != wireFixed32 {
			if v, i = uvarint(b, j); i < 0 {
				return field{}, false
			}
		}
		start := i
		switch tag & 7 {
		case wireVarint:
		case wireBytes:
			if v > uint64(len(b)-i) {
				return field{}, false
			}
			i += int(v)
		case wireFixed64:
			i = j + 8
		case wireFixed32:
			i = j + 4
		default: // groups, which no message of ours has, are bad input
			return field{}, false
		}
		if i >= len(b) || tag < 64<<3 && want>>(tag>>3)&1 != 0 {
			return field{tag, v, start, i}, i <= len(b)
		}
	}
}

// uvarint reads the varint at b[i:] and returns the index behind it, -1 if there
// is none. Most have fewer than nine bytes: these are read at once, and what is
// between their bits is squeezed out.
func uvarint(b []byte, i int) (v uint64, next int) {
	if i+8 <= len(b) {
		x := binary.LittleEndian.Uint64(b[i:])
		if stop := ^x & 0x8080808080808080; stop != 0 {
			n := bits.TrailingZeros64(stop) + 1
			x &= 1<<n - 1
			x = x&0x007f007f007f007f | x&0x7f007f007f007f00>>1
			x = x&0x00003fff00003fff | x&0x3fff00003fff0000>>2
			x = x&0x000000000fffffff | x&0x0fffffff00000000>>4
			return x, i + n>>3
		}
	}
	for n, c := range b[i:] {
		if n == 10 {
			break
		}
		v |= uint64(c&0x7f) << (7 * n)
		if c < 0x80 {
			return v, i + n + 1
		}
	}
	return 0, -1
}

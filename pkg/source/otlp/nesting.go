package otlp

import "encoding/binary"

const (
	// maxNesting is how deep a protobuf body may nest; JSON has the same limit.
	// The decoder below recurses without one, and a stack that overflows ends the
	// process.
	maxNesting = 10_000
	// harmless is a size at which no nesting can fill the stack.
	harmless = 1 << 20
)

// tooDeep reports whether the messages in a protobuf body nest deeper than
// maxNesting. It knows no schema: a string that parses as a message counts as
// one, which makes the answer an upper bound.
func tooDeep(body []byte) bool {
	if len(body) <= harmless {
		return false
	}
	ends := []int{len(body)} // of the open messages, outermost first
	for at := 0; ; {
		end := ends[len(ends)-1]
		if at >= end {
			if ends = ends[:len(ends)-1]; len(ends) == 0 {
				return false
			}
			continue
		}
		next, length, ok := field(body[at:end])
		switch {
		case !ok:
			at = end // not a message after all, or one that does not decode
		case length < 0:
			at += next
		default:
			at += next
			if ends = append(ends, at+length); len(ends) > maxNesting {
				return true
			}
		}
	}
}

// field reads the head of a field. Next is where the next field begins, or
// where the content of length bytes does; length is negative if there is none.
func field(b []byte) (next, length int, ok bool) {
	tag, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, 0, false
	}
	switch tag & 7 {
	case 0: // varint
		_, m := binary.Uvarint(b[n:])
		return n + m, -1, m > 0
	case 1: // 64 bits
		return n + 8, -1, len(b) >= n+8
	case 2: // length-delimited
		size, m := binary.Uvarint(b[n:])
		if m <= 0 || size > uint64(len(b)-n-m) {
			return 0, 0, false
		}
		return n + m, int(size), true
	case 5: // 32 bits
		return n + 4, -1, len(b) >= n+4
	case 3, 4: // begin and end of a group
		return n, -1, true
	}
	return 0, 0, false
}

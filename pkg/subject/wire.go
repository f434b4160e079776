package subject

// Wire types of protobuf.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

// longVarint reads the varint of two to ten bytes at i, and returns the index
// behind it, -1 if there is none.
func longVarint(b []byte, i int) (uint64, int) {
	if b = b[i:]; len(b) > 1 && b[1] < 0x80 {
		return uint64(b[0]&0x7f) | uint64(b[1])<<7, i + 2
	}
	var v uint64
	for n, c := range b {
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

// skipFixed returns the index behind a fixed-length value at i, -1 if the tag
// has another type: groups, which no message of ours has, are bad input.
func skipFixed(i int, tag uint64) int {
	switch tag & 7 {
	case wireFixed64:
		return i + 8
	case wireFixed32:
		return i + 4
	}
	return -1
}

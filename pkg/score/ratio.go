package score

import (
	"math/bits"
	"strconv"
)

// Millionths is a non-negative number in units of a millionth, or unknown.
type Millionths struct {
	// N is the number of millionths.
	N int64
	// Known is false where there is nothing to divide by or too much to hold.
	Known bool
}

// Ratio returns scale × a ÷ b, rounded half up to a millionth. It is unknown
// unless a and scale are at least 0, b is positive and the result fits.
func Ratio(a, b, scale int64) Millionths {
	if a < 0 || b <= 0 || scale < 0 {
		return Millionths{}
	}
	unitHi, unit := bits.Mul64(uint64(scale), 1_000_000)
	if unitHi != 0 {
		return Millionths{}
	}
	n, ok := mulDiv(uint64(a), unit, uint64(b))
	return Millionths{N: n, Known: ok}
}

// Quotient returns a ÷ b, rounded half up, and whether a is at least 0 and b is
// positive.
func Quotient(a, b int64) (int64, bool) {
	if a < 0 || b <= 0 {
		return 0, false
	}
	return mulDiv(uint64(a), 1, uint64(b))
}

// mulDiv returns a × m ÷ b rounded half up, and whether it fits an int64.
func mulDiv(a, m, b uint64) (int64, bool) {
	hi, lo := bits.Mul64(a, m)
	lo, carry := bits.Add64(lo, b/2, 0)
	hi += carry
	if hi >= b {
		return 0, false
	}
	q, _ := bits.Div64(hi, lo, b)
	return int64(q), q <= 1<<63-1
}

// append renders the number as JSON with up to six decimals, null if unknown.
func (m Millionths) append(dst []byte) []byte {
	if !m.Known {
		return append(dst, "null"...)
	}
	whole, part := m.N/1_000_000, m.N%1_000_000
	dst = strconv.AppendInt(dst, whole, 10)
	if part == 0 {
		return dst
	}
	digits := [7]byte{'.'}
	last := 0
	for i := 6; i > 0; i-- {
		digits[i] = byte('0' + part%10)
		if last == 0 && digits[i] != '0' {
			last = i
		}
		part /= 10
	}
	return append(dst, digits[:last+1]...)
}

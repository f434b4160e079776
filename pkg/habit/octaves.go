package habit

import (
	"math/bits"
	"slices"
)

// octaves counts numbers by octave: n is in number bits.Len64(n), so that a
// quantile is known within a factor of two. Old numbers fade: all counts are
// halved when there are many.
//
// Numbers of one kind lie in a few octaves next to each other: only these have a
// count.
type octaves struct {
	counts []uint16 // of the octaves from first on
	total  uint32
	first  uint8
}

// maxOctave counts what is greater, too.
const maxOctave = 47

// fadeAt is the total at which all counts are halved.
const fadeAt = 1 << 15

func (o *octaves) add(n int64) {
	*o.count(octave(n))++
	if o.total++; o.total >= fadeAt {
		o.total = 0
		for i := range o.counts {
			o.counts[i] /= 2
			o.total += uint32(o.counts[i])
		}
	}
}

func octave(n int64) int { return min(bits.Len64(uint64(max(n, 0))), maxOctave) }

// count is the count of an octave, which it makes room for.
func (o *octaves) count(octave int) *uint16 {
	if len(o.counts) == 0 {
		o.first = uint8(octave)
	}
	if missing := int(o.first) - octave; missing > 0 {
		o.counts = slices.Insert(o.counts, 0, make([]uint16, missing)...)
		o.first = uint8(octave)
	}
	at := octave - int(o.first)
	if missing := at + 1 - len(o.counts); missing > 0 {
		o.counts = append(o.counts, make([]uint16, missing)...)
	}
	return &o.counts[at]
}

// quantile is the end of the octave of the q-th percentile, 0 if there is none.
func (o *octaves) quantile(q uint32) int64 {
	if o.total == 0 {
		return 0
	}
	rank, sum := (uint64(o.total)*uint64(q)+99)/100, uint64(0)
	for i, n := range o.counts {
		if sum += uint64(n); sum >= rank {
			return 1<<(i+int(o.first)) - 1
		}
	}
	return 0
}

// above reports whether n is above the q-th percentile of at least ten numbers.
func (o *octaves) above(n int64, q uint32) bool { return o.total >= 10 && n > o.quantile(q) }

func (o *octaves) save() []uint32 {
	n := len(o.counts)
	for n > 0 && o.counts[n-1] == 0 {
		n--
	}
	if n == 0 {
		return nil
	}
	saved := make([]uint32, o.first, int(o.first)+n)
	for _, c := range o.counts[:n] {
		saved = append(saved, uint32(c))
	}
	return saved
}

func loadOctaves(saved []uint32) (o octaves) {
	for i, c := range saved[:min(len(saved), maxOctave+1)] {
		if c > 0 {
			*o.count(i) = uint16(c)
			o.total += c
		}
	}
	return o
}

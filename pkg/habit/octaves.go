package habit

import "math/bits"

// octaves counts numbers by octave: n is in number bits.Len64(n), so that a
// quantile is known within a factor of two. Old numbers fade: all counts are
// halved when there are many.
type octaves struct {
	counts [48]uint16
	total  uint32
}

// fadeAt is the total at which all counts are halved.
const fadeAt = 1 << 15

func (o *octaves) add(n int64) {
	o.counts[octave(n)]++
	if o.total++; o.total >= fadeAt {
		o.total = 0
		for i := range o.counts {
			o.counts[i] /= 2
			o.total += uint32(o.counts[i])
		}
	}
}

func octave(n int64) int { return min(bits.Len64(uint64(max(n, 0))), len(octaves{}.counts)-1) }

// quantile is the end of the octave of the q-th percentile, 0 if there is none.
func (o *octaves) quantile(q uint32) int64 {
	if o.total == 0 {
		return 0
	}
	rank, sum := (uint64(o.total)*uint64(q)+99)/100, uint64(0)
	for i, n := range o.counts {
		if sum += uint64(n); sum >= rank {
			return 1<<i - 1
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
	var saved []uint32
	for _, c := range o.counts[:n] {
		saved = append(saved, uint32(c))
	}
	return saved
}

func loadOctaves(saved []uint32) (o octaves) {
	for i, c := range saved[:min(len(saved), len(o.counts))] {
		o.counts[i] = uint16(c)
		o.total += c
	}
	return o
}

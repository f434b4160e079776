package habit

import (
	"cmp"
	"slices"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// maxRepeats is how many of the pairs of a week are counted that came again, and
// topRepeats how many are stated.
const (
	maxRepeats = 8
	topRepeats = 3
)

// repeats are the pairs of a week that came again. Their hashes, which all are
// looked through, lie together.
type repeats struct {
	n           int
	hash        [maxRepeats]uint32
	count       [maxRepeats]int64
	first, last [maxRepeats]int64
}

// repeat counts a pair that came again. When there are too many the rarest gives
// way, so that those with most remain.
func (k *week) repeat(hash uint32, t int64) {
	if k.repeats == nil {
		k.repeats = &repeats{}
	}
	r := k.repeats
	if i := slices.Index(r.hash[:r.n], hash); i >= 0 {
		r.count[i]++
		r.last[i] = max(r.last[i], t)
		return
	}
	i := r.n
	if i == maxRepeats {
		i = slices.Index(r.count[:], slices.Min(r.count[:]))
	} else {
		r.n++
	}
	r.hash[i], r.count[i], r.first[i], r.last[i] = hash, 1, t, t
}

func (r *repeats) save() []*goodhartv1.Repeat {
	if r == nil {
		return nil
	}
	saved := make([]*goodhartv1.Repeat, r.n)
	for i := range saved {
		saved[i] = &goodhartv1.Repeat{Hash: r.hash[i], Count: r.count[i], FirstMs: r.first[i], LastMs: r.last[i]}
	}
	return saved
}

func loadRepeats(saved []*goodhartv1.Repeat) *repeats {
	if len(saved) == 0 {
		return nil
	}
	r := &repeats{n: min(len(saved), maxRepeats)}
	for i, s := range saved[:r.n] {
		r.hash[i], r.count[i], r.first[i], r.last[i] = s.Hash, s.Count, s.FirstMs, s.LastMs
	}
	return r
}

// top leaves the pairs that were repeated most.
func top(repeats []*goodhartv1.Repeat) []*goodhartv1.Repeat {
	slices.SortFunc(repeats, func(a, b *goodhartv1.Repeat) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Hash, b.Hash))
	})
	return repeats[:min(topRepeats, len(repeats))]
}

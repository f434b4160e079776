package habit

import (
	"cmp"
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// A pair is the hash of (new turn, target). Only both together make a repetition:
// the same prompt on many files is a migration, and a growing conversation repeats
// its context but not its new turn.
const (
	pairSets = 128
	pairWays = 8
	// repeatWithin is how far back a pair counts as seen, in days.
	repeatWithin = 7
	// retryWithin and retryRuns: so many of the same in a row, so soon, are retries.
	retryWithin = 15 * window.Minute
	retryRuns   = 3
	// maxRepeats is how many of the pairs of a week are counted, and topRepeats how
	// many are stated.
	maxRepeats = 8
	topRepeats = 3
)

// pairs remembers the pairs of the last days. An entry is 25 bits of the hash and
// 7 bits of the day; the set is the other 7 bits of the hash.
//
// Few subjects fill all sets, so that these have one place at first and twice as
// many when one is full, up to pairWays: what is remembered is the same.
type pairs struct {
	sets []uint32 // pairSets times ways, in each the newest first; nil before the first
	ways int
	last struct {
		pair uint32
		ms   int64
		runs uint32 // times in a row
	}
	failed bool // the request before
}

// add counts a request whose pair is known.
func (p *pairs) add(k *week, u *Use) {
	s := k.sums
	hash := uint32(u.Pair ^ u.Pair>>32)
	s.PairRequests++
	s.PairTokens += u.tokens()
	seen := p.seen(hash, u.TimeMs)
	again := p.last.pair == hash && p.last.runs > 0
	soon := again && u.TimeMs-p.last.ms <= retryWithin
	if again {
		p.last.runs++
	} else {
		p.last.pair, p.last.runs = hash, 1
	}
	p.last.ms = u.TimeMs
	switch {
	case !seen:
	case again && p.failed, soon && p.last.runs <= 1+retryRuns:
		s.RetriedRequests++
	default:
		s.RepeatedRequests++
		s.RepeatedTokens += u.tokens()
		s.RepeatedCostNanos += u.CostNanos
		repeat(s, hash, u.TimeMs)
	}
}

// seen reports whether a pair came within seven days before, and remembers it.
func (p *pairs) seen(hash uint32, t int64) bool {
	if p.sets == nil {
		p.widen(1)
	}
	day := uint32(window.Floor(t, window.Day)/window.Day) % 128
	set := p.set(hash % pairSets)
	entry := hash&^127 | day
	for i, e := range set {
		if e&^127 != entry&^127 || e == 0 {
			continue
		}
		seen := (day-e&127)%128 <= repeatWithin
		copy(set[1:i+1], set[:i])
		set[0] = entry
		return seen
	}
	if set[p.ways-1] != 0 && p.ways < pairWays {
		p.widen(2 * p.ways)
		set = p.set(hash % pairSets)
	}
	copy(set[1:], set)
	set[0] = entry
	return false
}

func (p *pairs) set(i uint32) []uint32 { return p.sets[int(i)*p.ways : (int(i)+1)*p.ways] }

// widen gives the sets more places.
func (p *pairs) widen(ways int) {
	old := *p
	p.sets, p.ways = make([]uint32, pairSets*ways), ways
	for i := range uint32(pairSets) {
		if old.sets != nil {
			copy(p.set(i), old.set(i))
		}
	}
}

// save returns sets of pairWays places.
func (p *pairs) save() []uint32 {
	if p.sets == nil {
		return nil
	}
	saved := make([]uint32, pairSets*pairWays)
	for i := range uint32(pairSets) {
		copy(saved[i*pairWays:], p.set(i))
	}
	return saved
}

// load takes over what was saved, in as few places as hold it.
func (p *pairs) load(saved []uint32) {
	if len(saved) == 0 {
		return
	}
	ways := 1
	for at, entry := range saved {
		for entry != 0 && at%pairWays >= ways {
			ways *= 2
		}
	}
	p.widen(ways)
	for i := range uint32(pairSets) {
		copy(p.set(i), saved[i*pairWays:])
	}
}

// repeat counts a pair that came again. When there are too many the rarest gives
// way, so that those with most remain.
func repeat(s *goodhartv1.Week, hash uint32, t int64) {
	for _, r := range s.Repeats {
		if r.Hash == hash {
			r.Count++
			r.LastMs = max(r.LastMs, t)
			return
		}
	}
	fresh := &goodhartv1.Repeat{Hash: hash, Count: 1, FirstMs: t, LastMs: t}
	if len(s.Repeats) < maxRepeats {
		s.Repeats = append(s.Repeats, fresh)
		return
	}
	rarest := 0
	for i, r := range s.Repeats {
		if r.Count < s.Repeats[rarest].Count {
			rarest = i
		}
	}
	s.Repeats[rarest] = fresh
}

// top leaves the pairs that were repeated most.
func top(repeats []*goodhartv1.Repeat) []*goodhartv1.Repeat {
	slices.SortFunc(repeats, func(a, b *goodhartv1.Repeat) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Hash, b.Hash))
	})
	return repeats[:min(topRepeats, len(repeats))]
}

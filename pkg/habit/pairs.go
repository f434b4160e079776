package habit

import (
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/window"
)

// A pair is the hash of (new turn, target). Only both together make a repetition:
// the same prompt on many files is a migration, and a growing conversation repeats
// its context but not its new turn.
const (
	pairSets = 128
	pairWays = 8
	// repeatWithin is how far back a pair counts as seen, in days.
	repeatWithin = 7
	// pairsKept is how many days a pair is remembered: a request may come days late.
	pairsKept = 10
	// retryWithin and retryRuns: so many of the same in a row, so soon, are retries.
	retryWithin = 15 * window.Minute
	retryRuns   = 3
)

// pairs remembers the pairs of the last days. An entry is 25 bits of the hash and
// 7 bits of the day; the set is the other 7 bits of the hash.
//
// Few subjects fill all sets, so that these lie one behind the other and take the
// room of what they hold.
type pairs struct {
	entries []uint32 // set by set, in each the newest first; nil before the first
	// held is how many entries each set has, up to pairWays: four bits a set.
	held [pairSets / 16]uint64
	last struct {
		ms   int64
		pair uint32
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
	p.expire(u.TimeMs)
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
		k.repeat(hash, u.TimeMs)
	}
}

// dayOf numbers the days, UTC.
func dayOf(t int64) int64 { return window.Floor(t, window.Day) / window.Day }

// expire drops what is too old to be seen again, on the first request of a day:
// seven bits do not tell a day from the one 128 days later, and what nobody asks for
// takes room.
func (p *pairs) expire(t int64) {
	day, last := dayOf(t), dayOf(p.last.ms)
	if day <= last || len(p.entries) == 0 {
		return
	}
	kept, from := p.entries[:0], 0
	for i := range pairSets {
		at := i % 16 * 4
		n := int(p.held[i/16] >> at & 15)
		before := len(kept)
		for _, e := range p.entries[from : from+n] {
			// A late request has left the days after it.
			if age := (uint32(day) - e&127 + pairsKept) % 128; day-last < 64 && age <= 2*pairsKept {
				kept = append(kept, e)
			}
		}
		from += n
		p.held[i/16] -= uint64(n-len(kept)+before) << at
	}
	if p.entries = kept; cap(kept) > 2*len(kept)+16 {
		p.entries = append(make([]uint32, 0, len(kept)+len(kept)/4+16), kept...)
	}
}

// seen reports whether a pair came within seven days before, and remembers it.
func (p *pairs) seen(hash uint32, t int64) bool {
	day := uint32(dayOf(t)) % 128
	i, entry := hash%pairSets, hash&^127|day
	from, n := p.bounds(i)
	set := p.entries[from : from+n]
	for j, e := range set {
		if e&^127 != entry&^127 || e == 0 {
			continue
		}
		seen := (day-e&127)%128 <= repeatWithin
		copy(set[1:j+1], set[:j])
		set[0] = entry
		return seen
	}
	if n == pairWays {
		copy(set[1:], set)
		set[0] = entry
		return false
	}
	if had := len(p.entries); had == cap(p.entries) {
		p.entries = append(make([]uint32, 0, min(pairSets*pairWays, had+had/4+16)), p.entries...)
	}
	p.entries = slices.Insert(p.entries, from, entry)
	p.held[i/16] += 1 << (i % 16 * 4)
	return false
}

// bounds returns where a set begins and how many entries it has.
func (p *pairs) bounds(i uint32) (from, n int) {
	const (
		low  = 0x0f0f0f0f0f0f0f0f // the lower four bits of each byte
		wide = 0x00ff00ff00ff00ff // the lower eight bits of each 16
	)
	var sum uint64 // bytes of up to 128, the sets before
	for _, w := range p.held[:i/16] {
		sum += w&low + w>>4&low
	}
	w, at := p.held[i/16], i%16*4
	before := w & (1<<at - 1)
	sum += before&low + before>>4&low
	sum = sum&wide + sum>>8&wide
	return int(sum * 0x0001000100010001 >> 48), int(w >> at & 15)
}

// save returns sets of pairWays places.
func (p *pairs) save() []uint32 {
	if p.entries == nil {
		return nil
	}
	saved := make([]uint32, pairSets*pairWays)
	for i := range uint32(pairSets) {
		from, n := p.bounds(i)
		copy(saved[i*pairWays:], p.entries[from:from+n])
	}
	return saved
}

// load takes over what was saved.
func (p *pairs) load(saved []uint32) {
	if len(saved) == 0 {
		return
	}
	p.entries = []uint32{}
	for i := range pairSets {
		set := saved[i*pairWays : (i+1)*pairWays]
		for len(set) > 0 && set[len(set)-1] == 0 {
			set = set[:len(set)-1]
		}
		p.entries = append(p.entries, set...)
		p.held[i/16] |= uint64(len(set)) << (i % 16 * 4)
	}
	p.entries = slices.Clip(p.entries)
}

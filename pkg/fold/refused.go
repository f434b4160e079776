package fold

import "slices"

// A record that became a dead letter changed nothing but the tallies. The program
// that restores the partition may be a newer one that accepts it: replayed in
// silence, it would be known without ever having had an effect, and sending it
// again would make a duplicate of nothing. So the header names those records,
// and a replay passes them. In a fold that merges a dead letter's record moves
// the time all the same; what it lacks nobody can send again.

// mostRefused bounds the offsets in a header.
const mostRefused = 2000

// refuse notes that the record at an offset became a dead letter.
func (p *partition) refuse(offset int64) {
	if p.merge != nil || len(p.refused) > 0 && p.refused[len(p.refused)-1] == offset {
		return
	}
	p.refused = append(p.refused, offset)
}

func (p *partition) wasRefused(offset int64) bool {
	if len(p.refused) == 0 {
		return false
	}
	_, found := slices.BinarySearch(p.refused, offset)
	return found
}

// refusedFrom forgets the offsets below the one at which a restore begins, and the
// oldest that are too many, and returns the others.
func (p *partition) refusedFrom(restart int64) []int64 {
	first, _ := slices.BinarySearch(p.refused, restart)
	first = max(first, len(p.refused)-mostRefused)
	p.refused = slices.Delete(p.refused, 0, first)
	return p.refused
}

package chsink

// comparison is what a range's tables hold of it.
type comparison uint8

const (
	unseen comparison = iota // not compared
	absent
	partial
	complete
)

// String is the outcome's name in metrics and logs.
func (c comparison) String() string {
	return [...]string{"unseen", "absent", "partial", "complete"}[c]
}

// comparisonOf names what one table answers: whether it holds rows of the range,
// and whether it misses some.
func comparisonOf(holds, misses bool) comparison {
	switch {
	case !holds:
		return absent
	case misses:
		return partial
	}
	return complete
}

// overall is what all tables of a range say together.
func overall(tables []comparison) comparison {
	all := unseen
	for _, c := range tables {
		switch {
		case c == unseen || c == all:
		case all == unseen:
			all = c
		default:
			return partial
		}
	}
	return all
}

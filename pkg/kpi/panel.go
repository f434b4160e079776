package kpi

import "slices"

// Panel is what units did in consecutive ISO weeks: the data of a card. Nothing
// in the package changes or keeps it.
type Panel struct {
	// Start is the Monday 00:00 UTC of week 0, ms.
	Start int64
	// Units are persons or, where TeamUnits is set, teams. Their order is part of
	// the input: the same panel in the same order gives the same card.
	Units     []Unit
	TeamUnits bool
}

// Unit is a person or a team. Weeks are those of the panel from week 0; those
// past the end of the slice are unknown.
type Unit struct {
	Team  string
	Weeks []Week
}

// Week is what a unit did in one week. The zero Week is unknown: nobody can say
// what the unit did, which is another thing than that it did nothing.
type Week struct {
	// Known: the unit was there and its usage was recorded. A week without usage
	// is known and zero.
	Known bool
	// OutcomesKnown: the systems that record the outcomes of the unit's team are
	// connected. CostKnown: the usage has a price.
	OutcomesKnown, CostKnown bool
	Tokens, Requests         int64
	// CostNanos is at constant prices, nano-USD.
	CostNanos int64
	// Outcomes is in thousandths of a point of outcome value; it may be negative
	// where more was reverted than verified.
	Outcomes int64
	// By day, from Monday.
	DayTokens, DayRequests, DayCostNanos [7]int64
}

// span is a range of weeks; to is exclusive.
type span struct{ from, to int }

func (s span) weeks() int { return s.to - s.from }

var unknownWeek Week

// week returns week w of the unit, unknown outside of its history.
func (u *Unit) week(w int) *Week {
	if w < 0 || w >= len(u.Weeks) {
		return &unknownWeek
	}
	return &u.Weeks[w]
}

// usual returns the median of tokens over the weeks with usage up to now, 0
// without any.
func (u *Unit) usual(now int) float64 {
	var used []float64
	for w := range min(now+1, len(u.Weeks)) {
		if k := &u.Weeks[w]; k.Known && k.Tokens > 0 {
			used = append(used, float64(k.Tokens))
		}
	}
	slices.Sort(used)
	return median(used)
}

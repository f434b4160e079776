package score

import "github.com/goodhartlabs/goodhart/pkg/window"

// Lag is how many days after it was spent a cost still counts towards outcomes.
const Lag = 14

// settleDays is how long an outcome must survive, and so how long a window is
// provisional after its end.
const settleDays = 14

// kernel is K(d) = exp(−d/5) ÷ Σ exp(−d'/5), d' = 0..Lag, in millionths that add
// up to one million: the share of a day's cost that counts towards outcomes d
// days later. The mean lag is 3.7 days.
var kernel = [Lag + 1]int64{
	190767, 156187, 127875, 104695, 85717, 70179, 57458, 47043, 38515, 31534, 25817, 21138, 17306, 14169, 11600,
}

// Kernel returns the share of a day's cost, in millionths, that counts towards
// outcomes d days later; 0 outside 0..Lag.
func Kernel(d int) int64 {
	if d < 0 || d > Lag {
		return 0
	}
	return kernel[d]
}

// Day is what the people of one role in one unit did on one UTC day.
type Day struct {
	// CostNanos is in nano-USD at constant price, of the records that have one: a
	// cut of a list price is no efficiency.
	CostNanos int64
	// Records are usage records, Unpriced those without a price.
	Records, Unpriced int64
	// Value is of the outcomes whose day it is: on which they were merged, done or
	// closed, whenever the credit changed.
	Value Value
	// Linked is the part of Value.Standing that is directly linked to usage.
	Linked int64
	// People is how many worked in the seven days that end with this one: the
	// size that the policy declares, else those with usage or an outcome. People
	// who use no AI belong to it: a team is not more efficient for counting less.
	People int64
}

// Series is the days of one role in one unit (a team, a model, a tool). A team of
// several roles has several. People whose outcomes nothing sees are in none.
type Series struct {
	Unit, Role string
	// LinkedOnly: of the outcomes only those that are linked to usage are in
	// Value, as for models, tools and some roles: without spend there are none.
	LinkedOnly bool
	// First is the UTC midnight of Days[0], ms. Before it nothing is known; after
	// the last day nothing happened.
	First int64
	Days  []Day
}

// day returns the day that starts at t.
func (s *Series) day(t int64) Day {
	if i := (t - s.First) / window.Day; i >= 0 && i < int64(len(s.Days)) {
		return s.Days[i]
	}
	return Day{}
}

// Block is what the people of one role in one unit did in seven days. Unit, Role,
// LinkedOnly and Start name it.
type Block struct {
	Unit, Role string
	LinkedOnly bool
	// Start is a UTC midnight, ms.
	Start  int64
	People int64
	// CostNanos was spent in the block; AlignedNanos is the part, of this and of
	// what was spent up to Lag days before, that counts towards its outcomes.
	CostNanos, AlignedNanos int64
	Records, Unpriced       int64
	Value                   Value
	Linked                  int64
}

// blockDays is the length of a block.
const blockDays = 7

// Block returns the block that begins at a UTC midnight, and whether it is known:
// the days of which a cost counts towards it must not lie before s.First.
func (s *Series) Block(start int64) (Block, bool) {
	if start-Lag*window.Day < s.First {
		return Block{}, false
	}
	b := Block{Unit: s.Unit, Role: s.Role, LinkedOnly: s.LinkedOnly, Start: start}
	for i := range int64(blockDays) {
		d := s.day(start + i*window.Day)
		b.CostNanos += d.CostNanos
		b.Records += d.Records
		b.Unpriced += d.Unpriced
		b.Value.Add(d.Value)
		b.Linked += d.Linked
		b.People = d.People
		for lag, share := range kernel {
			spent := s.day(start + (i-int64(lag))*window.Day).CostNanos
			aligned, _ := mulDiv(uint64(max(0, spent)), uint64(share), 1_000_000)
			b.AlignedNanos += aligned
		}
	}
	return b, true
}

// fitWeeks is how many weeks a curve rests on.
const fitWeeks = 13

// FitStarts returns the starts of the weeks that the curve of a window rests on,
// in order of time: the 13 ISO weeks before the last Monday by which their
// outcomes have settled. Every window that ends in the same week has the same.
func FitStarts(end int64) []int64 {
	last := window.WeekStart(end - settleDays*window.Day)
	starts := make([]int64, fitWeeks)
	for i := range starts {
		starts[i] = last - int64(fitWeeks-i)*blockDays*window.Day
	}
	return starts
}

// WindowStarts returns the starts of the blocks of a window of 7 or 28 days, in
// order of time.
func WindowStarts(end int64, days int) []int64 {
	starts := make([]int64, days/blockDays)
	for i := range starts {
		starts[i] = end - int64(len(starts)-i)*blockDays*window.Day
	}
	return starts
}

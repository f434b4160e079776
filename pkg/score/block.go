package score

import (
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/window"
)

// settleDays is how long an outcome must survive, and so how long a window is
// provisional after its end.
const settleDays = 14

// Settling is how long after its end, ms, a window may still change.
const Settling = settleDays * window.Day

// Reach is the most that lies between the end of a window and the oldest day that
// its scores rest on, ms.
const Reach = Settling + (fitWeeks+1)*window.Week + Lag*window.Day

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

// Add adds o.
func (d *Day) Add(o *Day) {
	d.CostNanos += o.CostNanos
	d.Records += o.Records
	d.Unpriced += o.Unpriced
	d.Value.Add(o.Value)
	d.Linked += o.Linked
	d.People += o.People
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

// Blocks returns the blocks of the series at the starts in which there were people
// or anything happened, and the units of which one of them is unknown, sorted. What
// was done in a role in which nobody worked in the block, by somebody who has left
// or by a service, belongs to the role of the unit with the most people.
func Blocks(series []Series, starts []int64) (blocks []Block, unknown []string) {
	for i := range series {
		s := &series[i]
		for _, start := range starts {
			b, ok := s.Block(start)
			if !ok {
				unknown = append(unknown, s.Unit)
				continue
			}
			if b != (Block{Unit: s.Unit, Role: s.Role, LinkedOnly: s.LinkedOnly, Start: start}) {
				blocks = append(blocks, b)
			}
		}
	}
	slices.Sort(unknown)
	return adopt(blocks), slices.Compact(unknown)
}

// adopt joins blocks without people to that of their unit and start with the most,
// if there is one; of equal ones the first in order.
func adopt(blocks []Block) []Block {
	slices.SortFunc(blocks, compareBlocks)
	kept := blocks[:0]
	for at := 0; at < len(blocks); {
		to := at + 1
		for to < len(blocks) && blocks[to].Unit == blocks[at].Unit && blocks[to].Start == blocks[at].Start {
			to++
		}
		most := at
		for i := at; i < to; i++ {
			if blocks[i].People > blocks[most].People {
				most = i
			}
		}
		for i := at; i < to; i++ {
			if i != most && blocks[i].People == 0 && blocks[most].People > 0 {
				blocks[most].add(&blocks[i])
			}
		}
		for i := at; i < to; i++ {
			if blocks[i].People > 0 || blocks[most].People == 0 {
				kept = append(kept, blocks[i])
			}
		}
		at = to
	}
	return kept
}

// add adds what was done in o.
func (b *Block) add(o *Block) {
	b.CostNanos += o.CostNanos
	b.AlignedNanos += o.AlignedNanos
	b.Records += o.Records
	b.Unpriced += o.Unpriced
	b.Value.Add(o.Value)
	b.Linked += o.Linked
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

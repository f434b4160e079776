package score

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/window"
)

// Reasons why a unit has no score, beside ReasonSize.
const (
	// ReasonOutcomes: no outcomes of its own are known, or nobody has any.
	ReasonOutcomes = "outcomes"
	// ReasonHistory: the days whose cost counts towards the window are not known.
	ReasonHistory = "history"
	// ReasonPeople: there is cost or credit, and nobody known to have worked.
	ReasonPeople = "people"
	// ReasonUnpriced: too many records have no price.
	ReasonUnpriced = "unpriced"
	// ReasonPeers: fewer than three units to compare with.
	ReasonPeers = "peers"
	// ReasonExpected: fewer outcomes are expected than a score needs.
	ReasonExpected = "expected"
)

const (
	// MinExpected is how many outcomes must be expected, by the dispersion, for a
	// score to be given.
	MinExpected = 5
	// maxUnpriced is the share of records without a price, in millionths, above
	// which the cost is not known well enough.
	maxUnpriced = 200_000
)

// Inputs is what the scores of a window rest on beside the Model. The order of
// the slices does not matter.
type Inputs struct {
	// End of the window, a UTC midnight, and AsOf, the watermark up to which
	// everything has been counted, ms.
	End, AsOf int64
	// Units are to be scored, Whole is all of them together; it has no name.
	Units []Unit
	Whole Unit
	// Blocks are those of the WindowStarts, of the Units and of any others that
	// make up the Whole. There is none of a block in which nothing happened.
	Blocks []Block
}

// Unit is a team, a model or a tool that is to be scored.
type Unit struct {
	Name string
	// OutcomesKnown: it has outcomes of its own, be it none so far.
	OutcomesKnown bool
	// HistoryKnown: so are all the days whose cost counts towards the window.
	HistoryKnown bool
	// LinksKnown: the Linked of its blocks is known, be it none.
	LinksKnown bool
	// Publishable: its group is large enough.
	Publishable bool
}

// Provisional reports whether outcomes of the window may still settle or be
// reverted.
func (in *Inputs) Provisional() bool { return in.AsOf < in.End+settleDays*window.Day }

// Assessment is the scores of a window, and everything between them and the data:
// what `goodhart explain score` prints.
type Assessment struct {
	Model  *Model
	Inputs Inputs
	// Due is what could have been given by now of the credit for each block.
	Due []Due
	// Scores are those of the Units, sorted by name. Whole compares all blocks
	// together with what their own past and the spend make one expect.
	Scores []Score
	Whole  Score
}

// Part is what the people of one role contributed to a block of a unit.
type Part struct {
	Block Block
	Due   float64
	// Curve is the place of the curve among those of the model, −1 for none.
	Curve int
	// Credited and Expected are in outcomes of mean worth; Eventual is what is
	// expected once everything has settled.
	Credited, Expected, Eventual float64
}

// Score is what is known of the efficiency of one unit.
type Score struct {
	Unit string
	// Reason why there is no score; empty if there is one.
	Reason string
	// Parts are sorted by start and role; those of the Whole are those of every
	// unit.
	Parts []Part
	// Sums over the Parts.
	Credited, Expected, Eventual float64
	// ExpectedKnown: nothing but ReasonExpected stands against Expected.
	ExpectedKnown bool
	// ExpectedSD is the standard deviation of ln Expected: how well the curves
	// are known there.
	ExpectedSD float64
	// AlignedNanos is the cost that counts towards the window's outcomes,
	// nano-USD.
	AlignedNanos int64
	// Coverage is the share of the standing worth that is directly linked to
	// usage, Unpriced the share of records without a price.
	Coverage, Unpriced Millionths
	// Count and Posterior are known where Expected is.
	Count     Count
	Posterior Posterior
	// Index is 100 × the expected efficiency, Low and High the ends of its 90 %
	// interval. 100 is what peers achieve at the same spend.
	Index, Low, High float64
	// UnitCost is nano-USD per outcome of mean worth, once it has settled, at the
	// Index; UnitCostLow and UnitCostHigh at the ends of the interval.
	UnitCost, UnitCostLow, UnitCostHigh float64
	// Peers is how many other units have a score; of them, Above are more and
	// Below less efficient with a probability of at least Distinct. From the
	// others it cannot be told. Unknown where PeersKnown is false: without a
	// score, or with too many units to compare each with each.
	Peers, Above, Below int
	PeersKnown          bool
}

// Assess scores the units of a window. It is a pure function of both arguments.
func (m *Model) Assess(in Inputs) *Assessment {
	in.Units, in.Blocks = slices.Clone(in.Units), slices.Clone(in.Blocks)
	slices.SortFunc(in.Units, func(a, b Unit) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(in.Blocks, compareBlocks)
	a := &Assessment{Model: m, Inputs: in, Due: due(in.Blocks, in.AsOf)}
	for _, u := range in.Units {
		from, _ := slices.BinarySearchFunc(in.Blocks, u.Name, func(b Block, name string) int { return strings.Compare(b.Unit, name) })
		to := from
		for to < len(in.Blocks) && in.Blocks[to].Unit == u.Name {
			to++
		}
		a.Scores = append(a.Scores, a.score(u, in.Blocks[from:to], MinExpected))
	}
	a.Whole = a.score(in.Whole, in.Blocks, MinExpected)
	a.compare()
	return a
}

// score sums the blocks of a unit and judges them, if so many outcomes are
// expected.
func (a *Assessment) score(u Unit, blocks []Block, least float64) Score {
	s := Score{Unit: u.Name}
	reason := a.sum(&s, blocks)
	switch {
	case !u.Publishable:
		s.Reason = ReasonSize
	case !u.OutcomesKnown || !a.Model.Known():
		s.Reason = ReasonOutcomes
	case !u.HistoryKnown:
		s.Reason = ReasonHistory
	case reason != "":
		s.Reason = reason
	case s.Unpriced.N > maxUnpriced:
		s.Reason = ReasonUnpriced
	}
	s.Coverage.Known = s.Coverage.Known && u.LinksKnown && u.Publishable
	s.ExpectedKnown = s.Reason == ""
	if s.ExpectedKnown {
		a.judge(&s, least)
	}
	return s
}

// sum adds up the parts; missing is why one of them cannot be compared.
func (a *Assessment) sum(s *Score, blocks []Block) (missing string) {
	gradients := make([]Gradient, len(a.Model.Curves))
	var standing, linked, records, unpriced int64
	for _, b := range blocks {
		p := Part{Block: b, Due: shareOf(a.Due, b.Start), Curve: -1, Credited: a.Model.outcomes(b.Value)}
		switch i := a.Model.curve(&b); {
		case b.People <= 0 && b.Value == (Value{}) && b.AlignedNanos == 0: // nothing happened
		case b.People <= 0:
			missing = cmp.Or(missing, ReasonPeople)
		case b.LinkedOnly && b.AlignedNanos <= 0 && b.Value != (Value{}): // usage without a price
			missing = cmp.Or(missing, ReasonUnpriced)
		case i < 0:
			missing = cmp.Or(missing, ReasonPeers)
		default:
			var g Gradient
			p.Curve = i
			p.Eventual, g = a.Model.Curves[i].Expected(b.People, b.AlignedNanos)
			p.Expected = float64(p.Due * p.Eventual)
			gradients[i].Add(g)
		}
		s.Parts = append(s.Parts, p)
		s.Credited += p.Credited
		s.Expected += p.Expected
		s.Eventual += p.Eventual
		s.AlignedNanos += b.AlignedNanos
		standing += b.Value.Standing
		linked += b.Linked
		records += b.Records
		unpriced += b.Unpriced
	}
	s.Coverage, s.Unpriced = Ratio(linked, standing, 1), Ratio(unpriced, records, 1)
	variance := 0.0
	for i, g := range gradients {
		variance += a.Model.Curves[i].Variance(g)
	}
	if s.Eventual > 0 {
		s.ExpectedSD = math.Sqrt(max(0, variance)) / s.Eventual
	}
	return missing
}

// judge sets the index if enough is expected.
func (a *Assessment) judge(s *Score, least float64) {
	s.Count = a.Model.count(s.Credited, s.Expected)
	s.Posterior = NewPosterior(s.Count, s.ExpectedSD, a.Model.Shapes)
	if s.Count.Expected < least || !s.Posterior.valid() {
		s.Reason = ReasonExpected
		return
	}
	mean, low, high := s.Posterior.Mean(), s.Posterior.Quantile(0.05), s.Posterior.Quantile(0.95)
	s.Index, s.Low, s.High = 100*mean, 100*low, 100*high
	cost := float64(s.AlignedNanos) / s.Eventual
	s.UnitCost, s.UnitCostLow, s.UnitCostHigh = cost/mean, cost/high, cost/low
}

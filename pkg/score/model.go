package score

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/window"
)

const (
	// minUnits is how many units a curve needs.
	minUnits = 3
	halfLife = 28 * window.Day
)

// Model is what the units of a tenant have taught in the past: what is to be
// expected of people at a spend, and how much units differ from it. It serves
// every window with the same FitStarts.
type Model struct {
	// Weeks it rests on, sorted by unit, start and role.
	Weeks []Block
	// MeanWorth is what one outcome is worth on average, thousandths of a point.
	// Credit is divided by it, so that the unit of points cancels out.
	MeanWorth float64
	// Due is what could have been given of the credit for each week.
	Due []Due
	// Curves are sorted: those for all outcomes before those for linked ones, and
	// of either kind the pooled one first, then by role, if there are several.
	// There is none for fewer than three units.
	Curves []Curve
	// Dispersion is by how much the weeks of a unit scatter about its own mean,
	// as a multiple of what chance does: the variance of a count is so many times
	// the count. At least 1.
	Dispersion float64
	// Peers are the units' totals, by the dispersion; Shapes is how much peers
	// differ, judging by them.
	Peers  []Count
	Shapes []Shape
}

// Due is the share of the credit for a block that could have been given by now:
// half until outcomes have survived. It is measured over all units: (standing +
// settled worth) ÷ (2 × standing worth).
type Due struct {
	Start int64
	Share float64
}

// NewModel learns from the blocks of the FitStarts that are known. Nothing else
// goes into it; the order of the blocks does not matter.
func NewModel(weeks []Block) *Model {
	m := &Model{Weeks: slices.Clone(weeks), Dispersion: 1}
	slices.SortFunc(m.Weeks, compareBlocks)
	m.MeanWorth = meanWorth(m.Weeks)
	m.Due = due(m.Weeks, math.MaxInt64)
	rows := m.rows()
	m.fit(rows)
	m.disperse(rows)
	return m
}

func compareBlocks(a, b Block) int {
	return cmp.Or(strings.Compare(a.Unit, b.Unit), cmp.Compare(a.Start, b.Start), strings.Compare(a.Role, b.Role),
		order(a.LinkedOnly, b.LinkedOnly))
}

// meanWorth is 1,000 where nothing stands.
func meanWorth(blocks []Block) float64 {
	var v Value
	for i := range blocks {
		v.Add(blocks[i].Value)
	}
	if v.Standing <= 0 || v.Outcomes <= 0 {
		return 1_000
	}
	return float64(v.Standing) / float64(v.Outcomes)
}

// due measures what could have been given by asOf, start by start. Where nothing
// stands it is half until outcomes would have survived.
func due(blocks []Block, asOf int64) []Due {
	blocks = slices.Clone(blocks)
	slices.SortFunc(blocks, func(a, b Block) int { return cmp.Compare(a.Start, b.Start) })
	var out []Due
	for at := 0; at < len(blocks); {
		start := blocks[at].Start
		var v Value
		for ; at < len(blocks) && blocks[at].Start == start; at++ {
			v.Add(blocks[at].Value)
		}
		share := 1.0
		switch settled := start + (blockDays+settleDays)*window.Day; {
		case v.Standing > 0:
			share = float64(v.Halves()) / float64(2*v.Standing)
		case asOf < settled:
			share = 0.5
		}
		out = append(out, Due{Start: start, Share: share})
	}
	return out
}

// shareOf returns the share of a start: all, if nothing is known to be due there.
func shareOf(dues []Due, start int64) float64 {
	at, found := slices.BinarySearchFunc(dues, start, func(d Due, start int64) int { return cmp.Compare(d.Start, start) })
	if !found {
		return 1
	}
	return dues[at].Share
}

// outcomes is a credit in outcomes of mean worth.
func (m *Model) outcomes(v Value) float64 { return float64(v.Halves()) / 2 / m.MeanWorth }

// Known reports whether any unit had an outcome.
func (m *Model) Known() bool {
	for i := range m.Weeks {
		if m.Weeks[i].Value.Outcomes > 0 {
			return true
		}
	}
	return false
}

// rows returns the weeks that a curve can be fitted to.
func (m *Model) rows() []Row {
	newest := int64(math.MinInt64)
	for i := range m.Weeks {
		newest = max(newest, m.Weeks[i].Start)
	}
	var rows []Row
	for _, b := range m.Weeks {
		if b.People <= 0 || b.LinkedOnly && b.AlignedNanos <= 0 {
			continue
		}
		rows = append(rows, Row{
			Block: b, Outcomes: max(0, m.outcomes(b.Value)), Due: shareOf(m.Due, b.Start),
			Weight: math.Exp2(-float64(newest-b.Start) / float64(halfLife)),
		})
	}
	return rows
}

// fit adds the curves.
func (m *Model) fit(rows []Row) {
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b Row) int {
		return cmp.Or(order(a.Block.LinkedOnly, b.Block.LinkedOnly), strings.Compare(a.Block.Role, b.Block.Role))
	})
	split, _ := slices.BinarySearchFunc(rows, true, func(r Row, linked bool) int { return order(r.Block.LinkedOnly, linked) })
	for _, alike := range [][]Row{rows[:split], rows[split:]} {
		pooled := slices.Clone(alike)
		slices.SortFunc(pooled, func(a, b Row) int { return compareBlocks(a.Block, b.Block) })
		m.fitPeers(pooled, "", true)
		for at := 0; at < len(alike); {
			role, from := alike[at].Block.Role, at
			for at < len(alike) && alike[at].Block.Role == role {
				at++
			}
			if at-from < len(alike) { // else it is the pooled one
				m.fitPeers(alike[from:at], role, false)
			}
		}
	}
}

// order sorts false before true.
func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// fitPeers adds a curve if there are enough units. That a role has no outcomes at
// all is known then: nothing is expected of it.
func (m *Model) fitPeers(rows []Row, role string, pooled bool) {
	units := 0
	for i := range rows {
		if i == 0 || rows[i].Block.Unit != rows[i-1].Block.Unit {
			units++
		}
	}
	if units < minUnits {
		return
	}
	c, ok := FitCurve(rows)
	if !ok {
		c = Curve{LinkedOnly: rows[0].Block.LinkedOnly, Rows: len(rows), Units: units, Exponent: exponentMean, Dispersion: 1}
	}
	c.Role, c.Pooled = role, pooled
	m.Curves = append(m.Curves, c)
}

// curve returns the place of the curve for a block: that of its role, else the
// pooled one, else −1.
func (m *Model) curve(b *Block) int {
	pooled := -1
	for i := range m.Curves {
		switch c := &m.Curves[i]; {
		case c.LinkedOnly != b.LinkedOnly:
		case c.Pooled:
			pooled = i
		case c.Role == b.Role:
			return i
		}
	}
	return pooled
}

// disperse measures how much weeks scatter about the mean of their unit, and how
// much units differ.
func (m *Model) disperse(rows []Row) {
	chi, degrees := 0.0, 0
	for at := 0; at < len(rows); {
		unit := rows[at].Block.Unit
		var weeks []Count
		var total Count
		for at < len(rows) && rows[at].Block.Unit == unit {
			week := m.week(rows, &at)
			if week.Expected > 0 {
				weeks = append(weeks, week)
				total.Observed += week.Observed
				total.Expected += week.Expected
			}
		}
		if len(weeks) == 0 {
			continue
		}
		m.Peers = append(m.Peers, total)
		if total.Observed > 0 {
			chi += scatter(weeks, total.Observed/total.Expected)
			degrees += len(weeks) - 1
		}
	}
	if degrees > 0 {
		m.Dispersion = max(1, chi/float64(degrees))
	}
	for i, total := range m.Peers {
		m.Peers[i] = m.count(total.Observed, total.Expected)
	}
	m.Shapes = Shapes(m.Peers)
}

// scatter is Pearson's χ² of counts about a multiple of what was expected.
func scatter(counts []Count, level float64) float64 {
	chi := 0.0
	for _, c := range counts {
		expected := float64(level * c.Expected)
		gap := c.Observed - expected
		chi += float64(gap*gap) / expected
	}
	return chi
}

// week sums the roles of one unit and week, and moves at past them.
func (m *Model) week(rows []Row, at *int) Count {
	first := rows[*at].Block
	var c Count
	for ; *at < len(rows) && rows[*at].Block.Unit == first.Unit && rows[*at].Block.Start == first.Start; *at++ {
		r := &rows[*at]
		if i := m.curve(&r.Block); i >= 0 {
			expected, _ := m.Curves[i].Expected(r.Block.People, r.Block.AlignedNanos)
			c.Observed += r.Outcomes
			c.Expected += float64(r.Due * expected)
		}
	}
	return c
}

// count divides by the dispersion. More may have been reverted than was credited:
// that counts as nothing.
func (m *Model) count(observed, expected float64) Count {
	return Count{Observed: max(0, observed) / m.Dispersion, Expected: expected / m.Dispersion}
}

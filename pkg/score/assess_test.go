package score

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/window"
)

// assess draws an organisation, changes the blocks of the window and scores it.
func assess(o organisation, seed uint64, change func(b *Block)) *Assessment {
	weeks, in, _ := o.draw(seed)
	for i := range in.Blocks {
		change(&in.Blocks[i])
	}
	return NewModel(weeks).Assess(in)
}

func unchanged(*Block) {}

// busy is an organisation whose units all have enough for a score.
func busy() organisation {
	o := usual()
	o.people, o.days = 12, 28
	return o
}

// More spend for the same outcomes always lowers the score, from nothing to all
// the money there is.
func TestWasteLowersTheScore(t *testing.T) {
	for seed := range uint64(10) {
		last := math.Inf(1)
		for cost := int64(0); cost >= 0 && cost < 4e18; cost = 1_000 + cost*20 {
			a := assess(busy(), seed, func(b *Block) {
				if b.Unit == "team-03" {
					b.AlignedNanos = cost
				}
			})
			s := a.Scores[3]
			if s.Reason != "" || !(s.Index < last) || !(s.Low > 0) || !(s.Low < s.Index) || !(s.Index < s.High) {
				t.Fatalf("seed %d at %d: %v in (%v, %v), %q, before %v", seed, cost, s.Index, s.Low, s.High, s.Reason, last)
			}
			last = s.Index
		}
	}
}

// A unit that stops spending and delivering is behind, not ahead; one that stops
// spending and delivers what people do without AI is as good as any.
func TestThriftAloneDoesNotWin(t *testing.T) {
	o := busy()
	o.efficiency = 0.2
	for seed := range uint64(10) {
		idle := assess(o, seed, func(b *Block) {
			if b.Unit == "team-03" {
				b.AlignedNanos, b.CostNanos, b.Value = 0, 0, Value{}
			}
		}).Scores[3]
		if idle.Reason != "" || idle.Expected <= 0 || idle.Index > 85 || idle.Above == 0 || idle.Below != 0 {
			t.Errorf("seed %d, idle: %+v", seed, idle)
		}
		frugal := assess(o, seed, func(b *Block) {
			if b.Unit == "team-03" {
				n := int64(float64(b.People) * o.base)
				b.AlignedNanos, b.CostNanos, b.Value = 0, 0, Value{n, 1_000 * n, 1_000 * n}
			}
		}).Scores[3]
		if frugal.Low > 110 || frugal.High < 90 || frugal.UnitCost != 0 {
			t.Errorf("seed %d, frugal: %v in (%v, %v)", seed, frugal.Index, frugal.Low, frugal.High)
		}
	}
}

// Outcomes raise the score and tokens are not among them.
func TestOutcomesRaiseTheScore(t *testing.T) {
	last := 0.0
	for n := int64(0); n < 400; n += 25 {
		s := assess(busy(), 1, func(b *Block) {
			if b.Unit == "team-03" {
				b.Value, b.Records = Value{n, 1_000 * n, 1_000 * n}, 100+n
			}
		}).Scores[3]
		if s.Index <= last {
			t.Errorf("%d outcomes a week: %v, fewer %v", n, s.Index, last)
		}
		last = s.Index
	}
}

// At its end a window has half of its credit, and so has what is expected: the
// same units have the same scores, but know them less well.
func TestProvisionalWindow(t *testing.T) {
	final, early := assess(busy(), 2, unchanged), assess(busy(), 2, func(b *Block) { b.Value.Settled = 0 })
	for i, f := range final.Scores {
		p := early.Scores[i]
		if !near(p.Credited, f.Credited/2, 1e-12) || !near(p.Expected, f.Expected/2, 1e-12) || p.Eventual != f.Eventual {
			t.Errorf("%s: credited %v of %v, expected %v of %v", f.Unit, p.Credited, f.Credited, p.Expected, f.Expected)
		}
		if p.High-p.Low <= f.High-f.Low || !near(p.Index, f.Index, 0.25) {
			t.Errorf("%s: %v in (%v, %v), then %v in (%v, %v)", f.Unit, p.Index, p.Low, p.High, f.Index, f.Low, f.High)
		}
	}
	in := Inputs{End: testEnd, AsOf: testEnd + 14*window.Day - 1}
	if !in.Provisional() {
		t.Error("final before outcomes have survived")
	}
	in.AsOf++
	if in.Provisional() {
		t.Error("provisional after outcomes have survived")
	}
	// Before anybody has an outcome, half of what is expected could have come.
	none := func(b *Block) { b.Value = Value{} }
	weeks, inputs, _ := busy().draw(2)
	for i := range inputs.Blocks {
		none(&inputs.Blocks[i])
	}
	inputs.AsOf = inputs.End
	if got, want := NewModel(weeks).Assess(inputs).Scores[0], assess(busy(), 2, none).Scores[0]; got.Expected >= want.Expected {
		t.Errorf("expected %v at the end, %v when settled", got.Expected, want.Expected)
	}
}

// Whether an outcome is worth a point or a hundred makes no difference.
func TestUnitOfPointsCancels(t *testing.T) {
	weeks, in, _ := busy().draw(5)
	want := NewModel(weeks).Assess(in)
	for _, blocks := range [][]Block{weeks, in.Blocks} {
		for i := range blocks {
			blocks[i].Value.Standing *= 37
			blocks[i].Value.Settled *= 37
		}
	}
	got := NewModel(weeks).Assess(in)
	for i, s := range got.Scores {
		if w := want.Scores[i]; !near(s.Index, w.Index, 1e-12) || !near(s.Low, w.Low, 1e-9) || !near(s.UnitCost, w.UnitCost, 1e-9) || s.Reason != w.Reason {
			t.Errorf("%s: %v from %v, want %v from %v", s.Unit, s.Index, s.Low, w.Index, w.Low)
		}
	}
}

// Unknown is never zero: each lack has its reason, and none has a number.
func TestInsufficientData(t *testing.T) {
	f := func(name, reason string, change func(weeks *[]Block, in *Inputs)) {
		t.Helper()
		weeks, in, _ := busy().draw(1)
		in.Units, weeks, in.Blocks = slices.Clone(in.Units), slices.Clone(weeks), slices.Clone(in.Blocks)
		change(&weeks, &in)
		s := NewModel(weeks).Assess(in).Scores[0]
		if s.Reason != reason || (reason != "") != (s.Index == 0) || s.PeersKnown != (reason == "") {
			t.Errorf("%s: reason %q, want %q; %+v", name, s.Reason, reason, s)
		}
		if s.ExpectedKnown != (reason == "" || reason == ReasonExpected) {
			t.Errorf("%s: expected is known %v", name, s.ExpectedKnown)
		}
	}
	first := func(in *Inputs, change func(b *Block)) {
		for i := range in.Blocks {
			if in.Blocks[i].Unit == "team-00" {
				change(&in.Blocks[i])
			}
		}
	}
	only := func(blocks []Block, units int) []Block {
		return slices.DeleteFunc(blocks, func(b Block) bool { return b.Unit >= fmt.Sprintf("team-%02d", units) })
	}
	f("enough", "", func(*[]Block, *Inputs) {})
	f("a small group", ReasonSize, func(_ *[]Block, in *Inputs) { in.Units[0].Publishable = false })
	f("a small group without outcomes", ReasonSize, func(_ *[]Block, in *Inputs) {
		in.Units[0].Publishable, in.Units[0].OutcomesKnown = false, false
	})
	f("outcomes unknown", ReasonOutcomes, func(_ *[]Block, in *Inputs) { in.Units[0].OutcomesKnown = false })
	f("nobody has outcomes", ReasonOutcomes, func(weeks *[]Block, in *Inputs) {
		for _, blocks := range [][]Block{*weeks, in.Blocks} {
			for i := range blocks {
				blocks[i].Value = Value{}
			}
		}
	})
	f("nothing known at all", ReasonOutcomes, func(weeks *[]Block, in *Inputs) { *weeks, in.Blocks = nil, nil })
	f("a short history", ReasonHistory, func(_ *[]Block, in *Inputs) { in.Units[0].HistoryKnown = false })
	f("nobody worked", ReasonPeople, func(_ *[]Block, in *Inputs) { first(in, func(b *Block) { b.People = 0 }) })
	f("nobody worked and nothing happened", ReasonExpected, func(_ *[]Block, in *Inputs) {
		first(in, func(b *Block) { *b = Block{Unit: b.Unit, Role: b.Role, Start: b.Start} })
	})
	f("a fifth without a price", "", func(_ *[]Block, in *Inputs) { first(in, func(b *Block) { b.Unpriced = b.Records / 5 }) })
	f("more without a price", ReasonUnpriced, func(_ *[]Block, in *Inputs) { first(in, func(b *Block) { b.Unpriced = b.Records/5 + 1 }) })
	f("linked without a price", ReasonUnpriced, func(_ *[]Block, in *Inputs) {
		first(in, func(b *Block) { b.LinkedOnly, b.AlignedNanos = true, 0 })
	})
	f("three units", "", func(weeks *[]Block, _ *Inputs) { *weeks = only(*weeks, 3) })
	f("two units", ReasonPeers, func(weeks *[]Block, _ *Inputs) { *weeks = only(*weeks, 2) })
	f("one unit", ReasonPeers, func(weeks *[]Block, in *Inputs) {
		*weeks, in.Blocks, in.Units = only(*weeks, 1), only(in.Blocks, 1), in.Units[:1]
	})
	f("no linked peers", ReasonPeers, func(_ *[]Block, in *Inputs) { first(in, func(b *Block) { b.LinkedOnly = true }) })
	f("one person", ReasonExpected, func(_ *[]Block, in *Inputs) {
		first(in, func(b *Block) { b.People, b.AlignedNanos = 1, b.AlignedNanos/b.People })
	})
}

// What is expected counts by the dispersion.
func TestDispersionCountsAgainstTheMinimum(t *testing.T) {
	o := usual()
	o.people = 7
	s := assess(o, 1, unchanged).Scores[0]
	o.scatter = 0.8
	wild := assess(o, 1, unchanged)
	w := wild.Scores[0]
	if s.Reason != "" || s.Expected < 5 || w.Expected < 5 || w.Reason != ReasonExpected || wild.Model.Dispersion < 3 {
		t.Errorf("%v of %v: %q; scattered by %v: %v: %q", s.Credited, s.Expected, s.Reason, wild.Model.Dispersion, w.Expected, w.Reason)
	}
}

// The whole is the sum of its parts; a unit of two roles that of both.
func TestPartsAddUp(t *testing.T) {
	weeks, in, _ := busy().draw(3)
	a := NewModel(weeks).Assess(in)
	var credited, expected, eventual float64
	var aligned int64
	for _, s := range a.Scores {
		credited, expected, eventual, aligned = credited+s.Credited, expected+s.Expected, eventual+s.Eventual, aligned+s.AlignedNanos
		if len(s.Parts) != 4 {
			t.Fatalf("%s has %d parts", s.Unit, len(s.Parts))
		}
		sum := 0.0
		for _, p := range s.Parts {
			e, _ := a.Model.Curves[p.Curve].Expected(p.Block.People, p.Block.AlignedNanos)
			sum += p.Due * e
		}
		if !near(sum, s.Expected, 1e-12) || s.Coverage != Ratio(1, 2, 1) {
			t.Errorf("%s: expected %v, its parts %v; coverage %+v", s.Unit, s.Expected, sum, s.Coverage)
		}
	}
	w := a.Whole
	if !near(w.Credited, credited, 1e-12) || !near(w.Expected, expected, 1e-12) || !near(w.Eventual, eventual, 1e-12) || w.AlignedNanos != aligned || w.Reason != "" {
		t.Errorf("%+v, want %v of %v", w, credited, expected)
	}
	if math.Abs(w.Index-100) > 25 || w.High-w.Low >= a.Scores[0].High-a.Scores[0].Low {
		t.Errorf("the whole: %v in (%v, %v)", w.Index, w.Low, w.High)
	}
	// Half of the people of a unit in a second role, each with their part.
	halves := func(blocks []Block) []Block {
		var out []Block
		for _, b := range blocks {
			b.People, b.AlignedNanos = b.People*2, b.AlignedNanos*2
			other := b
			other.Role, other.Value = "design", Value{}
			out = append(out, b, other)
		}
		return out
	}
	in.Blocks = halves(in.Blocks)
	mixed := NewModel(halves(weeks)).Assess(in)
	for i, s := range mixed.Scores {
		if want := a.Scores[i]; !near(s.Index, want.Index, 1e-6) || len(s.Parts) != 8 {
			t.Errorf("%s beside people of whom nothing is expected: %v, want %v", s.Unit, s.Index, want.Index)
		}
	}
}

// A unit without links has no coverage, rather than none linked.
func TestCoverageIsUnknownWithoutLinks(t *testing.T) {
	weeks, in, _ := busy().draw(3)
	in.Units[0].LinksKnown = false
	a := NewModel(weeks).Assess(in)
	if a.Scores[0].Coverage.Known || !a.Scores[1].Coverage.Known {
		t.Errorf("%+v, %+v", a.Scores[0].Coverage, a.Scores[1].Coverage)
	}
}

// The cost of an outcome is that of what is expected, by the efficiency.
func TestUnitCost(t *testing.T) {
	final := assess(busy(), 6, unchanged)
	for i, s := range assess(busy(), 6, func(b *Block) { b.Value.Settled /= 2 }).Scores {
		if want := float64(s.AlignedNanos) / (s.Eventual * s.Index / 100); !near(s.UnitCost, want, 1e-12) {
			t.Errorf("%s: %v, want %v", s.Unit, s.UnitCost, want)
		}
		if !(s.UnitCostLow < s.UnitCost && s.UnitCost < s.UnitCostHigh) {
			t.Errorf("%s: %v in (%v, %v)", s.Unit, s.UnitCost, s.UnitCostLow, s.UnitCostHigh)
		}
		if settled := final.Scores[i].UnitCost; !near(s.UnitCost, settled, 0.25) {
			t.Errorf("%s: %v before it has settled, then %v", s.Unit, s.UnitCost, settled)
		}
	}
}

// Each is above as many as are below it; groups hold no two that can be told
// apart, begin with the best and leave nobody out.
func TestComparison(t *testing.T) {
	for seed := range uint64(5) {
		o := busy()
		o.efficiency = 0.1 + 0.2*float64(seed)
		a := assess(o, seed, unchanged)
		byName := map[string]*Score{}
		above, below := 0, 0
		for i := range a.Scores {
			s := &a.Scores[i]
			byName[s.Unit] = s
			above, below = above+s.Above, below+s.Below
			if s.Peers != o.units-1 || s.Above+s.Below > s.Peers {
				t.Errorf("%s: %d peers, %d above, %d below", s.Unit, s.Peers, s.Above, s.Below)
			}
		}
		if above != below {
			t.Errorf("%d above, %d below", above, below)
		}
		seen := map[string]bool{}
		last := ""
		for _, group := range a.Groups() {
			if group[len(group)-1] == last {
				t.Errorf("%v lies in the group before", group)
			}
			last = group[len(group)-1]
			for i, name := range group {
				seen[name] = true
				for _, other := range group[i+1:] {
					if p := byName[name].Posterior.Above(byName[other].Posterior); p >= Distinct || p <= 1-Distinct {
						t.Errorf("%s and %s are in a group, P = %v", name, other, p)
					}
					if byName[name].Index < byName[other].Index {
						t.Errorf("%s stands before %s", name, other)
					}
				}
			}
		}
		if groups := a.Groups(); len(seen) != o.units || seed == 4 && len(groups) < 3 {
			t.Errorf("%d of %d units in %d groups", len(seen), o.units, len(groups))
		}
	}
	var many Assessment
	many.Scores = make([]Score, maxCompared+1)
	many.compare()
	if many.Groups() != nil || many.Scores[0].PeersKnown {
		t.Error("too many are compared")
	}
}

// The 90 % interval holds the truth about nine times in ten, curve and spread of
// the peers being estimated as well, and the score is nearer to the truth than
// the plain ratio. Where peers are all but alike it holds more often, as it must:
// nothing rules out that they differ.
func TestIntervalsCover(t *testing.T) {
	f := func(name string, o organisation, least, most float64) {
		t.Helper()
		covered, n := 0, 0
		raw, score := 0.0, 0.0
		for seed := range uint64(60) {
			weeks, in, truth := o.draw(1_000 + seed)
			for i, s := range NewModel(weeks).Assess(in).Scores {
				if s.Reason != "" {
					continue
				}
				e := truth[i]
				n++
				if s.Low <= 100*e && 100*e <= s.High {
					covered++
				}
				plain, ours := s.Credited/s.Expected-e, s.Index/100-e
				raw += plain * plain
				score += ours * ours
			}
		}
		share := float64(covered) / float64(n)
		raw, score = math.Sqrt(raw/float64(n)), math.Sqrt(score/float64(n))
		t.Logf("%s: %d scores, %.3f covered, error %.3f, of the plain ratio %.3f", name, n, share, score, raw)
		if share < least || share > most || score >= raw || n < 300 {
			t.Errorf("%s: %d scores, %.3f covered, error %.3f, of the plain ratio %.3f", name, n, share, score, raw)
		}
	}
	o := usual()
	for _, sd := range []float64{0.2, 0.35, 0.5, 0.7} {
		o.efficiency = sd
		f(fmt.Sprintf("20 units, a week, sd %v", sd), o, 0.85, 0.95)
	}
	o.efficiency, o.scatter, o.people = 0.35, 0.3, 12
	f("weeks that scatter", o, 0.85, 0.95)
	o.scatter, o.people, o.days = 0, 6, 28
	f("20 units, four weeks", o, 0.85, 0.95)
	o.units, o.people = 8, 12
	f("8 units, four weeks", o, 0.84, 0.95)
	// Nearly all outcomes come with the spend, and that is a few people's.
	few := usual()
	few.people, few.days, few.spread, few.within = 24, 28, 0.3, 1.6
	few.base, few.slope, few.efficiency = 0.05, 2, 0.2
	f("people who differ within 20 units, four weeks", few, 0.85, 0.95)
	o = usual()
	o.efficiency = 0
	f("alike", o, 0.95, 1)
}

func BenchmarkModel(b *testing.B) {
	weeks, in, _ := usual().draw(1)
	b.Run("fit", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			NewModel(weeks)
		}
	})
	b.Run("assess", func(b *testing.B) {
		m := NewModel(weeks)
		b.ReportAllocs()
		for b.Loop() {
			m.Assess(in)
		}
	})
}

// Whatever a window holds, scores are finite or there are none, and nothing hangs.
func FuzzAssess(f *testing.F) {
	f.Add(int64(5), int64(50e9), int64(3), int64(3_000), int64(3_000), false)
	f.Add(int64(1), int64(math.MaxInt64), int64(1), int64(1), int64(0), false)
	f.Add(int64(math.MaxInt64), int64(1), int64(0), int64(0), int64(0), true)
	f.Add(int64(7), int64(-5), int64(-4), int64(-4_000), int64(9_000), false)
	f.Fuzz(func(t *testing.T, people, aligned, outcomes, standing, settled int64, linked bool) {
		weeks, in, _ := usual().draw(1)
		for _, blocks := range [][]Block{weeks, in.Blocks} {
			for i := range blocks {
				b := &blocks[i]
				b.LinkedOnly = linked
				if b.Unit < "team-02" {
					b.People, b.AlignedNanos, b.Value = people, aligned, Value{outcomes, standing, settled}
				}
			}
		}
		a := NewModel(weeks).Assess(in)
		for _, s := range append(a.Scores, a.Whole) {
			for _, x := range []float64{s.Index, s.Low, s.High, s.Expected, s.Credited, s.ExpectedSD} {
				if math.IsNaN(x) || math.IsInf(x, 0) {
					t.Fatalf("%+v", s)
				}
			}
			if s.Reason == "" && !(s.Low <= s.Index && s.Index <= s.High) {
				t.Fatalf("%s: %v in (%v, %v)", s.Unit, s.Index, s.Low, s.High)
			}
		}
	})
}

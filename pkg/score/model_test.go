package score

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/goodhartlabs/goodhart/pkg/window"
)

const testEnd = 20_000 * window.Day

// organisation is units that deliver by a known curve, each at an efficiency.
type organisation struct {
	units, people int
	// base and slope are outcomes of a person and week, exponent that of a spend
	// of spend nano-USD of a person and week.
	base, slope, exponent, spend float64
	// efficiency is the standard deviation of its logarithm among units, spread
	// that of the spend, scatter that of a week beside its unit.
	efficiency, spread, scatter float64
	// within is that of the spend among the people of a unit.
	within float64
	days   int
}

// usual is 20 units of which about 6 outcomes are expected in a week.
func usual() organisation {
	return organisation{units: 20, people: 6, base: 0.5, slope: 0.5, exponent: 0.3, spend: 50e9, efficiency: 0.35, spread: 1, days: 7}
}

// draw returns the past, a window, and the true efficiency of the units: beside units
// of as many people at the same spend, whoever of them spends it.
func (o organisation) draw(seed uint64) (weeks []Block, in Inputs, truth []float64) {
	rng := rand.New(rand.NewPCG(seed, 11))
	in = Inputs{End: testEnd, AsOf: testEnd + 20*window.Day, Whole: Unit{OutcomesKnown: true, HistoryKnown: true, LinksKnown: true, Publishable: true}}
	var rates, spends []float64
	for u := range o.units {
		name := fmt.Sprintf("team-%02d", u)
		unit := in.Whole
		unit.Name = name
		in.Units = append(in.Units, unit)
		e := math.Exp(o.efficiency*rng.NormFloat64() - o.efficiency*o.efficiency/2)
		truth = append(truth, e)
		people := o.people*2/3 + rng.IntN(1+o.people*2/3)
		level := o.spread * rng.NormFloat64()
		parts := make([]float64, people) // what each spends, by the mean
		for i := range parts {
			parts[i] = 1
			if o.within > 0 {
				parts[i] = math.Exp(o.within*rng.NormFloat64() - o.within*o.within/2)
			}
		}
		var usual, spent float64
		block := func(start int64) Block {
			ratio := math.Exp(level + 0.4*rng.NormFloat64())
			rate, cost := 0.0, int64(0)
			for _, part := range parts {
				rate += o.base + o.slope*math.Pow(ratio*part, o.exponent)
				cost += int64(ratio * part * o.spend)
			}
			usual, spent = usual+rate, spent+float64(cost)
			rate *= e * math.Exp(o.scatter*rng.NormFloat64()-o.scatter*o.scatter/2)
			n := int64(distuv.Poisson{Lambda: rate, Src: rng}.Rand())
			return Block{
				Unit: name, Role: "dev", Start: start, People: int64(people), CostNanos: cost, AlignedNanos: cost, Records: 100,
				Value: Value{n, 1_000 * n, 1_000 * n}, Linked: 500 * n,
			}
		}
		for _, start := range FitStarts(testEnd) {
			weeks = append(weeks, block(start))
		}
		usual, spent = 0, 0
		for _, start := range WindowStarts(testEnd, o.days) {
			in.Blocks = append(in.Blocks, block(start))
		}
		rates, spends = append(rates, math.Log(usual/float64(people))), append(spends, math.Log(spent/float64(people)))
	}
	if o.within > 0 { // units at the same spend are those on the line
		at, slope := stat.LinearRegression(spends, rates, nil, false)
		for u := range truth {
			truth[u] *= math.Exp(rates[u] - at - float64(slope*spends[u]))
		}
	}
	return weeks, in, truth
}

// rowsOf makes rows of blocks as they are.
func rowsOf(blocks []Block) []Row {
	var rows []Row
	for _, b := range blocks {
		rows = append(rows, Row{Block: b, Outcomes: float64(b.Value.Outcomes), Due: 1, Weight: 1})
	}
	return rows
}

// Without noise the curve is found, as far as the prior lets it, and it expects
// as many outcomes as there were.
func TestCurveIsRecovered(t *testing.T) {
	o := organisation{units: 30, people: 40_000, base: 0.4, slope: 0.8, exponent: 0.45, spend: 50e9, spread: 1.2}
	weeks, _, _ := o.draw(1)
	c, ok := FitCurve(rowsOf(weeks))
	if !ok {
		t.Fatal("no curve")
	}
	cheaper := 0
	for _, b := range weeks {
		if float64(b.AlignedNanos)/float64(b.People) < c.Reference {
			cheaper++
		}
	}
	if want := (len(weeks) - 1) / 2; cheaper != want {
		t.Errorf("%d of %d rows spend less than the reference, want %d", cheaper, len(weeks), want)
	}
	scale := math.Pow(c.Reference/o.spend, o.exponent)
	if math.Abs(c.Exponent-o.exponent) > 0.01 || !near(c.Base, o.base, 0.05) || !near(c.Slope, o.slope*scale, 0.03) || !near(c.Dispersion, 1, 0.5) {
		t.Errorf("%+v, want base %v, slope %v, exponent %v", c, o.base, o.slope*scale, o.exponent)
	}
	expected, outcomes := 0.0, 0.0
	for _, b := range weeks {
		e, _ := c.Expected(b.People, b.AlignedNanos)
		expected, outcomes = expected+e, outcomes+float64(b.Value.Outcomes)
	}
	if !near(expected, outcomes, 1e-9) {
		t.Errorf("%v expected, there were %v", expected, outcomes)
	}
}

// logPosterior of a curve, from its definition.
func logPosterior(rows []Row, c *Curve) float64 {
	sum := 0.0
	for i := range rows {
		r := &rows[i]
		expected, _ := c.Expected(r.Block.People, r.Block.AlignedNanos)
		expected *= r.Due
		sum += r.Weight * (r.Outcomes*math.Log(expected) - expected)
	}
	z := (c.Exponent - 0.3) / 0.15
	return sum/c.Dispersion + math.Log(c.Share) + math.Log(1-c.Share) - z*z/2
}

// climb walks along the axes to where f is largest, in steps that become smaller.
func climb(f func(x [3]float64) float64, x [3]float64) [3]float64 {
	best := f(x)
	for step := 0.5; step > 1e-7; {
		moved := false
		for i := range x {
			for _, by := range []float64{step, -step} {
				next := x
				next[i] += by
				if value := f(next); value > best {
					x, best, moved = next, value, true
				}
			}
		}
		if !moved {
			step /= 2
		}
	}
	return x
}

// Climbing the definition finds no better curve, wherever it begins.
func TestCurveIsTheMostProbable(t *testing.T) {
	for seed := range uint64(6) {
		weeks, _, _ := usual().draw(seed)
		m := NewModel(weeks)
		rows := m.rows()
		c, _ := FitCurve(rows)
		total, heads := c.Outcomes, 0.0
		for i := range rows {
			heads += rows[i].Weight * rows[i].Due * float64(rows[i].Block.People)
		}
		// The parameters of the search are free of bounds: ln of the scale, logit
		// of the Share, logit of the Exponent within its bounds.
		at := func(x [3]float64) *Curve {
			k := c
			k.Share = 1 / (1 + math.Exp(-x[1]))
			k.Exponent = 0.05 + 0.9/(1+math.Exp(-x[2]))
			spend := 0.0
			for i := range rows {
				b := &rows[i].Block
				spend += rows[i].Weight * rows[i].Due * float64(b.People) * math.Pow(float64(b.AlignedNanos)/float64(b.People)/c.Reference, k.Exponent)
			}
			k.Base, k.Slope = math.Exp(x[0])*total*(1-k.Share)/heads, math.Exp(x[0])*total*k.Share/spend
			return &k
		}
		ours := logPosterior(rows, &c)
		for _, start := range [][3]float64{{0, 0, 0}, {0.5, 2, -2}, {-0.5, -2, 1}} {
			best := at(climb(func(x [3]float64) float64 { return logPosterior(rows, at(x)) }, start))
			if p := logPosterior(rows, best); p > ours+1e-8 || !near(best.Base, c.Base, 0.01) || math.Abs(best.Exponent-c.Exponent) > 0.005 {
				t.Errorf("seed %d from %v: %v at %+v, ours %v at %+v", seed, start, p, best, ours, c)
			}
		}
	}
}

// How an expectation changes with the parameters, against finite differences of
// curves that expect as much of all rows.
func TestGradient(t *testing.T) {
	weeks, _, _ := usual().draw(3)
	rows := rowsOf(weeks)
	c, _ := FitCurve(rows)
	f, _ := newFit(rows)
	at := func(share, exponent float64) *Curve {
		k := c
		f.raise(exponent)
		k.Share, k.Exponent = share, exponent
		k.Base, k.Slope = c.Outcomes*(1-share)/sumProduct(f.weight, f.heads), c.Outcomes*share/f.spendSum
		return &k
	}
	for _, nanos := range []int64{0, 1e9, 5e11, 7e14} {
		value := func(k *Curve) float64 { e, _ := k.Expected(5, nanos); return e }
		_, g := c.Expected(5, nanos)
		const h = 1e-5
		share := (value(at(c.Share+h, c.Exponent)) - value(at(c.Share-h, c.Exponent))) / (2 * h)
		exponent := (value(at(c.Share, c.Exponent+h)) - value(at(c.Share, c.Exponent-h))) / (2 * h)
		if !near(g.Share, share, 1e-5) || math.Abs(g.Exponent-exponent) > 1e-5*(1+math.Abs(exponent)) || !near(g.Scale, value(&c), 1e-12) {
			t.Errorf("at %d: %+v, want %v and %v", nanos, g, share, exponent)
		}
	}
}

// The stated uncertainty of an expectation is that of curves fitted to other
// draws of the same organisation.
func TestCurveKnowsHowWellItIsKnown(t *testing.T) {
	o := usual()
	o.efficiency = 0.2
	for _, nanos := range []int64{5e9 * 5, 5e10 * 5, 5e11 * 5} {
		var logs []float64
		stated := 0.0
		const seeds = 120
		for seed := range uint64(seeds) {
			weeks, _, _ := o.draw(100 + seed)
			c, _ := FitCurve(NewModel(weeks).rows())
			e, g := c.Expected(5, nanos)
			logs = append(logs, math.Log(e))
			stated += c.Variance(g) / (e * e) / seeds
		}
		mean, variance := sum(logs)/seeds, 0.0
		for _, l := range logs {
			variance += (l - mean) * (l - mean) / (seeds - 1)
		}
		// The prior holds the curve back, so that it scatters less than it is
		// unknown.
		if ratio := math.Sqrt(variance / stated); ratio < 0.5 || ratio > 1.2 {
			t.Errorf("at %d the curves scatter by %.3f, stated %.3f", nanos, math.Sqrt(variance), math.Sqrt(stated))
		}
	}
}

// Without outcomes there is no curve; without spend it is flat; with spend that
// buys nothing it still rises, and never begins at zero.
func TestCurveAtTheEdges(t *testing.T) {
	weeks, _, _ := usual().draw(1)
	f := func(change func(i int, b *Block)) (Curve, bool) {
		blocks := slices.Clone(weeks)
		for i := range blocks {
			change(i, &blocks[i])
		}
		return FitCurve(rowsOf(blocks))
	}
	if c, ok := f(func(_ int, b *Block) { b.Value = Value{} }); ok {
		t.Errorf("a curve of nothing: %+v", c)
	}
	if c, ok := f(func(_ int, b *Block) { b.AlignedNanos = 0 }); !ok || c.Slope != 0 || c.Base <= 0 || c.Reference != 0 {
		t.Errorf("without spend: %+v", c)
	} else if e, _ := c.Expected(5, 1e12); !near(e, 5*c.Base, 1e-12) {
		t.Errorf("of the first who spend %v are expected, want %v", e, 5*c.Base)
	}
	for name, change := range map[string]func(i int, b *Block){
		"spend buys nothing": func(_ int, b *Block) { b.Value = Value{Outcomes: b.People} },
		"spend is all": func(_ int, b *Block) {
			b.Value = Value{Outcomes: int64(20 * math.Pow(float64(b.AlignedNanos)/float64(b.People)/50e9, 0.9) * float64(b.People))}
		},
		"one spends":        func(i int, b *Block) { b.AlignedNanos *= int64(max(0, 1-i)) },
		"extremely unequal": func(i int, b *Block) { b.AlignedNanos = 1 + int64(i%2)*4e18 },
	} {
		c, ok := f(change)
		if !ok || !(c.Base > 0) || !(c.Slope > 0) || c.Exponent < 0.05 || c.Exponent > 0.95 || !(c.ScaleVar > 0) || !(c.ExponentVar > 0) || !(c.ShareVar > 0) {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if c, ok := f(func(_ int, b *Block) { b.LinkedOnly = true }); !ok || c.Base != 0 || c.Share != 1 || c.Slope <= 0 || !c.LinkedOnly {
		t.Errorf("linked only: %+v", c)
	}
}

// A week counts half as much as one four weeks later, so the curve follows what
// changes.
func TestRecentWeeksCountMore(t *testing.T) {
	o := usual()
	o.efficiency = 0
	weeks, _, _ := o.draw(2)
	starts := FitStarts(testEnd)
	for i := range weeks {
		if weeks[i].Start >= starts[9] {
			weeks[i].Value = Value{3 * weeks[i].Value.Outcomes, 3 * weeks[i].Value.Standing, 3 * weeks[i].Value.Settled}
		}
	}
	m := NewModel(weeks)
	sums := [4]float64{} // outcomes and people, plain and weighted
	for _, r := range m.rows() {
		if want := math.Pow(2, -float64(starts[12]-r.Block.Start)/float64(28*window.Day)); !near(r.Weight, want, 1e-12) {
			t.Fatalf("weight %v, want %v", r.Weight, want)
		}
		sums[0], sums[1] = sums[0]+r.Outcomes, sums[1]+float64(r.Block.People)
		sums[2], sums[3] = sums[2]+r.Weight*r.Outcomes, sums[3]+r.Weight*float64(r.Block.People)
	}
	if plain, weighted := sums[0]/sums[1], sums[2]/sums[3]; weighted < 1.15*plain || !near(m.Curves[0].Outcomes, sums[2], 1e-12) {
		t.Errorf("%v outcomes a person, weighted %v; the curve rests on %v, want %v", plain, weighted, m.Curves[0].Outcomes, sums[2])
	}
}

// Roles have curves of their own; one that fewer than three units have, that of
// all; linked outcomes are apart.
func TestRolesHaveCurves(t *testing.T) {
	weeks, _, _ := usual().draw(1)
	blocks := slices.Clone(weeks)
	for _, b := range weeks {
		half := b
		half.Role, half.Value = "design", Value{b.Value.Outcomes / 2, b.Value.Standing / 2, b.Value.Settled / 2}
		silent := b
		silent.Role, silent.Value = "sales", Value{}
		linked := b
		linked.Role, linked.LinkedOnly = "ops", true
		blocks = append(blocks, half, silent, linked)
		if b.Unit < "team-02" {
			rare := b
			rare.Role = "rare"
			blocks = append(blocks, rare)
		}
	}
	m := NewModel(blocks)
	var names []string
	for _, c := range m.Curves {
		names = append(names, fmt.Sprintf("%s pooled=%v linked=%v", c.Role, c.Pooled, c.LinkedOnly))
	}
	want := []string{
		" pooled=true linked=false", "design pooled=false linked=false", "dev pooled=false linked=false", "sales pooled=false linked=false",
		" pooled=true linked=true",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Fatalf("curves (-want +got)\n%s", diff)
	}
	expected := func(role string, linked bool) float64 {
		e, _ := m.Curves[m.curve(&Block{Role: role, LinkedOnly: linked})].Expected(5, 25e10)
		return e
	}
	if dev, design := expected("dev", false), expected("design", false); dev < 1.5*design {
		t.Errorf("dev %v, design %v", dev, design)
	}
	if expected("sales", false) != 0 {
		t.Errorf("of a role without outcomes %v are expected", expected("sales", false))
	}
	if expected("rare", false) != expected("unheard of", false) {
		t.Error("a rare role has a curve of its own")
	}
}

// The dispersion of weeks is that of their scatter beside chance, whatever the
// units' efficiencies; the unit of points cancels out.
func TestDispersion(t *testing.T) {
	mean := func(o organisation, worth int64) float64 {
		total := 0.0
		for seed := range uint64(20) {
			weeks, _, _ := o.draw(seed)
			for i := range weeks {
				v := &weeks[i].Value
				v.Standing, v.Settled = worth*v.Outcomes, worth*v.Outcomes
			}
			total += NewModel(weeks).Dispersion / 20
		}
		return total
	}
	o := usual()
	o.efficiency = 0.6
	if got := mean(o, 1_000); got < 1 || got > 1.12 {
		t.Errorf("by chance alone %v", got)
	}
	if got := mean(o, 17_000); got < 1 || got > 1.12 {
		t.Errorf("of outcomes worth 17 points %v", got)
	}
	o.scatter = 0.4 // variance = mean + mean² (e^0.16 − 1), 6 expected
	if got := mean(o, 1_000); got < 1.7 || got > 2.4 {
		t.Errorf("of weeks that scatter %v", got)
	}
}

// The model is the same bytes whatever the order of the blocks, and they can be
// printed and read back without loss.
func TestModelIsDeterministic(t *testing.T) {
	weeks, in, _ := usual().draw(4)
	want := explain(t, NewModel(weeks).Assess(in))
	rng := rand.New(rand.NewPCG(4, 4))
	for range 5 {
		shuffled, other := slices.Clone(weeks), in
		other.Blocks, other.Units = slices.Clone(in.Blocks), slices.Clone(in.Units)
		rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		rng.Shuffle(len(other.Blocks), func(i, j int) { other.Blocks[i], other.Blocks[j] = other.Blocks[j], other.Blocks[i] })
		rng.Shuffle(len(other.Units), func(i, j int) { other.Units[i], other.Units[j] = other.Units[j], other.Units[i] })
		before := slices.Clone(shuffled)
		if got := explain(t, NewModel(shuffled).Assess(other)); got != want {
			t.Fatal("another order gives another assessment")
		}
		if diff := cmp.Diff(before, shuffled); diff != "" {
			t.Fatalf("the caller's slice was changed\n%s", diff)
		}
	}
	var back Assessment
	if err := json.Unmarshal([]byte(want), &back); err != nil {
		t.Fatal(err)
	}
	if got := explain(t, back.Model.Assess(back.Inputs)); got != want {
		t.Error("an assessment that was printed and read back is another")
	}
}

// explain prints everything there is to an assessment, to the last digit.
func explain(t *testing.T, a *Assessment) string {
	t.Helper()
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

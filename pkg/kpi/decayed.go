package kpi

import "math"

// halfLife of an observation in a decayed elasticity, weeks.
const halfLife = 4

func decayedCheck() Check {
	return Check{
		Name: "decayed_elasticity", Title: "Elasticity between people, recent weeks counting most",
		Question: "Do weeks of heavy use bring more than weeks of light use?",
		MinimumN: minPersons, Formula: "decayed/1", assess: decayedElasticity,
	}
}

// Decayed is an elasticity whose observations lose half their weight in every
// four weeks. It needs seven numbers whatever the history. The zero value is
// empty.
type Decayed struct{ w, ww, x, y, xx, xy, yy float64 }

// Age lets a week pass.
func (d *Decayed) Age() {
	keep := math.Exp2(-1.0 / halfLife)
	d.w *= keep
	d.x *= keep
	d.y *= keep
	d.xx *= keep
	d.xy *= keep
	d.yy *= keep
	d.ww *= keep * keep
}

// Add counts an observation: logarithms of tokens and of outcomes.
func (d *Decayed) Add(x, y float64) {
	d.w++
	d.ww++
	d.x += x
	d.y += y
	d.xx += float64(x * x)
	d.xy += float64(x * y)
	d.yy += float64(y * y)
}

// EffectiveN is how many undecayed observations would weigh as much.
func (d *Decayed) EffectiveN() float64 {
	if d.ww == 0 {
		return 0
	}
	return d.w * d.w / d.ww
}

// Slope returns the elasticity and its standard error with n independent
// observations; ok is false if nothing varies or n is below 3.
func (d *Decayed) Slope(n float64) (b, se float64, ok bool) {
	if d.w == 0 || n < 3 {
		return 0, 0, false
	}
	sxx := d.xx - float64(d.x*d.x)/d.w
	sxy := d.xy - float64(d.x*d.y)/d.w
	syy := d.yy - float64(d.y*d.y)/d.w
	if sxx <= float64(1e-9*d.xx) {
		return 0, 0, false
	}
	b = sxy / sxx
	return b, math.Sqrt(max(0, syy/sxx-float64(b*b)) / (n - 2)), true
}

// decayedElasticity compares the elasticity between person-weeks since the
// announcement with that before it (placebo), both within teams: what sets teams
// apart is taken out, lest a change of their mix passes for one of the relation.
func decayedElasticity(s *sample) Finding {
	announced := s.Target.Announced
	if announced < 1 {
		return unknown(0, ReasonHistory)
	}
	if s.Week < announced {
		return unknown(0, ReasonAfter)
	}
	before, n0 := s.decayed(span{0, announced})
	after, n := s.decayed(span{announced, s.Week + 1})
	if why := s.enough(min(n, n0)); why != "" {
		return unknown(min(n, n0), why)
	}
	// A person's weeks are no independent observations: there are at most as many
	// as persons.
	b0, se0, ok0 := before.Slope(min(before.EffectiveN(), float64(n0)))
	b, se, ok := after.Slope(min(after.EffectiveN(), float64(n)))
	if !ok || !ok0 {
		return unknown(n, ReasonVariance)
	}
	f := Finding{
		Value: b, Lo: b - float64(intervalZ*se), Hi: b + float64(intervalZ*se), Known: true, Bounded: true, N: n,
		Placebo: b0, PlaceboKnown: true,
	}
	if apart := math.Hypot(se, se0); apart > 0 {
		f.Z, f.ZKnown = (b-b0)/apart, true
	}
	f.Alarm = b+float64(1.96*se) < b0-float64(1.96*se0)
	return f
}

// decayed returns the sums over the active weeks of a window, as of its end, and
// how many units they rest on.
func (s *sample) decayed(in span) (Decayed, int) {
	var d Decayed
	seen := make([]bool, len(s.units))
	n := 0
	for w := in.from; w < in.to; w++ {
		d.Age()
		count, mx, my := make([]float64, s.clusters), make([]float64, s.clusters), make([]float64, s.clusters)
		s.active(w, func(i int, x, y float64) {
			g := s.cluster[i]
			count[g]++
			mx[g] += x
			my[g] += y
		})
		s.active(w, func(i int, x, y float64) {
			g := s.cluster[i]
			if s.Panel.TeamUnits { // each its own team: nothing to take out
				d.Add(x, y)
			} else {
				d.Add(x-mx[g]/count[g], y-my[g]/count[g])
			}
			if !seen[i] {
				seen[i] = true
				n++
			}
		})
	}
	return d, n
}

// active calls f for each unit that is active in a week with the logarithms of
// its tokens and outcomes, half a point added.
func (s *sample) active(w int, f func(i int, tokens, outcomes float64)) {
	for i, u := range s.units {
		k := u.week(w)
		if k.Known && k.OutcomesKnown && k.Tokens > 0 && float64(k.Tokens) > float64(activeShare*s.usual[i]) {
			f(i, math.Log(float64(k.Tokens)), math.Log(max(0, float64(k.Outcomes)/1000)+0.5))
		}
	}
}

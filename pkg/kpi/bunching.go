package kpi

import (
	"math"

	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/goodhartlabs/goodhart/pkg/policy"
)

func bunchingCheck() Check {
	return Check{
		Name: "bunching", Title: "Bunching at the threshold",
		Question: "Do more periods end just above the threshold than the periods around it let expect?",
		MinimumN: minLocal, Adversarial: true, Formula: "bunching/1", assess: bunching,
	}
}

const (
	// bunchingBin is the width of a bin, as a factor of the threshold.
	bunchingBin = 1.05
	// ringFrom and ringTo are the bins on each side, counted from the threshold,
	// that say what the two beside it should hold.
	ringFrom, ringTo = 2, 6
	// steepest is the greatest slope of the logarithm of counts per bin that is
	// believed.
	steepest = 0.5
	// minLocal is how many observations must lie in the two bins beside the
	// threshold, minLocalTeams where they are weeks of teams.
	minLocal, minLocalTeams = 20, 40
)

// edge counts observations around a threshold by the bins above and below it,
// from 1; near says who the observations in the first two are of.
type edge struct {
	above, below [ringTo + 1]float64
	near         [][2]float64
}

// add counts an observation of the owner that was begun last; bin 0 is the first
// at or above the threshold, -1 the first below.
func (e *edge) add(bin int) {
	switch {
	case bin >= ringTo || bin < -ringTo:
		return
	case bin >= 0:
		e.above[bin+1]++
	default:
		e.below[-bin]++
	}
	owner := &e.near[len(e.near)-1]
	switch bin {
	case 0:
		owner[0]++
	case -1:
		owner[1]++
	}
}

// bunch is what an edge says.
type bunch struct {
	// excess is the count in the first bin above the threshold relative to what the
	// rings let expect, less 1; se the standard error of ln(1 + excess).
	excess, se float64
	// p is the probability of at least as many above, given both bins.
	p     float64
	local int
}

// test compares the two bins beside the threshold with the rings from 2 to
// outermost, whose counts are taken to be log-linear. The binomial is exact;
// where the observations of one owner come together, it counts as many as would
// be independent.
func (e *edge) test(outermost int, steepest float64) bunch {
	var rings float64
	for ring := ringFrom; ring <= outermost; ring++ {
		rings += e.above[ring] + e.below[ring]
	}
	l := fit(2*(outermost-ringFrom+1), func(i int) (float64, float64, float64) {
		ring := ringFrom + i/2
		x, count := float64(ring)-0.5, e.above[ring]
		if i%2 == 1 {
			x, count = -x, e.below[ring]
		}
		return x, math.Log(count + 0.5), 1
	})
	slope := min(max(l.slope, -steepest), steepest)
	expected := math.Exp(l.intercept + slope/2)
	p0 := 1 / (1 + math.Exp(-slope))
	n := e.above[1] + e.below[1]
	var between float64
	for _, own := range e.near {
		d := own[0] - float64(p0*(own[0]+own[1]))
		between += float64(d * d)
	}
	design := max(1, between/(n*p0*(1-p0)))
	above := math.Floor(e.above[1] / design)
	below := math.Ceil(e.below[1] / design)
	b := bunch{excess: e.above[1]/expected - 1, local: int(n), p: 1}
	b.se = math.Sqrt(design * (1/max(1, e.above[1]) + 1/max(1, rings)))
	if above > 0 {
		b.p = mathext.RegIncBeta(above, below+1, p0) // P(X >= above)
	}
	return b
}

// bunching tests for an excess just above the threshold since the announcement.
// Placebos are thresholds of 0.8 and 1.25 times as much, and the same threshold
// before the announcement: round numbers and old habits bunch too.
func bunching(s *sample) Finding {
	before, since := span{0, min(s.Target.Announced, s.Week+1)}, span{max(0, s.Target.Announced), s.Week + 1}
	if since.weeks() < 1 {
		return unknown(0, ReasonAfter)
	}
	if s.Target.Threshold <= 0 {
		return unknown(0, ReasonNotGiven)
	}
	if s.Target.Metric == policy.WeeklyUse {
		if len(s.Target.TeamSizes) == 0 {
			return unknown(0, ReasonTeamSizes)
		}
		outer := ringFrom + 1
		after, pre := s.adoptionEdge(since), s.adoptionEdge(before)
		return judge(after.test(outer, 3), minLocalTeams, pre.test(outer, 3))
	}
	least := minLocal
	if s.Panel.TeamUnits {
		least = minLocalTeams
	}
	at := func(in span, factor float64) bunch {
		e := s.edge(in, factor*float64(s.Target.Threshold))
		return e.test(ringTo, steepest)
	}
	return judge(at(since, 1), least, at(since, 0.8), at(since, 1.25), at(before, 1))
}

// judge turns a test into a finding; the greatest of the placebos stands for all.
func judge(b bunch, least int, placebos ...bunch) Finding {
	if b.local < least {
		return unknown(b.local, ReasonLocal)
	}
	f := Finding{
		Value: b.excess, Known: true, N: b.local, Bounded: true,
		Lo: float64((1+b.excess)*math.Exp(-intervalZ*b.se)) - 1, Hi: float64((1+b.excess)*math.Exp(intervalZ*b.se)) - 1,
		Z: -distuv.UnitNormal.Quantile(min(max(b.p, 1e-300), 1-1e-15)), ZKnown: true,
	}
	f.Alarm = f.Z > alarmZ
	for _, p := range placebos {
		if p.local < least {
			continue
		}
		if !f.PlaceboKnown || p.excess > f.Placebo {
			f.Placebo, f.PlaceboKnown = p.excess, true
		}
		apart := math.Log((1 + b.excess) / (1 + p.excess))
		f.Alarm = f.Alarm && apart > float64(intervalZ*math.Hypot(b.se, p.se))
	}
	return f
}

// edge counts the periods of persons by what was used in them.
func (s *sample) edge(in span, threshold float64) edge {
	var e edge
	width := math.Log(bunchingBin)
	periods := s.periods(in)
	for _, u := range s.units {
		e.near = append(e.near, [2]float64{})
		for _, p := range periods {
			if used, ok := s.used(u, p); ok && used > 0 {
				e.add(int(math.Floor(math.Log(float64(used)/threshold) / width)))
			}
		}
	}
	return e
}

// adoptionEdge counts the weeks of teams by how many of their people used AI,
// from the smallest number that reaches the threshold.
func (s *sample) adoptionEdge(in span) edge {
	var e edge
	for _, team := range s.teams() {
		size := s.Target.TeamSizes[team.name]
		if size < 1 {
			continue
		}
		needed := int((int64(size)*s.Target.Threshold + 999) / 1000)
		e.near = append(e.near, [2]float64{})
		for w := in.from; w < in.to; w++ {
			if used, ok := team.users(w); ok {
				e.add(used - needed)
			}
		}
	}
	return e
}

// team is the units of a team.
type team struct {
	name  string
	units []*Unit
}

// teams returns the units by team, in the order of their first unit.
func (s *sample) teams() []team {
	if s.Panel.TeamUnits {
		return nil // nobody knows how many persons used AI
	}
	teams := make([]team, s.clusters)
	for i, u := range s.units {
		t := &teams[s.cluster[i]]
		t.name, t.units = u.Team, append(t.units, u)
	}
	return teams
}

// users returns how many of a team used AI in a week; ok is false if nothing of
// the team is known.
func (t *team) users(w int) (used int, ok bool) {
	for _, u := range t.units {
		k := u.week(w)
		ok = ok || k.Known
		if k.Known && k.Requests > 0 {
			used++
		}
	}
	return used, ok
}

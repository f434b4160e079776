package evaluate

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Five weeks of three people; 0 games in its second week, 1 in its only one.
func ranked(ranks ...float32) []*run {
	return []*run{{
		Judged: []judgedWeek{{0, 0, false}, {0, 1, true}, {1, 1, true}, {2, 0, false}, {2, 1, false}},
		Ranks:  map[string]ranking{"a rule": ranks},
	}}
}

func TestAveragePrecision(t *testing.T) {
	f := func(name string, want float64, runs []*run) {
		t.Helper()
		e := precisionRecall(runs, "a rule")
		if math.Abs(e.Value-want) > 1e-12 || !e.Known {
			t.Errorf("%s: %v, want %v", name, e.Value, want)
		}
		if e.Lo > e.Value || e.Hi < e.Value {
			t.Errorf("%s: %v outside of %v to %v", name, e.Value, e.Lo, e.Hi)
		}
	}
	f("a perfect order", 1, ranked(1, 5, 4, 1, 1))
	f("one false alarm between", (1+2./3)/2, ranked(3, 5, 1, 0, 0))
	f("all false ones before", (1./4+2./5)/2, ranked(9, 5, 4, 9, 9))
	if e := precisionRecall(ranked(3, 5, 1, 0, 0), "a rule"); e.Lo >= e.Hi {
		t.Errorf("three people, and no doubt: %v to %v", e.Lo, e.Hi)
	}
	f("no order at all", 2./5, ranked(7, 7, 7, 7, 7))
	f("half of them tied with one other", (2*(2./3))/2, ranked(1, 2, 2, 2, 1))
	f("a rule that says nothing", 2./5, []*run{{Judged: ranked()[0].Judged}})
	// Two runs are other people: one perfect order and one that says nothing.
	both := append(ranked(1, 5, 4, 1, 1), ranked(0, 0, 0, 0, 0)...)
	f("two runs", (2+2*(4./10))/4, both)
	honest := []*run{{Judged: []judgedWeek{{0, 0, false}}, Ranks: map[string]ranking{"a rule": {1}}}}
	if e := precisionRecall(honest, "a rule"); e.Known {
		t.Errorf("of honest weeks alone: %v", e)
	}
	if got := gamed(ranked()); got != .4 {
		t.Errorf("share of gamed weeks: %v", got)
	}
}

// Who is drawn twice counts twice, in all weeks.
func TestAveragePrecisionIsOfClusters(t *testing.T) {
	weeks := []rankedWeek{{9, 0, false}, {8, 1, true}, {7, 0, true}}
	for _, c := range []struct {
		want  float64
		times []float64
	}{
		{(1./2 + 2./3) / 2, []float64{1, 1}}, {(1./3 + 2*(3./5)) / 3, []float64{2, 1}}, {1, []float64{0, 1}},
	} {
		if got := averagePrecision(weeks, c.times); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%v: %v, want %v", c.times, got, c.want)
		}
	}
}

func TestDistanceToUniform(t *testing.T) {
	f := func(name string, above, below float64, of ...float64) {
		t.Helper()
		c := chances{}
		for _, p := range of {
			c.add(p)
		}
		gotAbove, gotBelow := c.distance()
		if diff := cmp.Diff([]float64{above, below}, []float64{gotAbove, gotBelow}, near); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	f("all impossible", .999, 0, 0, 0, 0)
	f("all certain", 0, .999, 1, 1)
	f("half too small", .499, .999-5./6, .001, .5, .0005, .9995, .5004, .0001)
	var even []float64
	for i := range 1000 {
		even = append(even, (float64(i)+.5)/1000)
	}
	f("uniform", 0, 0, even...)
}

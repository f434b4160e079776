package tenant

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/seaspot"
	"github.com/goodhartlabs/goodhart/pkg/subject"
	"github.com/goodhartlabs/goodhart/pkg/window"
)

// organisation makes 28 working days of a tenant of 8 teams, 5 tools and 6
// models, with a watermark that jumps by an hour, as a simulation sends it.
func organisation(tb testing.TB, people, requests int) []machine.Record {
	tb.Helper()
	rng := rand.New(rand.NewPCG(28, 28))
	l := factLog{tb: tb}
	perHour := requests / (28 * 10)
	for hour := range int64(28 * 24) {
		w := base + hour*window.Hour
		if h := hour % 24; h >= 8 && h < 18 {
			for range perHour {
				who := rng.IntN(people)
				l.deed(deed{
					w: w, t: w + 65*mnt + rng.Int64N(window.Hour), tenant: "acme", subject: fmt.Sprintf("p_%d", who),
					team: fmt.Sprintf("team-%d", who%8), model: fmt.Sprintf("model-%d", rng.IntN(6)), tool: fmt.Sprintf("tool-%d", who%5),
					tokens: rng.Int64N(1000), cost: rng.Int64N(1_000_000),
				})
			}
		}
		l.watermark(w + window.Hour)
	}
	l.watermark(base + 28*window.Day + 49*window.Hour)
	return features(tb, l.records)
}

// BenchmarkSimulation is the cost of four weeks with hourly jumps: every slide
// of every window, corrections and group sizes included.
func BenchmarkSimulation(b *testing.B) {
	log := organisation(b, 100, 200_000)
	b.ReportAllocs()
	var stats Stats
	var bytes int64
	for b.Loop() {
		f := New(Default())
		var out machine.Outputs
		bytes = 0
		for i := range log {
			f.Step(&log[i], &out)
			for _, o := range out.Records() {
				bytes += int64(len(o.Body()))
			}
			out.Reset()
		}
		stats = f.Stats()
	}
	b.ReportMetric(float64(stats.Panes), "panes/op")
	b.ReportMetric(float64(stats.Rolling), "records/op")
	b.ReportMetric(float64(bytes)/1e6, "MB/op")
}

// steady is a stream of 500 subjects, so many facts of each a minute.
func steady(tb testing.TB, minutes int64, each int) []machine.Record {
	tb.Helper()
	l := factLog{tb: tb}
	rng := rand.New(rand.NewPCG(4, 4))
	for minute := range minutes {
		w := base + minute*mnt
		for range each {
			for who := range 500 {
				l.deed(deed{
					w: w, t: w + 40*sec, tenant: "acme", subject: fmt.Sprintf("p_%d", who), team: fmt.Sprintf("team-%d", who%8),
					model: fmt.Sprintf("model-%d", rng.IntN(6)), tool: fmt.Sprintf("tool-%d", who%5), tokens: 100, cost: 100,
				})
			}
		}
	}
	l.watermark(base + (minutes+1)*mnt)
	return l.records
}

// windowSets runs a benchmark with 1 to 8 windows: those of the product and three
// more, the shortest first.
func windowSets(b *testing.B, run func(b *testing.B, windows []window.Window)) {
	b.Helper()
	all := window.Windows()
	for _, hours := range []int64{2, 6, 12} {
		all = append(all, window.Window{
			Name: fmt.Sprintf("%dh", hours), Size: hours * window.Hour, Slide: window.Hour, Pane: window.Hour, Correct: 48 * window.Hour,
		})
	}
	for _, n := range []int{1, 2, 4, 8} {
		b.Run(fmt.Sprintf("%d_windows", n), func(b *testing.B) { run(b, all[:n]) })
	}
}

// BenchmarkFeature is the cost of a pane in a steady stream, slides included.
func BenchmarkFeature(b *testing.B) {
	log := features(b, steady(b, 180, 1))
	windowSets(b, func(b *testing.B, windows []window.Window) {
		b.Helper()
		b.ReportAllocs()
		panes := int64(0)
		for b.Loop() {
			f := NewWith(Default(), windows)
			var out machine.Outputs
			for i := range log {
				f.Step(&log[i], &out)
				out.Recycle()
			}
			panes += f.Stats().Panes
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(panes), "ns/pane")
	})
}

// BenchmarkEvent is the cost of a fact in the subject and the tenant fold
// together, slides included: 40 facts of each subject make a pane.
func BenchmarkEvent(b *testing.B) {
	const minutes, each = 30, 40
	facts := steady(b, minutes, each)
	windowSets(b, func(b *testing.B, windows []window.Window) {
		b.Helper()
		b.ReportAllocs()
		for b.Loop() {
			first, second := subject.New(subject.Config{Partitions: 1}), NewWith(Default(), windows)
			var panes, scores machine.Outputs
			seq := uint64(0)
			for i := range facts {
				first.Step(&facts[i], &panes)
				for _, o := range panes.Records() {
					seq++
					second.Step(&machine.Record{Position: machine.Position{W: o.W, Seq: seq}, Key: o.Key, Value: o.Body()}, &scores)
					scores.Recycle()
				}
				panes.Recycle()
			}
			if got := second.Stats().Panes; got < (minutes-1)*500 {
				b.Fatalf("%d panes", got)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(facts)), "ns/event")
	})
}

// BenchmarkSnapshot is the cost of saving and loading the state at the end of
// the simulation.
func BenchmarkSnapshot(b *testing.B) {
	f := New(Default())
	run(f, organisation(b, 10_000, 100_000))
	state := f.AppendShard(nil, 0)
	b.Run("save", func(b *testing.B) {
		b.SetBytes(int64(len(state)))
		for b.Loop() {
			f.AppendShard(state[:0], 0)
		}
	})
	b.Run("load", func(b *testing.B) {
		b.SetBytes(int64(len(state)))
		for b.Loop() {
			if err := New(Default()).LoadShard(0, state); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkMidnight is the cost of the efficiency of a tenant of 1,000 people in 40
// teams at one midnight, with 15 ends of each window to be scored: on a Monday the
// expected curve is learned.
func BenchmarkMidnight(b *testing.B) {
	steps := crowd(150)
	for name, day := range map[string]int64{"Monday": 140, "Tuesday": 141} {
		b.Run(name, func(b *testing.B) {
			log := worksLog(b, steps, day0+day*window.Day-window.Hour)
			f := New(Default())
			for i := range log {
				var out machine.Outputs
				f.Step(&log[i], &out)
			}
			state, header := f.AppendShard(nil, 0), f.AppendHeader(nil)
			var stats Stats
			for b.Loop() {
				b.StopTimer()
				g := New(Default())
				if err := g.LoadHeader(header); err != nil {
					b.Fatal(err)
				}
				if err := g.LoadShard(0, state); err != nil {
					b.Fatal(err)
				}
				g.tenants["acme"].warm()
				out := machine.Outputs{}
				b.StartTimer()
				g.emitEfficiency(day0+day*window.Day, &out)
				stats = g.Stats()
			}
			b.ReportMetric(float64(stats.Efficiencies), "records")
			b.ReportMetric(float64(stats.Models), "models")
			b.ReportMetric(float64(len(state))/1e6, "MB-state")
		})
	}
}

// warm makes the models that a fold which was not just loaded has.
func (t *tenant) warm() {
	for _, l := range t.learned {
		l.model = score.NewModel(l.weeks)
	}
}

// crowd is what 1,000 people in 40 teams and five roles did.
func crowd(days int) []step {
	rng := rand.New(rand.NewPCG(9, 9))
	var steps []step
	object := 0
	for day := range days {
		start := day0 + int64(day)*window.Day
		steps = append(steps, step{w: start + mnt, object: -2})
		for person := range 1000 {
			if day%7 >= 5 {
				break
			}
			s := step{
				day: start, team: fmt.Sprintf("t%d", person%40), role: fmt.Sprintf("r%d", person/40%5), subject: fmt.Sprintf("p_%d", person),
				w: start + 11*window.Hour, cost: 1e9 + rng.Int64N(5e9), object: -1,
			}
			s.base = s.cost
			steps = append(steps, s)
			if rng.IntN(5) < 4 {
				object++
				steps = append(steps, delivery(rng, s, object, day)...)
			}
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.w, b.w) })
	return steps
}

// BenchmarkWatch is the cost of a quarter of an hour of a tenant with as many series
// as may be watched, after six weeks; scopes are watched by the quarter alone.
func BenchmarkWatch(b *testing.B) {
	f := NewWith(Default(), nil)
	at := monday
	t := f.tenant("acme")
	for i := range maxWatched {
		s := t.scope(f, kindTeam, fmt.Sprintf("t%02d", i))
		s.rate, t.watched = &seaspot.Detector{}, t.watched+1
	}
	var out machine.Outputs
	fill := func() {
		for i, s := range t.scopes {
			for m := range int64(15) {
				addTo(&s.minutes, at+m*window.Minute, &score.Totals{Requests: int64(i) + at/seaspot.Width*7%5}, at+seaspot.Width, f.keep.minute)
			}
		}
		at += seaspot.Width
		f.w = at + 1
	}
	for range 42 * 96 {
		fill()
		f.watch(at, &out)
	}
	for b.Loop() {
		b.StopTimer()
		fill()
		b.StartTimer()
		f.watch(at, &out)
	}
	b.ReportMetric(float64(len(f.AppendShard(nil, 0)))/1024, "KiB-state")
}

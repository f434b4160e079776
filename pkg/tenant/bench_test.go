package tenant

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/machine"
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

// BenchmarkFeature is the cost of a pane in a steady stream of 500 subjects a
// minute, slides included, by the number of windows.
func BenchmarkFeature(b *testing.B) {
	l := factLog{tb: b}
	rng := rand.New(rand.NewPCG(4, 4))
	for minute := range int64(180) {
		w := base + minute*mnt
		for who := range 500 {
			l.deed(deed{
				w: w, t: w + 40*sec, tenant: "acme", subject: fmt.Sprintf("p_%d", who), team: fmt.Sprintf("team-%d", who%8),
				model: fmt.Sprintf("model-%d", rng.IntN(6)), tool: fmt.Sprintf("tool-%d", who%5), tokens: 100, cost: 100,
			})
		}
	}
	l.watermark(base + 181*mnt)
	log := features(b, l.records)
	for _, n := range []int{1, 2, 5, 8} {
		b.Run(fmt.Sprintf("%d_windows", n), func(b *testing.B) {
			all := window.Windows()
			for _, hours := range []int64{2, 6, 12} {
				all = append(all, window.Window{
					Name: fmt.Sprintf("%dh", hours), Size: hours * window.Hour, Slide: window.Hour, Pane: window.Hour, Correct: 48 * window.Hour,
				})
			}
			b.ReportAllocs()
			panes := int64(0)
			for b.Loop() {
				f := newFold(Default(), all[:n])
				var out machine.Outputs
				for i := range log {
					f.Step(&log[i], &out)
					out.Reset()
				}
				panes += f.Stats().Panes
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(panes), "ns/pane")
		})
	}
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

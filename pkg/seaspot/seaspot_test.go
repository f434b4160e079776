package seaspot

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/window"
)

// series is six weeks of a rate with a daily and a weekly pattern, heavy-tailed
// noise, and anomalies whose windows are known.
type series struct {
	values  []float64
	windows [][2]int // first and last row
}

func newSeries(seed uint64) series {
	rng := rand.New(rand.NewPCG(seed, 7))
	const days = 42
	s := series{values: make([]float64, days*buckets)}
	for i := range s.values {
		hour := float64(i%buckets) / 4
		level := 40 + 160*math.Exp(-(hour-14)*(hour-14)/16)
		if i/buckets%7 >= 5 {
			level = 40 + (level-40)/8
		}
		s.values[i] = level * math.Exp(0.15*rng.NormFloat64())
	}
	for k := range 4 {
		at := (16+6*k)*buckets + rng.IntN(buckets)
		for i := at; i < at+4; i++ {
			s.values[i] += 600
		}
		s.windows = append(s.windows, [2]int{at - 12, at + 12})
	}
	return s
}

func (s series) scores() []float64 {
	var d Detector
	out := make([]float64, len(s.values))
	for i, x := range s.values {
		out[i] = d.Add(int64(i)*Width, x).Score
	}
	return out
}

// gaussian is the windowed Gaussian detector: -log10 of the tail probability under
// mean and spread of the rows of the last ten days.
func (s series) gaussian() []float64 {
	out := make([]float64, len(s.values))
	for i, x := range s.values {
		past := s.values[max(0, i-10*buckets):i]
		if len(past) < warmUp {
			continue
		}
		var sum, square float64
		for _, v := range past {
			sum, square = sum+v, square+v*v
		}
		n := float64(len(past))
		sd := math.Sqrt(square/n - sum/n*sum/n)
		out[i] = -math.Log10(max(math.Erfc(math.Abs(x-sum/n)/sd/math.Sqrt2), 1e-300))
	}
	return out
}

// benchmarkScore is the standard profile of the Numenta Anomaly Benchmark: 100 for
// every window found at its beginning and no false alarm, 0 for silence.
func benchmarkScore(s series, scores []float64, threshold float64) float64 {
	const falseAlarm = 0.11
	sigmoid := func(y float64) float64 {
		if y > 3 {
			return -1
		}
		return 2/(1+math.Exp(5*y)) - 1
	}
	best := make([]float64, len(s.windows))
	found := make([]bool, len(s.windows))
	raw := 0.0
	probation := min(len(scores)*15/100, 750)
	for i, score := range scores {
		if i < probation || score < threshold {
			continue
		}
		inside, right := -1, -1
		for k, w := range s.windows {
			if w[0] <= i && i <= w[1] {
				inside = k
			}
			if w[1] < i {
				right = k
			}
		}
		switch {
		case inside >= 0:
			w := s.windows[inside]
			y := -float64(w[1]-i+1) / float64(w[1]-w[0]+1)
			best[inside], found[inside] = max(best[inside], sigmoid(y)/0.98661), true
		case right >= 0:
			w := s.windows[right]
			raw += falseAlarm * sigmoid(float64(i-w[1])/float64(w[1]-w[0]))
		default:
			raw -= falseAlarm
		}
	}
	for k := range best {
		if found[k] {
			raw += best[k]
		} else {
			raw--
		}
	}
	n := float64(len(s.windows))
	return 100 * (raw + n) / (2 * n)
}

// The scorer itself: silence is 0, an alarm at the first row of every window 100,
// a false alarm before any window costs 0.11 of a window.
func TestBenchmarkScore(t *testing.T) {
	s := newSeries(1)
	silent := make([]float64, len(s.values))
	perfect := slices.Clone(silent)
	for _, w := range s.windows {
		perfect[w[0]] = 9
	}
	early := slices.Clone(perfect)
	early[800] = 9
	f := func(scores []float64, want float64) {
		t.Helper()
		if got := benchmarkScore(s, scores, 5); math.Abs(got-want) > 0.01 {
			t.Errorf("%.3f, want %.3f", got, want)
		}
	}
	f(silent, 0)
	f(perfect, 100)
	f(early, 100-100*0.11/8)
}

// The threshold at which signals are raised finds what was put in, with few false
// alarms, where a detector that knows no time of day does not.
func TestFindsWhatIsNew(t *testing.T) {
	const threshold = 2.86
	var ours, theirs float64
	const seeds = 10
	missed, alarms := 0, 0
	for seed := range uint64(seeds) {
		s := newSeries(seed)
		scores := s.scores()
		ours += benchmarkScore(s, scores, threshold) / seeds
		theirs += benchmarkScore(s, s.gaussian(), threshold) / seeds
		for _, w := range s.windows {
			if slices.Max(scores[w[0]:w[1]+1]) < threshold {
				missed++
			}
		}
		for i, score := range scores {
			inside := slices.ContainsFunc(s.windows, func(w [2]int) bool { return w[0] <= i && i <= w[1] })
			if score >= threshold && !inside && i >= 750 {
				alarms++
			}
		}
	}
	t.Logf("score %.1f, windowed Gaussian %.1f, missed %d of 40, false alarms %d in 280 days", ours, theirs, missed, alarms)
	if missed > 0 {
		t.Errorf("%d of 40 anomalies missed", missed)
	}
	if alarms > 40 {
		t.Errorf("%d false alarms in 280 days", alarms)
	}
	if ours < theirs+5 || ours < 75 {
		t.Errorf("score %.1f, windowed Gaussian %.1f", ours, theirs)
	}
}

// What goes on is said again only where it is more than before.
func TestNovelty(t *testing.T) {
	var d Detector
	rng := rand.New(rand.NewPCG(3, 3))
	at := int64(0)
	add := func(x float64) Score {
		s := d.Add(at, x)
		at += Width
		return s
	}
	for range 10 * buckets {
		add(100 + rng.NormFloat64())
	}
	var said int
	for range 40 {
		if add(500).Score > 2.86 {
			said++
		}
	}
	// Each record among forty equal values: about four.
	if said == 0 || said > 8 {
		t.Errorf("a rise of forty rows was said %d times", said)
	}
	if s := add(5000); s.Score < 2.86 {
		t.Errorf("more than that is %.2f: it is new again", s.Score)
	}
}

// Nothing is said before a hundred residuals, and nothing is known on the first
// day.
func TestWarmUp(t *testing.T) {
	var d Detector
	rng := rand.New(rand.NewPCG(5, 5))
	for i := range buckets + warmUp {
		x := 100 + rng.NormFloat64()
		if i%50 == 49 {
			x = 1e6
		}
		s := d.Add(int64(i)*Width, x)
		if s.Score != 0 {
			t.Errorf("row %d: score %.2f", i, s.Score)
		}
		if s.Known != (i >= buckets) {
			t.Errorf("row %d: known %v", i, s.Known)
		}
	}
}

// The tail is that of its definition: an exponential one gives -log10 of its
// probability.
func TestTail(t *testing.T) {
	var d Detector
	rng := rand.New(rand.NewPCG(9, 9))
	for range ringSize {
		d.remember(rng.ExpFloat64(), 0)
	}
	for _, residual := range []float64{6, 8, 12} {
		want := residual * math.Log10E
		if got := d.score(residual); math.Abs(got-want) > 0.15*want {
			t.Errorf("residual %.0f: score %.2f, want %.2f", residual, got, want)
		}
	}
	if d.score(d.Threshold) != 0 {
		t.Error("at the threshold is in no tail")
	}
	for range ringSize {
		d.remember(1, 0)
	}
	if d.Threshold != 1 {
		t.Errorf("the tail is of residuals long gone: threshold %.2f", d.Threshold)
	}
	var flat Detector
	for range 200 {
		flat.remember(1, 0)
	}
	if flat.score(1) != 0 || flat.score(100) < 3 {
		t.Errorf("constant residuals: %.2f, %.2f", flat.score(1), flat.score(100))
	}
}

// A detector that was saved and restored goes on as if it had not been.
func TestRestore(t *testing.T) {
	s := newSeries(11)
	var d Detector
	for i, x := range s.values[:30*buckets] {
		d.Add(int64(i)*Width, x)
	}
	other := d
	other.Residuals, other.Scores = slices.Clone(d.Residuals), slices.Clone(d.Scores)
	var a, b []string
	for i, x := range s.values[30*buckets:] {
		at := int64(30*buckets+i) * Width
		a, b = append(a, fmt.Sprint(d.Add(at, x))), append(b, fmt.Sprint(other.Add(at, x)))
	}
	if diff := cmp.Diff(a, b); diff != "" {
		t.Error(diff)
	}
	if len(d.Residuals) != min(ringSize, len(s.values)-buckets) {
		t.Errorf("%d residuals", len(d.Residuals))
	}
	if k := window.Floor(-1, Width); k != -Width {
		t.Errorf("floor %d", k)
	}
	var before Detector
	if s := before.Add(-Width, 1); s.Known || !before.Known[buckets-1] {
		t.Error("times before the epoch have a time of day")
	}
}

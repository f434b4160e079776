package score

import (
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

func TestBeta(t *testing.T) {
	for _, b := range []Beta{{0.5, 3.5}, {4, 4}, {30, 10}, {200, 3}} {
		oracle := distuv.Beta{Alpha: b.A, Beta: b.B}
		for _, q := range []float64{0.05, 0.5, 0.95} {
			if got, want := b.Quantile(q), oracle.Quantile(q); !near(got, want, 1e-9) {
				t.Errorf("%+v: quantile %v is %v, want %v", b, q, got, want)
			}
		}
		for _, x := range []float64{0.01, 0.3, 0.8} {
			if got, want := b.Above(x), oracle.Survival(x); !near(got, want, 1e-9) {
				t.Errorf("%+v: above %v is %v, want %v", b, x, got, want)
			}
		}
		if b.Above(0) != 1 || b.Above(-1) != 1 || b.Above(1) != 0 || b.Above(2) != 0 || !near(b.Mean(), oracle.Mean(), 1e-14) {
			t.Errorf("%+v: edges %v %v, mean %v", b, b.Above(0), b.Above(1), b.Mean())
		}
	}
}

// Peers that differ by chance alone weigh 40 trials, peers that are all or
// nothing 4; in between the weight is about that of the distribution drawn from.
func TestPeerRate(t *testing.T) {
	if _, ok := PeerRate([]Trials{{0, 0}}); ok {
		t.Error("a rate is known without a trial")
	}
	rng := rand.New(rand.NewPCG(2, 2))
	f := func(name string, trials int64, draw func() float64, lo, hi float64) {
		t.Helper()
		peers := make([]Trials, 400)
		for i := range peers {
			n := trials + rng.Int64N(4*trials)
			peers[i] = Trials{int64(distuv.Binomial{N: float64(n), P: draw(), Src: rng}.Rand()), n}
		}
		b, ok := PeerRate(peers)
		if weight := b.A + b.B; !ok || weight < lo-1e-9 || weight > hi+1e-9 {
			t.Errorf("%s: weight %v, want %v to %v", name, weight, lo, hi)
		}
		rng.Shuffle(len(peers), func(i, j int) { peers[i], peers[j] = peers[j], peers[i] })
		if again, _ := PeerRate(peers); again != b {
			t.Errorf("%s: another order gives %+v, want %+v", name, again, b)
		}
	}
	f("alike", 2, func() float64 { return 0.3 }, 40, 40)
	f("all but alike", 200, func() float64 { return distuv.Beta{Alpha: 60, Beta: 60, Src: rng}.Rand() }, 40, 40)
	f("all or nothing", 20, func() float64 { return float64(rng.IntN(2)) }, 4, 4)
	f("between", 20, func() float64 { return distuv.Beta{Alpha: 3, Beta: 9, Src: rng}.Rand() }, 9, 15)
	for _, k := range []int64{0, 50} {
		b, ok := PeerRate([]Trials{{k, 50}, {k, 50}})
		if !ok || b.A <= 0 || b.B <= 0 {
			t.Errorf("%d of 50: %+v", k, b)
		}
	}
}

// Trials move a unit away from its peers; few do so little.
func TestRateAfterTrials(t *testing.T) {
	peers := Beta{A: 2, B: 18}
	few, many := peers.After(Trials{2, 2}), peers.After(Trials{40, 40})
	if few != (Beta{4, 18}) || few.Above(2*peers.Mean()) > 0.9 || many.Above(2*peers.Mean()) < 0.99 {
		t.Errorf("after two %+v, after forty %+v", few, many)
	}
}

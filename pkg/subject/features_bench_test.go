package subject

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/machine"
)

// BenchmarkFeatures is one event with everything that a fact can say, by the
// number of subjects that have a week, an open minute and a hundred remembered
// pairs: in no order, and in bursts of ten, as the requests of a session come.
func BenchmarkFeatures(b *testing.B) {
	for _, subjects := range []int{1_000, 10_000, 100_000} {
		for _, burst := range []int{1, 10} {
			b.Run(fmt.Sprintf("%d_subjects_in_bursts_of_%d", subjects, burst), func(b *testing.B) {
				if testing.Short() && subjects > 10_000 {
					b.Skip("not for -short")
				}
				f, step := featured(b, subjects, burst)
				b.ReportAllocs()
				b.ResetTimer()
				before := processorTime(b)
				for b.Loop() {
					step()
				}
				b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
				b.ReportMetric(f.memory/float64(subjects), "B/subject")
			})
		}
	}
}

// processorTime is what the process has used, ns: a busy machine does not inflate
// it as it does the time that passes.
func processorTime(b *testing.B) int64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// featured returns a fold whose subjects have used every feature, and a function
// that adds one more fact to one of them.
func featured(b *testing.B, subjects, burst int) (opened, func()) {
	b.Helper()
	const values, known = 1 << 12, 100
	rng := rand.New(rand.NewPCG(3, 4))
	at := int64(1_767_225_600_000)
	records := make([]machine.Record, values)
	for i := range records {
		fact := benchFact(rng, "p_0123456789abcdef0123456789abcdef", at, at+rng.Int64N(30_000), 1)
		e, u := fact.Event, fact.Event.Usage
		offset, sequence, turn, kappa, effects := int32(60), uint64(i), rng.Int64N(4000), int32(rng.IntN(1e6)), int32(rng.IntN(2))
		hash, target := rng.Uint64N(1000), rng.Uint64N(3)
		e.TzOffsetMin, e.Sequence, e.Repository, e.ParentConversation = &offset, &sequence, "acme/api", "fedcba9876543210fedcba9876543210"
		u.H64, u.TargetH64, u.NewTurnTokens, u.KappaPpm, u.SideEffects = &hash, &target, &turn, &kappa, &effects
		value, err := fact.MarshalVT()
		if err != nil {
			b.Fatal(err)
		}
		records[i] = machine.Record{Position: machine.Position{W: at}, Value: value}
	}
	key := func(dst []byte, i int) []byte { return fmt.Appendf(dst, "acme|p_%032x", uint64(i)*0x9e3779b97f4a7c15) }
	heap := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	before := heap()
	f := New(Config{Partitions: 8})
	var out machine.Outputs
	var name []byte
	for i := range subjects {
		name = key(name[:0], i)
		for range min(known, 1_000_000/subjects) {
			r := records[rng.IntN(values)]
			r.Key = name
			f.Step(&r, &out)
			out.Recycle()
		}
	}
	o := opened{Fold: f, memory: heap() - before}
	const draws = 1 << 17
	var keys []byte
	for range draws {
		keys = key(keys, rng.IntN(subjects))
	}
	length := len(keys) / draws
	n := 0
	return o, func() {
		r := records[n%values]
		at := n / burst % draws * length
		r.Key = keys[at : at+length]
		n++
		f.Step(&r, &out)
	}
}

package ledger

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// The set agrees with a map of hours, whatever the order of additions, the
// jumps of time and the budget, and across encode and load.
func TestSeenSetAgainstModel(t *testing.T) {
	const horizon = 6
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		budget := []int{5, 50, 100_000}[seed%3]
		var s seenSet
		model := map[uint64]int64{}
		hour, forgotten := int64(490_000), int64(0)
		s.advance(hour, horizon)
		for range 4000 {
			switch p := rnd.IntN(200); {
			case p == 0:
				hour += rnd.Int64N(100)
			case p < 10:
				hour++
			case p == 10:
				s.advance(hour-3, horizon) // time that runs backwards
			case p == 11:
				s = reload(t, &s)
			}
			s.advance(hour, horizon)
			for h, at := range model {
				if at < hour-horizon {
					delete(model, h)
				}
			}
			// Few values, some of them neighbours, so that runs of slots form.
			h := rnd.Uint64N(300) + 1
			if rnd.IntN(2) == 0 {
				h *= 0x9e3779b97f4a7c15
			}
			now := hour*hourMs + 7
			_, known := model[h]
			if !known && len(model) >= budget {
				forgotten = forgetOldest(model, hour, now)
			}
			if got := s.add(h, budget, now); got == known {
				t.Fatalf("seed %d: add(%d) = %v, known %v", seed, h, got, known)
			}
			if !known {
				model[h] = hour
			}
		}
		if s.live != len(model) || s.forgotten != forgotten {
			t.Errorf("seed %d: %d live, forgotten %d; want %d, %d", seed, s.live, s.forgotten, len(model), forgotten)
		}
		hashes, _ := s.encode()
		for h := range model {
			if !s.has(h) {
				t.Errorf("seed %d: %d is lost", seed, h)
			}
		}
		if len(hashes) != 8*len(model) || !slices.IsSorted(s.liveHashes()) {
			t.Errorf("seed %d: %d bytes encoded for %d hashes", seed, len(hashes), len(model))
		}
	}
}

func (s *seenSet) liveHashes() []uint64 {
	b, _ := s.encode()
	var all []uint64
	for ; len(b) > 0; b = b[8:] {
		all = append(all, binary.LittleEndian.Uint64(b))
	}
	return all
}

func forgetOldest(model map[uint64]int64, hour, now int64) int64 {
	oldest := hour
	for _, at := range model {
		oldest = min(oldest, at)
	}
	for h, at := range model {
		if at == oldest {
			delete(model, h)
		}
	}
	if oldest == hour {
		return now
	}
	return (oldest + 1) * hourMs
}

func reload(t *testing.T, s *seenSet) seenSet {
	t.Helper()
	hashes, ages := s.encode()
	next := seenSet{newest: s.newest, oldest: s.oldest, forgotten: s.forgotten}
	if err := next.load(hashes, ages); err != nil {
		t.Fatal(err)
	}
	return next
}

func TestSeenSetLoadRefuses(t *testing.T) {
	f := func(name string, hashes []uint64, ages []byte, oldest int64) {
		t.Helper()
		var b []byte
		for _, h := range hashes {
			b = binary.LittleEndian.AppendUint64(b, h)
		}
		s := seenSet{newest: 1000, oldest: oldest}
		if err := s.load(b, ages); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	f("unsorted", []uint64{2, 1}, []byte{0, 0}, 990)
	f("twice", []uint64{2, 2}, []byte{0, 0}, 990)
	f("zero", []uint64{0}, []byte{0}, 990)
	f("too old", []uint64{5}, []byte{11}, 990)
	f("lengths differ", []uint64{5}, []byte{1, 1}, 990)
	f("oldest after newest", nil, nil, 1002)
	f("horizon too long", nil, nil, 100)
}

// Hashes that all want the last slot must neither be lost nor make the table
// grow without end.
func TestSeenSetClusters(t *testing.T) {
	var s seenSet
	s.advance(490_000, 72)
	const n = 2000
	for i := range uint64(n) {
		if !s.add(^uint64(0)-i, 1<<20, 1) {
			t.Fatalf("%d was taken for known", i)
		}
	}
	for i := range uint64(n) {
		if s.add(^uint64(0)-i, 1<<20, 1) {
			t.Fatalf("%d was forgotten", i)
		}
	}
	if len(s.hashes) > 4*n {
		t.Errorf("%d slots for %d hashes", len(s.hashes), n)
	}
}

// The cost of a look-up must not depend on the number of buckets; see also
// BenchmarkSeen.
func TestSeenBytesPerID(t *testing.T) {
	const n = 200_000
	var s seenSet
	rnd := rand.New(rand.NewPCG(1, 1))
	for i := range n {
		s.advance(490_000+int64(i*72/n), 72)
		s.add(rnd.Uint64(), 1<<30, 1)
	}
	if per := float64(s.bytes()) / n; per > 14 {
		t.Errorf("%.1f bytes per id", per)
	}
}

func BenchmarkSeen(b *testing.B) {
	const ids = 10_000_000
	for _, buckets := range []int{1, 72} {
		b.Run(fmt.Sprintf("10M ids in 256 shards, %d buckets", buckets), func(b *testing.B) {
			sets := make([]seenSet, 256)
			rnd := rand.New(rand.NewPCG(1, 1))
			for i := range ids {
				h := rnd.Uint64()
				s := &sets[h%256]
				s.advance(490_000+int64(i*buckets/ids), 72)
				s.add(h*0x9e3779b97f4a7c15, 1<<30, 1)
			}
			bytes, live := 0, 0
			for i := range sets {
				bytes += sets[i].bytes()
				live += sets[i].live
			}
			b.ReportAllocs()
			b.ResetTimer()
			cpu := cpuTime(b)
			for b.Loop() {
				h := rnd.Uint64()
				sets[h%256].add(h*0x9e3779b97f4a7c15, 1<<30, 1)
			}
			reportCPU(b, cpu)
			b.ReportMetric(float64(bytes)/float64(live), "B/id")
		})
	}
}

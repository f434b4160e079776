package fold

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/machine"
)

func stamped(pos machine.Position, body string) []byte {
	b := binary.AppendUvarint([]byte{0x08}, uint64(pos.W))
	b = binary.AppendUvarint(append(b, 0x10), uint64(pos.P))
	b = binary.AppendUvarint(append(b, 0x18), pos.Seq)
	return append(b, body...)
}

// streams makes what the partitions of an upstream fold would write: watermarks
// that never fall, gap-free numbers.
func streams(random *rand.Rand, upstreams, each int) [][]machine.Position {
	all := make([][]machine.Position, upstreams)
	for p := range all {
		w := int64(0)
		for seq := range each {
			w += random.Int64N(3) * random.Int64N(50)
			all[p] = append(all[p], machine.Position{W: w, P: uint32(p), Seq: uint64(seq + 1)})
		}
	}
	return all
}

// interleave merges the streams as transactions might: any order between them.
func interleave(random *rand.Rand, all [][]machine.Position) []machine.Position {
	rest := slices.Clone(all)
	var order []machine.Position
	for len(rest) > 0 {
		i := random.IntN(len(rest))
		n := min(1+random.IntN(20), len(rest[i]))
		order = append(order, rest[i][:n]...)
		if rest[i] = rest[i][n:]; len(rest[i]) == 0 {
			rest = slices.Delete(rest, i, i+1)
		}
	}
	return order
}

func TestMergeOrderIsThatOfTheStamps(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 0))
		all := streams(random, 5, 400)
		var want []machine.Position
		low := all[0][399].W
		for _, s := range all {
			want = append(want, s...)
			low = min(low, s[399].W)
		}
		slices.SortFunc(want, machine.Position.Compare)
		want = slices.DeleteFunc(want, func(pos machine.Position) bool { return pos.W >= low })
		for _, memory := range []int{1, 2 << 10, 1 << 30} {
			m := newMerge(5, memory, t.TempDir())
			var got []machine.Position
			mostSpilled := int64(0)
			for i, pos := range interleave(random, all) {
				rec := &kgo.Record{Offset: int64(i), Key: fmt.Appendf(nil, "k%d", i), Value: stamped(pos, "body")}
				if err := m.push(rec); err != nil {
					t.Fatal(err)
				}
				_, _, spilled := m.size()
				mostSpilled = max(mostSpilled, spilled)
				if i%7 != 0 {
					continue
				}
				if err := m.release(func(h held) { got = append(got, h.pos) }); err != nil {
					t.Fatal(err)
				}
			}
			if err := m.release(func(h held) {
				if !strings.HasPrefix(string(h.key), "k") || string(h.value[len(h.value)-4:]) != "body" {
					t.Errorf("record at %+v came back as key %q value %q", h.pos, h.key, h.value)
				}
				got = append(got, h.pos)
			}); err != nil {
				t.Fatal(err)
			}
			m.close()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("seed %d, memory %d: order (-want +got):\n%s", seed, memory, diff)
			}
			if (memory < 1<<20) != (mostSpilled > 0) {
				t.Errorf("seed %d, memory %d: %d bytes spilled", seed, memory, mostSpilled)
			}
		}
	}
}

func TestMergeRefusesBrokenPromises(t *testing.T) {
	f := func(want string, values ...[]byte) {
		t.Helper()
		m := newMerge(2, 1<<20, "")
		var err error
		for i, v := range values {
			if err = m.push(&kgo.Record{Topic: "mid", Offset: int64(i), Value: v}); err != nil {
				break
			}
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	at := func(w int64, p uint32, seq uint64) []byte { return stamped(machine.Position{W: w, P: p, Seq: seq}, "") }
	f("carries no stamp", []byte("plain"))
	f("carries no stamp", nil)
	f("carries no stamp", []byte{0x08, 0x80})
	f("upstream partition 2 of 2", at(1, 2, 1))
	f("seq 3 from upstream partition 0, want 2", at(1, 0, 1), at(1, 0, 3))
	f("seq 1 from upstream partition 0, want 2", at(1, 0, 1), at(1, 0, 1))
	f("went back", at(5, 1, 1), at(4, 1, 2))
}

// One upstream partition away for ten minutes of records must neither stop the
// reading nor fill the memory.
func TestMergeWaitsOnDisk(t *testing.T) {
	m := newMerge(2, 64<<10, t.TempDir())
	defer m.close()
	body := strings.Repeat("x", 200)
	const n = 20_000
	for i := range n {
		if err := m.push(&kgo.Record{Offset: int64(i), Value: stamped(machine.Position{W: int64(i), P: 0, Seq: uint64(i + 1)}, body)}); err != nil {
			t.Fatal(err)
		}
	}
	released := 0
	count := func(held) { released++ }
	if err := m.release(count); err != nil || released != 0 {
		t.Fatalf("released %d records without the other watermark, err %v", released, err)
	}
	if q := &m.queues[0]; q.bytes > 65<<10 {
		t.Errorf("%d bytes in memory, budget 64 KiB", q.bytes)
	}
	if err := m.push(&kgo.Record{Offset: n, Value: stamped(machine.Position{W: n, P: 1, Seq: 1}, "")}); err != nil {
		t.Fatal(err)
	}
	if err := m.release(count); err != nil || released != n-1 {
		t.Errorf("released %d records, want %d, err %v", released, n-1, err)
	}
	if held, _, spilled := m.size(); held != 2 || spilled != 0 {
		t.Errorf("%d held, %d bytes spilled, want 2 and 0", held, spilled)
	}
}

func BenchmarkMerge(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 1))
	order := interleave(random, streams(random, 8, 10_000))
	records := make([]*kgo.Record, len(order))
	for i, pos := range order {
		records[i] = &kgo.Record{Offset: int64(i), Key: []byte("tenant|subject"), Value: stamped(pos, strings.Repeat("x", 180))}
	}
	b.ReportAllocs()
	for b.Loop() {
		m := newMerge(8, 1<<30, "")
		released := 0
		for i, rec := range records {
			if err := m.push(rec); err != nil {
				b.Fatal(err)
			}
			if i%1000 == 0 {
				if err := m.release(func(held) { released++ }); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(records)), "ns/record")
}

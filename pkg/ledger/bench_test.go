package ledger

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"syscall"
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// realistic returns the records of n coding sessions, interleaved: of each
// request a log and a span, of each minute a metric, some activity, few
// outcomes, re-sends and ticks. Ids are made fresh by freshen.
func realistic(sessions, n int) []machine.Record {
	records := make([]machine.Record, n)
	for i := range records {
		conv := fmt.Sprintf("%032x", i%sessions)
		sig := []goodhartv1.Signal{sigLog, sigLog, sigSpan, sigMetric}[i/sessions%4]
		ev := usageEvent(sig, conv, fmt.Sprint(i))
		if i%10 == 9 {
			ev.Kind, ev.Usage = goodhartv1.EventKind_EVENT_KIND_ACTIVITY, nil
			ev.Activity = &goodhartv1.Activity{
				Name:    "tool_result",
				Numbers: []*goodhartv1.Number{{Key: "duration_ms", Value: 120}},
				Labels:  []*goodhartv1.Label{{Key: "tool_name", Value: "Bash"}, {Key: "decision", Value: "accept"}},
			}
		} else {
			dress(ev.Usage)
		}
		ev.Subject = fmt.Sprintf("p_%032x", i%sessions%500)
		ev.Team, ev.Role, ev.Credential, ev.Tool = "platform", "engineer", "key-1", "claude-code"
		ev.ToolVersion, ev.AdapterVersion, ev.Prompt = "2.1.220", "1", fmt.Sprintf("%032x", i/7)
		ev.IdentityType, ev.IdentityMethod, ev.Transport, ev.SchemaVersion = 1, 3, 1, 1
		ev.TimeMs, ev.ReceivedMs = t0+int64(i)*2, t0+int64(i)*2
		records[i] = machine.Record{Time: ev.TimeMs, Key: []byte(eventKey(ev)), Value: marshal(ev)}
	}
	return records
}

func dress(u *goodhartv1.Usage) {
	n := func(x int64) *int64 { return &x }
	u.OperationName, u.ProviderName, u.RequestModel = "chat", "anthropic", "claude-sonnet-4-5-20250929"
	u.InputUncachedTokens, u.CacheReadTokens, u.CacheWriteTokens = n(12), n(48_211), n(1_904)
	u.CostNanos, u.ReportedCostNanos, u.DurationMs = n(31_225_800), n(31_225_800), n(8_120)
	u.CostBasis, u.PriceVersion, u.PriceTier, u.Status = 3, "2026-10-01", "standard", 1
	u.Granularity, u.QuerySource = 1, "repl_main_thread"
}

// freshen gives a record ids that were never seen, in place.
func freshen(r *machine.Record, offsets []int, n uint64) {
	for _, at := range offsets {
		binary.LittleEndian.PutUint64(r.Value[at:], n*0x9e3779b97f4a7c15)
	}
}

// idOffsets finds the event id and request key in an encoded event.
func idOffsets(b *testing.B, r *machine.Record) []int {
	b.Helper()
	sh := newShapes()
	var v view
	if err := v.decode(&sh, r.Value); err != nil {
		b.Fatal(err)
	}
	offsets := []int{cap(r.Value) - cap(v.eventID)}
	if len(v.requestKey) > 0 {
		offsets = append(offsets, cap(r.Value)-cap(v.requestKey))
	}
	return offsets
}

func BenchmarkStep(b *testing.B) {
	for _, ids := range []int{0, 1_000_000, 10_000_000} {
		b.Run(fmt.Sprintf("%d_ids_remembered", ids), func(b *testing.B) {
			cfg := Default()
			cfg.IDsPerShard = 1 << 20
			fold := New(cfg)
			records := realistic(1000, 4000)
			offsets := make([][]int, len(records))
			size := 0
			for i := range records {
				offsets[i] = idOffsets(b, &records[i])
				size += len(records[i].Value)
			}
			remember(fold, ids)
			var out machine.Outputs
			step := func(i int) {
				r := &records[i%len(records)]
				freshen(r, offsets[i%len(records)], uint64(i))
				r.Position.Seq = uint64(i)
				fold.Step(r, &out)
				if i%4096 == 0 {
					out.Recycle()
				}
			}
			n := 0
			for range records { // conversations and classes settle
				step(n)
				n++
			}
			b.SetBytes(int64(size / len(records)))
			b.ReportAllocs()
			b.ResetTimer()
			cpu := cpuTime(b)
			for b.Loop() {
				step(n)
				n++
			}
			reportCPU(b, cpu)
			if ids > 0 {
				st := fold.Stats()
				b.ReportMetric(float64(st.SeenBytes)/float64(st.SeenIDs), "B/id")
			}
		})
	}
}

// remember fills the shards with ids, in the hours of the horizon.
func remember(f *Fold, ids int) {
	for i := range ids {
		s := &f.shards[i%machine.Shards]
		s.advance(t0-int64(ids-i)*71*hour/int64(ids), f.horizonHours)
		s.seen.add(uint64(i+1)*0xd1b54a32d192ed03, f.cfg.IDsPerShard, s.now)
	}
}

// BenchmarkHold is what holding a record costs until its conversation's class is
// decided: in time and in memory.
func BenchmarkHold(b *testing.B) {
	const n = 100_000
	records := make([]machine.Record, n)
	for i := range records {
		ev := usageEvent(sigSpan, fmt.Sprintf("%032x", i/4), fmt.Sprint(i))
		dress(ev.Usage)
		ev.TimeMs, ev.ReceivedMs = t0, t0
		records[i] = machine.Record{Position: machine.Position{Seq: uint64(i) + 1}, Time: t0, Key: []byte(eventKey(ev)), Value: marshal(ev)}
	}
	heap := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	var grown float64
	for b.Loop() {
		fold := New(Default())
		var out machine.Outputs
		b.StopTimer()
		before := heap()
		b.StartTimer()
		for i := range records {
			fold.Step(&records[i], &out)
		}
		b.StopTimer()
		grown = heap() - before
		b.StartTimer()
		if got := fold.Stats().HeldRecords; got != n {
			b.Fatalf("%d records held, want %d", got, n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
	b.ReportMetric(grown/n, "B/record")
	b.ReportMetric(float64(len(records[0].Value)), "B/event")
}

// cpuTime is the processor time of this process, ns: unlike the clock it does
// not count what other processes take.
func cpuTime(b *testing.B) int64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func reportCPU(b *testing.B, since int64) {
	b.Helper()
	b.ReportMetric(float64(cpuTime(b)-since)/float64(b.N), "cpu-ns/op")
}

func BenchmarkDecode(b *testing.B) {
	value := realistic(1, 1)[0].Value
	sh := newShapes()
	var v view
	b.Run("view", func(b *testing.B) {
		b.SetBytes(int64(len(value)))
		b.ReportAllocs()
		cpu := cpuTime(b)
		defer func() { reportCPU(b, cpu) }()
		for b.Loop() {
			if err := v.decode(&sh, value); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("generated", func(b *testing.B) {
		b.ReportAllocs()
		cpu := cpuTime(b)
		defer func() { reportCPU(b, cpu) }()
		for b.Loop() {
			var ev goodhartv1.Event
			if err := ev.UnmarshalVTUnsafe(value); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSnapshot is a shard of 39,000 ids: one of 256 with 10 million.
func BenchmarkSnapshot(b *testing.B) {
	fold := New(Default())
	remember(fold, 10_000_000)
	data := fold.AppendShard(nil, 0)
	b.Run("save", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			data = fold.AppendShard(data[:0], 0)
		}
	})
	b.Run("load", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if err := fold.LoadShard(0, data); err != nil {
				b.Fatal(err)
			}
		}
	})
}

package subject

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// benchFact is a Claude Code request as the ledger passes it on.
func benchFact(rng *rand.Rand, subject string, w, t int64, seq uint64) *goodhartv1.Fact {
	id := make([]byte, 16)
	for i := range id {
		id[i] = byte(rng.Uint32())
	}
	n := func(most int64) *int64 { v := rng.Int64N(most); return &v }
	return &goodhartv1.Fact{
		W: w, P: 3, Seq: seq,
		Kind:       goodhartv1.FactKind_FACT_KIND_USAGE,
		AcceptedMs: t + 900,
		Event: &goodhartv1.Event{
			Kind: goodhartv1.EventKind_EVENT_KIND_USAGE, Tenant: "acme", Source: "claude-code",
			Signal: goodhartv1.Signal_SIGNAL_LOG, EventId: id, RequestKey: id, TimeMs: t, ReceivedMs: t + 700,
			Conversation: "0123456789abcdef0123456789abcdef", Accounting: goodhartv1.Accounting_ACCOUNTING_BILLABLE,
			Subject: subject, Team: "payments", Role: "engineer",
			IdentityType:   goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN,
			IdentityMethod: goodhartv1.IdentityMethod_IDENTITY_METHOD_EMAIL,
			Credential:     "team-key-1", Tool: "claude-code", ToolVersion: "2.1.9",
			Transport: goodhartv1.Transport_TRANSPORT_OTLP_HTTP, AdapterVersion: "1",
			Prompt: "fedcba9876543210fedcba9876543210", SchemaVersion: 1,
			Usage: &goodhartv1.Usage{
				OperationName: "chat", ProviderName: "anthropic", RequestModel: "claude-sonnet-5",
				ResponseModel: "claude-sonnet-5", Model: "claude-sonnet-5",
				InputUncachedTokens: n(4000), CacheReadTokens: n(90000), CacheWrite_5MTokens: n(9000),
				OutputTokens: n(3000), CostNanos: n(400e6),
				CostBasis: goodhartv1.CostBasis_COST_BASIS_ESTIMATED, PriceVersion: "2026-09", PriceTier: "standard",
				DurationMs: n(30000), Status: goodhartv1.Status_STATUS_OK,
				Granularity: goodhartv1.Granularity_GRANULARITY_REQUEST, QuerySource: "main",
			},
		},
	}
}

// benchRecords makes the log of one partition: facts a minute, evenly.
func benchRecords(b *testing.B, subjects, perMinute, n int) []machine.Record {
	b.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	records := make([]machine.Record, n)
	start := int64(1_767_225_600_000)
	for i := range records {
		name := fmt.Sprintf("p_%032x", rng.IntN(subjects))
		w := start + int64(i)*60_000/int64(perMinute)
		fact := benchFact(rng, name, w, w+rng.Int64N(30_000), uint64(i))
		value, err := fact.MarshalVT()
		if err != nil {
			b.Fatal(err)
		}
		records[i] = machine.Record{
			Position: machine.Position{W: w, P: 3, Seq: uint64(i)},
			Key:      []byte("acme|" + name), Value: value,
		}
	}
	return records
}

func BenchmarkStep(b *testing.B) {
	for _, bench := range []struct {
		name                string
		subjects, perMinute int
	}{
		{"200_subjects_60k_a_minute", 200, 60_000},
		{"5k_subjects_600k_a_minute", 5_000, 600_000},
		{"20k_subjects_60k_a_minute", 20_000, 60_000},
	} {
		b.Run(bench.name, func(b *testing.B) {
			const n = 1 << 17
			records := benchRecords(b, bench.subjects, bench.perMinute, n)
			f := New(Config{Partitions: 8})
			var out machine.Outputs
			b.SetBytes(int64(len(records[0].Value)))
			b.ReportAllocs()
			span := records[n-1].Position.W - records[0].Position.W
			i, turn := 0, int64(0)
			for b.Loop() {
				r := records[i]
				r.Position.W += turn * span // event times fall behind: deltas after the first turn
				f.Step(&r, &out)
				if i++; i == n {
					i = 0
					f, turn = New(Config{Partitions: 8}), 0
				}
				if i&4095 == 0 {
					out.Recycle()
				}
			}
		})
	}
}

// BenchmarkAdd is decode, look-up and addition to an open pane, in no order, by
// the number of subjects with one; and what a subject takes in memory.
func BenchmarkAdd(b *testing.B) {
	for _, subjects := range []int{1_000, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("%d_subjects", subjects), func(b *testing.B) {
			if testing.Short() && subjects > 10_000 {
				b.Skip("not for -short")
			}
			f, step := open(b, subjects, 1)
			b.ReportAllocs()
			b.ResetTimer()
			for b.Loop() {
				step()
			}
			b.ReportMetric(f.memory/float64(subjects), "B/subject")
		})
	}
}

// opened is a fold with an open pane for each subject, and its memory in bytes.
type opened struct {
	*Fold
	memory float64
}

// open returns a fold whose subjects have an open pane of so many cells each, and
// a function that adds one more fact to one of them.
func open(b *testing.B, subjects, cells int) (opened, func()) {
	b.Helper()
	const values = 1 << 12
	rng := rand.New(rand.NewPCG(3, 4))
	at := int64(1_767_225_600_000)
	record := func(model string) machine.Record {
		fact := benchFact(rng, "p_0123456789abcdef0123456789abcdef", at, at+rng.Int64N(30_000), 1)
		fact.Event.Usage.Model = model
		value, err := fact.MarshalVT()
		if err != nil {
			b.Fatal(err)
		}
		return machine.Record{Position: machine.Position{W: at}, Value: value}
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
	for cell := range cells {
		r := record(fmt.Sprintf("model-%d", cell))
		for i := range subjects {
			r.Key = key(r.Key[:0], i)
			f.Step(&r, &out)
		}
	}
	o := opened{Fold: f, memory: heap() - before}
	records := make([]machine.Record, values)
	for i := range records {
		records[i] = record("model-0")
	}
	// Keys lie one behind the other in memory, as those of fetched records do.
	const draws = 1 << 17
	var keys []byte
	for range draws {
		keys = key(keys, rng.IntN(subjects))
	}
	length := len(keys) / draws
	n := 0
	return o, func() {
		r := records[n%values]
		at := n % draws * length
		r.Key = keys[at : at+length]
		n++
		f.Step(&r, &out)
	}
}

// BenchmarkSnapshot is a partition of 10,000 subjects with an open pane of three
// cells.
func BenchmarkSnapshot(b *testing.B) {
	const subjects = 10_000
	f, _ := open(b, subjects, 3)
	var shards [machine.Shards][]byte
	size := 0
	for i := range shards {
		shards[i] = f.AppendShard(nil, i)
		size += len(shards[i])
	}
	report := func(b *testing.B) {
		b.Helper()
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/subjects, "ns/subject")
		b.ReportMetric(float64(size)/subjects, "B/subject")
	}
	b.Run("save", func(b *testing.B) {
		b.SetBytes(int64(size))
		b.ReportAllocs()
		for b.Loop() {
			for i := range shards {
				shards[i] = f.AppendShard(shards[i][:0], i)
			}
		}
		report(b)
	})
	b.Run("load", func(b *testing.B) {
		b.SetBytes(int64(size))
		b.ReportAllocs()
		for b.Loop() {
			f := New(Config{Partitions: 8})
			for i, data := range shards {
				if err := f.LoadShard(i, data); err != nil {
					b.Fatal(err)
				}
			}
		}
		report(b)
	})
}

// BenchmarkDecode goes through facts that differ, as those of a log do: a
// processor learns the branches of a single one by heart.
func BenchmarkDecode(b *testing.B) {
	const n = 1 << 10
	records := benchRecords(b, 1000, 60_000, n)
	b.Run("by_hand", func(b *testing.B) {
		var in fact
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			in.decode(records[i%n].Value)
			i++
		}
	})
	b.Run("generated_unsafe", func(b *testing.B) {
		var m goodhartv1.Fact
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			m = goodhartv1.Fact{Event: m.Event}
			if m.Event != nil {
				usage := m.Event.Usage
				m.Event.Reset()
				m.Event.Usage = usage
				m.Event.Usage.Reset()
			}
			if err := m.UnmarshalVTUnsafe(records[i%n].Value); err != nil {
				b.Fatal(err)
			}
			i++
		}
	})
}

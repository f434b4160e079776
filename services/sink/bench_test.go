package sink

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/goodhartlabs/goodhart/pkg/chsink"
	"github.com/goodhartlabs/goodhart/schemas"
)

const benchRows = 100_000

// benchFacts are usage facts of a day: 12 teams, 5 models, 400 subjects.
func benchFacts(tb testing.TB, n int) [][]byte {
	tb.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	out := make([][]byte, n)
	for i := range out {
		f := usageFact()
		e, u := f.Event, f.Event.Usage
		who := rng.IntN(400)
		e.EventId, e.RequestKey = make([]byte, 16), make([]byte, 16)
		binary.BigEndian.PutUint64(e.EventId, rng.Uint64())
		binary.BigEndian.PutUint64(e.RequestKey, rng.Uint64())
		e.TimeMs += int64(rng.IntN(8 * 3_600_000))
		e.Quality = nil
		e.Subject, e.Team = fmt.Sprintf("p_%032x", who), fmt.Sprintf("team-%d", who%12)
		e.Conversation, e.Prompt, e.ParentConversation = fmt.Sprintf("%032x", who*31+rng.IntN(5)), fmt.Sprintf("%032x", rng.Uint32()), ""
		u.Model = fmt.Sprintf("model-%d", rng.IntN(5))
		*u.OutputTokens, *u.InputUncachedTokens, *u.CostNanos = int64(rng.IntN(4000)), int64(rng.IntN(20_000)), int64(rng.IntN(1e9))
		u.NewTurnTokens, u.H64, u.KappaPpm, u.SideEffects, u.CacheWrite_1HTokens = nil, nil, nil, nil, nil
		out[i] = bytesOf(tb, f)
	}
	return out
}

// BenchmarkDecode is the sink's own work per row: fact in, columns out. The
// columns are those of the batch before, as in the sink.
func BenchmarkDecode(b *testing.B) {
	values := benchFacts(b, 10_000)
	records := make([]*kgo.Record, len(values))
	for i, v := range values {
		records[i] = &kgo.Record{Topic: schemas.TopicFacts, Value: v, Offset: int64(i)}
	}
	b.ReportAllocs()
	d := newFacts(chsink.Origin{Topic: schemas.TopicFacts}, 8)
	for b.Loop() {
		d.usage.Reset()
		for _, r := range records {
			if err := d.Decode(r); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(records)), "ns/row")
}

// BenchmarkStore compares in one run what stores usage facts in core.usage with
// all its rollups: a plain loop that inserts the same ready-made block of 100,000
// rows over and over, on one and on two connections, the most that this server
// takes; the sink, from Kafka to the acknowledged insert, exactly once, its start
// included; and ClickHouse's own Kafka engine, which reads the same bytes at
// least once. One operation is a million rows, 300,000 for the engine.
func BenchmarkStore(b *testing.B) {
	bed := newBed(b)
	bed.cfg.Topics = []string{schemas.TopicFacts}
	bed.cfg.MaxBytes = 128 << 20
	bed.cfg.MaxAge = time.Second
	values := benchFacts(b, benchRows)
	loops := map[int]float64{}
	for _, connections := range []int{1, 2} {
		b.Run(fmt.Sprintf("loop/%d", connections), func(b *testing.B) {
			wire, statement := nativeBlock(b, values)
			for b.Loop() {
				bed.insertBlocks(b, wire, statement, connections)
			}
			loops[connections] = float64(b.N*benchBlocks*benchRows) / b.Elapsed().Seconds()
			b.ReportMetric(loops[connections], "rows/s")
		})
	}
	var sink float64
	b.Run("sink", func(b *testing.B) {
		bed.tb = b
		bed.exec("TRUNCATE TABLE core.usage")
		for range b.N {
			for k := range int32(benchBlocks) {
				bed.produce(schemas.TopicFacts, k%2, values...)
			}
		}
		b.ResetTimer()
		bed.start()
		bed.until("usage", uint64(b.N*benchBlocks*benchRows))
		sink = float64(b.N*benchBlocks*benchRows) / b.Elapsed().Seconds()
		b.ReportMetric(sink, "rows/s")
		b.ReportMetric(sink/loops[1], "x_loop/1")
		b.ReportMetric(sink/loops[2], "x_loop/2")
	})
	b.Run("engine", func(b *testing.B) {
		bed.tb = b
		const blocks = 3
		for b.Loop() {
			b.StopTimer()
			bed.exec("TRUNCATE TABLE core.usage")
			topic := bed.newTopic()
			for k := range int32(blocks) {
				bed.produce(topic, k%2, values...)
			}
			b.StartTimer()
			bed.engine(topic)
			bed.until("usage", blocks*benchRows)
			b.StopTimer()
			bed.stopEngine()
			b.StartTimer()
		}
		engine := float64(b.N*blocks*benchRows) / b.Elapsed().Seconds()
		b.ReportMetric(engine, "rows/s")
		b.ReportMetric(sink/engine, "sink_x")
	})
}

const benchBlocks = 10

func (b *bed) insertBlocks(tb testing.TB, wire []byte, statement string, connections int) {
	tb.Helper()
	var g errgroup.Group
	g.SetLimit(connections)
	for range benchBlocks {
		g.Go(func() error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"async_insert": 0, "insert_deduplicate": 0}))
			return b.conn.InsertFormat(ctx, "Native", statement, bytes.NewReader(wire))
		})
	}
	if err := g.Wait(); err != nil {
		tb.Fatal(err)
	}
}

// newTopic makes a topic of two partitions that nobody has read.
func (b *bed) newTopic() string {
	b.tb.Helper()
	name := fmt.Sprint("bench-", rand.Uint64())
	if _, err := kadm.NewClient(b.client).CreateTopic(context.Background(), 2, 1, nil, name); err != nil {
		b.tb.Fatal(err)
	}
	return name
}

// nativeBlock encodes facts as the sink does: what a plain loop inserts.
func nativeBlock(b *testing.B, values [][]byte) (wire []byte, statement string) {
	b.Helper()
	d := newFacts(chsink.Origin{Topic: schemas.TopicFacts}, 8)
	for i, v := range values {
		if err := d.Decode(&kgo.Record{Topic: schemas.TopicFacts, Value: v, Offset: int64(i)}); err != nil {
			b.Fatal(err)
		}
	}
	wire, err := d.usage.AppendNative(nil)
	if err != nil {
		b.Fatal(err)
	}
	return wire, d.usage.Statement()
}

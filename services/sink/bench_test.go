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

// BenchmarkStore compares in one run: a plain loop that inserts the same blocks
// of 100,000 rows into core.usage with all its rollups, on one and on two
// connections; and the sink, from Kafka to the acknowledged insert, exactly
// once. One operation is a million rows; the
// sink's includes its start.
func BenchmarkStore(b *testing.B) {
	const blocks = 10
	bed := newBed(b)
	values := benchFacts(b, benchRows)
	for _, connections := range []int{1, 2} {
		b.Run(fmt.Sprintf("loop/%d", connections), func(b *testing.B) {
			wire, statement := nativeBlock(b, values)
			for b.Loop() {
				var g errgroup.Group
				g.SetLimit(connections)
				for range blocks {
					g.Go(func() error {
						ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
						defer cancel()
						ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"async_insert": 0, "insert_deduplicate": 0}))
						return bed.conn.InsertFormat(ctx, "Native", statement, bytes.NewReader(wire))
					})
				}
				if err := g.Wait(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*blocks*benchRows)/b.Elapsed().Seconds(), "rows/s")
		})
	}
	b.Run("sink", func(b *testing.B) {
		bed.tb = b
		if err := bed.conn.Exec(context.Background(), "TRUNCATE TABLE core.usage"); err != nil {
			b.Fatal(err)
		}
		bed.cfg.Topics = []string{schemas.TopicFacts}
		bed.cfg.MaxBytes = 128 << 20
		bed.cfg.MaxAge = time.Second
		for range b.N {
			for k := range int32(blocks) {
				bed.produce(schemas.TopicFacts, k%2, values...)
			}
		}
		b.ResetTimer()
		bed.start()
		bed.until("usage", uint64(b.N*blocks*benchRows))
		b.ReportMetric(float64(b.N*blocks*benchRows)/b.Elapsed().Seconds(), "rows/s")
	})
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

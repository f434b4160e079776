package sink

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/chschema"
	"github.com/goodhartlabs/goodhart/pkg/chtest"
	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/ktest"
	schema "github.com/goodhartlabs/goodhart/schemas/clickhouse"
	"github.com/goodhartlabs/goodhart/services/probe"
)

// bed is a migrated broker and a migrated database.
type bed struct {
	tb     testing.TB
	client *kgo.Client
	conn   driver.Conn
	cfg    Config
}

func newBed(tb testing.TB) *bed {
	tb.Helper()
	return newBedOn(tb, ktest.Fake(tb))
}

func newBedOn(tb testing.TB, kafka *ktest.Cluster) *bed {
	tb.Helper()
	ctx := context.Background()
	b := &bed{tb: tb, cfg: Default()}
	b.cfg.Kafka.Brokers = kafka.Addrs
	b.cfg.ClickHouse.DSN = chtest.StartFixed(tb, "core", "goodhart")
	b.cfg.MaxAge = 50 * time.Millisecond
	b.cfg.Admin = ""
	b.client = kafka.Client(tb, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if _, err := kschema.Migrate(ctx, b.client, kschema.Options{Counts: kschema.Counts{Events: 2, Facts: 2, Features: 1, Dead: 1}, Replication: kafka.Replication}); err != nil {
		tb.Fatal(err)
	}
	var err error
	if b.conn, err = b.cfg.ClickHouse.Open(ctx); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = b.conn.Close() })
	if _, err := chschema.Apply(ctx, b.conn, schema.Default(), slog.New(slog.DiscardHandler)); err != nil {
		tb.Fatal(err)
	}
	return b
}

// start runs the role until the test ends and returns what it shows of itself.
func (b *bed) start() *probe.Telemetry {
	b.tb.Helper()
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(b.tb.Output(), nil))
	}
	tel := probe.New(log)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, b.cfg, tel) }()
	b.tb.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.tb.Errorf("sink: %v", err)
		}
	})
	return tel
}

func (b *bed) produce(topic string, partition int32, values ...[]byte) {
	b.tb.Helper()
	records := make([]*kgo.Record, len(values))
	for i, v := range values {
		records[i] = &kgo.Record{Topic: topic, Partition: partition, Value: v}
	}
	if err := b.client.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
		b.tb.Fatal(err)
	}
}

// query returns the rows of a query, one string each, in the order of their
// text.
func (b *bed) query(sql string) []string {
	b.tb.Helper()
	r, err := b.conn.QueryFormat(context.Background(), "JSONEachRow", sql)
	if err != nil {
		b.tb.Fatalf("%s: %v", sql, err)
	}
	defer func() { _ = r.Close() }()
	text, err := io.ReadAll(r)
	if err != nil {
		b.tb.Fatalf("%s: %v", sql, err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// until waits until a table holds so many rows.
func (b *bed) until(table string, rows uint64) {
	b.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var n uint64
		if err := b.conn.QueryRow(ctx, "SELECT count() FROM core."+table).Scan(&n); err != nil {
			b.tb.Fatal(err)
		}
		if n == rows {
			return
		}
		select {
		case <-ctx.Done():
			b.tb.Fatalf("core.%s has %d rows, want %d", table, n, rows)
		case <-tick.C:
		}
	}
}

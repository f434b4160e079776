package schedule

import (
	"flag"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/goodhartlabs/goodhart/pkg/chschema"
	"github.com/goodhartlabs/goodhart/pkg/chtest"
	schema "github.com/goodhartlabs/goodhart/schemas/clickhouse"
	"github.com/goodhartlabs/goodhart/services/clickhouse"
)

var (
	seeds   = flag.Int("seeds", 0, "how many schedules, with seeds from 1; default 300, 20 with -short")
	oneSeed = flag.Uint64("seed", 0, "the seed of the only schedule")
	verbose = flag.Bool("log", false, "show what the processes log")
)

// allSeeds is how many there are by default: enough for every kind of fault.
const allSeeds = 300

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// epoch is when the companies' days begin: some days ago, for retention counts
// from the server's clock.
func epoch() time.Time { return time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -10) }

func TestSchedules(t *testing.T) {
	b := newBench(t)
	n := *seeds
	switch {
	case n == 0 && testing.Short():
		n = 20
	case n == 0:
		n = allSeeds
	}
	list := make([]uint64, n)
	for i := range list {
		list[i] = uint64(i) + 1
	}
	if *oneSeed != 0 {
		list = []uint64{*oneSeed}
	}
	began := time.Now()
	for wave := range slices.Chunk(list, 25) {
		t.Run("wave", func(t *testing.T) {
			for _, seed := range wave {
				t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
					t.Parallel()
					b.schedule(t, seed)
				})
			}
		})
		b.reconcile(t)
	}
	b.report(t, len(list), time.Since(began))
}

// bench is what the schedules share: the server and the totals.
type bench struct {
	dsn, addr string
	conn      driver.Conn
	known     sync.Map
	totals    counts
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{dsn: chtest.StartFixed(t, "core", "goodhart")}
	b.addr = chtest.Addr(t, b.dsn)
	var err error
	if b.conn, err = (clickhouse.Config{DSN: b.dsn}).Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.conn.Close() })
	if _, err := chschema.Apply(t.Context(), b.conn, schema.Default(), discard()); err != nil {
		t.Fatal(err)
	}
	b.relax(t)
	return b
}

// relax takes back the flush to disk after each insert: the server is not
// killed here.
func (b *bench) relax(t *testing.T) {
	t.Helper()
	var tables []string
	err := b.conn.QueryRow(t.Context(), "SELECT groupArray(name) FROM system.tables WHERE database = 'core' AND engine_full LIKE '%fsync_after_insert%'").Scan(&tables)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if err := b.conn.Exec(t.Context(), "ALTER TABLE core."+table+" MODIFY SETTING fsync_after_insert = 0"); err != nil {
			t.Fatal(err)
		}
	}
}

// schedule runs a seed and judges it.
func (b *bench) schedule(t *testing.T, seed uint64) {
	t.Helper()
	p := draw(seed, epoch())
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("repeat with: %s\n%s", command(strconv.FormatUint(seed, 10)), p.describe())
		}
	})
	out, err := b.run(t, p)
	if err != nil {
		t.Error(err)
	} else {
		for _, problem := range b.judge(t, out) {
			t.Error(clip(problem))
		}
	}
	for kind, n := range out.struck {
		b.totals.more(kind, n)
	}
}

func clip(s string) string {
	if len(s) > 3000 {
		return s[:3000] + "…"
	}
	return s
}

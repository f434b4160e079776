package sink

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/goodhartlabs/goodhart/pkg/chschema"
	schema "github.com/goodhartlabs/goodhart/schemas/clickhouse"
	"github.com/goodhartlabs/goodhart/services/probe"
)

// watchEvery is how often the server is asked by default.
const watchEvery = 15 * time.Second

// partsToDelay is the server's default of parts_to_delay_insert: inserts into a
// partition with more parts are slowed down.
const partsToDelay = 1000

// rateOver is the time over which new parts are counted.
const rateOver = 5 * time.Minute

// gauges are what only the server knows.
type gauges struct {
	parts, ratio, window *prometheus.GaugeVec // table
	suspects, queryable  prometheus.Gauge

	// sightings of the tables' blocks, oldest first: one of rateOver ago, or of the
	// start, and those since.
	sightings []sighting
	now       func() time.Time
}

// sighting is how many blocks each table had been given at a time.
type sighting struct {
	at     time.Time
	blocks map[string]int64
}

func newGauges(reg prometheus.Registerer) *gauges {
	table := []string{"table"}
	g := &gauges{
		now: time.Now,
		parts: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "goodhart_sink_ch_active_parts", Help: "Active parts of the table.",
		}, table),
		ratio: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "goodhart_sink_ch_parts_delay_ratio", Help: "Parts of the table's fullest partition over the number at which the server slows inserts.",
		}, table),
		window: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "goodhart_sink_dedup_window_seconds",
			Help: "How long the server remembers an insert into the table at the rate of new parts of the last 5 minutes, or since the start; +Inf if there were none.",
		}, table),
		suspects: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "goodhart_sink_suspect_months", Help: "Months of a table whose rollups may differ from its rows and that are not repaired.",
		}),
		queryable: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "goodhart_sink_queryable_timestamp_seconds",
			Help: "Everything accepted before this time can be queried, by the newest stored tick of the partition that is furthest behind; 0 before the first.",
		}),
	}
	reg.MustRegister(g.parts, g.ratio, g.window, g.suspects, g.queryable)
	return g
}

// watch keeps the gauges that say whether inserts are too small, merges too
// slow, the server's memory of inserts too short, or rows late. A gauge keeps its
// value while the server does not answer.
func watch(ctx context.Context, conn driver.Conn, every time.Duration, tel *probe.Telemetry) error {
	g := newGauges(tel.Metrics)
	tick := time.NewTicker(cmp.Or(every, watchEvery))
	defer tick.Stop()
	for {
		for _, look := range []func(context.Context, driver.Conn) error{g.lookAtParts, g.lookAtWindows, g.lookAtSuspects, g.lookAtTicks} {
			if err := look(ctx, conn); err != nil && ctx.Err() == nil {
				tel.Log.WarnContext(ctx, "look at the server", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

const lookTimeout = 10 * time.Second

func (g *gauges) lookAtParts(ctx context.Context, conn driver.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	rows, err := conn.Query(ctx, `SELECT table, sum(n), max(n) FROM (
		SELECT table, partition_id, count() AS n FROM system.parts WHERE active AND database = 'core' GROUP BY table, partition_id
	) GROUP BY table`)
	if err != nil {
		return fmt.Errorf("parts: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var table string
		var all, most uint64
		if err := rows.Scan(&table, &all, &most); err != nil {
			return fmt.Errorf("parts: %w", err)
		}
		g.parts.WithLabelValues(table).Set(float64(all))
		g.ratio.WithLabelValues(table).Set(float64(most) / partsToDelay)
	}
	return rows.Err()
}

// lookAtWindows counts the parts that inserts have made since the oldest sighting.
func (g *gauges) lookAtWindows(ctx context.Context, conn driver.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	tables, err := chschema.Inspect(ctx, conn)
	if err != nil {
		return fmt.Errorf("deduplication windows: %w", err)
	}
	blocks, err := chschema.Blocks(ctx, conn)
	if err != nil {
		return fmt.Errorf("deduplication windows: %w", err)
	}
	now := g.now()
	g.sightings = append(g.sightings, sighting{now, blocks})
	for len(g.sightings) > 2 && now.Sub(g.sightings[1].at) >= rateOver {
		g.sightings = g.sightings[1:]
	}
	first := g.sightings[0]
	for _, t := range tables {
		if t.Database != schema.DatabaseCore || t.DedupWindow == 0 {
			continue
		}
		spans := math.Inf(1)
		if made := blocks[t.Name] - first.blocks[t.Name]; made > 0 && now.After(first.at) {
			spans = now.Sub(first.at).Seconds() * float64(t.DedupWindow) / float64(made)
		}
		g.window.WithLabelValues(t.Name).Set(spans)
	}
	return nil
}

func (g *gauges) lookAtSuspects(ctx context.Context, conn driver.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	var open uint64
	if err := conn.QueryRow(ctx, `SELECT count() FROM (
		SELECT s.month FROM core.suspect_months AS s GROUP BY s.month, s.base_table
		HAVING max(s.marked_at) > max(ifNull(s.repaired_at, toDateTime64(0, 3, 'UTC')))
	)`).Scan(&open); err != nil {
		return fmt.Errorf("suspect months: %w", err)
	}
	g.suspects.Set(float64(open))
	return nil
}

func (g *gauges) lookAtTicks(ctx context.Context, conn driver.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	var until *float64 // by the broker's clock, whatever the server's says
	if err := conn.QueryRow(ctx, `SELECT toUnixTimestamp64Milli(now64(3, 'UTC')) / 1000 - max(f.lag_seconds)
		FROM goodhart.freshness AS f WHERE f.stream = '(pipeline)'`).Scan(&until); err != nil {
		return fmt.Errorf("freshness: %w", err)
	}
	if until != nil {
		g.queryable.Set(*until)
	}
	return nil
}

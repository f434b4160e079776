package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/goodhartlabs/goodhart/pkg/chschema"
	schema "github.com/goodhartlabs/goodhart/schemas/clickhouse"
)

// sampleMost is how long the parts that inserts make are counted, if the time of
// a check allows it.
const sampleMost = 3 * time.Second

// checkWindows asks how long the server remembers an insert, in every table that
// one reaches: its window counts parts, so that a higher rate makes it shorter.
func checkWindows(ctx context.Context, b *bench) ([]Finding, error) {
	conn, err := b.database(ctx)
	if err != nil {
		return nil, err
	}
	live, err := chschema.Inspect(ctx, conn)
	if err != nil {
		return nil, err
	}
	before, err := chschema.Blocks(ctx, conn)
	if err != nil {
		return nil, err
	}
	began, sample := time.Now(), min(sampleMost, b.cfg.Timeout/2)
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(sample):
	}
	after, err := chschema.Blocks(ctx, conn)
	if err != nil {
		return nil, err
	}
	took := time.Since(began)
	var found []Finding
	shortest, of := time.Duration(-1), ""
	for _, t := range live {
		if t.Database != schema.DatabaseCore || !insertedTo(t, live) {
			continue
		}
		if t.DedupWindow == 0 {
			found = append(found, Finding{
				Status: Fail, Found: t.FullName() + " remembers no insert", Want: "a deduplication window",
				Do: fmt.Sprintf("ALTER TABLE %s MODIFY SETTING non_replicated_deduplication_window = %d (replicated_... in a cluster), then goodhart reconcile --repair", t.FullName(), b.cfg.Schema.DedupWindow),
			})
			continue
		}
		made := after[t.Name] - before[t.Name]
		if made <= 0 {
			continue
		}
		lasts := time.Duration(float64(took) * float64(t.DedupWindow) / float64(made))
		if shortest < 0 || lasts < shortest {
			shortest, of = lasts, t.FullName()
		}
		if s := b.cfg.Limits.DedupWindow.below(lasts); s != OK {
			found = append(found, Finding{
				Status: s,
				Found:  fmt.Sprintf("%s remembers an insert for %v at %.0f parts per second", t.FullName(), lasts.Round(time.Second), float64(made)/took.Seconds()),
				Want:   fmt.Sprintf("at least %v", b.cfg.Limits.DedupWindow.Warn),
				Do:     "raise max_age of the sinks, or the table's deduplication window, so that a repeated insert is recognised",
			})
		}
	}
	switch {
	case len(found) > 0:
		return found, nil
	case shortest < 0:
		return []Finding{fine("every table remembers inserts; none came in %v", sample)}, nil
	default:
		return []Finding{fine("every table remembers inserts, the shortest, %s, for %v at the rate of now", of, shortest.Round(time.Minute))}, nil
	}
}

// insertedTo says whether the sink, or a view that it feeds, inserts into a table.
func insertedTo(t chschema.Live, all []chschema.Live) bool {
	return len(t.Columns) > 0 && slices.ContainsFunc(t.Columns, func(c schema.Column) bool { return c.Name == "k_offset" }) ||
		slices.ContainsFunc(all, func(v chschema.Live) bool { return v.Target == t.FullName() })
}

// checkParts asks how near the server is to slowing inserts down because merges
// do not keep up.
func checkParts(ctx context.Context, b *bench) ([]Finding, error) {
	type fullest struct {
		parts, limit uint64
	}
	tables := map[string]fullest{}
	err := b.rows(ctx, func(rows driver.Rows) error {
		var table string
		var f fullest
		if err := rows.Scan(&table, &f.parts, &f.limit); err != nil {
			return err
		}
		tables[table] = f
		return nil
	}, `SELECT p.table, max(p.n), any((SELECT toUInt64(value) FROM system.merge_tree_settings WHERE name = 'parts_to_delay_insert')) FROM (
		SELECT table, partition_id, count() AS n FROM system.parts WHERE active AND database = 'core' GROUP BY table, partition_id
	) AS p GROUP BY p.table`)
	if err != nil {
		return nil, err
	}
	var found []Finding
	worst, of := 0.0, "core"
	for _, table := range slices.Sorted(maps.Keys(tables)) {
		f := tables[table]
		share := 100 * float64(f.parts) / float64(max(1, f.limit))
		if share > worst {
			worst, of = share, "core."+table
		}
		if s := b.cfg.Limits.Parts.above(share); s != OK {
			found = append(found, Finding{
				Status: s, Found: fmt.Sprintf("core.%s has a partition of %d parts: inserts are slowed at %d", table, f.parts, f.limit),
				Want: fmt.Sprintf("below %v %%", b.cfg.Limits.Parts.Warn), Do: "raise max_age of the sinks, or give merges more room (background_pool_size, faster disks)",
			})
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	return []Finding{fine("the fullest partition, of %s, has %.0f %% of the parts at which inserts are slowed", of, worst)}, nil
}

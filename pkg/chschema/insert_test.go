package chschema_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// insert sends rows as the sink does: one block, every setting that decides
// about repeated blocks, a token.
func insert(t *testing.T, conn driver.Conn, token, into, rows string) {
	t.Helper()
	ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{
		"async_insert": 0, "insert_deduplicate": 1, "deduplicate_blocks_in_dependent_materialized_views": 1,
		"insert_deduplication_token": token, "materialized_views_ignore_errors": 0, "wait_end_of_query": 1,
	}))
	if err := conn.Exec(ctx, dated("INSERT INTO "+into+" VALUES "+rows)); err != nil {
		t.Fatal(err)
	}
}

// A batch that is sent again under its token changes no table: not raw, not a
// rollup, though three tables feed one of them under the same token.
func TestRepeatedInsert(t *testing.T) {
	conn := migrated(t)
	run(t, conn, "CREATE TABLE core.unprotected (n UInt64) ENGINE = MergeTree ORDER BY n")
	run(t, conn, "CREATE MATERIALIZED VIEW core.mv_unprotected TO core.unprotected AS SELECT count() AS n FROM core.usage")
	batch := func(token string) {
		insert(t, conn, token, "core.usage ("+usageColumns+")", usageRows)
		insert(t, conn, token, "core.activity (tenant, team, event_time, received_at, accepted_at, source, name, numbers)",
			"('acme','pay','{1} 09:00:00','{0} 10:00:00','{now}','claude-code','commit.count',{'value':3})")
		insert(t, conn, token, "core.outcomes (tenant, team, record, kind, event_time, received_at, accepted_at, source, object_day, provisional_delta)",
			"('acme','pay','announced','pr_merged','{1} 09:00:00','{0} 10:00:00','{now}','claude-code','{1}',0), ('acme','pay','transition','pr_merged','{1} 09:00:00','{0} 10:00:00','{now}','claude-code','{1}',1)")
		insert(t, conn, token, "core.tallies (tenant, source, hour, accepted, accepted_at)", "('acme','claude-code','{0} 10:00:00',10,'{now}')")
		insert(t, conn, token, "core.ticks (p, event_time, received_at, accepted_at, collector, sequence)", "(0,'{now}','{now}','{now}','c',1)")
	}
	batch("topic:0:0-9")
	assertTotals := func() {
		t.Helper()
		assertRows(t, conn, "count(), sum(cost_nanos)", "core.usage", "8 3000000018")
		for _, rollup := range []string{"usage_minute", "usage_hour", "usage_day"} {
			assertRows(t, conn, "sum(records), sum(requests), sum(cost_nanos), sum(input_uncached_tokens)", "core."+rollup, "7 6 1500000017 320")
		}
		assertRows(t, conn, "sum(provisional), sum(verified), sum(claimed), sum(transitions)", "core.outcomes_day", "1 1 3 1")
		assertRows(t, conn, "sum(accepted), sum(stored), sum(merged), sum(late)", "core.quality_hour", "10 9 1 1")
		assertRows(t, conn, "sum(ticks)", "core.ticks_minute", "1")
	}
	assertTotals()
	assertRows(t, conn, "sum(n)", "core.unprotected", "8")
	batch("topic:0:0-9")
	assertTotals()
	assertRows(t, conn, "sum(n)", "core.unprotected", "16") // what the windows prevent

	batch("topic:0:10-19")
	assertRows(t, conn, "count()", "core.usage", "16")
	assertRows(t, conn, "sum(records)", "core.usage_day", "14")
	assertRows(t, conn, "sum(stored)", "core.quality_hour", "18")
}

// A filter on team, model or day narrows the granules that are read.
func TestViewsUseKeys(t *testing.T) {
	conn := migrated(t)
	run(t, conn, dated(`INSERT INTO core.usage_day (tenant, team, model, day, provider, tool, source, requests)
		SELECT 'acme', 'team' || toString(number % 8), 'model' || toString(intDiv(number, 8) % 20), toDate('{0}') - 300 + intDiv(number, 1920) % 300,
			'p', 'tool' || toString(intDiv(number, 160) % 3), 'source' || toString(intDiv(number, 480) % 4), 1 FROM numbers(1920 * 300)`))
	run(t, conn, dated(`INSERT INTO core.group_size (tenant, team, week_start, rev, people, publishable)
		SELECT 'acme', 'team' || toString(number % 8), toMonday(toDate('{0}') - 7 * intDiv(number, 8)), 0, 12, number % 8 != 7 FROM numbers(8 * 60)`))
	run(t, conn, "OPTIMIZE TABLE core.usage_day FINAL")
	_, all := granules(t, conn, "1")
	f := func(where string, atMost float64) {
		t.Helper()
		read, _ := granules(t, conn, where)
		if read == 0 || float64(read) > atMost*float64(all) {
			t.Errorf("WHERE %s reads %d of %d granules, want up to %.0f %%", where, read, all, 100*atMost)
		}
	}
	f("team = 'team3'", 0.1) // one team of eight, in one branch of two
	f("model = 'model5'", 0.4)
	f("day = '{0}' - INTERVAL 40 DAY", 0.1)
	f("tenant = 'acme' AND team = 'team3' AND model = 'model5'", 0.05)
	f("team = '(small groups)'", 0.55) // the other branch reads nothing
	if read, _ := granules(t, conn, "tenant = 'other'"); read != 0 {
		t.Errorf("another tenant's filter reads %d granules", read)
	}
	assertRows(t, conn, "sum(requests), countIf(team = 'team7'), sumIf(requests, team = '(small groups)')", "goodhart.usage_daily", "576000 0 72000")
	assertRows(t, conn, "sum(requests)", "goodhart.usage_daily WHERE team = 'team3' AND model = 'model5'", "3600")
}

var keyGranules = regexp.MustCompile(`Granules: (\d+)/(\d+)`)

// granules sums, over the tables that a query on usage_daily reads, the granules
// left after the last index and those before the first.
func granules(t *testing.T, conn driver.Conn, where string) (read, all int) {
	t.Helper()
	rows, err := conn.Query(t.Context(), dated("EXPLAIN indexes = 1 SELECT team, sum(requests) FROM goodhart.usage_daily WHERE "+where+" GROUP BY team"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	inUsage, last, first := false, 0, true
	flush := func() { read, last, first = read+last, 0, true }
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(line, "ReadFromMergeTree") {
			flush()
			inUsage = strings.Contains(line, "core.usage_day")
		}
		m := keyGranules.FindStringSubmatch(line)
		if m == nil || !inUsage {
			continue
		}
		left, _ := strconv.Atoi(m[1])
		of, _ := strconv.Atoi(m[2])
		if first {
			all, first = all+of, false
		}
		last = left
	}
	flush()
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return read, all
}

// A year of daily data by team and model.
func BenchmarkUsageDailyYear(b *testing.B) {
	conn := migrated(b)
	run(b, conn, `INSERT INTO core.usage_day (tenant, team, model, day, provider, tool, source, requests, cost_nanos)
		SELECT 'acme', 'team' || toString(number % 50), 'model' || toString(intDiv(number, 50) % 10), today() - intDiv(number, 1000) % 365,
			'p', 'tool' || toString(intDiv(number, 500) % 2), 'claude-code', 1, 1000 FROM numbers(1000 * 365)`)
	run(b, conn, `INSERT INTO core.group_size (tenant, team, week_start, rev, people, publishable)
		SELECT 'acme', 'team' || toString(number % 50), toMonday(today() - 7 * intDiv(number, 50)), 0, 12, number % 50 > 4 FROM numbers(50 * 54)`)
	for _, q := range []string{
		"SELECT team, model, sum(cost_usd), sum(requests) FROM goodhart.usage_daily WHERE tenant = 'acme' GROUP BY team, model",
		"SELECT day, sum(cost_usd) FROM goodhart.usage_daily WHERE tenant = 'acme' AND team = 'team3' GROUP BY day",
	} {
		b.Run(fmt.Sprintf("%.30s", q), func(b *testing.B) {
			for b.Loop() {
				rows, err := conn.Query(b.Context(), q)
				if err != nil {
					b.Fatal(err)
				}
				for rows.Next() {
				}
				_ = rows.Close()
			}
		})
	}
}

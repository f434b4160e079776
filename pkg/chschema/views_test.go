package chschema_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/go-cmp/cmp"

	schema "github.com/goodhartlabs/goodhart/schemas/clickhouse"
)

// week is a Monday near enough that no retention touches the fixture.
func week() time.Time {
	day := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -21)
	return day.AddDate(0, 0, -(int(day.Weekday())+6)%7)
}

// dated replaces {n} by the day n days after week and {now} by a time without
// retention trouble.
func dated(sql string) string {
	var pairs []string
	for n, name := range []string{"{0}", "{1}", "{2}", "{3}", "{4}", "{5}", "{6}", "{7}", "{8}", "{9}", "{10}", "{11}"} {
		pairs = append(pairs, name, week().AddDate(0, 0, n).Format(time.DateOnly))
	}
	pairs = append(pairs, "{now}", time.Now().UTC().Format("2006-01-02 15:04:05"))
	return strings.NewReplacer(pairs...).Replace(sql)
}

// assertRows compares the result of a query, one tab-separated line per row,
// ordered by all columns.
func assertRows(t *testing.T, conn driver.Conn, columns, from string, want ...string) {
	t.Helper()
	sql := dated("SELECT formatRowNoNewline('TSV', " + columns + ") AS line FROM " + from + " ORDER BY line")
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Errorf("%s: %v", sql, err)
		return
	}
	defer func() { _ = rows.Close() }()
	var got []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		got = append(got, line)
	}
	if err := rows.Err(); err != nil {
		t.Errorf("%s: %v", sql, err)
		return
	}
	for i, w := range want {
		want[i] = strings.NewReplacer(" ", "\t", "\u00a0", " ").Replace(dated(w))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s:\n%s", sql, d)
	}
}

func views(t *testing.T) []schema.Table {
	t.Helper()
	tables, err := schema.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	var found []schema.Table
	for _, table := range tables {
		if table.View() {
			found = append(found, table)
		}
	}
	if len(found) != 14 {
		t.Fatalf("%d views, want 14", len(found))
	}
	return found
}

func TestViewsOfEmptyDatabase(t *testing.T) {
	conn := migrated(t)
	for _, v := range views(t) {
		var want []string
		if v.Name == "freshness" {
			want = append(want, `* (pipeline) \N \N \N \N \N`)
		}
		assertRows(t, conn, "*", v.FullName(), want...)
	}
}

// usage of the fixture: what follows is worked out by hand from these rows.
const usageColumns = `tenant, team, model, provider, tool, source, event_time, received_at, accepted_at, event_id, subject, granularity, status,
	observational, late, input_uncached_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, cache_write_tokens,
	output_tokens, reasoning_tokens, cost_nanos, cost_basis, reported_cost_nanos, duration_ms`

const usageRows = `
('acme','pay','opus','anthropic','claude-code','claude-code','{0} 10:05:30.000','{0} 10:06:00','{now}','1','p_1','request','ok',0,0, 100,1000,10,20,NULL, 50,30, 1500000001,'estimated',NULL, 1000),
('acme','pay','opus','anthropic','claude-code','claude-code','{0} 10:59:59.999','{0} 11:00:00','{now}','2','p_2','request','error',0,0, 200,NULL,NULL,NULL,5, NULL,NULL, 2,'billed',NULL, 3000),
('acme','pay','opus','anthropic','claude-code','claude-code','{0} 10:05:30.000','{0} 10:06:10','{now}','3','p_1','request','ok',1,0, 100,1000,10,20,NULL, 50,30, 1500000001,'estimated',NULL, 1000),
('acme','pay','opus','anthropic','claude-code','claude-code','{0} 11:00:00.000','{0} 11:00:01','{now}','4','p_1','delta','',0,0, NULL,NULL,NULL,NULL,NULL, 7,NULL, NULL,'',5, NULL),
('acme','pay','unknown','','','otel-genai','{0} 10:00:00.000','{0} 10:00:01','{now}','5','s_bot','request','ok',0,0, NULL,NULL,NULL,NULL,NULL, NULL,NULL, NULL,'unpriced',NULL, NULL),
('acme','tiny','opus','anthropic','claude-code','claude-code','{0} 10:00:00.000','{0} 10:00:01','{now}','6','p_9','request','ok',0,0, 5,NULL,NULL,NULL,NULL, NULL,NULL, 4,'reported',NULL, NULL),
('acme','','opus','anthropic','claude-code','claude-code','{6} 23:59:59.000','{6} 23:59:59','{now}','7','k_x','request','ok',0,0, 6,NULL,NULL,NULL,NULL, NULL,NULL, NULL,'unpriced',NULL, NULL),
('acme','pay','opus','anthropic','claude-code','claude-code','{7} 00:00:00.000','{0} 10:30:00','{now}','8','p_1','request','ok',0,1, 9,NULL,NULL,NULL,NULL, 1,NULL, 10,'estimated',NULL, NULL)`

const groupRows = `
('acme','pay','{0}','x',0,12,0.2,0.3,0,'group_size'),
('acme','pay','{0}','x',1,12,0.2,0.3,1,''),
('acme','tiny','{0}','x',0,11,0.2,0.3,1,''),
('acme','tiny','{0}','x',1,1,1,1,0,'group_size'),
('acme','','{0}','x',0,20,0.2,0.3,1,'')`

func fixture(t *testing.T) driver.Conn {
	t.Helper()
	conn := migrated(t)
	run(t, conn, dated("INSERT INTO core.usage ("+usageColumns+") VALUES "+usageRows))
	run(t, conn, dated("INSERT INTO core.group_size (tenant, team, week_start, iso_week, rev, people, top1_share, top2_share, publishable, reason) VALUES "+groupRows))
	return conn
}

func TestUsageViews(t *testing.T) {
	conn := fixture(t)
	const counts = "team, model, requests, errors, unpriced_requests, unpriced_records, unknown_token_requests, late_records, people"
	assertRows(t, conn, "day, "+counts, "goodhart.usage_daily",
		"{0} (small\u00a0groups) opus 1 0 0 0 1 0 1",
		`{0} pay \N 1 0 1 1 1 0 0`,
		"{0} pay opus 2 1 0 0 1 0 2", // the observational copy counts nowhere, the delta is no request
		`{6} \N opus 1 0 1 1 1 0 0`,
		"{7} (small\u00a0groups) opus 1 0 0 0 0 1 1", // no row says that this week may be shown
	)
	assertRows(t, conn, `day, team, input_uncached_tokens, cache_read_tokens, cache_write_tokens, output_tokens, input_tokens, reasoning_tokens`,
		"goodhart.usage_daily WHERE model = 'opus'",
		`{0} (small`+"\u00a0"+`groups) 5 \N \N \N 5 \N`,
		"{0} pay 300 1000 35 57 1335 30",
		`{6} \N 6 \N \N \N 6 \N`,
		`{7} (small`+"\u00a0"+`groups) 9 \N \N 1 9 \N`,
	)
	assertRows(t, conn, "day, team, cost_usd, cost_billed_usd, cost_reported_usd, cost_estimated_usd",
		"goodhart.usage_daily WHERE model = 'opus'",
		`{0} (small`+"\u00a0"+`groups) 0.000000004 \N 0.000000004 \N`,
		`{0} pay 1.500000003 0.000000002 \N 1.500000001`,
		`{6} \N \N \N \N \N`,
		`{7} (small`+"\u00a0"+`groups) 0.00000001 \N \N 0.00000001`,
	)
	assertRows(t, conn, "formatDateTime(hour, '%F.%H'), team, provider, tool, requests, output_tokens, latency_ms_p50 BETWEEN 1000 AND 3000, latency_ms_p99 > 2000",
		"goodhart.usage_hourly WHERE team = 'pay'",
		`{0}.10 pay \N \N 1 \N \N \N`,
		"{0}.10 pay anthropic claude-code 2 50 1 1",
		`{0}.11 pay anthropic claude-code 0 7 \N \N`,
	)
	// What is merged still adds up: all rows that count.
	assertRows(t, conn, "sum(requests), sum(cost_usd), sum(input_tokens)", "goodhart.usage_daily", "6 1.500000017 1355")
	assertRows(t, conn, "sum(requests), sum(cost_usd), sum(input_tokens)", "goodhart.usage_hourly", "6 1.500000017 1355")
	assertRows(t, conn, "sum(requests), sum(records), sum(cost_nanos)", "core.usage_minute", "6 7 1500000017")
	assertRows(t, conn, "team, size_band, first_week, last_week", "goodhart.teams", "pay 10-19 {0} {0}")
	assertRows(t, conn, "model, provider, priced, first_day, last_day", "goodhart.models", "opus anthropic 0 {0} {7}")
}

func TestOutcomesView(t *testing.T) {
	conn := fixture(t)
	run(t, conn, dated(`INSERT INTO core.outcomes (tenant, team, record, kind, event_time, received_at, accepted_at, source, event_id, observational, repository_class,
		object, object_day, transition, provisional_delta, final_delta, reverted_delta, value_millipoints) VALUES
		('acme','pay','announced','pr_merged','{1} 09:00:00','{1} 09:00:00','{now}','github','1',0,'prod','a','{1}','',0,0,0,1500),
		('acme','pay','transition','pr_merged','{1} 09:00:00','{1} 09:00:00','{now}','github','2',0,'prod','a','{1}','merged',1,0,0,1500),
		('acme','pay','transition','pr_merged','{8} 09:00:00','{8} 09:00:00','{now}','github','3',0,'prod','a','{1}','finalised',-1,1,0,1500),
		('acme','pay','announced','pr_merged','{1} 10:00:00','{1} 10:00:00','{now}','github','4',1,'prod','b','{1}','',0,0,0,NULL),
		('acme','pay','transition','pr_merged','{2} 09:00:00','{2} 09:00:00','{now}','github','5',0,'','c','{2}','merged',1,0,0,NULL),
		('acme','pay','transition','pr_merged','{3} 09:00:00','{3} 09:00:00','{now}','github','6',0,'','c','{2}','reverted_provisional',-1,0,1,NULL),
		('acme','tiny','transition','ticket_done','{2} 09:00:00','{2} 09:00:00','{now}','jira','7',0,'','d','{2}','merged',1,0,0,NULL)`))
	run(t, conn, dated(`INSERT INTO core.activity (tenant, team, event_time, received_at, accepted_at, source, event_id, observational, name, numbers) VALUES
		('acme','pay','{1} 09:00:00','{1} 09:00:00','{now}','claude-code','a',0,'claude_code.pull_request.count',{'value':3}),
		('acme','pay','{1} 10:00:00','{1} 10:00:00','{now}','claude-code','b',0,'claude_code.pull_request.count',{'value':nan}),
		('acme','pay','{1} 10:00:00','{1} 10:00:00','{now}','claude-code','c',0,'claude_code.user_prompt',{'value':99}),
		('acme','pay','{1} 10:00:00','{1} 10:00:00','{now}','claude-code','d',1,'claude_code.commit.count',{'value':50})`))
	assertRows(t, conn, "day, team, kind, repository_class, provisional, final, reverted, value_points, claimed, verified", "goodhart.outcomes_daily",
		`{1} pay pr_merged prod 0 1 0 1.5 \N 1`,
		`{1} pay pr_opened \N 0 0 0 \N 3 \N`,
		`{2} (small`+"\u00a0"+`groups) ticket_done \N 1 0 0 \N \N \N`,
		`{2} pay pr_merged \N 0 0 1 \N \N \N`,
	)
}

func TestQualityAndFreshness(t *testing.T) {
	conn := fixture(t)
	run(t, conn, dated(`INSERT INTO core.tallies (tenant, source, hour, accepted, duplicate, held, rejected, rejected_lost, accepted_at) VALUES
		('acme','claude-code','{0} 10:00:00', 9, 0, 3, 2, 0, '{now}'),
		('acme','claude-code','{0} 10:00:00', 0, 1, -2, 0, 0, '{now}'),
		('acme','claude-code','{0} 11:00:00', 2, 0, 0, 7, 1, '{now}')`))
	run(t, conn, dated(`INSERT INTO core.dead (tenant, source, stage, reason, event_time, accepted_at, topic, partition, offset) VALUES
		('acme','claude-code','ledger','bad','{0} 10:10:00','{now}','goodhart.events.v1',0,5),
		('acme','claude-code','ledger','bad','{0} 10:10:00','{now}','goodhart.events.v1',0,5),
		('acme','claude-code','sink','bad','{0} 10:20:00','{now}','goodhart.facts.v1',0,5),
		('acme','claude-code','collector','bad','{0} 10:20:00','{now}','',0,0)`))
	// 10:00: stored rows 1, 6 and 8, merged row 3; of nine accepted one is still held.
	const columns = "formatDateTime(hour, '%F.%H'), source, accepted, stored, late, duplicates, merged, held, dead, rejected, round(coverage, 3), suspect"
	assertRows(t, conn, columns, "goodhart.data_quality WHERE hour < '{1} 00:00:00'",
		"{0}.10 claude-code 9 3 1 1 1 1 2 2 0.778 0",
		`{0}.10 otel-genai 0 1 0 0 0 0 0 0 \N 0`,
		`{0}.11 claude-code 2 2 0 0 0 0 0 \N 1 0`,
	)
	run(t, conn, dated("INSERT INTO core.suspect_months VALUES (toYYYYMM(toDate('{0}')), 'usage', 'test', '{now}', NULL)"))
	assertRows(t, conn, "countIf(suspect = 1), countIf(suspect = 0 AND toYYYYMM(hour) = toYYYYMM(toDate('{0}')))", "goodhart.data_quality WHERE toYYYYMM(hour) = toYYYYMM(toDate('{0}'))", suspects(t, conn)+" 0")
	run(t, conn, dated("INSERT INTO core.suspect_months SELECT toYYYYMM(toDate('{0}')), 'usage', 'test', toDateTime64('{now}', 3, 'UTC'), toDateTime64('{now}', 3, 'UTC')"))
	assertRows(t, conn, "countIf(suspect = 1)", "goodhart.data_quality", "0")

	// Two partitions: the one that is further behind decides, one that has been
	// silent for days does not.
	run(t, conn, `INSERT INTO core.ticks (p, event_time, received_at, accepted_at, collector, sequence)
		SELECT number % 3, now64(3), now64(3), now64(3) - multiIf(number % 3 = 0, 20, number % 3 = 1, 100, 300000), 'c', number FROM numbers(9)`)
	assertRows(t, conn, "tenant, stream, lag_seconds BETWEEN 100 AND 160, last_event_at IS NOT NULL, dateDiff('second', last_stored_at, now()) < 60, latency_p50_seconds BETWEEN 19 AND 101, latency_p99_seconds BETWEEN 99 AND 101",
		"goodhart.freshness",
		"* (pipeline) 1 1 1 1 1",
		"acme claude-code 1 1 1 1 1",
		"acme otel-genai 1 1 1 1 1",
	)
}

func suspects(t *testing.T, conn driver.Conn) string {
	t.Helper()
	var n uint64
	row := conn.QueryRow(t.Context(), dated("SELECT count() FROM goodhart.data_quality WHERE toYYYYMM(hour) = toYYYYMM(toDate('{0}'))"))
	if err := row.Scan(&n); err != nil || n < 3 {
		t.Fatalf("%d hours in the month: %v", n, err)
	}
	return strconv.FormatUint(n, 10)
}

func TestJudgementViews(t *testing.T) {
	conn := fixture(t)
	// The 7 days to {7} are the publishable week of pay; those to {8} touch a week
	// without a row, too; the window of tiny is in a week that may not be shown.
	run(t, conn, dated(`INSERT INTO core.scores (tenant, scope_kind, scope, window, window_start, window_end, rev, w, requests, records, cost_nanos,
		outcomes_provisional, outcomes_final, outcomes_reverted, unpriced_requests, cost_per_outcome_nanos, outcomes_per_million_tokens, cache_read_share, error_share, status, formula, config_version) VALUES
		('acme','tenant','','7d','{0}','{7}',0,'{7}', 10,11, 1000000000, 1,1,0, 5, 500000000, 2.5, 0.5, 0.25, 'insufficient data','1',0),
		('acme','tenant','','7d','{0}','{7}',1,'{7}', 20,20, 3000000000, 1,2,1, 5, 1000000000, NULL, 0.5, 0.25, 'insufficient data','1',3),
		('acme','tenant','','1h','{0}','{7}',0,'{7}', 99,99, 1, 0,0,0, 0, NULL, NULL, NULL, NULL, 'insufficient data','1',0),
		('acme','team','pay','7d','{0}','{7}',0,'{7}', 4,4, 2000000000, 0,0,0, 1, NULL, 0, NULL, 0.25, 'insufficient data','1',0),
		('acme','team','tiny','7d','{0}','{7}',0,'{7}', 1,1, 4, 0,0,0, 0, NULL, NULL, NULL, NULL, 'insufficient data','1',0),
		('acme','team','ghost','7d','{0}','{7}',0,'{7}', 1,1, 4, 0,0,0, 0, NULL, NULL, NULL, NULL, 'insufficient data','1',0)`))
	assertRows(t, conn, `as_of, window, scope_kind, team, requests, n, cost_usd, outcomes, outcomes_reverted, cost_per_outcome_usd, outcomes_per_million_tokens,
		unpriced_share, rev, config_version`, "goodhart.efficiency",
		`{7} 7d team pay 4 4 2 0 0 \N 0 0.25 0 0`,
		`{7} 7d tenant \N 20 20 3 3 1 1 \N 0.25 1 3`, // revision 1, with its NULL
	)
	assertRows(t, conn, "count()", "goodhart.efficiency WHERE status = 'insufficient data' AND score IS NULL AND score_lo IS NULL AND outcomes_expected IS NULL", "2")

	// An efficiency score replaces the figures of its window, by its own revisions; a
	// team that may not be shown is not.
	run(t, conn, dated(`INSERT INTO core.efficiency (tenant, scope_kind, scope, window, window_start, window_end, rev, w, requests, records, cost_nanos, outcomes_provisional, outcomes_final,
		outcomes_credited, outcomes_expected, score, score_lo, score_hi, coverage, unattributed_share, unit_cost_nanos, unit_cost_lo_nanos, unit_cost_hi_nanos, peers_above, peers_below,
		unpriced_requests, status, reason, formula, config_version) VALUES
		('acme','team','pay','7d','{0}','{7}',0,'{7}', 5,5, 2000000000, 0,1, 7.5, 8, 99, 70, 130, 0.5, 0.25, 1500000000, 1000000000, 2000000000, 0, 1, 1, 'provisional','','efficiency/1',0),
		('acme','team','pay','7d','{0}','{7}',1,'{7}', 5,5, 2000000000, 0,1, NULL, NULL, NULL, NULL, NULL, NULL, 0.25, NULL, NULL, NULL, NULL, NULL, 1, 'insufficient data','expected','efficiency/1',2),
		('acme','tenant','','7d','{0}','{7}',0,'{7}', 5,5, 2000000000, 0,1, 7.5, 8, 99, 70, 130, 0.5, 0.25, 1500000000, 1000000000, 2000000000, 0, 1, 1, 'final','','efficiency/1',0),
		('acme','team','tiny','7d','{0}','{7}',0,'{7}', 5,5, 2000000000, 0,1, 7.5, 8, 99, 70, 130, 0.5, 0.25, 1500000000, 1000000000, 2000000000, 0, 1, 1, 'final','','efficiency/1',0)`))
	assertRows(t, conn, `window, team, n, cost_usd, outcomes, outcomes_credited, outcomes_expected, score, score_lo, score_hi, coverage, unpriced_share, unattributed_share,
		unit_cost_usd, unit_cost_lo_usd, unit_cost_hi_usd, peers_above, peers_below, replaceAll(status, ' ', '_'), length(reason), rev, formula, config_version`, "goodhart.efficiency",
		`7d \N 5 2 1 7.5 8 99 70 130 0.5 0.2 0.25 1.5 1 2 0 1 final 0 0 efficiency/1 0`,
		`7d pay 5 2 1 \N \N \N \N \N \N 0.2 0.25 \N \N \N \N \N insufficient_data 8 1 efficiency/1 2`,
	)

	run(t, conn, dated(`INSERT INTO core.signals (tenant, signal_id, rev, code, scope_kind, scope, team, status, opened_at, updated_at, resolved_at, cost_at_stake_nanos) VALUES
		('acme','s1',0,'S1','team','pay','pay','opened','{10} 01:00:00','{10} 01:00:00',NULL,5),
		('acme','s1',1,'S1','team','pay','pay','resolved','{10} 01:00:00','{11} 01:00:00','{11} 01:00:00',NULL),
		('acme','s2',0,'S1','team','tiny','tiny','opened','{10} 01:00:00','{10} 01:00:00',NULL,5),
		('acme','s4',0,'S1','team','pay','pay','opened','{0} 01:00:00','{0} 01:00:00',NULL,5),
		('acme','s5',0,'R1','service','ci','tiny','opened','{0} 01:00:00','{0} 01:00:00',NULL,5),
		('acme','s3',0,'S7','tool','x','','opened','{0} 01:00:00','{0} 01:00:00',NULL,1500000000)`))
	assertRows(t, conn, "signal_id, team, status, toDate(opened_at), toDate(resolved_at), cost_at_stake_usd, rev", "goodhart.signals",
		`s1 pay resolved {10} {11} \N 1`,
		`s3 \N opened {0} \N 1.5 0`,
		`s5 tiny opened {0} \N 0.000000005 0`, // a service is nobody
	)
	run(t, conn, dated(`INSERT INTO core.signal_evidence (tenant, signal_id, rev, fact, team, statistic, value, unit, threshold, n, opened_at, w) VALUES
		('acme','s1',0,'f','pay','share',0.5,'1',NULL,9,'{10}','{10}'), ('acme','s1',0,'f','pay','share',0.5,'1',NULL,9,'{10}','{10}'),
		('acme','s1',1,'f','pay','share',0.5,'1',NULL,9,'{10}',toDate('{10}') + 7),
		('acme','s5',0,'f','tiny','share',0.5,'1',NULL,9,'{0}','{0}'),
		('acme','s2',0,'f','tiny','share',0.5,'1',NULL,9,'{10}','{10}')`)) // w counts for the retention
	// A revision about a week that may not be shown hides what it rests on.
	assertRows(t, conn, "signal_id, rev, fact, value, threshold, n", "goodhart.signal_evidence", `s1 0 f 0.5 \N 9`, `s5 0 f 0.5 \N 9`)
	run(t, conn, dated(`INSERT INTO core.kpi_health (tenant, target, scope_kind, scope, week_start, rev, elasticity, excess_cost_nanos, verdict, reasons, compared_from, compared_to) VALUES
		('acme','t','tenant','','{0}',0,0.3,NULL,'healthy',[],'{0}','{7}'), ('acme','t','tenant','','{0}',1,NULL,1000000000,'insufficient data',['few weeks'],NULL,NULL),
		('acme','t','team','tiny','{0}',0,1,1,'watch',[],NULL,NULL), ('acme','t','team','pay','{0}',0,1,1,'watch',[],'{0}','{7}')`))
	assertRows(t, conn, "week, target, scope_kind, team, elasticity, excess_cost_usd, rev, length(reasons), compared_from, compared_to", "goodhart.kpi_health",
		`{0} t team pay 1 0.000000001 0 0 {0} {7}`,
		`{0} t tenant \N \N 1 1 1 \N \N`,
	)
	run(t, conn, dated(`INSERT INTO core.kpi_checks (tenant, target, scope_kind, scope, week_start, check_name, rev, place, value, lo, hi, n, placebo, z, alarm, contribution, reason, verdict) VALUES
		('acme','t','tenant','','{0}','elasticity',0,0,0.3,0.2,0.4,200,0.3,-1,0,'none','','healthy'),
		('acme','t','tenant','','{0}','elasticity',1,0,NULL,NULL,NULL,3,NULL,NULL,0,'none','units','insufficient data'),
		('acme','t','tenant','','{0}','bunching',0,3,2.5,NULL,NULL,90,0.1,4,1,'adversarial','','watch'),
		('acme','t','team','tiny','{0}','bunching',0,3,2.5,NULL,NULL,90,0.1,4,1,'adversarial','','watch'),
		('acme','t','team','pay','{0}','bunching',0,3,2,NULL,NULL,90,0.1,4,1,'adversarial','','watch')`))
	assertRows(t, conn, "check_name, team, place, known, value, lo, n, placebo, z, alarm, contribution, reason, verdict, rev", "goodhart.kpi_checks",
		`bunching \N 3 1 2.5 \N 90 0.1 4 1 adversarial  watch 0`,
		`bunching pay 3 1 2 \N 90 0.1 4 1 adversarial  watch 0`,
		`elasticity \N 0 0 \N \N 3 \N \N 0 none units insufficient`+"\u00a0"+`data 1`,
	)
	run(t, conn, dated(`INSERT INTO core.signal_coverage (tenant, code, week_start, rev, title, subjects, known, measured, records, known_records) VALUES
		('acme','S4','{0}',0,'Padding',60,40,30,24000,800), ('acme','S4','{0}',1,'Padding',60,40,30,24000,1200), ('acme','S13','{0}',0,'Adoption',0,0,0,0,0)`))
	assertRows(t, conn, "code, subjects, known, measured, known_records, round(known_share, 3), measured_share, record_share, rev", "goodhart.signal_coverage",
		`S13 0 0 0 0 \N \N \N 0`,
		`S4 60 40 30 1200 0.667 0.5 0.05 1`,
	)
	run(t, conn, `INSERT INTO core.prices (provider, model, token_class, tier, valid_from, valid_to, nanos_per_million, source, book_version, loaded_at) VALUES
		('','opus','output','standard','2026-01-01',NULL,75000000000,'x','1','2026-01-01 00:00:00'),
		('','gone','output','standard','2026-01-01',NULL,1,'x','1','2026-01-01 00:00:00'),
		('','opus','output','standard','2026-01-01','2026-06-01',25000000001,'x','2','2026-02-01 00:00:00')`)
	assertRows(t, conn, "tenant, model, provider, usd_per_million, valid_to", "goodhart.prices", `* opus \N 25.000000001 2026-06-01`)
	assertRows(t, conn, "model, priced", "goodhart.models", "opus 1")
}

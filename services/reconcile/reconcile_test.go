package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/chschema"
	"github.com/goodhartlabs/goodhart/pkg/chtest"
	schema "github.com/goodhartlabs/goodhart/schemas/clickhouse"
	"github.com/goodhartlabs/goodhart/services/clickhouse"
	"github.com/goodhartlabs/goodhart/services/probe"
	"github.com/goodhartlabs/goodhart/services/reconcile"
)

// bed is a migrated engine with a few thousand rows of every kind, over the
// month's end.
type bed struct {
	*testing.T
	conn driver.Conn
	cfg  reconcile.Config
}

func newBed(t *testing.T) bed {
	t.Helper()
	cfg := reconcile.Default()
	cfg.ClickHouse = clickhouse.Config{DSN: chtest.StartFixed(t, schema.DatabaseCore, schema.DatabasePublic)}
	cfg.Attempts, cfg.Pause, cfg.Quiet = 2, 0, 0
	conn, err := cfg.ClickHouse.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := chschema.Apply(t.Context(), conn, schema.Default(), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	b := bed{T: t, conn: conn, cfg: cfg}
	// Thirty days back: the retention of 35 days covers all of it.
	for i, sql := range []string{
		`INSERT INTO core.usage (tenant, team, model, provider, tool, source, event_time, received_at, accepted_at, subject, granularity, status, observational, late,
			input_uncached_tokens, cache_read_tokens, cache_write_5m_tokens, output_tokens, reasoning_tokens, cost_nanos, cost_basis, duration_ms)
		SELECT 'acme', ['pay', 'web', ''][1 + n % 3], ['opus', 'unknown'][1 + n % 2], 'anthropic', ['', 'claude-code'][1 + n % 2], 'claude-code',
			t, t + 1, t + 1, 'p_' || toString(n % 20), ['request', 'delta'][1 + (n % 7 = 0)], ['ok', 'error'][1 + (n % 11 = 0)], n % 5 = 0, n % 13 = 0,
			n, if(n % 2 = 0, NULL, n), if(n % 4 = 0, NULL, 3), if(n % 3 = 0, NULL, 1), if(n % 6 = 0, 1, NULL), if(n % 2 = 0, NULL, 1000 + n),
			['unpriced', 'estimated', 'billed', ''][1 + n % 2 + 2 * (n % 9 = 0 AND n % 2 = 0)], if(n % 8 = 0, NULL, n)
		FROM (SELECT number AS n, toDateTime64(now(), 3, 'UTC') - 600 - toIntervalMinute(n * 14) AS t FROM numbers(3000))`,
		`INSERT INTO core.activity (tenant, team, event_time, received_at, accepted_at, source, observational, name, numbers)
		SELECT 'acme', 'pay', t, t, t, 'claude-code', n % 5 = 0, ['commit.count', 'claude_code.pull_request.count', 'prompt'][1 + n % 3], map('value', toFloat64(n))
		FROM (SELECT number AS n, toDateTime64(now(), 3, 'UTC') - 600 - toIntervalHour(n) AS t FROM numbers(500))`,
		`INSERT INTO core.outcomes (tenant, team, record, kind, event_time, received_at, accepted_at, source, observational, repository_class, object_day,
			provisional_delta, final_delta, reverted_delta, value_millipoints)
		SELECT 'acme', 'pay', if(n % 2 = 0, 'announced', 'transition'), 'pr_merged', t, t, t, 'github', n % 10 = 0, ['', 'prod'][1 + n % 2], toDate(t) - n % 3,
			if(n % 2 = 0, 0, 1), 0, 0, if(n % 4 = 1, NULL, 500)
		FROM (SELECT number AS n, toDateTime64(now(), 3, 'UTC') - 600 - toIntervalHour(n) AS t FROM numbers(500))`,
		`INSERT INTO core.dead (tenant, source, stage, reason, event_time, accepted_at, topic, partition, offset)
		SELECT 'acme', 'claude-code', ['ledger', 'collector', 'sink', 'subject'][1 + number % 4], 'x', now64(3) - 7200, now64(3),
			['goodhart.events.v1', 'goodhart.facts.v1', 'goodhart.scores.v1'][1 + number % 3], 0, number % 20 FROM numbers(60)`,
		// Tallies that balance with what is stored, per hour and source.
		`INSERT INTO core.tallies (tenant, source, hour, accepted, duplicate, held)
		SELECT q.tenant, q.source, q.hour, sum(q.stored) + sum(q.merged) + uniqExactMerge(q.dead) + 3, 2, 1 FROM core.quality_hour AS q GROUP BY q.tenant, q.source, q.hour`,
	} {
		if err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("fixture %d: %v", i, err)
		}
	}
	return b
}

func (b bed) exec(sql string) {
	b.Helper()
	if err := b.conn.Exec(b.Context(), sql); err != nil {
		b.Fatalf("%s: %v", sql, err)
	}
}

func (b bed) run(cfg reconcile.Config) error {
	return reconcile.Run(b.Context(), cfg, probe.New(slog.New(slog.DiscardHandler)))
}

// mismatch runs and returns the differences it must find.
func (b bed) mismatch() *reconcile.MismatchError {
	b.Helper()
	var m *reconcile.MismatchError
	if err := b.run(b.cfg); !errors.As(err, &m) {
		b.Fatalf("run returned %v, want a mismatch", err)
	}
	return m
}

// checksum digests a query's rows.
func (b bed) checksum(columns, from string) string {
	b.Helper()
	var n uint64
	var sum string
	err := b.conn.QueryRow(b.Context(), "SELECT count(), toString(groupBitXor(sipHash64(formatRow('TSV', "+columns+")))) FROM "+from).Scan(&n, &sum)
	if err != nil || n == 0 {
		b.Fatalf("checksum of %s: %d rows, %v", from, n, err)
	}
	return fmt.Sprint(n, " ", sum)
}

func TestEqual(t *testing.T) {
	b := newBed(t)
	if err := b.run(b.cfg); err != nil {
		t.Fatal(err)
	}
	b.exec("OPTIMIZE TABLE core.usage_hour FINAL")
	b.exec("OPTIMIZE TABLE core.quality_hour FINAL")
	if err := b.run(b.cfg); err != nil {
		t.Fatalf("after merges: %v", err)
	}
}

func TestEmpty(t *testing.T) {
	b := newBed(t)
	for _, table := range []string{
		"usage", "activity", "outcomes", "dead", "tallies", "usage_minute", "usage_hour", "usage_day", "outcomes_day", "quality_hour",
	} {
		b.exec("TRUNCATE TABLE core." + table)
	}
	if err := b.run(b.cfg); err != nil {
		t.Fatal(err)
	}
	b.exec("DROP TABLE core.usage SYNC")
	if err := b.run(b.cfg); err == nil || !strings.Contains(err.Error(), "no table core.usage: run goodhart migrate") {
		t.Errorf("without tables: %v", err)
	}
}

// One wrong unit anywhere is found, named by its row, and repaired; the rest of
// the table stays as it was.
func TestFindAndRepair(t *testing.T) {
	b := newBed(t)
	views := "tenant, toString(day), team, model, requests, output_tokens, cost_usd, isNull(latency_ms_p99), people"
	before := b.checksum(views, "goodhart.usage_daily")
	hour := time.Now().UTC().Add(-26 * time.Hour).Truncate(time.Hour)
	stamp := hour.Format("2006-01-02 15:04:05")

	b.exec("INSERT INTO core.usage_hour (tenant, team, model, hour, source, cost_nanos) VALUES ('acme', 'pay', 'opus', '" + stamp + "', 'claude-code', 1)")
	b.exec("INSERT INTO core.usage_day (tenant, team, model, day, source, requests, latency_ms, people) SELECT tenant, team, model, day, source, requests, latency_ms, people FROM core.usage_day LIMIT 1")
	b.exec("ALTER TABLE core.usage_minute DELETE WHERE minute >= '" + stamp + "' AND minute < toDateTime('" + stamp + "', 'UTC') + 3600 SETTINGS mutations_sync = 2")
	b.exec("INSERT INTO core.outcomes_day (tenant, team, kind, day, claimed) VALUES ('acme', 'pay', 'pr_opened', today() - 1, 5)")
	b.exec("INSERT INTO core.quality_hour (tenant, source, hour, late) VALUES ('acme', 'claude-code', '" + stamp + "', 1)")
	b.exec("INSERT INTO core.suspect_months VALUES (toYYYYMM(now()), 'usage', 'test', now64(3), NULL)")

	m := b.mismatch()
	tables := map[string]bool{}
	for _, d := range m.Differences {
		tables[d.Table] = true
	}
	want := map[string]bool{"usage_minute": true, "usage_hour": true, "usage_day": true, "outcomes_day": true, "quality_hour": true}
	if d := cmp.Diff(want, tables); d != "" {
		t.Error(d)
	}
	if len(m.Imbalances) != 0 {
		t.Errorf("the records still balance, but: %v", m.Imbalances)
	}
	line := "usage_hour " + hour.Format("2006-01-02T15:04Z") + " acme|pay|opus|||claude-code: cost_nanos is 1, raw says unknown"
	if !strings.Contains(fmt.Sprint(m.Differences), line) {
		t.Errorf("no line %q in\n%s", line, m)
	}

	repair := b.cfg
	repair.Repair = true
	if err := b.run(repair); err == nil || !strings.Contains(err.Error(), "--i-stopped-the-sink") {
		t.Errorf("repair without the operator's word: %v", err)
	}
	repair.SinkStopped, repair.Quiet = true, time.Minute
	if err := b.run(repair); err == nil || !strings.Contains(err.Error(), "want 60 s of quiet") {
		t.Errorf("repair while rows come in: %v", err)
	}
	repair.Quiet = 0
	if err := b.run(repair); err != nil {
		t.Fatal(err)
	}
	if err := b.run(b.cfg); err != nil {
		t.Fatal(err)
	}
	if after := b.checksum(views, "goodhart.usage_daily"); after != before {
		t.Errorf("usage_daily is %s after the repair, was %s", after, before)
	}
	var open, left uint64
	err := b.conn.QueryRow(t.Context(), `SELECT (SELECT countIf(suspect = 1) FROM goodhart.data_quality),
		(SELECT count() FROM system.tables WHERE database = 'core' AND endsWith(name, '_rebuild'))`).Scan(&open, &left)
	if err != nil || open != 0 || left != 0 {
		t.Errorf("%d suspect hours, %d shadow tables left: %v", open, left, err)
	}
}

// Hours that raw no longer covers are neither compared nor lost in a repair.
func TestHorizon(t *testing.T) {
	b := newBed(t)
	b.exec(`INSERT INTO core.usage_hour (tenant, team, model, hour, source, requests) VALUES ('acme', 'old', 'opus', toStartOfHour(now('UTC')) - toIntervalDay(34), 'claude-code', 7)`)
	if err := b.run(b.cfg); err != nil {
		t.Fatalf("an hour beyond raw: %v", err)
	}
	day := time.Now().UTC().AddDate(0, 0, -32).Format(time.DateOnly) // the newest month that has both sides
	b.exec(`INSERT INTO core.usage_hour (tenant, team, model, hour, source, requests) VALUES ('acme', 'bad', 'opus', '` + day + ` 23:00:00', 'claude-code', 1)`)
	_ = b.mismatch()
	repair := b.cfg
	repair.Repair, repair.SinkStopped = true, true
	if err := b.run(repair); err != nil {
		t.Fatal(err)
	}
	var old, bad int64
	err := b.conn.QueryRow(t.Context(), "SELECT sumIf(u.requests, u.team = 'old'), sumIf(u.requests, u.team = 'bad') FROM core.usage_hour AS u").Scan(&old, &bad)
	if err != nil || old != 7 || bad != 0 {
		t.Errorf("old %d, want 7; bad %d, want 0: %v", old, bad, err)
	}
}

func TestImbalance(t *testing.T) {
	b := newBed(t)
	hour := time.Now().UTC().Add(-5 * time.Hour).Truncate(time.Hour)
	b.exec("INSERT INTO core.tallies (tenant, source, hour, accepted) VALUES ('acme', 'claude-code', '" + hour.Format("2006-01-02 15:04:05") + "', 2)")
	m := b.mismatch()
	if len(m.Differences) != 0 || len(m.Imbalances) != 1 || m.Imbalances[0].Missing() != 2 || !m.Imbalances[0].Hour.Equal(hour) {
		t.Errorf("want two records missing at %s, got %s", hour, m)
	}
}

// An hour whose tallies may still be on their way is not judged.
func TestYoungHourIsNotJudged(t *testing.T) {
	b := newBed(t)
	hour := time.Now().UTC().Add(-5 * time.Hour).Truncate(time.Hour)
	const format = "2006-01-02 15:04:05"
	b.exec("INSERT INTO core.tallies (tenant, source, hour, accepted) VALUES ('acme', 'claude-code', '" + hour.Format(format) + "', 2)")
	tick := "INSERT INTO core.ticks (p, event_time, received_at, accepted_at, collector, sequence, w) SELECT %d, w, w, w, 'c', %d, toDateTime64('%s', 3, 'UTC') AS w"
	b.exec(fmt.Sprintf(tick, 0, 1, hour.Add(4*time.Hour).Format(format)))
	b.exec(fmt.Sprintf(tick, 1, 1, hour.Add(60*time.Minute).Format(format)))
	if err := b.run(b.cfg); err != nil {
		t.Errorf("partition 1 has not passed the hour: %v", err)
	}
	b.exec(fmt.Sprintf(tick, 1, 2, hour.Add(61*time.Minute).Format(format)))
	if m := b.mismatch(); len(m.Imbalances) != 1 {
		t.Errorf("both partitions have passed the hour: %v", m)
	}
}

// Watching shows what each comparison finds, and keeps it while it cannot tell.
func TestWatch(t *testing.T) {
	b := newBed(t)
	b.cfg.Every = time.Second
	tel := probe.New(slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- reconcile.Run(ctx, b.cfg, tel) }()
	shows := func(want ...string) {
		t.Helper()
		deadline := time.After(3 * time.Minute)
		for {
			w := httptest.NewRecorder()
			tel.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
			missing := slices.DeleteFunc(slices.Clone(want), func(s string) bool { return strings.Contains(w.Body.String(), "\n"+s+"\n") })
			if len(missing) == 0 {
				return
			}
			select {
			case <-deadline:
				t.Fatalf("/metrics does not show %q", missing)
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	shows(`goodhart_reconcile_mismatch_rows{table="usage_hour"} 0`, "goodhart_reconcile_imbalanced_hours 0")
	if pending := tel.Pending(); len(pending) > 0 {
		t.Errorf("not ready after the first result: %v", pending)
	}
	hour := time.Now().UTC().Add(-5 * time.Hour).Truncate(time.Hour).Format("2006-01-02 15:04:05")
	b.exec("INSERT INTO core.usage_hour (tenant, team, model, hour, source, cost_nanos) VALUES ('acme', 'pay', 'opus', '" + hour + "', 'claude-code', 1)")
	b.exec("INSERT INTO core.tallies (tenant, source, hour, accepted) VALUES ('acme', 'claude-code', '" + hour + "', 2)")
	shows(`goodhart_reconcile_mismatch_rows{table="usage_hour"} 1`, "goodhart_reconcile_imbalanced_hours 1")
	b.exec("RENAME TABLE core.usage TO core.elsewhere")
	shows(`goodhart_reconcile_runs_total{result="error"} 1`, `goodhart_reconcile_mismatch_rows{table="usage_hour"} 1`)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestValidate(t *testing.T) {
	cfg := reconcile.Config{Attempts: 0, Pause: -1, Quiet: 2 * time.Hour, Repair: true, Every: 48 * time.Hour}
	err := cfg.Validate()
	for _, key := range []string{
		"clickhouse.dsn", "attempts: 0, want 1 to 100", "pause: ", "quiet: 2h0m0s, want 0s to 1h",
		"every: 48h0m0s, want 0s, or 1s to 24h", "leave every out", "--i-stopped-the-sink",
	} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("error %v does not name %s", err, key)
		}
	}
	if err := reconcile.Default().Validate(); err != nil {
		t.Error(err)
	}
}

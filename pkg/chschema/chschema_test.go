package chschema_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/chschema"
	"github.com/goodhartlabs/goodhart/pkg/chtest"
	schema "github.com/goodhartlabs/goodhart/schemas/clickhouse"
)

var update = flag.Bool("update", false, "write the catalogue that the engine reports")

// open returns a connection to an engine without our databases.
func open(tb testing.TB) driver.Conn {
	tb.Helper()
	opts, err := clickhouse.ParseDSN(chtest.StartFixed(tb, schema.DatabaseCore, schema.DatabasePublic))
	if err != nil {
		tb.Fatal(err)
	}
	conn, err := clickhouse.Open(opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return conn
}

// migrated returns a connection to an engine with the schema.
func migrated(tb testing.TB) driver.Conn {
	tb.Helper()
	conn := open(tb)
	apply(tb, conn, schema.Default())
	return conn
}

func apply(tb testing.TB, conn driver.Conn, p schema.Params) []chschema.Step {
	tb.Helper()
	steps, err := chschema.Apply(tb.Context(), conn, p, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	return steps
}

func run(tb testing.TB, conn driver.Conn, sql string) {
	tb.Helper()
	if err := conn.Exec(tb.Context(), sql); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
}

func TestApply(t *testing.T) {
	conn := open(t)
	p := schema.Default()
	planned, err := chschema.Plan(t.Context(), conn, p)
	if err != nil {
		t.Fatal(err)
	}
	diffs, err := chschema.Drift(t.Context(), conn, p)
	if err != nil {
		t.Fatal(err)
	}
	if len(diffs) == 0 {
		t.Error("an empty server shows no drift: planning must not have created anything")
	}
	if applied := apply(t, conn, p); len(applied) == 0 || len(applied) != len(planned) {
		t.Errorf("applied %d statements, planned %d", len(applied), len(planned))
	}
	if again := apply(t, conn, p); len(again) != 0 {
		t.Errorf("second run applied %d statements, first %s", len(again), again[0])
	}
	assertDrift(t, conn, p)

	t.Run("retention changes", func(t *testing.T) {
		p := p
		p.Retention.Raw = 14
		steps := apply(t, conn, p)
		if len(steps) == 0 {
			t.Fatal("a new retention applied nothing")
		}
		for _, s := range steps {
			if s.File != "10_retention" {
				t.Errorf("a new retention applied %s", s)
			}
		}
		var sql string
		row := conn.QueryRow(t.Context(), "SELECT create_table_query FROM system.tables WHERE database = 'core' AND name = 'usage'")
		if err := row.Scan(&sql); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(sql, "TTL toDateTime(stored_at) + toIntervalDay(14)") {
			t.Errorf("retention is not in %s", sql)
		}
	})
	t.Run("changed migration", func(t *testing.T) {
		run(t, conn, "INSERT INTO core.schema_migrations SELECT 2, 'facts', 9, 9, repeat('0', 64), now64(3) + 1")
		if _, err := chschema.Plan(t.Context(), conn, p); !errors.Is(err, chschema.ErrChanged) || !strings.Contains(err.Error(), "0002_facts") {
			t.Errorf("plan says %v, want ErrChanged and the file", err)
		}
	})
	t.Run("newer server", func(t *testing.T) {
		run(t, conn, "INSERT INTO core.schema_migrations SELECT 9000, 'future', 1, 1, 'x', now64(3)")
		if _, err := chschema.Plan(t.Context(), conn, p); !errors.Is(err, chschema.ErrNewer) || !strings.Contains(err.Error(), "9000") {
			t.Errorf("plan says %v, want ErrNewer and the number", err)
		}
	})
}

// An interrupted run leaves the ledger at the statement before; the next one
// goes on there.
func TestApplyGoesOn(t *testing.T) {
	conn := open(t)
	p := schema.Default()
	run(t, conn, "CREATE DATABASE core")
	run(t, conn, "CREATE TABLE core.scores (wrong UInt8) ENGINE = MergeTree ORDER BY wrong")
	run(t, conn, "CREATE VIEW core.usage_minute AS SELECT 1")
	applied, err := chschema.Apply(t.Context(), conn, p, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "0004_rollups statement 2 of") {
		t.Fatalf("apply over a view in the way: %v", err)
	}
	if len(applied) == 0 {
		t.Fatal("no statement before the one that failed")
	}
	run(t, conn, "DROP VIEW core.usage_minute")
	run(t, conn, "DROP TABLE core.scores")
	rest, err := chschema.Plan(t.Context(), conn, p)
	if err != nil {
		t.Fatal(err)
	}
	if got := rest[0]; got.File != "rollups" || got.Statement != 2 {
		t.Errorf("goes on with %s, want rollups statement 2", got)
	}
}

func TestDrift(t *testing.T) {
	conn := migrated(t)
	p := schema.Default()
	run(t, conn, "ALTER TABLE core.usage ADD COLUMN extra UInt8")
	run(t, conn, "ALTER TABLE core.ticks MODIFY COLUMN sequence UInt32")
	run(t, conn, "ALTER TABLE core.dead DROP COLUMN shape")
	run(t, conn, "ALTER TABLE core.prices COMMENT COLUMN tier 'none of your business'")
	run(t, conn, "ALTER TABLE core.usage_hour MODIFY SETTING non_replicated_deduplication_window = 7")
	run(t, conn, "DROP VIEW core.mv_usage_day")
	run(t, conn, "CREATE TABLE core.stray (x UInt8) ENGINE = MergeTree ORDER BY x")
	run(t, conn, "CREATE OR REPLACE VIEW goodhart.teams (tenant String) AS SELECT 'x' AS tenant")
	assertDrift(t, conn, p,
		"core.dead.shape: missing",
		"core.mv_usage_day: missing",
		`core.prices.tier: comment is "none of your business"`,
		"core.stray: unknown to this binary",
		`core.ticks.sequence: type is "UInt32", want "UInt64"`,
		"core.usage.extra: unknown to this binary",
		`core.usage_hour: deduplication window is "7", want "at least 20000"`,
		"goodhart.teams: comment",
		"goodhart.teams: query",
		"goodhart.teams.first_week: missing",
		"goodhart.teams.last_week: missing",
		"goodhart.teams.size_band: missing",
		"goodhart.teams.team: missing",
		"goodhart.teams.tenant: type",
		"goodhart.teams.tenant: comment",
	)
}

// assertDrift compares the beginnings of the differences.
func assertDrift(t *testing.T, conn driver.Conn, p schema.Params, want ...string) {
	t.Helper()
	diffs, err := chschema.Drift(t.Context(), conn, p)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range diffs {
		if i >= len(want) || !strings.HasPrefix(d.String(), want[i]) {
			t.Errorf("difference %d: %s", i, d)
		}
	}
	if len(diffs) != len(want) {
		t.Errorf("%d differences, want %d", len(diffs), len(want))
	}
}

// The catalogue is what drift is measured against: it has to be what the engine
// makes of the schema.
func TestCatalogue(t *testing.T) {
	conn := migrated(t)
	live, err := chschema.Inspect(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	var got []schema.Table
	for _, l := range live {
		got = append(got, l.Table)
	}
	if *update {
		writeCatalogue(t, got)
		return
	}
	want, err := schema.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("catalog.json is not what the engine reports; run go test ./pkg/chschema -update (-file +engine):\n%s", d)
	}
	for _, l := range live {
		if strings.HasSuffix(l.Engine, "MergeTree") && l.DedupWindow == 0 {
			t.Errorf("%s has no deduplication window: a repeated insert would count twice", l.FullName())
		}
		for _, c := range l.Columns {
			if c.Comment == "" {
				t.Errorf("%s.%s has no comment", l.FullName(), c.Name)
			}
		}
		if l.View() && (len(l.Columns) == 0 || l.Columns[0].Name != "tenant") {
			t.Errorf("%s does not begin with tenant", l.FullName())
		}
	}
}

func writeCatalogue(t *testing.T, tables []schema.Table) {
	t.Helper()
	raw, err := json.MarshalIndent(tables, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("..", "..", "schemas", "clickhouse", "catalog.json")
	if err := os.WriteFile(path, append(raw, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// No cluster at hand: the engine's parser reads each statement of the other
// renderings.
func TestRenderingsParse(t *testing.T) {
	conn := open(t)
	single := schema.Default()
	single.Kind = schema.Single
	cluster := schema.Default()
	cluster.Kind, cluster.Cluster = schema.Cluster, "main"
	for _, p := range []schema.Params{single, cluster} {
		files, err := schema.Render(p)
		if err != nil {
			t.Fatal(err)
		}
		statements, err := schema.Ledger(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			statements = append(statements, f.Statements...)
		}
		for _, sql := range statements {
			if err := parse(t.Context(), conn, sql); err != nil {
				t.Errorf("%s: %v\n%s", p.Kind, err, sql)
			}
			isDDL := !strings.HasPrefix(sql, "GRANT") // checked by parsing alone
			if p.Kind == schema.Cluster && isDDL && !strings.Contains(sql, "ON CLUSTER `main`") {
				t.Errorf("statement of a cluster runs on one server only:\n%s", sql)
			}
			if p.Kind == schema.Cluster && strings.Contains(sql, "ENGINE = MergeTree") {
				t.Errorf("table of a cluster is not replicated:\n%s", sql)
			}
		}
	}
	if err := parse(t.Context(), conn, "CREATE TABLE x (a UInt8) ENGIN = MergeTree"); err == nil {
		t.Error("the parser takes anything: this test proves nothing")
	}
}

func parse(ctx context.Context, conn driver.Conn, sql string) error {
	rows, err := conn.Query(ctx, "EXPLAIN AST "+sql)
	if err != nil {
		return err
	}
	for rows.Next() {
	}
	return errors.Join(rows.Err(), rows.Close())
}

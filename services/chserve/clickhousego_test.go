package chserve

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"
	"github.com/google/go-cmp/cmp"
)

func options(c *client, method clickhouse.CompressionMethod) *clickhouse.Options {
	o := &clickhouse.Options{
		Protocol: clickhouse.HTTP,
		Addr:     []string{strings.TrimPrefix(c.url, "http://")},
		Auth:     clickhouse.Auth{Database: c.db, Username: "default"},
	}
	switch method {
	case clickhouse.CompressionNone:
	case clickhouse.CompressionGZIP, clickhouse.CompressionDeflate, clickhouse.CompressionBrotli:
		o.Settings = clickhouse.Settings{"enable_http_compression": 1}
		o.Compression = &clickhouse.Compression{Method: method, Level: 3}
	default:
		o.Compression = &clickhouse.Compression{Method: method}
	}
	return o
}

func open(t *testing.T, o *clickhouse.Options) clickhouse.Conn {
	t.Helper()
	conn, err := clickhouse.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// row is a table with the column types that the product uses.
type row struct {
	At     time.Time         `ch:"at"`
	Team   string            `ch:"team"`
	Kind   string            `ch:"kind"`
	Tokens *uint64           `ch:"tokens"`
	Cost   int64             `ch:"cost"`
	Tags   []string          `ch:"tags"`
	Labels map[string]string `ch:"labels"`
	Rate   float64           `ch:"rate"`
	Ok     bool              `ch:"ok"`
}

const rowTable = `CREATE TABLE r (at DateTime64(3, 'UTC'), team LowCardinality(String), kind Enum8('usage' = 1, 'outcome' = 2),
	tokens Nullable(UInt64), cost Int64, tags Array(LowCardinality(String)), labels Map(LowCardinality(String), String), rate Float64, ok Bool)
	ENGINE = MergeTree ORDER BY (team, at)`

func rows(n int) []row {
	out := make([]row, n)
	for i := range out {
		out[i] = row{
			At: time.UnixMilli(1_750_000_000_000 + int64(i)).UTC(), Team: fmt.Sprint("team\n\n", i%7), Kind: "usage", Cost: int64(i) - 5,
			Tags: []string{"a", "b", "c"}[:i%4], Labels: map[string]string{"k": fmt.Sprint(i)}, Rate: float64(i) / 3, Ok: i%2 == 0,
		}
		if i%3 > 0 {
			tokens := uint64(i)
			out[i].Tokens, out[i].Kind = &tokens, "outcome"
		}
		if out[i].Tags == nil {
			out[i].Tags = []string{}
		}
	}
	return out
}

func TestClickHouseGo(t *testing.T) {
	for name, method := range map[string]clickhouse.CompressionMethod{
		"plain": clickhouse.CompressionNone, "lz4": clickhouse.CompressionLZ4, "zstd": clickhouse.CompressionZSTD,
		"gzip": clickhouse.CompressionGZIP, "deflate": clickhouse.CompressionDeflate, "br": clickhouse.CompressionBrotli,
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t)
			conn := open(t, options(c, method))
			ctx := t.Context()
			if err := conn.Ping(ctx); err != nil {
				t.Fatal(err)
			}
			if v, err := conn.ServerVersion(); err != nil || v.DisplayName != displayName || v.Version.Major < 26 {
				t.Fatalf("server version %v: %v", v, err)
			}
			if err := conn.Exec(ctx, rowTable); err != nil {
				t.Fatal(err)
			}
			want := rows(5000)
			batch, err := conn.PrepareBatch(ctx, "INSERT INTO r")
			if err != nil {
				t.Fatal(err)
			}
			for i := range want {
				if err := batch.AppendStruct(&want[i]); err != nil {
					t.Fatal(err)
				}
			}
			if err := batch.Send(); err != nil {
				t.Fatal(err)
			}
			var got []row
			if err := conn.Select(ctx, &got, "SELECT * FROM r WHERE cost >= ? AND team != {none:String} ORDER BY at", clickhouse.Named("none", "nobody")); err == nil {
				t.Fatal("mixed binding styles passed")
			}
			if err := conn.Select(ctx, &got, "SELECT * FROM r WHERE cost >= ? ORDER BY at", -100); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatal(diff[:min(len(diff), 2000)])
			}
			checkLargeAndBroken(t, conn)
		})
	}
}

// checkLargeAndBroken reads a result of many blocks, and one that fails in
// mid-stream.
func checkLargeAndBroken(t *testing.T, conn clickhouse.Conn) {
	t.Helper()
	result, err := conn.Query(t.Context(), "SELECT number FROM numbers(500000)")
	if err != nil {
		t.Fatal(err)
	}
	var n, sum, v uint64
	for result.Next() {
		if err := result.Scan(&v); err != nil {
			t.Fatal(err)
		}
		n, sum = n+1, sum+v
	}
	if err := errors.Join(result.Err(), result.Close()); err != nil || n != 500000 || sum != 500000*499999/2 {
		t.Fatalf("%d rows, sum %d, %v", n, sum, err)
	}
	var exc *clickhouse.Exception
	result, err = conn.Query(t.Context(), "SELECT throwIf(number = 400000) FROM numbers(500000) SETTINGS max_block_size = 10000")
	if err != nil {
		t.Fatal(err)
	}
	for result.Next() {
		n++
	}
	if err := result.Err(); !errors.As(err, &exc) || exc.Code != 395 {
		t.Fatalf("a failure behind rows came as %v", err)
	}
	_ = result.Close()
}

func TestClickHouseGoColumns(t *testing.T) {
	c := serve(t)
	conn := open(t, options(c, clickhouse.CompressionLZ4))
	if err := conn.Exec(t.Context(), "CREATE TABLE t (a UInt64, s LowCardinality(String)) ENGINE = MergeTree ORDER BY a"); err != nil {
		t.Fatal(err)
	}
	ctx := clickhouse.Context(t.Context(),
		clickhouse.WithColumnNamesAndTypes([]clickhouse.ColumnNameAndType{{Name: "a", Type: "UInt64"}, {Name: "s", Type: "LowCardinality(String)"}}),
		clickhouse.WithSettings(clickhouse.Settings{"async_insert": 0, "insert_deduplication_token": "x:0:0-2", "wait_end_of_query": 1}),
		clickhouse.WithQueryID("batch-1"))
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO t (a, s)")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(batch.Column(0).Append([]uint64{1, 2, 3}), batch.Column(1).Append([]string{"x", "y", "x"}), batch.Send()); err != nil {
		t.Fatal(err)
	}
	var n, sum uint64
	if err := conn.QueryRow(t.Context(), "SELECT count(), sum(a) FROM t WHERE s = {s:String}", clickhouse.Named("s", "x")).Scan(&n, &sum); err != nil || n != 2 || sum != 4 {
		t.Fatalf("%d rows, sum %d, %v", n, sum, err)
	}
	var empty []struct {
		A uint64 `ch:"a"`
	}
	if err := conn.Select(t.Context(), &empty, "SELECT a FROM t WHERE a > 100"); err != nil || len(empty) != 0 {
		t.Fatalf("empty result: %v %v", empty, err)
	}
}

func TestClickHouseGoErrors(t *testing.T) {
	c := serve(t)
	for _, method := range []clickhouse.CompressionMethod{clickhouse.CompressionNone, clickhouse.CompressionLZ4, clickhouse.CompressionGZIP} {
		conn := open(t, options(c, method))
		f := func(err error, code int32, name string) {
			t.Helper()
			var exc *clickhouse.Exception
			if !errors.As(err, &exc) || exc.Code != code || exc.CodeName != name {
				t.Errorf("%v: want code %d %s", err, code, name)
			}
		}
		f(conn.Exec(t.Context(), "DROP TABLE nosuch"), 60, "UNKNOWN_TABLE")
		f(conn.Exec(t.Context(), "NONSENSE"), 62, "SYNTAX_ERROR")
		_, err := conn.Query(t.Context(), "SELECT * FROM nosuch")
		f(err, 60, "UNKNOWN_TABLE")
		_, err = conn.PrepareBatch(t.Context(), "INSERT INTO nosuch")
		f(err, 60, "UNKNOWN_TABLE")
		ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"max_execution_time": 1}))
		f(conn.Exec(ctx, "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(rand())"), 159, "TIMEOUT_EXCEEDED")
	}
}

func TestClickHouseGoCancel(t *testing.T) {
	c := serve(t)
	conn := open(t, options(c, clickhouse.CompressionNone))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := conn.Query(ctx, "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(rand()) SETTINGS max_execution_time = 0")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		return c.exec("SELECT count() FROM system.processes WHERE current_database = '"+c.db+"' AND query LIKE '%1000000000000%' AND query NOT LIKE '%processes%'") == "0\n"
	})
	if err := conn.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestClickHouseGoExternalTable(t *testing.T) {
	c := serve(t)
	conn := open(t, options(c, clickhouse.CompressionNone))
	table, err := ext.NewTable("wanted", ext.Column("id", "UInt64"), ext.Column("name", "String"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if err := table.Append(uint64(i), fmt.Sprint("n", i)); err != nil {
			t.Fatal(err)
		}
	}
	ctx := clickhouse.Context(t.Context(), clickhouse.WithExternalTable(table))
	var n uint64
	if err := conn.QueryRow(ctx, "SELECT count() FROM numbers(100) WHERE number IN (SELECT id FROM wanted)").Scan(&n); err != nil || n != 10 {
		t.Fatalf("%d, %v", n, err)
	}
}

func TestDatabaseSQL(t *testing.T) {
	c := serve(t)
	db := clickhouse.OpenDB(options(c, clickhouse.CompressionZSTD))
	defer func() { _ = db.Close() }()
	ctx := t.Context()
	if err := db.PingContext(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(ctx, "CREATE TABLE t (a UInt64, s Nullable(String)) ENGINE = MergeTree ORDER BY a"); err != nil {
		t.Fatal(err)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	stmt, err := tx.PrepareContext(ctx, "INSERT INTO t")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stmt.Close() }()
	for i := range 100 {
		if _, err := stmt.ExecContext(ctx, uint64(i), sql.NullString{String: "x", Valid: i%2 == 0}); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	var n, nulls uint64
	if err := db.QueryRowContext(ctx, "SELECT count(), countIf(s IS NULL) FROM t WHERE a < ?", 50).Scan(&n, &nulls); err != nil || n != 50 || nulls != 25 {
		t.Fatalf("%d rows, %d nulls, %v", n, nulls, err)
	}
}

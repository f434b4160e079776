package chtest_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/goodhartlabs/goodhart/pkg/chtest"
)

func TestStart(t *testing.T) {
	opt, err := clickhouse.ParseDSN(chtest.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := clickhouse.Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.Exec(t.Context(), "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a"); err != nil {
		t.Fatal(err)
	}
	batch, err := conn.PrepareBatch(t.Context(), "INSERT INTO t")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if err := batch.Append(uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := batch.Send(); err != nil {
		t.Fatal(err)
	}
	var sum uint64
	if err := conn.QueryRow(t.Context(), "SELECT sum(a) FROM t WHERE a < ?", 10).Scan(&sum); err != nil || sum != 45 {
		t.Fatalf("sum of 0 to 9 is 45, not %d (%v)", sum, err)
	}
}

func TestServerSurvivesKill(t *testing.T) {
	s := chtest.StartServer(t)
	addr := s.Addr
	s.Kill()
	s.Restart()
	if s.Addr != addr {
		t.Fatalf("restarted on %s, not on %s", s.Addr, addr)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
}

// TestExternalServer plays the server of CLICKHOUSE_DSN with one of our own.
func TestExternalServer(t *testing.T) {
	server := chtest.StartServer(t)
	databases := func() string {
		res, err := http.Get("http://" + server.Addr + "/?query=SHOW+DATABASES")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	before := databases()
	t.Setenv("CLICKHOUSE_DSN", server.DSN)
	t.Run("inner", func(t *testing.T) {
		a, b := chtest.Start(t), chtest.Start(t)
		if a == b || chtest.Addr(t, a) != server.Addr {
			t.Fatalf("%s and %s on %s", a, b, server.Addr)
		}
		if fixed := chtest.StartFixed(t, "core"); fixed != server.DSN {
			t.Fatalf("%s instead of %s", fixed, server.DSN)
		}
		res, err := http.Post("http://"+server.Addr, "", strings.NewReader("CREATE DATABASE core"))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if during := databases(); strings.Count(during, "\n") != strings.Count(before, "\n")+3 {
			t.Fatalf("databases %q, before %q", during, before)
		}
	})
	if after := databases(); after != before {
		t.Fatalf("databases %q, before %q", after, before)
	}
}

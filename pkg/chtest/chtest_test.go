package chtest_test

import (
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

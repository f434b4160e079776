package chserve

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// eventually waits for a state that another process or goroutine brings about.
func eventually(t *testing.T, reached func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for !reached() {
		select {
		case <-ctx.Done():
			t.Fatal("the awaited state did not come within three minutes")
		case <-tick.C:
		}
	}
}

// TestClientGoesAway: a query ends in the engine when nobody waits for it.
func TestClientGoesAway(t *testing.T) {
	c := serve(t)
	c.exec("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
	running := func() int {
		return strings.Count(c.exec("SELECT query FROM system.processes WHERE query LIKE '%c"+c.db+"%' AND query NOT LIKE '%system.processes%'"), "\n")
	}
	for name, sql := range map[string]string{
		"before the first row": "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(rand()) /* c%s */",
		"between rows":         "SELECT number, sleep(0.1) FROM system.numbers SETTINGS max_block_size = 1 /* c%s */",
		"one document":         "SELECT number FROM system.numbers /* c%s */ FORMAT JSON",
		"without a result":     "INSERT INTO t SELECT number FROM numbers(1000000000000) WHERE rand() = 0 /* c%s */",
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/?database="+c.db, strings.NewReader(fmt.Sprintf(sql, c.db)))
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				res, err := http.DefaultClient.Do(req)
				if err == nil {
					_, _ = io.CopyN(io.Discard, res.Body, 1<<30)
					_ = res.Body.Close()
				}
			})
			eventually(t, func() bool { return running() == 1 })
			cancel()
			wg.Wait()
			eventually(t, func() bool { return running() == 0 })
		})
	}
}

// TestInsertIsCancelled: a client that goes away while the engine works on its
// whole body.
func TestInsertIsCancelled(t *testing.T) {
	c := serve(t)
	c.exec("CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a")
	c.exec("CREATE MATERIALIZED VIEW mv ENGINE = Null AS SELECT sleepEachRow(0.2) AS s FROM t SETTINGS max_block_size = 1")
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost,
		c.url+"/?function_sleep_max_microseconds_per_block=0&database="+c.db+"&query="+url.QueryEscape("INSERT INTO t FORMAT Native"), bytes.NewReader(native(0, 1000)))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close()
		}
	})
	count := "SELECT count() FROM system.processes WHERE query_kind = 'Insert' AND current_database = '" + c.db + "'"
	eventually(t, func() bool { return c.exec(count) == "1\n" })
	cancel()
	wg.Wait()
	eventually(t, func() bool { return c.exec(count) == "0\n" })
}

// TestManyAtOnce runs more queries than places, each with its own database
// and settings, and writes meanwhile.
func TestManyAtOnce(t *testing.T) {
	c := serve(t)
	c.exec("CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a")
	var wg sync.WaitGroup
	for i := range 48 {
		wg.Go(func() {
			if i%4 == 0 {
				a := c.do(http.MethodPost, "/?query=INSERT+INTO+t+FORMAT+Native", bytes.NewReader(native(i*1000, 1000)))
				if a.StatusCode != 200 {
					t.Errorf("insert: %s", a.text)
				}
				return
			}
			want := fmt.Sprintf("%s\t%d\t%d\n", c.db, i+1, i)
			a := post(c, fmt.Sprintf("/?max_threads=%d&param_i=%d", i+1, i), "SELECT currentDatabase(), getSetting('max_threads'), {i:UInt32}")
			if a.text != want {
				t.Errorf("%q, want %q", a.text, want)
			}
		})
	}
	wg.Wait()
	if got := c.exec("SELECT count(), uniqExact(a) FROM t"); got != "12000\t12000\n" {
		t.Errorf("table holds %s", got)
	}
}

// TestCancelStorm gives queries of every kind up at random moments: the engine
// must survive each, and be idle afterwards.
func TestCancelStorm(t *testing.T) {
	c := serve(t)
	c.exec("CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	kinds := []struct{ path, body string }{
		{"/", "SELECT 1"},
		{"/?max_threads=1&database=system", "SELECT count() FROM numbers(100000000) WHERE NOT ignore(rand())"},
		{"/", "SELECT number, toString(number) FROM numbers(10000000)"},
		{"/?default_format=JSON", "SELECT number FROM numbers(3000000)"},
		{"/?wait_end_of_query=1", "SELECT number FROM numbers(3000000)"},
		{"/?query=INSERT+INTO+t+FORMAT+Native", strings.Repeat(string(native(0, 10000)), 20)},
		{"/", "INSERT INTO t SELECT number FROM numbers(3000000)"},
		{"/", "SHOW TABLES"},
		{"/?session_id=" + c.db, "SELECT sleep(0.01)"},
		{"/", "SELECT nosuch"},
	}
	var wg sync.WaitGroup
	for worker := range 8 {
		random := rand.New(rand.NewPCG(seed, uint64(worker)))
		wg.Go(func() {
			for range 40 {
				kind := kinds[random.IntN(len(kinds))]
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(40))*time.Millisecond)
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+kind.path, strings.NewReader(kind.body))
				if err == nil {
					req.Header.Set("X-ClickHouse-Database", c.db)
					if res, err := http.DefaultClient.Do(req); err == nil {
						_, _ = io.Copy(io.Discard, res.Body)
						_ = res.Body.Close()
					}
				}
				cancel()
			}
		})
	}
	wg.Wait()
	eventually(t, func() bool { return c.exec("SELECT count() FROM system.processes") == "1\n" })
	h, err := served()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return len(h.eng.slots) == 0 })
}

// TestStalledClients: who neither sends nor takes loses its place.
func TestStalledClients(t *testing.T) {
	c := serve(t)
	shared, err := served()
	if err != nil {
		t.Fatal(err)
	}
	h := &handler{cfg: shared.cfg, eng: shared.eng, tel: shared.tel, metrics: shared.metrics, sessions: shared.sessions, patience: time.Second}
	srv := httptest.NewServer(h)
	defer srv.Close()
	c.exec("CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a")
	send := func(text string) net.Conn {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(srv.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	running := func() string {
		return c.exec("SELECT count() FROM system.processes WHERE current_database = '" + c.db + "' AND query NOT LIKE '%processes%'")
	}
	sending := send("POST /?database=" + c.db + "&query=INSERT+INTO+t+FORMAT+TSV HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("1\n", 300_000))
	defer func() { _ = sending.Close() }()
	taking := send("GET /?database=" + c.db + "&query=SELECT+number+FROM+system.numbers HTTP/1.1\r\nHost: localhost\r\n\r\n")
	defer func() { _ = taking.Close() }()
	for _, conn := range []net.Conn{sending, taking} {
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() bool { return running() == "2\n" })
	h.running.Wait()
	eventually(t, func() bool { return running() == "0\n" })
	answer, _ := io.ReadAll(sending)
	if !bytes.Contains(answer, []byte("Code: 210. DB::Exception: Cannot read the data to insert")) {
		t.Errorf("the stalled sender was told %q", answer)
	}
	if got := c.exec("SELECT count() FROM t"); got != "0\n" {
		t.Errorf("half an insert left %s rows", got)
	}
}

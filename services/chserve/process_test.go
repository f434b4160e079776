package chserve

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/chtest"
)

func remote(t *testing.T, s *chtest.Server) *client {
	t.Helper()
	return &client{t: t, url: "http://" + s.Addr, db: "default"}
}

// TestKill kills the process in mid-load, seven times. What it acknowledged is
// there afterwards, and what is sent again with its token is there once.
func TestKill(t *testing.T) {
	s := chtest.StartServer(t)
	c := remote(t, s)
	const window = " SETTINGS non_replicated_deduplication_window = 1000"
	c.exec("CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a" + window)
	c.exec("CREATE TABLE sums (k UInt8, n UInt64) ENGINE = SummingMergeTree ORDER BY k" + window)
	c.exec("CREATE MATERIALIZED VIEW mv TO sums AS SELECT toUInt8(0) AS k, count() AS n FROM t GROUP BY k")
	send := func(batch int) bool {
		res, err := http.Post(fmt.Sprintf("http://%s/?async_insert=0&insert_deduplication_token=b%d&query=INSERT+INTO+t+FORMAT+Native", s.Addr, batch),
			"", bytes.NewReader(native(batch*100, 100)))
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	}
	next, acked := 0, map[int]bool{}
	for round := range 7 {
		var sent atomic.Int32
		var wg sync.WaitGroup
		wg.Go(func() {
			for ; ; next++ {
				ok := send(next)
				acked[next] = ok
				if !ok {
					return
				}
				sent.Add(1)
			}
		})
		eventually(t, func() bool { return int(sent.Load()) > 3+round })
		s.Kill()
		wg.Wait()
		s.Restart()
		stored := map[string]string{}
		for line := range strings.Lines(c.exec("SELECT intDiv(a, 100), count() FROM t GROUP BY 1")) {
			batch, n, _ := strings.Cut(strings.TrimSpace(line), "\t")
			stored[batch] = n
		}
		for b, ok := range acked {
			if n := stored[strconv.Itoa(b)]; n != "100" && (ok || n != "") {
				t.Fatalf("round %d: batch %d, acknowledged %v, has %q rows", round, b, ok, n)
			}
		}
		for range 2 { // the one in doubt, again and again
			if !send(next) {
				t.Fatal("a re-send failed")
			}
		}
		acked[next] = true
		next++
	}
	rows := strconv.Itoa(next * 100)
	if got := c.exec("SELECT count(), uniqExact(a), (SELECT sum(n) FROM sums) FROM t"); got != strings.Join([]string{rows, rows, rows}, "\t")+"\n" {
		t.Fatalf("%d batches: count, distinct, behind the view: %s", next, got)
	}
}

// executable is what chtest built; a server must have been started before.
func executable() string { return filepath.Join("..", "..", ".cache", "bin", "chserve") }

func TestOneProcessPerPath(t *testing.T) {
	s := chtest.StartServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	second := func() (string, error) {
		out, err := exec.CommandContext(ctx, executable(), "--path", s.Dir, "--listen", "127.0.0.1:0", "--lib", testLibrary).CombinedOutput()
		return string(out), err
	}
	out, err := second()
	if err == nil || !strings.Contains(out, s.Dir) || !strings.Contains(out, fmt.Sprintf("in use by another chserve (process %d)", s.PID())) {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := remote(t, s).exec("SELECT 1"); got != "1\n" {
		t.Fatal("the first process suffered")
	}
}

func TestGracefulStop(t *testing.T) {
	s := chtest.StartServer(t)
	c := remote(t, s)
	c.exec("CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a")
	var wg sync.WaitGroup
	wg.Go(func() {
		a := post(c, "/?function_sleep_max_microseconds_per_block=0", "INSERT INTO t SELECT number + sleepEachRow(0.5) FROM numbers(3)")
		if a.StatusCode != 200 {
			t.Errorf("a query that ran at the stop: %s %s", a.Status, a.text)
		}
	})
	eventually(t, func() bool { return c.exec("SELECT count() FROM system.processes") == "2\n" })
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	s.Restart()
	if got := c.exec("SELECT count() FROM t"); got != "3\n" {
		t.Fatalf("%s rows after the stop", got)
	}
}

func TestStopCancelsAfterItsPatience(t *testing.T) {
	file := filepath.Join(t.TempDir(), "chserve.yaml")
	if err := os.WriteFile(file, []byte("stop_timeout: 100ms\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := chtest.StartServer(t, "--config", file)
	c := remote(t, s)
	var wg sync.WaitGroup
	wg.Go(func() {
		res, err := http.Post(c.url, "", strings.NewReader("SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(rand())"))
		if err == nil {
			_ = res.Body.Close()
		}
	})
	eventually(t, func() bool { return c.exec("SELECT count() FROM system.processes") == "2\n" })
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
}

// TestMemoryIsBounded streams half a gigabyte in and a whole one out.
func TestMemoryIsBounded(t *testing.T) {
	s := chtest.StartServer(t)
	c := remote(t, s)
	c.exec("CREATE TABLE t (a UInt32) ENGINE = Null")
	c.exec("SELECT count() FROM numbers(1000000)")
	before := rss(t, s.PID())
	const blocks, per = 500, 262144 // 0.5 GiB
	block := native(0, per)
	sources := make([]io.Reader, blocks)
	for i := range sources {
		sources[i] = bytes.NewReader(block)
	}
	a := c.do(http.MethodPost, "/?query=INSERT+INTO+t+FORMAT+Native", io.MultiReader(sources...))
	if a.StatusCode != 200 || !strings.Contains(a.Header.Get("X-ClickHouse-Summary"), fmt.Sprintf(`"written_rows":"%d"`, blocks*per)) {
		t.Fatal(a.Status, a.text, a.Header)
	}
	for _, format := range []string{"RowBinary", "JSONCompactColumns", "JSON"} {
		n := map[string]int{"RowBinary": 128 << 20, "JSONCompactColumns": 1 << 20, "JSON": 16 << 20}[format]
		res, err := http.Post(c.url+"/?default_format="+format, "", strings.NewReader(fmt.Sprintf("SELECT number FROM numbers(%d)", n)))
		if err != nil {
			t.Fatal(err)
		}
		sent, err := io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if err != nil || sent < int64(n) {
			t.Fatalf("%s: %d bytes, %v", format, sent, err)
		}
	}
	if after := rss(t, s.PID()); after > before+400<<20 {
		t.Errorf("the process grew from %d to %d MiB", before>>20, after>>20)
	}
}

// TestThrowawayConnections: statements that change their connection make it
// unfit for the next request. Dropping it must not cost memory.
func TestThrowawayConnections(t *testing.T) {
	s := chtest.StartServer(t)
	c := remote(t, s)
	f := func(n int) {
		for range n {
			if a := post(c, "/?max_threads=2", "SET max_block_size = 1"); a.StatusCode != 200 {
				t.Fatal(a.text)
			}
		}
	}
	f(20)
	before := rss(t, s.PID())
	f(200)
	if after := rss(t, s.PID()); after > before+40<<20 {
		t.Errorf("200 connections cost %d MiB", (after-before)>>20)
	}
}

// rss is the most resident memory that a process ever had, in bytes.
func rss(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

func TestListeningBeyondLoopback(t *testing.T) {
	s := chtest.StartServer(t)
	check := func(env string) (string, error) {
		cmd := exec.CommandContext(t.Context(), executable(), "--check-config", "--path", s.Dir, "--lib", testLibrary, "--listen", "0.0.0.0:8123")
		cmd.Env = append(os.Environ(), env)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := check("CHSERVE_PASSWORD="); err == nil || !strings.Contains(out, "password") {
		t.Errorf("no password: %v %s", err, out)
	}
	if out, err := check("CHSERVE_PASSWORD=x"); err != nil {
		t.Errorf("with a password: %v %s", err, out)
	}
}

// TestAttached: the process goes when the one that started it is gone.
func TestAttached(t *testing.T) {
	chtest.StartServer(t) // builds the binary
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, executable(), "--attached", "--path", t.TempDir(), "--listen", "127.0.0.1:0", "--lib", testLibrary)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

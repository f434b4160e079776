package chserve

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/goodhartlabs/goodhart/services/chserve/internal/chdb"
	"github.com/goodhartlabs/goodhart/services/probe"
)

// testLibrary is where `make tools` puts the engine.
var testLibrary = filepath.Join("..", "..", ".cache", "chdb", "package", "libchdb.so")

// served is the engine of this test binary behind its handler. A process binds
// one data path, so all tests share it, each in a database of its own.
var served = sync.OnceValues(func() (*handler, error) {
	dir, err := os.MkdirTemp("", "chserve-test-*")
	if err != nil {
		return nil, err
	}
	cfg := Default()
	cfg.Path, cfg.Library, cfg.MaxMemory = dir, testLibrary, 2<<30
	eng, err := openEngine(cfg)
	if err != nil {
		return nil, err
	}
	return newHandler(cfg, eng, probe.New(slog.New(slog.DiscardHandler))), nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if h, err := served(); err == nil {
		h.close()
		_ = h.eng.close()
		_ = os.RemoveAll(h.cfg.Path)
	}
	os.Exit(code)
}

// client talks to a test server as curl would.
type client struct {
	t   *testing.T
	url string
	db  string
}

// serve starts a server over the shared engine and a database for the test.
func serve(t *testing.T) *client {
	t.Helper()
	h, err := served()
	if errors.Is(err, chdb.ErrMissing) {
		if os.Getenv("REQUIRE_TOOLS") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	c := &client{t: t, url: srv.URL, db: "t_" + strings.ReplaceAll(newUUID(), "-", "")}
	c.exec("CREATE DATABASE " + c.db)
	t.Cleanup(func() { c.exec("DROP DATABASE " + c.db + " SYNC") })
	return c
}

// answer is a response whose body was read; err is set if it broke off.
type answer struct {
	*http.Response
	text string
	err  error
}

// do sends body to the path (beginning with /), in the test's database.
func (c *client) do(method, path string, body io.Reader, headers ...string) answer {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.db != "" {
		req.Header.Set("X-ClickHouse-Database", c.db)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}).Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return answer{res, string(text), err}
}

// exec runs a statement that must succeed, and returns its result.
func (c *client) exec(sql string) string {
	c.t.Helper()
	db := c.db
	if strings.Contains(sql, " DATABASE ") {
		c.db = ""
	}
	// Cleanups run after the test's context ended.
	res, err := http.Post(c.url+"/?database="+c.db, "", strings.NewReader(sql)) //nolint:gosec // a test server's address
	c.db = db
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		c.t.Fatalf("%s: %s %s %v", sql, res.Status, text, err)
	}
	return string(text)
}

func post(c *client, path, body string, headers ...string) answer {
	c.t.Helper()
	return c.do(http.MethodPost, path, strings.NewReader(body), headers...)
}

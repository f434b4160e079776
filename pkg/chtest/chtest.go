// Package chtest gives tests a real ClickHouse: the embedded engine in a child
// process of its own, on a free loopback port, with an empty data directory.
//
// With CLICKHOUSE_DSN set, tests run against that server instead, in databases
// of their own that are dropped afterwards. Without the engine's library a test
// is skipped, or fails if REQUIRE_TOOLS=1.
package chtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

// Start returns the DSN of a ClickHouse with an empty current database, in the
// form that clickhouse.ParseDSN reads. Whatever the test creates there is gone
// after it; so are databases it names with Database.
func Start(tb testing.TB) string {
	tb.Helper()
	dsn, ok := external()
	if !ok {
		return StartServer(tb).DSN
	}
	u := parse(tb, dsn)
	name := Database(tb, dsn, "test")
	exec(tb, dsn, "CREATE DATABASE "+name)
	u.Path = "/" + name
	return u.String()
}

// StartFixed is Start for code that creates databases of fixed names, such as
// core and goodhart. On an external server it fails the test if one of them
// exists, so that it never touches what it did not make, and drops them after.
func StartFixed(tb testing.TB, databases ...string) string {
	tb.Helper()
	dsn, ok := external()
	if !ok {
		return StartServer(tb).DSN
	}
	for _, name := range databases {
		if exec(tb, dsn, "SELECT count() FROM system.databases WHERE name = '"+name+"'") != "0" {
			tb.Fatalf("the server of CLICKHOUSE_DSN has a database %s already: point the test at an empty one", name)
		}
		tb.Cleanup(func() { exec(tb, dsn, "DROP DATABASE IF EXISTS "+name+" SYNC") })
	}
	return dsn
}

// Database returns a database name that nobody else uses, prefix_<16 hex>. The
// test creates it; it is dropped when the test ends.
func Database(tb testing.TB, dsn, prefix string) string {
	tb.Helper()
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	name := prefix + "_" + hex.EncodeToString(b[:])
	if _, ok := external(); ok { // else the whole server goes
		tb.Cleanup(func() { exec(tb, dsn, "DROP DATABASE IF EXISTS "+name+" SYNC") })
	}
	return name
}

func external() (string, bool) {
	dsn := os.Getenv("CLICKHOUSE_DSN") //nolint:forbidigo // tests have no main to hand them their environment
	return dsn, dsn != ""
}

func parse(tb testing.TB, dsn string) *url.URL {
	tb.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		tb.Fatalf("CLICKHOUSE_DSN: %v", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		tb.Fatalf("CLICKHOUSE_DSN has the scheme %q: tests need http or https, such as http://default@127.0.0.1:8123", u.Scheme)
	}
	return u
}

// exec runs one statement over HTTP and returns its result, trimmed.
func exec(tb testing.TB, dsn, sql string) string {
	tb.Helper()
	u := parse(tb, dsn)
	u.Path, u.RawQuery = "/", ""
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader(sql))
	if err != nil {
		tb.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		tb.Fatalf("%s: %s %s %v", sql, res.Status, body, err)
	}
	return strings.TrimSpace(string(body))
}

// Addr returns the host:port part of a DSN.
func Addr(tb testing.TB, dsn string) string {
	tb.Helper()
	return parse(tb, dsn).Host
}

var errNoEngine = fmt.Errorf("no ClickHouse engine: run `make tools`, or set CLICKHOUSE_DSN to a server")

package chserve

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The facade's own cost: the Null table and numbers() leave the engine little
// to do.

func benchServer(b *testing.B) string {
	b.Helper()
	h, err := served()
	if err != nil {
		b.Skip(err)
	}
	srv := httptest.NewServer(h)
	b.Cleanup(srv.Close)
	return srv.URL
}

func benchPost(b *testing.B, url string, body io.Reader) int64 {
	b.Helper()
	res, err := http.Post(url, "", body) //nolint:gosec // a test server's address
	if err != nil {
		b.Fatal(err)
	}
	n, err := io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	if err != nil || res.StatusCode != http.StatusOK {
		b.Fatal(res.Status, err)
	}
	return n
}

func BenchmarkInsert(b *testing.B) {
	url := benchServer(b)
	benchPost(b, url, strings.NewReader("CREATE OR REPLACE TABLE bench (a UInt32) ENGINE = Null"))
	block := native(0, 100_000)
	b.SetBytes(int64(len(block)))
	b.ReportAllocs()
	for b.Loop() {
		benchPost(b, url+"/?query=INSERT+INTO+bench+FORMAT+Native&async_insert=0", bytes.NewReader(block))
	}
}

func BenchmarkSelect(b *testing.B) {
	url := benchServer(b)
	for _, format := range []string{"Native", "JSON"} {
		b.Run(format, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				b.SetBytes(benchPost(b, url+"/?default_format="+format, strings.NewReader("SELECT number FROM numbers(1000000)")))
			}
		})
	}
}

func BenchmarkPing(b *testing.B) {
	url := benchServer(b)
	for name, path := range map[string]string{"bare": "/", "settings": "/?max_threads=1&database=system"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				benchPost(b, url+path, strings.NewReader("SELECT 1"))
			}
		})
	}
}

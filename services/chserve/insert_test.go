package chserve

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

func TestInsertForms(t *testing.T) {
	c := serve(t)
	f := func(path, body, want string) {
		t.Helper()
		c.exec("CREATE OR REPLACE TABLE t (a UInt32, b String DEFAULT 'd') ENGINE = MergeTree ORDER BY a")
		if a := post(c, path, body); a.StatusCode != http.StatusOK || a.text != "" {
			t.Errorf("%s %q: %s %q", path, body, a.Status, a.text)
		}
		if got := c.exec("SELECT * FROM t ORDER BY a FORMAT CSV"); got != want {
			t.Errorf("%s %q: table holds %q, want %q", path, body, got, want)
		}
	}
	f("/", "INSERT INTO t VALUES (1, 'x'), (2, 'y;''')", "1,\"x\"\n2,\"y;'\"\n")
	f("/", "INSERT INTO t VALUES (1, 'x');", "1,\"x\"\n")
	f("/", "insert into t (a) values (1)", "1,\"d\"\n")
	f("/", "INSERT INTO t (b, a) FORMAT CSV\nx,1\n", "1,\"x\"\n")
	f("/", "INSERT INTO t FORMAT JSONEachRow {\"a\":1} {\"a\":2,\"b\":\"z\"}", "1,\"d\"\n2,\"z\"\n")
	f("/?query=INSERT+INTO+t+FORMAT+CSV", "1,x\n", "1,\"x\"\n")
	f("/?query=INSERT+INTO+t+FORMAT+CSV%0A1,x", "2,y\n", "1,\"x\"\n2,\"y\"\n")
	f("/?query=INSERT+INTO+t+SETTINGS+async_insert=0+FORMAT+TSV", "1\tx\n", "1,\"x\"\n")
	f("/", "INSERT INTO t SELECT number, 'values' FROM numbers(2)", "0,\"values\"\n1,\"values\"\n")
	f("/", "INSERT INTO t WITH 5 AS x SELECT x, 'format'", "5,\"format\"\n")
	f("/?param_x=7", "INSERT INTO t (a) SELECT {x:UInt32}", "7,\"d\"\n")
	f("/?param_tab=t", "INSERT INTO {tab:Identifier} FORMAT CSV\n1,x", "1,\"x\"\n")
	f("/", "INSERT INTO TABLE `t` VALUES (1, 'x')", "1,\"x\"\n")
	f("/", "-- note\n/* VALUES */ INSERT INTO t /* FORMAT */ FORMAT TSV\n3\tFORMAT CSV\n", "3,\"FORMAT CSV\"\n")
	f("/", "INSERT INTO t FORMAT Values (1, 'x')", "1,\"x\"\n")
	f("/", "INSERT INTO t FORMAT TSV\n", "")
	f("/?async_insert=1&wait_for_async_insert=1", "INSERT INTO t VALUES (1, 'x')", "1,\"x\"\n")
	if a := post(c, "/?query=INSERT+INTO+t&default_format=TSV", "1\tx\n"); a.StatusCode != http.StatusBadRequest {
		t.Errorf("data without a FORMAT clause: %s", a.Status)
	}
}

func TestInsertSummary(t *testing.T) {
	c := serve(t)
	c.exec("CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a")
	a := post(c, "/", "INSERT INTO t VALUES (1), (2), (3)")
	if !strings.Contains(a.Header.Get("X-ClickHouse-Summary"), `"written_rows":"3"`) {
		t.Errorf("summary %s", a.Header.Get("X-ClickHouse-Summary"))
	}
}

// native encodes one column a UInt32 as a Native block.
func native(from, n int) []byte {
	b := binary.AppendUvarint([]byte{1}, uint64(n))
	b = append(b, "\x01a\x06UInt32"...)
	for i := range n {
		b = binary.LittleEndian.AppendUint32(b, uint32(from+i))
	}
	return b
}

// TestNativeWithBlankLines inserts the bytes at which inline data is cut.
func TestNativeWithBlankLines(t *testing.T) {
	c := serve(t)
	c.exec("CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY tuple()")
	blank := []byte("\x01\x02\x01a\x06UInt32\n\n\n\n\x00\n\n;")
	a := c.do(http.MethodPost, "/?query=INSERT+INTO+t+FORMAT+Native", bytes.NewReader(blank))
	if got := c.exec("SELECT groupArray(a) FROM t"); a.StatusCode != 200 || got != "[168430090,990513664]\n" {
		t.Fatalf("%s %s: %s", a.Status, a.text, got)
	}
	body := append([]byte("INSERT INTO t FORMAT Native\n"), blank...)
	c.do(http.MethodPost, "/", bytes.NewReader(body))
	if got := c.exec("SELECT count(), uniqExact(a) FROM t"); got != "4\t2\n" {
		t.Fatalf("behind the statement: %s", got)
	}
}

func TestBodyEncodings(t *testing.T) {
	c := serve(t)
	c.exec("CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a")
	plain := native(0, 100_000)
	pack := func(w io.WriteCloser, b *bytes.Buffer) []byte {
		t.Helper()
		if _, err := w.Write(plain); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	var gz, zl, br, zs, l4 bytes.Buffer
	zw, err := zstd.NewWriter(&zs)
	if err != nil {
		t.Fatal(err)
	}
	bodies := map[string][]byte{
		"":        plain,
		"gzip":    pack(gzip.NewWriter(&gz), &gz),
		"deflate": pack(zlib.NewWriter(&zl), &zl),
		"br":      pack(brotli.NewWriter(&br), &br),
		"zstd":    pack(zw, &zs),
		"lz4":     pack(lz4.NewWriter(&l4), &l4),
	}
	insert := func(path, encoding string, body []byte) answer {
		return c.do(http.MethodPost, path+"&query=INSERT+INTO+t+FORMAT+Native", bytes.NewReader(body), "Content-Encoding", encoding)
	}
	for encoding, body := range bodies {
		c.exec("TRUNCATE TABLE t")
		if a := insert("/?", encoding, body); a.StatusCode != 200 {
			t.Errorf("%q: %s %s", encoding, a.Status, a.text)
		}
		if got := c.exec("SELECT count(), sum(a) FROM t"); got != "100000\t4999950000\n" {
			t.Errorf("%q: table holds %s", encoding, got)
		}
		if encoding == "" {
			continue
		}
		if a := insert("/?", encoding, body[:len(body)/2]); a.StatusCode == 200 {
			t.Errorf("half of a body in %q was accepted", encoding)
		}
		if got := c.exec("SELECT count() FROM t"); got != "100000\n" {
			t.Errorf("half of a body in %q: table holds %s", encoding, got)
		}
	}
	if a := insert("/?", "snappy", plain); a.StatusCode == 200 || !strings.Contains(a.text, "snappy") {
		t.Errorf("unknown coding: %s %s", a.Status, a.text)
	}
	for _, method := range []compress.Method{compress.LZ4, compress.ZSTD, compress.None} {
		c.exec("TRUNCATE TABLE t")
		w := compress.NewWriter(compress.LevelZero, method)
		var framed []byte
		for rest := plain; len(rest) > 0; rest = rest[min(len(rest), 50_000):] {
			if err := w.Compress(rest[:min(len(rest), 50_000)]); err != nil {
				t.Fatal(err)
			}
			framed = append(framed, w.Data...)
		}
		if a := insert("/?decompress=1", "", framed); a.StatusCode != 200 {
			t.Errorf("frames %v: %s %s", method, a.Status, a.text)
		}
		for name, broken := range map[string][]byte{
			"cut in a frame": framed[:len(framed)-10], "cut in a header": append(bytes.Clone(framed), framed[:20]...),
			"cut behind a header": append(bytes.Clone(framed), framed[:25]...), "flipped bit": flip(framed),
		} {
			if a := insert("/?decompress=1", "", broken); a.StatusCode == 200 {
				t.Errorf("frames %v %s: accepted", method, name)
			}
		}
		if got := c.exec("SELECT count(), sum(a) FROM t"); got != "100000\t4999950000\n" {
			t.Errorf("frames %v: table holds %s", method, got)
		}
	}
}

func flip(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)/2] ^= 1
	return b
}

// TestBrokenOffInsert: a body that ends without its end must not be taken for
// a shorter one.
func TestBrokenOffInsert(t *testing.T) {
	c := serve(t)
	c.exec("CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a")
	for _, rows := range []int{10, 200_000} { // within the query's text, and far behind it
		body := io.MultiReader(bytes.NewReader(bytes.Repeat([]byte("1\n"), rows)), &breaking{})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+"/?database="+c.db+"&query=INSERT+INTO+t+FORMAT+TSV", body)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close()
			t.Fatalf("a broken body got %s", res.Status)
		}
	}
	if got := c.exec("SELECT count() FROM t"); got != "0\n" {
		t.Fatalf("%s rows of broken bodies are in the table", got)
	}
}

type breaking struct{}

func (*breaking) Read([]byte) (int, error) { return 0, errors.New("the client gave up") }

// TestDeduplication: the settings on which exactly-once writing rests take
// effect in streamed inserts, in the table and behind a materialized view.
func TestDeduplication(t *testing.T) {
	c := serve(t)
	const window = " SETTINGS non_replicated_deduplication_window = 100, fsync_after_insert = 1"
	c.exec("CREATE TABLE src (a UInt32) ENGINE = MergeTree PARTITION BY a % 2 ORDER BY a" + window)
	c.exec("CREATE TABLE sums (k UInt8, n UInt64, s UInt64) ENGINE = SummingMergeTree ORDER BY k" + window)
	c.exec("CREATE MATERIALIZED VIEW mv TO sums AS SELECT toUInt8(0) AS k, count() AS n, sum(a) AS s FROM src GROUP BY k")
	f := func(token string, block []byte, want string) {
		t.Helper()
		a := c.do(http.MethodPost, "/?query=INSERT+INTO+src+FORMAT+Native&async_insert=0&insert_deduplicate=1&wait_end_of_query=1"+
			"&deduplicate_blocks_in_dependent_materialized_views=1&materialized_views_ignore_errors=0&max_execution_time=30&insert_deduplication_token="+token,
			bytes.NewReader(block))
		if a.StatusCode != 200 {
			t.Fatalf("%s: %s %s", token, a.Status, a.text)
		}
		if got := c.exec("SELECT (SELECT count() FROM src), sum(n), sum(s) FROM sums"); got != want {
			t.Errorf("after %s: %q, want %q", token, got, want)
		}
	}
	f("t:0:0-9", native(0, 10), "10\t10\t45\n")
	f("t:0:0-9", native(0, 10), "10\t10\t45\n")   // a re-send
	f("t:0:0-9", native(100, 10), "10\t10\t45\n") // the token decides, not the rows
	f("t:0:10-19", native(0, 10), "20\t20\t90\n") // the same rows are new under another token
	c.exec("OPTIMIZE TABLE src FINAL")
	f("t:0:10-19", native(0, 10), "20\t20\t90\n")
	a := c.do(http.MethodPost, "/?query=INSERT+INTO+src+FORMAT+Native&deduplicate_insert=disable&insert_deduplication_token=t:0:0-9", bytes.NewReader(native(0, 10)))
	if got := c.exec("SELECT count() FROM src"); a.StatusCode != 200 || got != "30\n" {
		t.Errorf("deduplicate_insert=disable: %s, %s rows", a.Status, got)
	}
}

// TestFailingView: an error of a view reaches the client with its code.
func TestFailingView(t *testing.T) {
	c := serve(t)
	c.exec("CREATE TABLE src (a UInt32) ENGINE = MergeTree ORDER BY a")
	c.exec("CREATE MATERIALIZED VIEW mv ENGINE = MergeTree ORDER BY a AS SELECT throwIf(a = 3) AS x, a FROM src")
	a := c.do(http.MethodPost, "/?query=INSERT+INTO+src+FORMAT+Native", bytes.NewReader(native(0, 10)))
	if a.StatusCode != 500 || a.Header.Get("X-ClickHouse-Exception-Code") != "395" {
		t.Errorf("%s %s", a.Status, a.text)
	}
	if got := c.exec("SELECT 1"); got != "1\n" {
		t.Error("the server is out of order afterwards")
	}
}

func TestExternalTables(t *testing.T) {
	c := serve(t)
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	part, err := w.CreateFormFile("ids", "ids.tsv")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprint(part, "1\tx\n2\ty\n")
	if err := w.WriteField("query", "SELECT sum(_1), any(length(_2)) FROM ids WHERE _1 < {m:UInt8}"); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	form := body.Bytes()
	a := c.do(http.MethodPost, "/?ids_types=UInt8,String&param_m=9", bytes.NewReader(form), "Content-Type", w.FormDataContentType())
	if a.text != "3\t1\n" {
		t.Errorf("%s %s", a.Status, a.text)
	}
	if a := c.do(http.MethodPost, "/?param_m=9", bytes.NewReader(form), "Content-Type", w.FormDataContentType()); a.StatusCode != 400 {
		t.Errorf("no structure: %s %s", a.Status, a.text)
	}
	if a := post(c, "/", "SELECT * FROM ids"); a.StatusCode != 404 {
		t.Errorf("the external table outlived its request: %s", a.text)
	}
}

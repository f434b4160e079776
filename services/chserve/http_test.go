package chserve

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHealthPaths(t *testing.T) {
	c := serve(t)
	f := func(path string, status int, text string) {
		t.Helper()
		a := c.do(http.MethodGet, path, nil)
		if a.StatusCode != status || !strings.HasPrefix(a.text, text) {
			t.Errorf("GET %s: %d %q, want %d %q", path, a.StatusCode, a.text, status, text)
		}
	}
	f("/", 200, "Ok.\n")
	f("/ping", 200, "Ok.\n")
	f("/replicas_status", 200, "Ok.\n")
	f("/nosuch", 404, "There is no handle /nosuch")
	if a := c.do(http.MethodPut, "/", nil); a.StatusCode != 405 {
		t.Errorf("PUT: %s", a.Status)
	}
}

func TestQueryFromURLAndBody(t *testing.T) {
	c := serve(t)
	f := func(method, path, body, want string) {
		t.Helper()
		if a := c.do(method, path, strings.NewReader(body)); a.StatusCode != 200 || a.text != want {
			t.Errorf("%s %s %q: %s %q, want %q", method, path, body, a.Status, a.text, want)
		}
	}
	f("GET", "/?query=SELECT+1", "", "1\n")
	f("POST", "/?query=SELECT+1", "", "1\n")
	f("POST", "/", "SELECT 1", "1\n")
	f("POST", "/?query=SELECT+1", "+1", "2\n") // the body continues the URL
	f("GET", "/?query=SELECT+{a:UInt8}%2B1&param_a=41", "", "42\n")
	f("POST", "/?param_a=it's%20%5C%5C", "SELECT {a:String}", "it\\'s \\\\\n")
	f("POST", "/?param_a=%5B1,2%5D", "SELECT arraySum({a:Array(UInt8)})", "3\n")
	f("POST", "/?default_format=CSV", "SELECT 'a', 1", "\"a\",1\n")
	f("POST", "/?default_format=CSV", "SELECT 'a', 1 FORMAT JSONEachRow", "{\"'a'\":\"a\",\"1\":1}\n")
	f("POST", "/?database=system", "SELECT currentDatabase()", "system\n")
	f("POST", "/", "SELECT currentDatabase()", c.db+"\n")
	f("POST", "/?max_threads=7", "SELECT getSetting('max_threads')", "7\n")
	f("POST", "/?max_threads=7", "SELECT getSetting('max_threads') SETTINGS max_threads = 3", "3\n")
	f("POST", "/?log_comment=a%27b%5Cc", "SELECT getSetting('log_comment')", "a\\'b\\\\c\n")
	f("POST", "/", "SHOW DATABASES LIKE 'system'", "system\n")
	f("POST", "/", "EXISTS TABLE system.one", "1\n")
	f("POST", "/", "-- hi\n/* there */ SELECT 1 -- end", "1\n")
	f("POST", "/", "SELECT 1;", "1\n")
	f("POST", "/", "(SELECT 1)", "1\n")
	f("POST", "/", "SELECT 1 WHERE 0", "")
	f("HEAD", "/?query=SELECT+1", "", "")
}

func TestHeaders(t *testing.T) {
	c := serve(t)
	a := post(c, "/?query_id=mine", "SELECT number FROM numbers(10) FORMAT JSONEachRow")
	want := map[string]string{
		"X-ClickHouse-Query-Id":            "mine",
		"X-ClickHouse-Format":              "JSONEachRow",
		"X-ClickHouse-Server-Display-Name": displayName,
		"Content-Type":                     "application/x-ndjson; charset=UTF-8",
	}
	got := map[string]string{}
	for name := range want {
		got[name] = a.Header.Get(name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if a.Header.Get("X-ClickHouse-Timezone") == "" {
		t.Error("no timezone")
	}
	var s map[string]string
	if err := json.Unmarshal([]byte(a.Header.Get("X-ClickHouse-Summary")), &s); err != nil {
		t.Fatal(err)
	}
	if s["result_rows"] != "10" || s["read_rows"] != "10" {
		t.Errorf("summary %v, want 10 rows read and sent", s)
	}
	if a := post(c, "/", "SELECT 1"); len(a.Header.Get("X-ClickHouse-Query-Id")) != 36 {
		t.Errorf("query id %q is no UUID", a.Header.Get("X-ClickHouse-Query-Id"))
	}
}

func TestErrors(t *testing.T) {
	c := serve(t)
	c.exec("CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
	f := func(path, body string, status int, code, text string) {
		t.Helper()
		a := post(c, path, body)
		if a.StatusCode != status || a.Header.Get("X-ClickHouse-Exception-Code") != code || !strings.Contains(a.text, text) {
			t.Errorf("%s %q: %d code %s %q, want %d code %s %q", path, body, a.StatusCode, a.Header.Get("X-ClickHouse-Exception-Code"), a.text, status, code, text)
		}
		if !strings.HasPrefix(a.text, "Code: "+code+". DB::Exception: ") {
			t.Errorf("%s %q: text %q does not begin with its code", path, body, a.text)
		}
	}
	f("/", "SELECT nosuch", 404, "47", "UNKNOWN_IDENTIFIER")
	f("/", "SELECT * FROM nosuch", 404, "60", "UNKNOWN_TABLE")
	f("/", "SELECT nosuch()", 404, "46", "UNKNOWN_FUNCTION")
	f("/?database=nosuch", "SELECT 1", 404, "81", "UNKNOWN_DATABASE")
	f("/?nosuch=1", "SELECT 1", 404, "115", "UNKNOWN_SETTING")
	f("/?max_threads=x", "SELECT 1", 400, "27", "'x'")
	f("/?a%3D1%2C+b=1", "SELECT 1", 400, "36", "not the name of a setting")
	f("/", "SELEC 1", 400, "62", "SYNTAX_ERROR")
	f("/", "", 400, "62", "SYNTAX_ERROR")
	f("/", "exit", 400, "62", "SYNTAX_ERROR")
	f("/", "SELECT 1; SELECT 2", 400, "62", "Multi-statements")
	f("/", "SELECT {a:UInt8}", 500, "456", "Substitution `a` is not set")
	f("/", "SELECT 1 FORMAT Nosuch", 404, "73", "UNKNOWN_FORMAT")
	f("/?default_format=No-such", "SELECT 1", 404, "73", "UNKNOWN_FORMAT")
	f("/", "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a", 500, "57", "TABLE_ALREADY_EXISTS")
	f("/", "SELECT throwIf(1)", 500, "395", "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO")
	f("/", "INSERT INTO nosuch VALUES (1)", 404, "60", "UNKNOWN_TABLE")
	f("/", "INSERT INTO t FORMAT CSV\nx", 400, "117", "CSV")
	f("/", "INSERT INTO t (nosuch) FORMAT CSV\n1", 500, "16", "nosuch")
	f("/?max_execution_time=1", "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(rand())", 408, "159", "TIMEOUT_EXCEEDED")
	f("/?max_memory_usage=10000000", "SELECT groupArray(number) FROM numbers(10000000)", 500, "241", "MEMORY_LIMIT_EXCEEDED")
	f("/", "SELECT 1 INTO OUTFILE '/tmp/chserve-test'", 500, "358", "INTO_OUTFILE_NOT_ALLOWED")
	f("/", "INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV", 501, "48", "INFILE")
	f("/", "SELECT * FROM file('/etc/passwd', 'LineAsString')", 403, "497", "FILE")
	f("/", "SELECT '"+strings.Repeat("x", maxQueryText)+"'", 400, "62", "Max query size exceeded")
	if a := post(c, "/?max_query_size=1000000", "SELECT length('"+strings.Repeat("x", maxQueryText)+"')"); a.text != "262144\n" {
		t.Errorf("a long query with max_query_size: %s %.100s", a.Status, a.text)
	}
}

func TestGetIsReadOnly(t *testing.T) {
	c := serve(t)
	for _, sql := range []string{
		"CREATE TABLE t (a UInt8) ENGINE = Memory", "INSERT INTO t VALUES (1)", "DROP DATABASE " + c.db, "SYSTEM FLUSH LOGS",
	} {
		a := c.do(http.MethodGet, "/?query="+url.QueryEscape(sql), nil)
		if a.Header.Get("X-ClickHouse-Exception-Code") != "164" {
			t.Errorf("GET %s: %s %s", sql, a.Status, a.text)
		}
	}
	if a := post(c, "/?readonly=1", "CREATE TABLE t (a UInt8) ENGINE = Memory"); a.Header.Get("X-ClickHouse-Exception-Code") != "164" {
		t.Errorf("readonly=1: %s %s", a.Status, a.text)
	}
	c.exec("CREATE TABLE t (a UInt8) ENGINE = Memory") // readonly went with its request
}

// TestNothingLeaks runs requests that change their connection between others
// that look at it.
func TestNothingLeaks(t *testing.T) {
	c := serve(t)
	const look = "SELECT currentDatabase(), getSetting('max_threads'), getSetting('insert_deduplication_token')"
	want := post(c, "/?database=default", look).text
	for _, a := range []answer{
		post(c, "/?max_threads=9&insert_deduplication_token=x", "SELECT 1"),
		post(c, "/?max_threads=9", "SELECT nosuch"),
		post(c, "/?max_threads=9&nosuch=1", "SELECT 1"),
		post(c, "/", "SET max_threads = 9"),
		post(c, "/", "USE system"),
		post(c, "/", "CREATE TEMPORARY TABLE leaked (a UInt8)"),
		post(c, "/?database=system&readonly=2", "SELECT 1"),
		post(c, "/?database=nosuch", "SELECT 1"),
		post(c, "/?max_threads=9", "SELECT throwIf(number = 900000) FROM numbers(1000000)"),
	} {
		_ = a
		for range 4 { // more than one connection may be idle
			if got := post(c, "/?database=default", look).text; got != want {
				t.Fatalf("state %q, want %q", got, want)
			}
		}
	}
	if a := post(c, "/?database=default", "SELECT * FROM leaked"); a.StatusCode != 404 {
		t.Errorf("a temporary table outlived its request: %s", a.text)
	}
}

// TestFormats asks for a result of several chunks in each format and compares
// it with what the engine itself makes of it in one piece.
func TestFormats(t *testing.T) {
	c := serve(t)
	h, err := served()
	if err != nil {
		t.Fatal(err)
	}
	const sql = "SELECT number, toString(number) AS s, if(number % 3 = 0, NULL, number) AS n FROM numbers(5000) SETTINGS max_block_size = 1000, output_format_parallel_formatting = 0, output_format_write_statistics = 0, max_threads = 1"
	conn, err := h.eng.connect()
	if err != nil {
		t.Fatal(err)
	}
	defer h.eng.retire(conn)
	for _, format := range []string{
		"TabSeparated", "TabSeparatedWithNamesAndTypes", "CSV", "CSVWithNames", "JSON", "JSONCompact", "JSONEachRow", "JSONColumns",
		"Values", "XML", "Markdown", "Vertical", "PrettyNoEscapes", "RowBinaryWithNamesAndTypes", "RowBinary", "SQLInsert", "JSONObjectEachRow",
	} {
		res, err := conn.Query(sql, format, nil)
		if err != nil {
			t.Fatal(format, err)
		}
		want := string(res.Data)
		res.Close()
		for path, query := range map[string]string{
			"/?default_format=" + format: sql,
			"/":                          strings.Replace(sql, "SETTINGS", "FORMAT "+format+" SETTINGS", 1) + " ; -- done",
		} {
			a := post(c, path, query)
			if a.StatusCode != 200 || a.err != nil {
				t.Errorf("%s: %s %v %.200s", format, a.Status, a.err, a.text)
			}
			if a.text != want {
				t.Errorf("%s %s: differs from the engine's own document: %s", format, path, cmp.Diff(lines(want), lines(a.text)))
			}
			if a.Header.Get("X-ClickHouse-Format") != format {
				t.Errorf("%s: header says %s", format, a.Header.Get("X-ClickHouse-Format"))
			}
		}
	}
	for _, format := range []string{"Parquet", "ArrowStream", "ORC", "Arrow", "Avro"} { // bytes vary: read them back
		a := post(c, "/?default_format="+format, sql)
		c.exec("CREATE TABLE f" + format + " (number UInt64, s String, n Nullable(UInt64)) ENGINE = Memory")
		if b := post(c, "/?query=INSERT+INTO+f"+format+"+FORMAT+"+format, a.text); b.StatusCode != 200 {
			t.Errorf("%s: %s", format, b.text)
		}
		if got := c.exec("SELECT count(), sum(number), countIf(s = toString(number)), sum(n) FROM f" + format); got != "5000\t12497500\t5000\t8331667\n" {
			t.Errorf("%s: read back %q", format, got)
		}
	}
}

// lines is at most 20 lines, so that a difference stays readable.
func lines(s string) []string { return strings.SplitN(s[:min(len(s), 2000)], "\n", 20) }

// TestErrorBehindRows: an exception after the 200 must not pass for an end.
func TestErrorBehindRows(t *testing.T) {
	c := serve(t)
	const sql = "SELECT number, throwIf(number = 2999999) FROM numbers(3000000) SETTINGS max_block_size = 10000"
	for _, format := range []string{"CSV", "JSON", "Native"} {
		a := post(c, "/?default_format="+format, sql)
		if a.StatusCode != 200 || a.err == nil {
			t.Errorf("%s: %s, error %v: want a 200 that breaks off", format, a.Status, a.err)
		}
		tag := a.Header.Get("X-ClickHouse-Exception-Tag")
		if !strings.Contains(a.text, "\r\n__exception__\r\n"+tag+"\r\nCode: 395. DB::Exception: ") {
			t.Errorf("%s: no exception at the end: %q", format, a.text[max(0, len(a.text)-300):])
		}
		a = post(c, "/?wait_end_of_query=1&default_format="+format, sql)
		if a.StatusCode != 500 || a.Header.Get("X-ClickHouse-Exception-Code") != "395" || !strings.HasPrefix(a.text, "Code: 395.") {
			t.Errorf("%s, wait_end_of_query: %s %.100s", format, a.Status, a.text)
		}
	}
	a := post(c, "/?wait_end_of_query=1", "SELECT number FROM numbers(1000000)")
	if got := strings.Count(a.text, "\n"); got != 1000000 || !strings.HasSuffix(a.text, "\n999999\n") {
		t.Errorf("wait_end_of_query: %d rows", got)
	}
	if !strings.Contains(a.Header.Get("X-ClickHouse-Summary"), `"result_rows":"1000000"`) {
		t.Errorf("wait_end_of_query: summary %s", a.Header.Get("X-ClickHouse-Summary"))
	}
}

func TestAuthentication(t *testing.T) {
	c := serve(t)
	h, err := served()
	if err != nil {
		t.Fatal(err)
	}
	guarded := &handler{cfg: h.cfg, eng: h.eng, tel: h.tel, metrics: h.metrics, sessions: h.sessions, patience: patience}
	guarded.cfg.User, guarded.cfg.Password = "bi", "s3cret"
	f := func(path string, status int, headers ...string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader("SELECT 1"))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		w := &recorder{header: http.Header{}}
		guarded.ServeHTTP(w, req)
		if w.status != status {
			t.Errorf("%s %v: %d %s, want %d", path, headers, w.status, w.body.String(), status)
		}
		if status == 403 && !strings.HasPrefix(w.body.String(), "Code: 516. ") {
			t.Errorf("%s %v: %s", path, headers, w.body.String())
		}
	}
	f("/", 403)
	f("/", 403, "X-ClickHouse-User", "bi")
	f("/", 403, "X-ClickHouse-User", "default", "X-ClickHouse-Key", "s3cret")
	f("/", 403, "Authorization", "Basic YmM6czNjcmV0")
	f("/?user=bi&password=s3cre", 403)
	f("/", 200, "X-ClickHouse-User", "bi", "X-ClickHouse-Key", "s3cret")
	f("/", 200, "Authorization", "Basic Ymk6czNjcmV0")
	f("/?user=bi&password=s3cret", 200)
	f("/ping", 200)

	if a := post(c, "/?user=nobody", "SELECT 1"); a.StatusCode != 403 {
		t.Errorf("unknown user: %s", a.Status)
	}
	if a := post(c, "/", "SELECT 1", "Host", "rebound.example:8123"); a.StatusCode != 403 {
		t.Errorf("foreign Host without a password: %s", a.Status)
	}
	if a := post(c, "/", "SELECT 1", "Origin", "https://page.example"); a.StatusCode != 403 {
		t.Errorf("foreign Origin without a password: %s", a.Status)
	}
	if a := post(c, "/", "SELECT 1", "Origin", "http://localhost:3000"); a.StatusCode != 200 {
		t.Errorf("local Origin: %s", a.Status)
	}
}

// recorder is a ResponseWriter without a connection.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

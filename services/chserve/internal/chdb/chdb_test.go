package chdb

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var library = filepath.Join("..", "..", "..", "..", ".cache", "chdb", "package", "libchdb.so")

// open starts the engine of this test binary, once.
var open = sync.OnceValues(func() (*Library, error) { return Open(library) })

// dataPath is the one data path that the test binary may have.
var dataPath = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "chdb-test-*") })

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := dataPath(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// connect opens a connection to the data path that the test binary has.
func connect(t *testing.T) *Conn {
	t.Helper()
	lib, err := open()
	if errors.Is(err, ErrMissing) && os.Getenv("REQUIRE_TOOLS") != "1" {
		t.Skip("run `make tools`:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	dir, err := dataPath()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := lib.Connect("--path="+dir, "--max_threads=1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func query(t *testing.T, conn *Conn, sql string, params ...Param) string {
	t.Helper()
	res, err := conn.Query(sql, "TSV", params)
	if err != nil {
		t.Fatal(sql, err)
	}
	defer res.Close()
	return string(res.Data)
}

func TestOpenMissing(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "libchdb.so")); !errors.Is(err, ErrMissing) {
		t.Fatal(err)
	}
}

// TestSignalHandlers: the engine's handlers never replace Go's, which crashes
// of goroutines and their preemption (SIGURG) rest upon.
func TestSignalHandlers(t *testing.T) {
	before := *saveSignals()
	var set int
	for _, s := range before {
		if s.handler != 0 {
			set++
		}
	}
	if set < 10 {
		t.Fatalf("only %d handlers were read: Go sets more", set)
	}
	conn := connect(t)
	query(t, conn, "SELECT 1")
	connect(t)
	if after := *saveSignals(); after != before {
		t.Fatalf("handlers changed: %v, then %v", before, after)
	}
	defer func() {
		if recover() == nil {
			t.Error("a nil dereference did not panic")
		}
	}()
	var none *Conn
	_ = none.conn
}

func TestQuery(t *testing.T) {
	conn := connect(t)
	f := func(want, sql string, params ...Param) {
		t.Helper()
		if got := query(t, conn, sql, params...); got != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
	f("1\n", "SELECT 1")
	f("", "SELECT 1 WHERE 0")
	f("5\tx\\0y\n", "SELECT {a:UInt8} + 1, {b:String}", Param{"a", "4"}, Param{"b", "x\x00y"})
	f("\n", "SELECT {empty:String}", Param{"empty", ""})
	f("2\n", "SELECT 2", Param{"unused", "1"})
	var exc *EngineError
	if _, err := conn.Query("SELECT nosuch", "TSV", nil); !errors.As(err, &exc) || exc.Code != 47 {
		t.Errorf("%v: want code 47", err)
	}
	res, err := conn.Query("SELECT number FROM numbers(7)", "Native", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Close()
	if res.Stats.Rows != 7 || res.Stats.ReadRows != 7 {
		t.Errorf("stats %+v, want 7 rows", res.Stats)
	}
}

func TestStream(t *testing.T) {
	conn := connect(t)
	st, err := conn.Stream("SELECT number FROM numbers(200000)", "RowBinary", nil)
	if err != nil {
		t.Fatal(err)
	}
	var bytes, chunks int
	for {
		r, err := st.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		bytes, chunks = bytes+len(r.Data), chunks+1
		r.Close()
	}
	if bytes != 8*200000 || chunks < 2 {
		t.Errorf("%d bytes in %d chunks", bytes, chunks)
	}
	if _, err := st.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("behind the end: %v", err)
	}
	st.Close()
	st.Close()

	for fetched := range 3 { // given up before the first chunk, and in mid-stream
		st, err := conn.Stream("SELECT number FROM system.numbers", "RowBinary", nil)
		if err != nil {
			t.Fatal(err)
		}
		for range fetched {
			r, err := st.Next()
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
		}
		st.Close()
		if got := query(t, conn, "SELECT 1"); got != "1\n" {
			t.Fatalf("the connection says %q behind a stream that was given up", got)
		}
	}
}

func TestInsert(t *testing.T) {
	conn := connect(t)
	query(t, conn, "CREATE OR REPLACE TABLE t (a UInt32, s String) ENGINE = Memory")
	ins, err := conn.Insert("INSERT INTO t (s, a)", "CSV", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, piece := range []string{"", "\"x", "\n\n", "y\",", "1\nz", ",2"} {
		if !ins.Append([]byte(piece)) {
			t.Fatal("a piece was refused")
		}
	}
	stats, err := ins.Done()
	if err != nil || stats.WrittenRows != 2 {
		t.Fatal(stats, err)
	}
	ins.Close()
	if ins.Append([]byte("late")) {
		t.Error("a piece behind the end was taken")
	}
	if got := query(t, conn, "SELECT a, s FROM t ORDER BY a"); got != "1\tx\\n\\ny\n2\tz\n" {
		t.Errorf("table holds %q", got)
	}
	ins, err = conn.Insert("INSERT INTO t", "CSV", nil)
	if err != nil {
		t.Fatal(err)
	}
	ins.Append([]byte("3,w\n"))
	ins.Close() // given up
	if got := query(t, conn, "SELECT count() FROM t"); got != "2\n" {
		t.Errorf("%s rows behind an insert that was given up", got)
	}
	var exc *EngineError
	if _, err := conn.Insert("INSERT INTO nosuch", "CSV", nil); !errors.As(err, &exc) || exc.Code != 60 {
		t.Errorf("%v: want code 60", err)
	}
}

func TestClassify(t *testing.T) {
	conn := connect(t)
	f := func(sql string, class Class, statements int) {
		t.Helper()
		c, n, err := conn.Classify(sql)
		if err != nil || c != class || n != statements {
			t.Errorf("%s: class %d, %d statements, %v; want class %d, %d", sql, c, n, err, class, statements)
		}
	}
	f("SELECT 1", ClassReadOnly, 1)
	f("SELECT 1; DROP TABLE t", ClassMutating, 2)
	f("CREATE FUNCTION f AS x -> x", ClassGlobal, 1)
	f("USE system", ClassControl, 1)
	f("SELECT FROM FROM", ClassUnknown, 0)
	f("", ClassUnknown, 0)
}

func TestEngineError(t *testing.T) {
	f := func(text string, want EngineError) {
		t.Helper()
		if diff := cmp.Diff(&want, newEngineError(text)); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
	f("Code: 60. DB::Exception: no t. (UNKNOWN_TABLE)\n", EngineError{60, "Code: 60. DB::Exception: no t. (UNKNOWN_TABLE)"})
	f("Error: Code: 1. DB::Exception: x", EngineError{1, "Code: 1. DB::Exception: x"})
	f("Code: 27. DB::Exception: bad. (X), Stack trace (when copying this message, always include the lines below):\n\n0. f", EngineError{27, "Code: 27. DB::Exception: bad. (X)"})
	f("boom", EngineError{0, "boom"})
}

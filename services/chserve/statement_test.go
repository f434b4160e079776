package chserve

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplitInsert(t *testing.T) {
	type want struct{ head, format, data string }
	no := want{}
	f := func(text string, w want) {
		t.Helper()
		ins, ok := splitInsert(text)
		got := no
		if ok {
			got = want{ins.head, ins.format, text[ins.data:]}
		}
		if ok && w == no || got != w {
			t.Errorf("%q: got %q, want %q", text, got, w)
		}
	}
	f("SELECT 1", no)
	f("", no)
	f("INSERT", no)
	f("INSERT INTO t SELECT 1", no)
	f("INSERT INTO t (a, b) WITH 1 AS x SELECT x", no)
	f("INSERT INTO t /* VALUES */ SELECT 'VALUES'", no)
	f("EXPLAIN INSERT INTO t VALUES (1)", no)
	f("WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", no)
	f("INSERT INTO t VALUES (1)", want{"INSERT INTO t ", "Values", " (1)"})
	f("insert\ninto t(values, format)values(1)", want{"insert\ninto t(values, format)", "Values", "(1)"})
	f("INSERT INTO values VALUES (1)", want{"INSERT INTO values ", "Values", " (1)"})
	f("INSERT INTO TABLE format FORMAT CSV\n1", want{"INSERT INTO TABLE format ", "CSV", "1"})
	f("INSERT INTO db.format FORMAT CSV\n1", want{"INSERT INTO db.format ", "CSV", "1"})
	f("INSERT INTO db . select VALUES (1)", want{"INSERT INTO db . select ", "Values", " (1)"})
	f("INSERT INTO `VALUES` FORMAT CSV 1", want{"INSERT INTO `VALUES` ", "CSV", "1"})
	f("INSERT INTO t FORMAT CSV\r\n\n1", want{"INSERT INTO t ", "CSV", "\n1"})
	f("INSERT INTO t FORMAT Native\n\n\n", want{"INSERT INTO t ", "Native", "\n\n"})
	f("INSERT INTO t FORMAT CSV", want{"INSERT INTO t ", "CSV", ""})
	f("-- c\nINSERT INTO t SETTINGS a = 'FORMAT' FORMAT TSV\nFORMAT", want{"-- c\nINSERT INTO t SETTINGS a = 'FORMAT' ", "TSV", "FORMAT"})
	f("INSERT INTO FUNCTION remote('h', d, t) VALUES (1)", want{"INSERT INTO FUNCTION remote('h', d, t) ", "Values", " (1)"})
	f("INSERT INTO t", want{"INSERT INTO t", "", ""})
	f("INSERT INTO t FORMAT", want{"INSERT INTO t FORMAT", "", ""})
	if ins, ok := splitInsert("INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV"); !ok || !ins.infile {
		t.Error("INFILE went unnoticed")
	}
}

func TestInspect(t *testing.T) {
	known := func(name string) bool { return name == "JSON" || name == "CSV" }
	f := func(text string, proper string, want shape) {
		t.Helper()
		want.end = len(proper)
		if !strings.HasPrefix(text, proper) {
			t.Fatalf("%q does not begin with %q", text, proper)
		}
		if diff := cmp.Diff(want, inspect(text, known), cmp.AllowUnexported(shape{})); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
	f("SELECT 1", "SELECT 1", shape{isSelect: true})
	f("SELECT 1 FORMAT JSON", "SELECT 1", shape{format: "JSON", isSelect: true})
	f("SELECT 1 FORMAT JSON;", "SELECT 1", shape{format: "JSON", isSelect: true})
	f("SELECT 1 FORMAT JSON SETTINGS a = 1", "SELECT 1", shape{format: "JSON", isSelect: true})
	f("SELECT 1 ; -- FORMAT JSON", "SELECT 1", shape{isSelect: true})
	f("SELECT format FROM t", "SELECT format FROM t", shape{isSelect: true})
	f("SELECT format CSV FROM t", "SELECT format CSV FROM t", shape{isSelect: true})
	f("SELECT (SELECT 1 FORMAT JSON)", "SELECT (SELECT 1 FORMAT JSON)", shape{isSelect: true})
	f("SELECT 'FORMAT JSON'", "SELECT 'FORMAT JSON'", shape{isSelect: true})
	f("SELECT 1 FORMAT Nosuch", "SELECT 1 FORMAT Nosuch", shape{isSelect: true})
	f("((SELECT 1) UNION ALL SELECT 2)", "((SELECT 1) UNION ALL SELECT 2)", shape{isSelect: true})
	f("WITH 1 AS x SELECT x", "WITH 1 AS x SELECT x", shape{isSelect: true})
	f("FROM t SELECT a", "FROM t SELECT a", shape{isSelect: true})
	f("SHOW TABLES FORMAT CSV", "SHOW TABLES", shape{format: "CSV"})
	f("SELECT 1 INTO OUTFILE 'x' FORMAT CSV", "SELECT 1 INTO OUTFILE 'x'", shape{format: "CSV", isSelect: true, outfile: true})
	f("SELECT 1 INTO /* */ -- \n OUTFILE 'x'", "SELECT 1 INTO /* */ -- \n OUTFILE 'x'", shape{isSelect: true, outfile: true})
	f("SELECT 'INTO OUTFILE'", "SELECT 'INTO OUTFILE'", shape{isSelect: true})
	f("", "", shape{})
}

func TestLexer(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		var got []string
		l := &lexer{text: text}
		for {
			tok, ok := l.next()
			if !ok {
				break
			}
			got = append(got, text[tok.start:tok.end])
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
	f("a1 + 'b c'", "a1", "+", "'b c'")
	f(`'it''s' 'it\'s'`, "'it'", "'s'", `'it\'s'`)
	f("`a``b` \"c\\\"d\"", "`a`", "`b`", `"c\"d"`)
	f("'open", "'open")
	f(`'\`, `'\`)
	f("a--b\nc", "a", "c")
	f("a # b\nc#!d\ne", "a", "c", "e")
	f("a /* b */ c /* d", "a", "c")
	f("$$ a ' b $$ c", "$$ a ' b $$", "c")
	f("$t$ $$ $t$ c $1", "$t$ $$ $t$", "c", "$", "1")
	f("größe", "größe")
}

// FuzzStatement: whatever the text, the offsets stay in it and the pieces make
// it up again.
func FuzzStatement(f *testing.F) {
	for _, seed := range []string{
		"INSERT INTO t (a) FORMAT CSV\n1", "INSERT INTO t VALUES", "SELECT 1 FORMAT JSON SETTINGS a=1;", "$a$ $", "'\\", "/*", "INSERT INTO", "SELECT format format",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if ins, ok := splitInsert(text); ok && !ins.infile && (!strings.HasPrefix(text, ins.head) || ins.data < len(ins.head) || ins.data > len(text)) {
			t.Fatalf("head %q, data at %d of %q", ins.head, ins.data, text)
		}
		s := inspect(text, func(string) bool { return true })
		if s.end < 0 || s.end > len(text) {
			t.Fatalf("ends at %d of %q", s.end, text)
		}
		l, last := &lexer{text: text}, 0
		for {
			tok, ok := l.next()
			if !ok {
				break
			}
			if tok.start < last || tok.end <= tok.start || tok.end > len(text) {
				t.Fatalf("token %v behind %d in %q", tok, last, text)
			}
			last = tok.end
		}
	})
}

package clickhouse

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestSplit(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		got, err := Split(text)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(want, got) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	f("")
	f(" ;; \n;")
	f("-- only a comment; with a semicolon\n")
	f("SELECT 1", "SELECT 1")
	f("SELECT 1;SELECT 2;\n", "SELECT 1", "SELECT 2")
	f("SELECT ';' -- ;\n, \"a;b\", `c;d` /* ; */; SELECT 2", "SELECT ';' -- ;\n, \"a;b\", `c;d` /* ; */", "SELECT 2")
	f(`SELECT 'it\'s;'; SELECT 'it''s;'`, `SELECT 'it\'s;'`, `SELECT 'it''s;'`)
	f("-- about\n-- it\n\nSELECT 1;", "SELECT 1")
}

func TestSplitUnclosed(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if _, err := Split(text); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	f("SELECT 'a", "quote is not closed")
	f(`SELECT 'a\'`, "quote is not closed")
	f("SELECT /* a", "comment is not closed")
}

func FuzzSplit(f *testing.F) {
	f.Add("SELECT ';'; -- x\nSELECT 2")
	f.Add("/*;*/`;`")
	f.Fuzz(func(t *testing.T, text string) {
		statements, err := Split(text)
		if err != nil {
			return
		}
		for _, s := range statements {
			if s != strings.TrimSpace(s) || s == "" {
				t.Errorf("statement %q", s)
			}
			if !strings.Contains(text, s) {
				t.Errorf("%q is not in the text", s)
			}
		}
	})
}

func TestParams(t *testing.T) {
	f := func(change func(*Params), want ...string) {
		t.Helper()
		p := Default()
		change(&p)
		err := p.Validate()
		if len(want) == 0 && err != nil {
			t.Error(err)
		}
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("error %v, want %s", err, w)
			}
		}
	}
	f(func(*Params) {})
	f(func(p *Params) { p.Kind = Single })
	f(func(p *Params) { p.Kind, p.Cluster = Cluster, "prod-1" })
	f(func(p *Params) { p.Kind = "sharded" }, `kind: "sharded", want embedded, single or cluster`)
	f(func(p *Params) { p.Cluster = "x" }, "cluster: \"x\" is set, but kind is embedded")
	f(func(p *Params) { p.Kind, p.Cluster = Cluster, "a`; DROP" }, "cluster: ")
	f(func(p *Params) { p.DedupWindow, p.Retention.Raw, p.Retention.Aggregates = 5, 0, 9999 },
		"dedup_window: 5, want 1000 to 1000000", "retention.raw: 0 days, want 1 to 3650", "retention.aggregates: 9999 days")
}

func TestRenderKinds(t *testing.T) {
	text := func(k Kind) string {
		p := Default()
		p.Kind = k
		if k == Cluster {
			p.Cluster = "main"
		}
		files, err := Render(p)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, f := range files {
			all = append(all, f.Statements...)
		}
		return strings.Join(all, ";\n")
	}
	embedded, single, cluster := text(Embedded), text(Single), text(Cluster)
	f := func(word string, inEmbedded, inSingle, inCluster bool) {
		t.Helper()
		got := [3]bool{strings.Contains(embedded, word), strings.Contains(single, word), strings.Contains(cluster, word)}
		if want := [3]bool{inEmbedded, inSingle, inCluster}; got != want {
			t.Errorf("%q in embedded, single, cluster: %v, want %v", word, got, want)
		}
	}
	f("fsync_after_insert = 1", true, false, false)
	f(" non_replicated_deduplication_window = 20000", true, true, false)
	f(" replicated_deduplication_window = 20000", false, false, true)
	f("replicated_deduplication_window_seconds = 604800", false, false, true)
	f("ReplicatedReplacingMergeTree(rev)", false, false, true)
	f("ON CLUSTER", false, false, true)
	f("ENGINE = Distributed", false, false, true)
	f("GLOBAL IN", false, false, true)
	f("CREATE ROW POLICY", false, true, true)
	f("SQL SECURITY DEFINER", false, true, true)
	f("{{", false, false, false)
}

// A parameter changes the checksum of definitions and leaves those of migrations.
func TestChecksums(t *testing.T) {
	sums := func(p Params) map[string]string {
		files, err := Render(p)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, f := range files {
			got[f.Name] = f.Checksum
		}
		return got
	}
	a := sums(Default())
	p := Default()
	p.Retention.Raw, p.DedupWindow = 7, 40_000
	b := sums(p)
	for name := range a {
		if same := a[name] == b[name]; same == (name == "10_retention") {
			t.Errorf("%s: checksum stayed: %v", name, same)
		}
	}
}

func TestRenderErrors(t *testing.T) {
	f := func(name, body, want string) {
		t.Helper()
		_, err := render(fstest.MapFS{name: {Data: []byte(body)}}, Default())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	f("0002_gap.sql", "SELECT 1", "want number 0001")
	f("first.sql", "SELECT 1", "want a name like 0001_what.sql")
	f("0001_bad.sql", "{{nonsense}}", `function "nonsense" not defined`)
	f("0001_bad.sql", "{{.Nonsense}}", "can't evaluate field Nonsense")
	f("0001_bad.sql", "SELECT '", "split 0001_bad.sql: quote is not closed")
}

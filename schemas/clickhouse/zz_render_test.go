package clickhouse

import ("testing";"os";"strings")

func TestZZ(t *testing.T) {
	for _, k := range []Kind{Embedded, Single, Cluster} {
		p := Default(); p.Kind = k
		if k == Cluster { p.Cluster = "main" }
		fs, err := Render(p)
		if err != nil { t.Fatal(err) }
		var all []string
		for _, f := range fs { all = append(all, f.Statements...) }
		os.WriteFile("/tmp/chtry/"+string(k)+".sql", []byte(strings.Join(all, "\n\x01\n")), 0o644)
	}
}

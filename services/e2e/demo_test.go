package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The demo on a smaller company, with two kills on the way: what is in ClickHouse
// equals the truth, by plain SQL.
func TestDemoSurvivesKills(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a whole pipeline")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	library := filepath.Join(root, ".cache/chdb/package/libchdb.so")
	if _, err := os.Stat(library); err != nil {
		if os.Getenv("REQUIRE_TOOLS") == "1" {
			t.Fatalf("no ClickHouse engine: make tools: %v", err)
		}
		t.Skipf("no ClickHouse engine: make tools: %v", err)
	}
	bin, state := t.TempDir(), filepath.Join(t.TempDir(), "demo")
	for _, name := range []string{"goodhart", "chserve"} {
		build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(bin, name), "../cmd/"+name)
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", name, err, out)
		}
	}
	demo := exec.CommandContext(t.Context(), "bash", filepath.Join(root, "deploy/demo/demo.sh"))
	demo.Env = append(os.Environ(), "GOODHART_BIN="+bin, "CHDB_LIB="+library, "DEMO_DIR="+state, "DEMO_PORT=23710",
		"DEMO_EVENTS=40000", "DEMO_PEOPLE=60", "DEMO_SEED=3", "DEMO_KILL=90 300")
	out, err := demo.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text := string(out)
	if kills := strings.Count(text, "killing the pipeline"); kills != 2 {
		t.Errorf("%d kills, want 2", kills)
	}
	if !strings.Contains(text, "demo: the database equals the truth") {
		t.Errorf("no word of equality:\n%s", text)
	}
}

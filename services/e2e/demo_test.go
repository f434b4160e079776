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
	bin, library := binaries(t)
	demo := exec.CommandContext(t.Context(), "bash", "../../deploy/demo/demo.sh")
	demo.Env = append(os.Environ(), "GOODHART_BIN="+bin, "CHDB_LIB="+library, "DEMO_DIR="+filepath.Join(t.TempDir(), "demo"),
		"DEMO_PORT=23710", "DEMO_EVENTS=40000", "DEMO_PEOPLE=60", "DEMO_SEED=3", "DEMO_KILL=90 300")
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

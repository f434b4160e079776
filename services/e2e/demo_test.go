package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goodhartlabs/goodhart/services/faults"
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
		"DEMO_PORT=23710", "DEMO_EVENTS=40000", "DEMO_PEOPLE=60", "DEMO_DAYS=28", "DEMO_SEED=3", "DEMO_KILL=90 300")
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

// The demo with faults on a small company: every role is killed once, a sink is
// kept from the database with an insert begun, and each record counts once.
func TestDemoWithFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a whole pipeline")
	}
	cfg := faults.Default()
	cfg.Bin, cfg.Library = binaries(t)
	cfg.Deploy, cfg.Dir = "../../deploy", filepath.Join(t.TempDir(), "faults")
	cfg.Seed, cfg.People, cfg.Days, cfg.Events = 5, 40, 10, 40_000
	// A frozen process would have to outlast its session: that is for make demo.
	cfg.Rounds, cfg.Freeze = 1, 0
	var out bytes.Buffer
	cfg.Out = &out
	report, err := faults.Run(t.Context(), cfg)
	t.Log("\n" + out.String())
	if err != nil {
		logEnds(t, filepath.Join(cfg.Dir, "logs", "*.log"))
		t.Fatal(err)
	}
	if report.Faults != 8 || report.Repeated == 0 {
		t.Errorf("%d faults, 8 in the schedule; %d requests repeated", report.Faults, report.Repeated)
	}
	if left, err := filepath.Glob(cfg.Dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// logEnds prints the last lines of logs.
func logEnds(t *testing.T, pattern string) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Error(err)
	}
	for _, path := range paths {
		t.Logf("%s ends:\n%s", filepath.Base(path), faults.Tail(path))
	}
}

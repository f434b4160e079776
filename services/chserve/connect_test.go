package chserve

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestClickHouseConnect runs a client that is not ours: clickhouse-connect from
// PyPI, in the virtual environment that `make tools` makes.
func TestClickHouseConnect(t *testing.T) {
	python := filepath.Join("..", "..", ".cache", "venv", "bin", "python")
	if err := exec.Command(python, "-c", "import clickhouse_connect").Run(); err != nil {
		const missing = "no clickhouse-connect in .cache/venv: run `make tools`"
		if os.Getenv("REQUIRE_TOOLS") == "1" {
			t.Fatal(missing, err)
		}
		t.Skip(missing)
	}
	c := serve(t)
	host, port, _ := strings.Cut(strings.TrimPrefix(c.url, "http://"), ":")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, python, filepath.Join("testdata", "connect.py"), host, port, c.db).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

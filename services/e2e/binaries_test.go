package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// buildOnce makes the binaries, once per run of the tests.
var buildOnce = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "goodhart-e2e-")
	if err != nil {
		return "", err
	}
	for _, name := range []string{"goodhart", "chserve"} {
		build := exec.Command("go", "build", "-o", filepath.Join(dir, name), "../cmd/"+name)
		if out, err := build.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := buildOnce(); err == nil && built {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// built says that some test asked for the binaries.
var built bool

// binaries returns the directory of goodhart and chserve, and the engine. The
// test is skipped without an engine, or fails if REQUIRE_TOOLS=1.
func binaries(tb testing.TB) (dir, library string) {
	tb.Helper()
	library, err := filepath.Abs("../../.cache/chdb/package/libchdb.so")
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := os.Stat(library); err != nil {
		if os.Getenv("REQUIRE_TOOLS") == "1" {
			tb.Fatalf("no ClickHouse engine: make tools: %v", err)
		}
		tb.Skipf("no ClickHouse engine: make tools: %v", err)
	}
	built = true
	if dir, err = buildOnce(); err != nil {
		tb.Fatal(err)
	}
	return dir, library
}

package up

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The engine leaves room for the rest of the pipeline.
func TestEngineMemory(t *testing.T) {
	cfg := Default()
	all := int64(0)
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(info), "\n") {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			kib, _ := strings.CutSuffix(strings.TrimSpace(rest), " kB")
			for _, digit := range kib {
				all = 10*all + int64(digit-'0')
			}
			all <<= 10
		}
	}
	if got := cfg.engineMemory(); got < minEngineMemory || got > max(all/2+1<<20, minEngineMemory) {
		t.Errorf("%d of %d bytes", got, all)
	}
	cfg.ClickHouseMemory = 1 << 30
	if got := cfg.engineMemory(); got != 1<<30 {
		t.Errorf("%d bytes, want what is configured", got)
	}
	cfg.ClickHouseMemory = 1
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "clickhouse_memory") {
		t.Errorf("one byte: %v", err)
	}
	f := func(content string, want int64, wantOK bool) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "memory.max")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, ok := containerMemory(path); got != want || ok != wantOK {
			t.Errorf("%q: %d %v", content, got, ok)
		}
	}
	f("max\n", 0, false)
	f("1073741824\n", 1<<30, true)
}

package chserve

import (
	"os"
	"path/filepath"
	"testing"
)

func TestForgetDangling(t *testing.T) {
	const (
		older = "1\t202611_1_1_0\t202611_11_12\n"
		drop  = "2\t202611_1_1_0\t202611_11_12\n"
		last  = "1\t202611_7_7_0\t202611_21_22\n"
	)
	f := func(log, want string, parts ...string) {
		t.Helper()
		root := t.TempDir()
		table := filepath.Join(root, "store", "abc", "abc-def")
		dir := filepath.Join(table, "deduplication_logs")
		for _, sub := range append(parts, "deduplication_logs") {
			if err := os.MkdirAll(filepath.Join(table, sub), 0o750); err != nil {
				t.Fatal(err)
			}
		}
		for name, text := range map[string]string{"deduplication_log_9.txt": older, "deduplication_log_10.txt": log, "deduplication_log_11.txt": ""} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := forgetDangling(root); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, "deduplication_log_10.txt"))
		if err != nil || string(got) != want {
			t.Errorf("log %q with parts %v became %q, want %q, %v", log, parts, got, want, err)
		}
	}
	f(older+last, older+last, "202611_7_7_0")
	f(older+last, older+last, "202611_2_9_3")
	f(older+last, older+last, "202611_2_9_3_12")
	f(older+last, older, "202611_1_1_0")
	f(older+last, older, "202611_1_6_1", "202610_2_9_3", "tmp_insert_202611_7_7_0", "202611_8_8_0")
	f(last, "")
	f(older+drop, older+drop)
	f(older+"1\t202611_7_", older, "202611_7_7_0")
	f(older+"1\t202611_7_7_0\t202611_2", older, "202611_1_1_0")
	if err := forgetDangling(filepath.Join(t.TempDir(), "nothing")); err != nil {
		t.Error(err)
	}
}

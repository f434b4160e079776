package simulate

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func testConfig(t *testing.T, seed uint64) Config {
	t.Helper()
	cfg := Default()
	cfg.Dir, cfg.Seed, cfg.Days, cfg.Events, cfg.End, cfg.People = t.TempDir(), seed, 7, 20_000, "2026-10-30", 60
	return cfg
}

func planned(t *testing.T, cfg Config) map[string]string {
	t.Helper()
	if err := Plan(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(cfg.Dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(filepath.Join(cfg.Dir, path))
		files[path] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestPlanFollowsFromTheSeed(t *testing.T) {
	one, two, other := planned(t, testConfig(t, 7)), planned(t, testConfig(t, 7)), planned(t, testConfig(t, 8))
	if diff := cmp.Diff(one, two); diff != "" {
		t.Errorf("same seed, other files (-first +second):\n%s", diff)
	}
	for name := range one {
		if one[name] == other[name] {
			t.Errorf("%s is the same for another seed", name)
		}
	}
}

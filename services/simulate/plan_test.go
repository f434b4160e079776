package simulate

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/goodhartlabs/goodhart/pkg/policy"
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

// What the company declares is what goodhart apply takes: first itself, then the
// target, from the day of its announcement on.
func TestPoliciesAreValid(t *testing.T) {
	cfg := testConfig(t, 9)
	cfg.Days, cfg.People = 140, 200
	files := planned(t, cfg)
	p, err := readPlan(cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	parsed := map[string]*policy.Policy{}
	for _, name := range []string{policyFile, targetFile} {
		var tree map[string]any
		if err := yaml.Unmarshal([]byte(files[name]), &tree); err != nil {
			t.Fatal(err)
		}
		document, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		if parsed[name], err = policy.Parse(document); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	before, after := parsed[policyFile], parsed[targetFile]
	if before.Tenant != "demo" || len(before.Targets) != 0 || len(before.Context) != 1 || len(before.Automation) != 1 || len(before.Teams) < 9 {
		t.Errorf("before: %+v", before)
	}
	announced := p.Start.AddDate(0, 0, p.AnnouncedHour/24).UnixMilli()
	if len(after.Targets) != 1 || int64(after.Targets[0].AnnouncedAt) != announced || after.Targets[0].Threshold <= 0 {
		t.Errorf("targets %+v, announced at %d", after.Targets, announced)
	}
	if p.RunawayHour == 0 || p.RunawayHour >= p.AnnouncedHour {
		t.Errorf("a service runs away in hour %d, the target is announced in hour %d", p.RunawayHour, p.AnnouncedHour)
	}
}

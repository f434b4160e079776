package alerts

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// promtool finds no fault with rules and examples, and the unit tests of the
// rules pass.
func TestRules(t *testing.T) {
	f := func(name string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), tool(t, name), args...)
		cmd.Dir = filepath.Join(repository, "deploy/prometheus")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s %v: %v\n%s", name, args, err, out)
		}
	}
	f("promtool", "check", "rules", "goodhart.rules.yml")
	f("promtool", "test", "rules", "goodhart.rules.test.yml")
	f("promtool", "check", "config", "prometheus.example.yml")
	f("amtool", "check-config", "alertmanager.example.yml")
	hurry := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(hurry, []byte(hurried(t, rules(t))), 0o600); err != nil {
		t.Fatal(err)
	}
	f("promtool", "check", "rules", hurry)
}

// rule is an alert as it is written.
type rule struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

func readRules(t *testing.T, text string) []rule {
	t.Helper()
	var file struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		t.Fatal(err)
	}
	var all []rule
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				all = append(all, r)
			}
		}
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Every alert says how bad it is, what happens and where to look on; its runbook
// answers what somebody asks who was just woken up. There is a unit test for it.
func TestEveryAlertIsTold(t *testing.T) {
	units := read(t, "deploy/prometheus/goodhart.rules.test.yml")
	listed := read(t, "docs/runbooks/README.md")
	books := []string{"README.md"}
	for _, r := range readRules(t, rules(t)) {
		bad := func(wrong bool, what string) {
			t.Helper()
			if wrong {
				t.Errorf("%s: %s", r.Alert, what)
			}
		}
		bad(r.Labels["severity"] != "critical" && r.Labels["severity"] != "warning", "severity is neither critical nor warning")
		bad(r.Annotations["summary"] == "" || r.Annotations["description"] == "", "no summary or no description")
		book := "docs/runbooks/" + r.Alert + ".md"
		bad(r.Annotations["runbook_url"] != "https://github.com/goodhartlabs/goodhart/blob/main/"+book, "runbook_url does not lead to "+book)
		text := read(t, book)
		for _, part := range []string{"# " + r.Alert + "\n", "\n## Meaning\n", "\n## Impact\n", "\n## Check\n", "\n## Mend\n", "\n## Escalate\n"} {
			bad(!strings.Contains(text, part), "the runbook has no "+strings.TrimSpace(part))
		}
		bad(!strings.Contains(listed, "("+r.Alert+".md)"), "docs/runbooks/README.md does not list it")
		bad(!strings.Contains(units, `alertname="`+r.Alert+`"`), "no unit test expects it")
		books = append(books, r.Alert+".md")
	}
	files, err := os.ReadDir(filepath.Join(repository, "docs/runbooks"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !slices.Contains(books, f.Name()) {
			t.Errorf("docs/runbooks/%s belongs to no alert", f.Name())
		}
	}
}

var (
	metricName  = regexp.MustCompile(`\bgoodhart_\w+`)
	partOfName  = regexp.MustCompile(`_(bucket|sum|count)$`)
	catalogued  = regexp.MustCompile("(?m)^\\| `(goodhart_\\w+)` \\| (\\w+) ")
	promqlBlock = regexp.MustCompile("(?s)```promql\n(.*?)```")
	sqlBlock    = regexp.MustCompile("(?s)```sql\n(.*?)```")
)

// What rules, dashboards and pages name is a metric of the catalogue.
func TestNamedMetricsExist(t *testing.T) {
	kinds := map[string]string{}
	for _, m := range catalogued.FindAllStringSubmatch(read(t, "docs/metrics.md"), -1) {
		kinds[m[1]] = m[2]
	}
	if len(kinds) < 50 {
		t.Fatalf("%d metrics in the catalogue", len(kinds))
	}
	var paths []string
	for _, pattern := range []string{"deploy/prometheus/*.yml", "deploy/grafana/*.json", "docs/*.md", "docs/runbooks/*.md"} {
		found, err := filepath.Glob(filepath.Join(repository, pattern))
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range metricName.FindAllString(string(text), -1) {
			base := partOfName.ReplaceAllString(name, "")
			if kinds[name] == "" && kinds[base] != "histogram" && !named(name) {
				t.Errorf("%s names %s, which no role has", filepath.Base(path), name)
			}
		}
	}
}

// named are names that look like those of metrics: the recorded rule, prefixes
// that stand for a family, and what is no metric at all.
func named(name string) bool {
	return strings.HasSuffix(name, "_") || slices.Contains([]string{"goodhart_dead_letters", "goodhart_reader", "goodhart_tenant"}, name)
}

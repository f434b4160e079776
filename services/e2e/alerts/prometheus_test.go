package alerts

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// repository is the root of the repository.
const repository = "../../.."

// tool finds a program on the PATH or in .bin. Without it the test is skipped,
// or fails if REQUIRE_TOOLS=1.
func tool(t *testing.T, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	path, err := filepath.Abs(filepath.Join(repository, ".bin", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("REQUIRE_TOOLS") == "1" {
			t.Fatalf("no %s: make tools: %v", name, err)
		}
		t.Skipf("no %s: make tools: %v", name, err)
	}
	return path
}

func rules(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "deploy/prometheus/goodhart.rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// scale is by how much hurried rules are faster.
const scale = 60

var durations = regexp.MustCompile(`(for: |\[)(\d+)([smh])`)

// eased are thresholds that a test reaches within seconds. Everything else of the
// rules is as it is in production, and so are the faults.
func eased() []struct{ alert, from, to string } {
	return []struct{ alert, from, to string }{
		{"GoodhartTicksMissing", "> 30", "> 3"},
		{"GoodhartFoldLag", "> 60", "> 4"},
		{"GoodhartSinkLag", "> 60", "> 4"},
		{"GoodhartDataStale", "> 120", "> 6"},
		{"GoodhartAlerterOverdue", "> 300", "> 4"},
		{"GoodhartReconcileStale", "> 3 * 3600", "> 6"},
		// What was late comes at once: its rate lasts as long as its window.
		{"GoodhartTicksLate", "> 10", "> 5"},
		{"GoodhartTicksLate", "for: 5s", "for: 1s"},
	}
}

// hurried renders the rules for a test: every window and every `for` is scale
// times shorter, 1 s at least, and the thresholds of eased hold.
func hurried(t *testing.T, rules string) string {
	t.Helper()
	units := map[string]int{"s": 1, "m": 60, "h": 3600}
	rules = durations.ReplaceAllStringFunc(rules, func(m string) string {
		part := durations.FindStringSubmatch(m)
		n, err := strconv.Atoi(part[2])
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s%ds", part[1], max(1, n*units[part[3]]/scale))
	})
	for _, e := range eased() {
		before, rule, found := strings.Cut(rules, "- alert: "+e.alert+"\n")
		if !found || !strings.Contains(rule, e.from) {
			t.Fatalf("%s has no %q", e.alert, e.from)
		}
		rules = before + "- alert: " + e.alert + "\n" + strings.Replace(rule, e.from, e.to, 1)
	}
	return rules
}

// watcher is a Prometheus that scrapes the bed every second, and what it says.
type watcher struct {
	t    *testing.T
	url  string
	disk string // where the processor spills to
}

type alert struct {
	Labels, Annotations map[string]string
	State               string
}

func (a alert) name() string { return a.Labels["alertname"] }

func watch(b *bed) *watcher {
	b.t.Helper()
	prometheus := tool(b.t, "prometheus")
	dir := b.t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			b.t.Fatal(err)
		}
		return path
	}
	write("goodhart.rules.yml", hurried(b.t, rules(b.t)))
	var config strings.Builder
	config.WriteString("global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\nrule_files: [goodhart.rules.yml]\n" +
		"scrape_configs:\n  - job_name: goodhart\n    static_configs:\n")
	for name, addr := range b.admin {
		fmt.Fprintf(&config, "      - {targets: [%q], labels: {role: %s}}\n", addr, name)
	}
	w := &watcher{b.t, "http://" + address(b.t), b.spill}
	cmd := exec.Command(prometheus, "--config.file", write("prometheus.yml", config.String()), "--storage.tsdb.path", filepath.Join(dir, "data"),
		"--web.listen-address", strings.TrimPrefix(w.url, "http://"), "--log.level", "warn")
	cmd.Stdout, cmd.Stderr = b.log, b.log
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	eventually(b.t, "every target to be scraped", func() bool {
		return len(w.query(`up{job="goodhart"} == 1`)) == len(b.admin)
	})
	return w
}

// ask reads the data of an answer; it reports whether there was one.
func (w *watcher) ask(path string, into any) bool {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+path, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	answer := struct{ Data any }{into}
	return resp.StatusCode == http.StatusOK && json.NewDecoder(resp.Body).Decode(&answer) == nil
}

// query returns the values of an instant vector as text.
func (w *watcher) query(promql string) []string {
	var data struct{ Result []struct{ Value [2]any } }
	if !w.ask("/api/v1/query?query="+url.QueryEscape(promql), &data) {
		return nil
	}
	var values []string
	for _, r := range data.Result {
		values = append(values, fmt.Sprint(r.Value[1]))
	}
	return values
}

// firing returns the alerts that fire, by name. How full the disk of the machine
// is, and how fast it fills, is none of the test's doing.
func (w *watcher) firing() map[string]alert {
	var data struct{ Alerts []alert }
	if !w.ask("/api/v1/alerts", &data) {
		w.t.Fatal("Prometheus does not answer")
	}
	fire := map[string]alert{}
	for _, a := range data.Alerts {
		if path := a.Labels["path"]; a.State == "firing" && (path == "" || path == w.disk) {
			fire[a.name()] = a
		}
	}
	return fire
}

// wantFiring waits until all of the alerts have fired, each at some time.
func (w *watcher) wantFiring(names ...string) {
	w.t.Helper()
	missing := map[string]bool{}
	for _, name := range names {
		missing[name] = true
	}
	began := time.Now()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); len(missing) > 0; {
		for name, a := range w.firing() {
			if missing[name] {
				w.t.Logf("%s fires after %s: %s", name, time.Since(began).Round(100*time.Millisecond), a.Annotations["summary"])
				w.complete(a)
			}
			delete(missing, name)
		}
		select {
		case <-tick.C:
		case <-deadline:
			w.t.Fatalf("%v do not fire", slices.Sorted(maps.Keys(missing)))
		}
	}
}

// complete wants texts without holes.
func (w *watcher) complete(a alert) {
	w.t.Helper()
	for key, text := range a.Annotations {
		if text == "" || strings.Contains(text, "<no value>") || strings.Contains(text, "<error") || regexp.MustCompile(`  | \.|^ `).MatchString(text) {
			w.t.Errorf("%s: %s is %q", a.name(), key, text)
		}
	}
}

// calm is how long no alert may fire to be gone.
const calm = 2 * time.Second

// wantQuiet waits until no alert fires any more.
func (w *watcher) wantQuiet() {
	w.t.Helper()
	began := time.Now()
	last := began
	var left map[string]alert
	defer func() {
		if len(left) > 0 {
			w.t.Logf("still firing: %v", slices.Sorted(maps.Keys(left)))
		}
	}()
	eventually(w.t, "all alerts to be gone", func() bool {
		if left = w.firing(); len(left) > 0 {
			last = time.Now()
		}
		return time.Since(last) > calm
	})
	w.t.Logf("quiet after %s", last.Sub(began).Round(100*time.Millisecond))
}

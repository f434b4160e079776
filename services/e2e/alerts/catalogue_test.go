package alerts

import (
	"bufio"
	"cmp"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/goodhartlabs/goodhart/services/probe"
)

var update = flag.Bool("update", false, "write docs/metrics.md")

// metric is a row of the catalogue.
type metric struct{ role, name, kind, labels, help string }

// unit is the base unit that the name says, as the conventions want it.
func (m metric) unit() string {
	name := strings.TrimSuffix(m.name, "_total")
	switch {
	case strings.HasSuffix(name, "_timestamp_seconds"):
		return "Unix time, s"
	case strings.HasSuffix(name, "_seconds"):
		return "s"
	case strings.HasSuffix(name, "_bytes"):
		return "bytes"
	case strings.HasSuffix(name, "_ratio"):
		return "0 to 1 and more"
	default:
		return ""
	}
}

// recorder is a registry that notes what is registered, samples or not.
type recorder struct {
	*prometheus.Registry

	role string
	into *recordings
}

type recordings struct {
	mu      sync.Mutex
	metrics []metric
}

// Register implements prometheus.Registerer.
func (r *recorder) Register(c prometheus.Collector) error {
	err := r.Registry.Register(c)
	r.note(c)
	return err
}

// MustRegister implements prometheus.Registerer.
func (r *recorder) MustRegister(all ...prometheus.Collector) {
	r.Registry.MustRegister(all...)
	for _, c := range all {
		r.note(c)
	}
}

var description = regexp.MustCompile(`^Desc\{fqName: "(.*?)", help: "(.*)", unit: ".*", constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)

// constLabel is a label of a constant value, as a description prints it.
var constLabel = regexp.MustCompile(`(\w+)=".*?"`)

func (r *recorder) note(c prometheus.Collector) {
	descs := make(chan *prometheus.Desc)
	go func() { c.Describe(descs); close(descs) }()
	for desc := range descs {
		part := description.FindStringSubmatch(desc.String())
		if part == nil || !strings.HasPrefix(part[1], "goodhart_") {
			continue
		}
		var labels []string
		for _, m := range constLabel.FindAllStringSubmatch(part[3], -1) {
			labels = append(labels, m[1])
		}
		if part[4] != "" {
			labels = append(labels, strings.Split(part[4], ",")...)
		}
		slices.Sort(labels)
		m := metric{r.role, part[1], kind(c), strings.Join(labels, ", "), strings.ReplaceAll(part[2], `\"`, `"`)}
		r.into.mu.Lock()
		if !slices.Contains(r.into.metrics, m) {
			r.into.metrics = append(r.into.metrics, m)
		}
		r.into.mu.Unlock()
	}
}

// kind of a collector, empty where only its samples tell.
func kind(c prometheus.Collector) string {
	switch c.(type) {
	case *prometheus.CounterVec:
		return "counter"
	case *prometheus.GaugeVec:
		return "gauge"
	case *prometheus.HistogramVec:
		return "histogram"
	default:
		return ""
	}
}

var (
	helpLine   = regexp.MustCompile(`^# HELP (\w+) (.*)$`)
	typeLine   = regexp.MustCompile(`^# TYPE (\w+) (\w+)$`)
	sampleLine = regexp.MustCompile(`^(\w+?)(?:_bucket|_sum|_count)?\{(.*)\} `)
	labelName  = regexp.MustCompile(`(\w+)=`)
)

// scrape reads what a role serves.
func scrape(t *testing.T, role, addr string) []metric {
	t.Helper()
	resp, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	help, labels := map[string]string{}, map[string]string{}
	var all []metric
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if m := helpLine.FindStringSubmatch(lines.Text()); m != nil {
			help[m[1]] = m[2]
		}
		if m := typeLine.FindStringSubmatch(lines.Text()); m != nil && strings.HasPrefix(m[1], "goodhart_") {
			all = append(all, metric{role, m[1], m[2], "", help[m[1]]})
		}
		if m := sampleLine.FindStringSubmatch(lines.Text()); m != nil {
			var names []string
			for _, l := range labelName.FindAllStringSubmatch(m[2], -1) {
				if l[1] != "le" {
					names = append(names, l[1])
				}
			}
			slices.Sort(names)
			labels[m[1]] = strings.Join(names, ", ")
		}
	}
	for i := range all {
		all[i].labels = labels[all[i].name]
	}
	return all
}

// docs/metrics.md lists what the roles register, and nothing else.
func TestCatalogueIsWhatRolesRegister(t *testing.T) {
	seen := &recordings{}
	registries := map[string]prometheus.Gatherer{}
	b := newBed(t, func(b *bed) {
		b.registry = func(role string) probe.Registry {
			reg := prometheus.NewRegistry()
			registries[role] = reg
			return &recorder{reg, role, seen}
		}
	})
	if code := b.post(typeEvent, usage("one")); code != 200 {
		t.Fatalf("status %d", code)
	}
	eventually(t, "the alerter's partitions", func() bool {
		n, err := testutil.GatherAndCount(registries["alerter"], "goodhart_alerter_lag_records")
		return err == nil && n > 0
	})
	eventually(t, "the event to be stored", func() bool { return b.count("SELECT count() FROM core.usage") == 1 })
	eventually(t, "a comparison", func() bool {
		n, err := testutil.GatherAndCount(registries["reconcile"], "goodhart_reconcile_mismatch_rows")
		return err == nil && n > 0
	})
	for role, reg := range registries {
		problems, err := testutil.GatherAndLint(reg)
		if err != nil {
			t.Errorf("%s: %v", role, err)
		}
		for _, p := range problems {
			if p.Metric != "goodhart_reconcile_imbalanced_hours" { // counts hours, measures none
				t.Errorf("%s: %s: %s", role, p.Metric, p.Text)
			}
		}
	}
	metrics := seen.metrics
	served := map[string]metric{}
	for role, addr := range b.admin {
		for _, m := range scrape(t, role, addr) {
			served[m.name] = m
			if role == "chserve" {
				metrics = append(metrics, m)
			}
		}
	}
	for i := range metrics {
		metrics[i].kind = cmp.Or(metrics[i].kind, served[metrics[i].name].kind)
		if metrics[i].kind == "" {
			t.Errorf("%s: neither its collector nor a sample says its type", metrics[i].name)
		}
	}

	path := filepath.Join(repository, "docs/metrics.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no %s … %s", path, begin, end)
	}
	want := before + begin + "\n" + tables(metrics) + end + after
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want != string(text) && !*update {
		t.Errorf("%s does not list what the roles register: go test ./services/e2e/alerts -run Catalogue -update\n%s", path, difference(string(text), want))
	}
}

const begin, end = "<!-- written by go test ./services/e2e/alerts -update -->", "<!-- end -->"

// every stands for metrics that all roles have.
const every = "every role"

// tables renders the catalogue, a table for each role.
func tables(metrics []metric) string {
	roles := map[string]map[string]bool{}
	for _, m := range metrics {
		if roles[m.name] == nil {
			roles[m.name] = map[string]bool{}
		}
		roles[m.name][m.role] = true
	}
	var rows []metric
	for _, m := range metrics {
		if len(roles[m.name]) > 1 {
			m.role = every
		}
		if !slices.Contains(rows, m) {
			rows = append(rows, m)
		}
	}
	slices.SortFunc(rows, func(a, b metric) int {
		return cmp.Or(cmp.Compare(order(a.role), order(b.role)), cmp.Compare(a.name, b.name))
	})
	var s strings.Builder
	role := ""
	for _, m := range rows {
		if m.role != role {
			role = m.role
			fmt.Fprintf(&s, "\n## %s\n\n| metric | type | labels | unit | meaning |\n|---|---|---|---|---|\n", role)
		}
		fmt.Fprintf(&s, "| `%s` | %s | %s | %s | %s |\n", m.name, m.kind, cmp.Or(m.labels, "–"), cmp.Or(m.unit(), "–"), m.help)
	}
	s.WriteString("\n")
	return s.String()
}

// order is the way of the data.
func order(role string) int {
	return slices.Index([]string{every, "collector", "processor", "sink", "alerter", "console", "reconcile", "broker", "chserve"}, role)
}

// difference lists the lines that only one of the texts has.
func difference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	var s strings.Builder
	for _, l := range g {
		if !slices.Contains(w, l) {
			s.WriteString("- " + l + "\n")
		}
	}
	for _, l := range w {
		if !slices.Contains(g, l) {
			s.WriteString("+ " + l + "\n")
		}
	}
	return s.String()
}

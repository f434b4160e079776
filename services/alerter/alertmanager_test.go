package alerter

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
)

// tool finds a program on the PATH or in .bin. Without it the test is skipped, or
// fails if REQUIRE_TOOLS=1.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = filepath.Abs(filepath.Join("../../.bin", name))
	}
	if err == nil {
		path, err = filepath.EvalSymlinks(path) // its files lie beside it
	}
	if err != nil {
		lack(t, fmt.Sprintf("no %s: make tools: %v", name, err))
	}
	return path
}

func lack(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("REQUIRE_TOOLS") == "1" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// templates is where Debian's Alertmanager wants its files.
const templates = "/usr/share/prometheus/alertmanager"

// alertmanagerCommand runs Alertmanager. One that was unpacked and not installed
// is shown its templates in a mount namespace of its own.
func alertmanagerCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	program := tool(t, "prometheus-alertmanager")
	unpacked := filepath.Join(filepath.Dir(program), "../share/prometheus/alertmanager")
	_, installed := os.Stat(templates)
	if _, err := os.Stat(unpacked); installed == nil || err != nil {
		return exec.Command(program, args...)
	}
	script := `mount -t tmpfs none /usr/share && mkdir -p $(dirname $1) && cp -r $0 $1 && shift && exec "$@"`
	wrapped := []string{"--map-root-user", "--mount", "sh", "-ec", script, unpacked, templates}
	if out, err := exec.Command("unshare", append(wrapped, "true")...).CombinedOutput(); err != nil {
		t.Skipf("install prometheus-alertmanager: it is unpacked only, and this machine gives no mount namespace: %v %s", err, out)
	}
	return exec.Command("unshare", append(append(wrapped, program), args...)...)
}

// server is a real Alertmanager that notifies a webhook of the test.
type server struct {
	*testing.T

	url string
	dir string
	// pages are its notifications.
	pages *place
	cmd   *exec.Cmd
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{T: t, dir: t.TempDir(), pages: newPlace(t), url: "http://" + address(t)}
	config := fmt.Sprintf(`route: {receiver: pages, group_by: [signal_id], group_wait: 10ms, group_interval: 100ms, repeat_interval: 24h}
receivers: [{name: pages, webhook_configs: [{url: %q, send_resolved: true}]}]
`, s.pages.URL)
	if err := os.WriteFile(filepath.Join(s.dir, "alertmanager.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	return s
}

// start starts it, without what it knew of alerts: it keeps them in memory alone.
func (s *server) start() {
	s.Helper()
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	s.cmd = alertmanagerCommand(s.T, "--config.file", filepath.Join(s.dir, "alertmanager.yml"),
		"--storage.path", filepath.Join(s.dir, "data"), "--web.listen-address", strings.TrimPrefix(s.url, "http://"), "--cluster.listen-address", "")
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		s.stop()
		if text, err := os.ReadFile(log.Name()); s.Failed() && err == nil {
			s.Logf("%s", text)
		}
	})
	ktest.Eventually(s, "Alertmanager", func() bool {
		resp, err := http.Get(s.url + "/-/ready")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

func (s *server) stop() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// row is an alert as the server has it.
type row struct {
	Labels, Annotations map[string]string
	StartsAt, EndsAt    time.Time
}

// active are its alerts that fire, by signal and severity.
func (s *server) active() map[string]row {
	s.Helper()
	resp, err := http.Get(s.url + "/api/v2/alerts")
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var rows []row
	if err := json.NewDecoder(resp.Body).Decode(&rows); err != nil {
		s.Fatal(err)
	}
	by := map[string]row{}
	for _, r := range rows {
		key := r.Labels["signal_id"] + " " + r.Labels["severity"]
		if _, twice := by[key]; twice {
			s.Errorf("%s fires twice", key)
		}
		by[key] = r
	}
	return by
}

// wants waits until exactly these fire, each with a revision.
func (s *server) wants(what string, revisions map[string]string) {
	s.Helper()
	var got map[string]string
	defer func() {
		if s.Failed() {
			s.Logf("%v fire", got)
		}
	}()
	ktest.Eventually(s, what, func() bool {
		got = map[string]string{}
		for key, r := range s.active() {
			got[key] = r.Annotations["revision"]
		}
		return cmp.Equal(revisions, got)
	})
}

// notified is how often the server said that a signal fires, and that it is
// resolved.
func (s *server) notified(id string) (firing, resolved int) {
	for _, page := range s.pages.taken() {
		var p struct {
			Status string
			Alerts []row
		}
		if err := json.Unmarshal([]byte(page.body), &p); err != nil {
			s.Fatal(err)
		}
		if p.Alerts[0].Labels["signal_id"] != id {
			continue
		}
		if p.Status == "firing" {
			firing++
		} else {
			resolved++
		}
	}
	return firing, resolved
}

// wantsPage waits until the server has said that a signal fires.
func (s *server) wantsPage(id string) {
	s.Helper()
	ktest.Eventually(s, "a page for "+id, func() bool { firing, _ := s.notified(id); return firing > 0 })
}

func (s *server) receiver() Receiver {
	return Receiver{Name: "pager", Alertmanager: &Alertmanager{URL: s.url + "/", ResendEvery: time.Second, ExpiresAfter: time.Minute}}
}

// One signal is one alert through every revision and kill -9 of the alerter; it
// fires once and is resolved once.
func TestAlertmanager(t *testing.T) {
	b, am, hook := newBed(t, ktest.Fake(t)), newServer(t), newPlace(t)
	cfg := b.config(am.receiver(), hook.webhook("hook"))
	a := b.start(cfg)

	b.publish(question("a", 0, statusOpened))
	am.wants("one alert", map[string]string{"a warning": "0"})
	want := row{
		Labels: map[string]string{
			"alertname": "GoodhartSignal", "signal_id": "a", "tenant": "acme", "code": "S1", "label": "tooling", "severity": "warning",
			"scope_kind": "team", "scope": "platform", "team": "platform",
		},
		Annotations: map[string]string{
			"summary": "Context bloat: team platform", "description": "Could the context be <smaller>?", "status": "opened", "revision": "0", "cost_at_stake": "1.25 USD",
			"evidence": "context to output: 42.5 tokens per token, asked from 10 tokens per token (n = 120, 7d); looked for: code review: not seen",
		},
		StartsAt: began,
	}
	got := am.active()["a warning"]
	if left := time.Until(got.EndsAt); left < 30*time.Second || left > time.Minute {
		t.Errorf("it ends in %v", left)
	}
	got.EndsAt = time.Time{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	b.publish(question("a", 1, statusUpdated), question("b", 0, statusOpened))
	am.wants("the update", map[string]string{"a warning": "1", "b warning": "0"})
	am.wantsPage("b")

	// While no alerter runs, one is opened and one is resolved.
	a.kill()
	b.publish(question("c", 0, statusOpened), question("b", 1, statusResolved))
	a = b.start(cfg)
	am.wants("what came meanwhile", map[string]string{"a warning": "1", "c warning": "0"})
	am.wantsPage("c")

	a.kill()
	b.publish(question("a", 2, statusDisputed))
	a = b.start(cfg)
	am.wants("the dispute", map[string]string{"a warning": "2", "c warning": "0"})
	b.publish(question("a", 3, statusResolved), question("c", 1, statusResolved))
	am.wants("silence", map[string]string{})
	b.caughtUp("pager")
	b.caughtUp("hook")

	if out, err := exec.Command(tool(t, "amtool"), "alert", "query", "--alertmanager.url", am.url, "-o", "json").Output(); err != nil || strings.TrimSpace(string(out)) != "[]" {
		t.Errorf("amtool: %s %v", out, err)
	}
	for _, id := range []string{"a", "b", "c"} {
		ktest.Eventually(t, id+" to be resolved", func() bool { _, resolved := am.notified(id); return resolved > 0 })
		if firing, resolved := am.notified(id); firing != 1 || resolved != 1 {
			t.Errorf("the server said %d times that %s fires and %d times that it is resolved", firing, id, resolved)
		}
	}
	keys := hook.keys()
	slices.Sort(keys)
	if diff := cmp.Diff([]string{"a-0", "a-1", "a-2", "a-3", "b-0", "b-1", "c-0", "c-1"}, slices.Compact(keys)); diff != "" {
		t.Error(diff)
	}
	if n := a.sample(`goodhart_alerter_open_signals{receiver="pager"}`); n != "0" {
		t.Errorf("%s signals are open", n)
	}
}

// Labels are what Alertmanager tells alerts apart by: when the severity changes,
// the alert with the old one ends.
func TestSeverityChanges(t *testing.T) {
	b, am := newBed(t, ktest.Fake(t)), newServer(t)
	cfg := b.config(am.receiver())
	a := b.start(cfg)
	urgent := func(s *signal) { s.Severity = critical }
	b.publish(question("a", 0, statusOpened))
	am.wants("a warning", map[string]string{"a warning": "0"})
	b.caughtUp("pager")
	a.kill()
	b.start(cfg)
	b.publish(question("a", 1, statusUpdated).with(urgent))
	am.wants("a page", map[string]string{"a critical": "1"})
	b.publish(question("a", 2, statusResolved).with(urgent))
	am.wants("silence", map[string]string{})
}

// A server that is down for a while gets everything afterwards, and what it had
// before as well: it keeps alerts in memory alone.
func TestAlertmanagerDown(t *testing.T) {
	b, am := newBed(t, ktest.Fake(t)), newServer(t)
	cfg := b.config(am.receiver())
	cfg.Receivers[0].GroupWait = 100 * time.Millisecond
	b.start(cfg)
	b.publish(question("old", 0, statusOpened))
	am.wants("an alert", map[string]string{"old warning": "0"})
	am.stop()
	b.publish(question("new", 0, statusOpened), question("short", 0, statusOpened))
	b.publish(question("new", 1, statusUpdated), question("short", 1, statusResolved))
	am.start()
	am.wants("what is open", map[string]string{"old warning": "0", "new warning": "1"})
	b.caughtUp("pager")
}

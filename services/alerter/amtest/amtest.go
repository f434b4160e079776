// Package amtest runs a real Alertmanager for tests, and keeps what it notifies.
package amtest

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
)

// Server is an Alertmanager that notifies the test, once for each alert that
// begins and once for each that ends. For the test's goroutine.
type Server struct {
	// URL of its root.
	URL string

	tb    testing.TB
	dir   string
	cmd   *exec.Cmd
	mu    sync.Mutex
	pages []page
}

// Alert is one as the server has it.
type Alert struct {
	Labels, Annotations map[string]string
	StartsAt, EndsAt    time.Time
}

// page is a notification.
type page struct {
	Status string
	Alerts []Alert
}

// New starts an Alertmanager that lives as long as the test. Without one on the
// PATH or in .bin the test is skipped, or fails if REQUIRE_TOOLS=1.
func New(tb testing.TB) *Server {
	tb.Helper()
	s := &Server{tb: tb, dir: tb.TempDir(), URL: "http://" + address(tb)}
	pages := httptest.NewServer(http.HandlerFunc(s.receive))
	tb.Cleanup(pages.Close)
	config := fmt.Sprintf(`route: {receiver: pages, group_by: [signal_id], group_wait: 10ms, group_interval: 100ms, repeat_interval: 24h}
receivers: [{name: pages, webhook_configs: [{url: %q, send_resolved: true}]}]
`, pages.URL)
	if err := os.WriteFile(filepath.Join(s.dir, "alertmanager.yml"), []byte(config), 0o600); err != nil {
		tb.Fatal(err)
	}
	s.Start()
	return s
}

func (s *Server) receive(w http.ResponseWriter, r *http.Request) {
	var p page
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &p)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages = append(s.pages, p)
}

// Start starts it, without what it knew of alerts: it keeps them in memory alone.
func (s *Server) Start() {
	s.tb.Helper()
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	s.cmd = command(s.tb, "--config.file", filepath.Join(s.dir, "alertmanager.yml"),
		"--storage.path", filepath.Join(s.dir, "data"), "--web.listen-address", strings.TrimPrefix(s.URL, "http://"), "--cluster.listen-address", "")
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() {
		s.Stop()
		if text, err := os.ReadFile(log.Name()); s.tb.Failed() && err == nil {
			s.tb.Logf("%s", text)
		}
	})
	ktest.Eventually(s.tb, "Alertmanager", func() bool {
		resp, err := s.get("/-/ready")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

func (s *Server) get(path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(s.tb.Context(), http.MethodGet, s.URL+path, nil)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(req)
}

// Stop kills it.
func (s *Server) Stop() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// Active are its alerts that fire, by signal and severity.
func (s *Server) Active() map[string]Alert {
	s.tb.Helper()
	resp, err := s.get("/api/v2/alerts")
	if err != nil {
		s.tb.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var alerts []Alert
	if err := json.NewDecoder(resp.Body).Decode(&alerts); err != nil {
		s.tb.Fatal(err)
	}
	by := map[string]Alert{}
	for _, a := range alerts {
		key := a.Labels["signal_id"] + " " + a.Labels["severity"]
		if _, twice := by[key]; twice {
			s.tb.Errorf("%s fires twice", key)
		}
		by[key] = a
	}
	return by
}

// Wants waits until exactly these fire, each with a revision.
func (s *Server) Wants(what string, revisions map[string]string) {
	s.tb.Helper()
	var got map[string]string
	defer func() {
		if s.tb.Failed() {
			s.tb.Logf("%v fire", got)
		}
	}()
	ktest.Eventually(s.tb, what, func() bool {
		got = map[string]string{}
		for key, a := range s.Active() {
			got[key] = a.Annotations["revision"]
		}
		return cmp.Equal(revisions, got)
	})
}

// Notified is how often the server said that a signal fires, and that it is
// resolved.
func (s *Server) Notified(signal string) (firing, resolved int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pages {
		switch {
		case p.Alerts[0].Labels["signal_id"] != signal:
		case p.Status == "firing":
			firing++
		default:
			resolved++
		}
	}
	return firing, resolved
}

// WantsPage waits until the server has said that a signal fires.
func (s *Server) WantsPage(signal string) {
	s.tb.Helper()
	ktest.Eventually(s.tb, "a page for "+signal, func() bool { firing, _ := s.Notified(signal); return firing > 0 })
}

// Tool finds a program on the PATH or in .bin of the repository. Without it the
// test is skipped, or fails if REQUIRE_TOOLS=1.
func Tool(tb testing.TB, name string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = inRepository(name)
	}
	if err == nil {
		path, err = filepath.EvalSymlinks(path) // its files lie beside it
	}
	switch {
	case err == nil:
		return path
	case os.Getenv("REQUIRE_TOOLS") == "1": //nolint:forbidigo // tests have no main to hand them their environment
		tb.Fatalf("no %s: make tools: %v", name, err)
	default:
		tb.Skipf("no %s: make tools: %v", name, err)
	}
	return ""
}

// inRepository is a program in .bin of the repository around the working
// directory.
func inRepository(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for up := ""; up != dir; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return filepath.Join(dir, ".bin", name), nil
		}
		up = dir
	}
	return "", fmt.Errorf("no go.work above the working directory: %w", os.ErrNotExist)
}

// templates is where Debian's Alertmanager wants its files.
const templates = "/usr/share/prometheus/alertmanager"

// command runs Alertmanager. One that was unpacked and not installed is shown its
// templates in a mount namespace of its own.
func command(tb testing.TB, args ...string) *exec.Cmd {
	tb.Helper()
	program := Tool(tb, "prometheus-alertmanager")
	unpacked := filepath.Join(filepath.Dir(program), "../share/prometheus/alertmanager")
	_, installed := os.Stat(templates)
	if _, err := os.Stat(unpacked); installed == nil || err != nil {
		return exec.CommandContext(tb.Context(), program, args...)
	}
	script := `mount -t tmpfs none /usr/share && mkdir -p $(dirname $1) && cp -r $0 $1 && shift && exec "$@"`
	wrapped := []string{"--map-root-user", "--mount", "sh", "-ec", script, unpacked, templates}
	if out, err := exec.CommandContext(tb.Context(), "unshare", append(wrapped, "true")...).CombinedOutput(); err != nil {
		tb.Skipf("install prometheus-alertmanager: it is unpacked only, and this machine gives no mount namespace: %v %s", err, out)
	}
	return exec.CommandContext(tb.Context(), "unshare", append(append(wrapped, program), args...)...)
}

// address is a loopback address that nobody listens on, below the range from
// which the kernel takes the ports of outgoing connections.
func address(tb testing.TB) string {
	tb.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 16_000+rand.IntN(16_000))
		if ln, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", address); err == nil {
			_ = ln.Close()
			return address
		}
	}
	tb.Fatal("no free port")
	return ""
}

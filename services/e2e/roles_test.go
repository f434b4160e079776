package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/schemas"
)

// Every role runs from its own configuration file; a body that Claude Code would
// send becomes rows, and each role shows its health and ends well. A client that
// is not ours reads in every topic what we read.
func TestRolesAsProcesses(t *testing.T) {
	t.Run("broker", func(t *testing.T) { testRolesAsProcesses(t, nil) })
	t.Run("kafka", func(t *testing.T) { testRolesAsProcesses(t, ktest.Apache(t)) })
}

func testRolesAsProcesses(t *testing.T, kafka *ktest.Cluster) {
	bin, library := binaries(t)
	f := &fleet{dir: t.TempDir(), bin: bin, kafka: kafka}
	d := f.deploy(t, library, "{events: 2, facts: 2, features: 1, dead: 1}", nil)
	send(t, "http://"+d.collector+"/v1/logs", d.secret)
	eventually(t, "the rows", func() bool {
		return d.answer(t, "SELECT count(),sum(output_tokens),sum(cost_nanos) FROM core.usage") == "2\t300\t10401000\n"
	})
	for name, addr := range d.admin {
		metrics, ok := get(t.Context(), "http://"+addr+"/metrics")
		if _, healthy := get(t.Context(), "http://"+addr+"/healthz"); !ok || !healthy || !strings.Contains(metrics, "process_cpu_seconds_total") {
			t.Errorf("%s does not show its health", name)
		}
	}
	reconcile := exec.CommandContext(t.Context(), filepath.Join(bin, "goodhart"), "reconcile", "--config", f.file(t, "reconcile.yaml", d.dsn()))
	if out, err := reconcile.CombinedOutput(); err != nil {
		t.Errorf("reconcile: %v\n%s", err, out)
	}
	f.stop(t)
	if kafka == nil {
		return
	}
	for _, topic := range schemas.Topics() {
		settled(t, kafka, topic.Name)
		if diff := cmp.Diff(seenByUs(t, kafka, topic.Name, kgo.ReadCommitted()), seenByKcat(t, kafka.Addrs, topic.Name, "read_committed")); diff != "" {
			t.Errorf("%s (-ours +kcat):\n%s", topic.Name, diff)
		}
	}
}

// send posts the session of Claude Code, as of now.
func send(t *testing.T, url, secret string) {
	t.Helper()
	shift := fmt.Sprint(time.Now().Add(-time.Minute).UnixMilli())
	body := strings.ReplaceAll(session["log"], fmt.Sprint(began), shift)
	body = strings.ReplaceAll(body, fmt.Sprint(began+20_000), fmt.Sprint(time.Now().UnixMilli()))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if answer, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("answer %s: %s %v", resp.Status, answer, err)
	}
}

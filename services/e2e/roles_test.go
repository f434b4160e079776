package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fleet is every role as a process of its own.
type fleet struct {
	dir, bin string
	running  []*exec.Cmd
}

// address returns a loopback address that nobody listens on. It is below the
// range from which the kernel takes the ports of outgoing connections: one of
// those could take it before its process does.
func (f *fleet) address(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 16_000+rand.IntN(16_000))
		ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
		if err != nil {
			continue
		}
		_ = ln.Close()
		return address
	}
	t.Fatal("no free port")
	return ""
}

func (f *fleet) file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// start runs a binary with a configuration file and waits for the URL to answer.
func (f *fleet) start(t *testing.T, ready string, args ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(f.dir, fmt.Sprintf("%d.log", len(f.running))))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(f.bin, args[0]), args[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f.running = append(f.running, cmd)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("%v:\n%s", cmd.Args, text)
		}
	})
	eventually(t, strings.Join(args, " "), func() bool { _, ok := get(t.Context(), ready); return ok })
}

// stop ends the processes against the order of their start; each must end by
// itself and well.
func (f *fleet) stop(t *testing.T) {
	t.Helper()
	for i := len(f.running) - 1; i >= 0; i-- {
		cmd := f.running[i]
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			log, _ := os.ReadFile(filepath.Join(f.dir, fmt.Sprintf("%d.log", i)))
			t.Errorf("%v after SIGTERM: %v\n%s", cmd.Args, err, log)
		}
	}
}

func get(ctx context.Context, url string) (string, bool) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", false
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return string(body), err == nil && resp.StatusCode == http.StatusOK
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(60 * time.Second); !done(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited a minute for %s", what)
		}
	}
}

// Every role runs from its own configuration file; a body that Claude Code would
// send becomes rows, and each role shows its health and ends well.
func TestRolesAsProcesses(t *testing.T) {
	bin, library := binaries(t)
	f := &fleet{dir: t.TempDir(), bin: bin}
	brokers, clickhouse, collector := f.address(t), f.address(t), f.address(t)
	admin := map[string]string{"broker": f.address(t), "processor": f.address(t), "sink": f.address(t), "collector": f.address(t)}
	secret := "a secret of the test"
	hash := sha256.Sum256([]byte(secret))
	keys := f.file(t, "keys.yaml", fmt.Sprintf("keys:\n  - {id: k1, sha256: %s, tenant: acme, accounting: billable}\n", hex.EncodeToString(hash[:])))
	kafka := fmt.Sprintf("kafka:\n  brokers: [%s]\n", brokers)
	dsn := fmt.Sprintf("clickhouse:\n  dsn: http://default@%s/default\n", clickhouse)
	role := func(name, text string) {
		t.Helper()
		config := f.file(t, name+".yaml", text)
		check := exec.CommandContext(t.Context(), filepath.Join(bin, "goodhart"), name, "--config", config, "--check-config")
		if out, err := check.CombinedOutput(); err != nil {
			t.Fatalf("check %s: %v\n%s", name, err, out)
		}
		f.start(t, "http://"+admin[name]+"/readyz", "goodhart", name, "--config", config)
	}
	role("broker", fmt.Sprintf("listen: %s\ndata: %s\nadmin: %s\n", brokers, filepath.Join(f.dir, "broker"), admin["broker"]))
	f.start(t, "http://"+clickhouse+"/ping", "chserve", "--path", filepath.Join(f.dir, "clickhouse"), "--listen", clickhouse, "--lib", library)
	migration := f.file(t, "migrate.yaml", kafka+dsn+"partitions: {events: 2, facts: 2, features: 1, dead: 1}\nreplication: 1\nschema: {kind: embedded}\n")
	for range 2 { // the second time there is nothing to do
		migrate := exec.CommandContext(t.Context(), filepath.Join(bin, "goodhart"), "migrate", "--config", migration)
		if out, err := migrate.CombinedOutput(); err != nil {
			t.Fatalf("migrate: %v\n%s", err, out)
		}
	}
	role("sink", kafka+dsn+"instance: s-1\nadmin: "+admin["sink"]+"\n")
	role("processor", kafka+"instance: p-1\nadmin: "+admin["processor"]+"\n")
	role("collector", kafka+fmt.Sprintf("listen: {http: %q, grpc: \"\"}\nkeys_file: %s\nkeyring: {acme: %s}\nadmin: %s\n",
		collector, keys, strings.Repeat("5a", 32), admin["collector"]))

	send(t, "http://"+collector+"/v1/logs", secret)
	answer := fmt.Sprintf("http://%s/?query=%s", clickhouse, "SELECT+count(),sum(output_tokens),sum(cost_nanos)+FROM+core.usage")
	eventually(t, "the rows", func() bool {
		body, _ := get(t.Context(), answer)
		return body == "2\t300\t10401000\n"
	})
	for name, addr := range admin {
		metrics, ok := get(t.Context(), "http://"+addr+"/metrics")
		if _, healthy := get(t.Context(), "http://"+addr+"/healthz"); !ok || !healthy || !strings.Contains(metrics, "process_cpu_seconds_total") {
			t.Errorf("%s does not show its health", name)
		}
	}
	reconcile := exec.CommandContext(t.Context(), filepath.Join(bin, "goodhart"), "reconcile", "--config", f.file(t, "reconcile.yaml", dsn))
	if out, err := reconcile.CombinedOutput(); err != nil {
		t.Errorf("reconcile: %v\n%s", err, out)
	}
	f.stop(t)
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

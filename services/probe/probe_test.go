package probe

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func quiet() *Telemetry { return New(slog.New(slog.DiscardHandler)) }

// samples returns the values of a metric by the named label.
func samples(t *testing.T, reg prometheus.Gatherer, name, label string) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == label {
					values[l.GetValue()] = m.GetGauge().GetValue()
				}
			}
		}
	}
	return values
}

// The room of a disk is that of df, for a directory that comes later as well.
func TestDisks(t *testing.T) {
	tel := quiet()
	dir := t.TempDir()
	later := filepath.Join(dir, "comes", "later")
	tel.WatchDisk(dir)
	tel.WatchDisk(dir) // two roles may share it
	tel.WatchDisk(later)
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		t.Fatal(err)
	}
	size, free := samples(t, tel.Metrics, "goodhart_disk_size_bytes", "path"), samples(t, tel.Metrics, "goodhart_disk_free_bytes", "path")
	want := float64(s.Blocks) * float64(s.Bsize)
	if len(size) != 2 || size[dir] != want || size[later] != want {
		t.Errorf("sizes %v, want %v", size, want)
	}
	for path, n := range free {
		if n <= 0 || n > want {
			t.Errorf("%s: %v free of %v", path, n, want)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "comes"), nil, 0o600); err != nil { // no directory can be there now
		t.Fatal(err)
	}
	if size := samples(t, tel.Metrics, "goodhart_disk_size_bytes", "path"); len(size) != 1 {
		t.Errorf("a disk that cannot be asked is shown: %v", size)
	}
}

// Every role shows what it runs.
func TestBuildInfo(t *testing.T) {
	if v := samples(t, quiet().Metrics, "goodhart_build_info", "version"); len(v) != 1 {
		t.Errorf("build info %v", v)
	}
}

// Tracing is what the environment says, and off when it says nothing.
func TestTracerOfTheEnvironment(t *testing.T) {
	f := func(env map[string]string, on bool, problem string) {
		t.Helper()
		tracer, err := OpenTracer(t.Context(), "test", func(name string) (string, bool) { v, ok := env[name]; return v, ok })
		if problem != "" {
			if err == nil || !strings.Contains(err.Error(), problem) {
				t.Errorf("%v: error %v, want %s", env, err, problem)
			}
			return
		}
		if err != nil || (tracer != nil) != on {
			t.Errorf("%v: tracer %v, %v", env, tracer != nil, err)
		}
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		_ = tracer.Close(ended) // nothing to export, and nowhere
	}
	f(nil, false, "")
	f(map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, true, "")
	f(map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true, "")
	f(map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, false, "")
	f(map[string]string{"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}, false, "")
	f(map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, false, "OTEL_TRACES_EXPORTER")
	f(map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, false, "http/protobuf")
	f(map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "jaeger_remote"}, false, "OTEL_TRACES_SAMPLER")
	f(map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER_ARG": "2"}, false, "OTEL_TRACES_SAMPLER_ARG")
	g := func(sampler, arg string, want float64) {
		t.Helper()
		if got, err := ratio(sampler, arg); err != nil || got != want {
			t.Errorf("%s %s: %v, %v", sampler, arg, got, err)
		}
	}
	g("", "", defaultRatio)
	g("always_on", "", 1)
	g("parentbased_always_off", "", 0)
	g("parentbased_traceidratio", "0.25", 0.25)
}

// Spans reach an OTLP receiver that the environment names.
func TestExport(t *testing.T) {
	received := make(chan string, 1)
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), "a span of the test") {
			received <- r.URL.Path
		}
	}))
	defer backend.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", backend.URL)
	t.Setenv("OTEL_TRACES_SAMPLER", "always_on")
	tracer, err := OpenTracer(t.Context(), "test", os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	tracer.Start("a span of the test").End()
	if err := tracer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if path := <-received; path != "/v1/traces" {
		t.Errorf("sent to %s", path)
	}
}

// Serve answers what probes ask.
func TestEndpoints(t *testing.T) {
	tel := quiet()
	srv := httptest.NewServer(tel.Handler())
	defer srv.Close()
	f := func(path string, status int, text string) {
		t.Helper()
		resp, err := http.Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != status || !strings.Contains(string(body), text) {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
	tel.NotReady("kafka", "no broker answers")
	f("/healthz", 200, "ok")
	f("/readyz", 503, "kafka: no broker answers")
	f("/metrics", 200, "goodhart_build_info")
	tel.Ready("kafka")
	f("/readyz", 200, "ready")

	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	if err := tel.Serve(t.Context(), ln.Addr().String()); err == nil {
		t.Error("an address in use is served")
	}
}

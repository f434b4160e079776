// Package probe is what a role shows of itself: its logger, its Prometheus
// metrics, whether it is ready, and the HTTP endpoints /metrics, /healthz and
// /readyz.
package probe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/goodhartlabs/goodhart/pkg/tracing"
)

// Registry takes what a role counts and tells it to who asks.
type Registry interface {
	prometheus.Registerer
	prometheus.Gatherer
}

// Telemetry is handed to every role's Run. Safe for concurrent use.
type Telemetry struct {
	Log     *slog.Logger
	Metrics Registry
	// Tracer makes spans; nil, as New leaves it, makes none.
	Tracer *tracing.Tracer

	mu     sync.Mutex
	states map[string]string // component → why it is not ready; "" when ready
	disks  *disks
}

// New returns telemetry that logs to log and shows the Go runtime, the process,
// the build and the disks that roles write to.
func New(log *slog.Logger) *Telemetry { return NewWith(log, prometheus.NewRegistry()) }

// NewWith is New with a registry of the caller's.
func NewWith(log *slog.Logger, reg Registry) *Telemetry {
	t := &Telemetry{Log: log, Metrics: reg, states: map[string]string{}, disks: newDisks()}
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo(), t.disks)
	return t
}

// WatchDisk shows the room on the disk that holds path, a directory that need not
// exist yet.
func (t *Telemetry) WatchDisk(path string) { t.disks.watch(path) }

// Ready marks a component as ready.
func (t *Telemetry) Ready(component string) { t.set(component, "") }

// NotReady marks a component as not ready and says why.
func (t *Telemetry) NotReady(component, reason string) { t.set(component, reason) }

func (t *Telemetry) set(component, reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.states[component] = reason
}

// Pending lists the components that are not ready, each with its reason, sorted.
func (t *Telemetry) Pending() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var pending []string
	for component, reason := range t.states {
		if reason != "" {
			pending = append(pending, component+": "+reason)
		}
	}
	sort.Strings(pending)
	return pending
}

// Handler serves /metrics, /healthz (always 200 while the process runs) and
// /readyz (503 with the reasons while a component is not ready).
func (t *Telemetry) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(t.Metrics, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintln(w, "ok") // a prober that left needs no answer
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if pending := t.Pending(); len(pending) > 0 {
			http.Error(w, strings.Join(pending, "\n"), http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, "ready")
	})
	return mux
}

// Serve serves Handler on addr until ctx ends. An empty addr serves nothing.
func (t *Telemetry) Serve(ctx context.Context, addr string) error {
	if addr == "" {
		return nil
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen for probes: %w", err)
	}
	srv := &http.Server{Handler: t.Handler(), ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve probes: %w", err)
	}
	return nil
}

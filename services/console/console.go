// Package console shows a person what concerns them, and takes their objections:
// an HTTP API for one person at a time, who comes with a personal token. Nobody
// sees another's, there is no list and no search.
//
// What it shows is kept in memory from goodhart.self.v1; a dispute is published as
// the next version of the tenant's configuration, like everything that the folds
// are told. Any number of consoles may run.
package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/services/keyring"
	"github.com/goodhartlabs/goodhart/services/probe"
)

// service is a running console.
type service struct {
	cfg      Config
	ring     event.Keyring
	since    time.Time // tokens that were made before it are no longer good
	book     *book
	caughtUp atomic.Bool
	requests *limiter
	disputes *limiter
	// publishing: one dispute at a time, two would only shut each other out.
	publishing sync.Mutex
	metrics    *metrics
	log        *slog.Logger
	listening  func(net.Addr) // tells tests the address; may be nil
}

// Run answers until ctx ends. It is ready once it has read all that goodhart.self.v1
// held at its start; until then it answers 503.
func Run(ctx context.Context, cfg Config, tel *probe.Telemetry) error { return run(ctx, cfg, tel, nil) }

func run(ctx context.Context, cfg Config, tel *probe.Telemetry, listening func(net.Addr)) error {
	tel.NotReady(component, "reading what concerns people")
	ring, err := keyring.Read(cfg.KeyringFile)
	if err != nil {
		return err
	}
	since, err := cfg.since()
	if err != nil {
		return fmt.Errorf("tokens_since: %w", err)
	}
	s := &service{
		cfg: cfg, ring: ring, since: since, book: newBook(), log: tel.Log, listening: listening,
		requests: newLimiter(cfg.Limits.Requests, cfg.Limits.Requests), disputes: newPerHour(cfg.Limits.Disputes),
	}
	s.metrics = newMetrics(tel.Metrics, s.book)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.feed(ctx, tel) })
	group.Go(func() error { return s.serve(ctx) })
	return group.Wait()
}

// newPerHour lets somebody do so much in an hour, all of it at once if they like.
func newPerHour(n int) *limiter {
	l := newLimiter(0, n)
	l.perMinute = float64(n) / 60
	return l
}

const (
	maxHeader = 16 << 10
	maxBody   = 4 << 10
	// answers is how long a request may take: a dispute waits for Kafka.
	answers = 45 * time.Second
	// stopping is how long a stop waits for requests in work.
	stopping = 20 * time.Second
)

// serve answers people until ctx ends.
func (s *service) serve(ctx context.Context) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if s.listening != nil {
		s.listening(ln.Addr())
	}
	srv := &http.Server{
		Handler: s.routes(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: answers + 5*time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return context.Background() }, // a stop lets requests finish
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ln) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	finishing, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopping)
	defer cancel()
	if err := srv.Shutdown(finishing); err != nil {
		_ = srv.Close()
		return fmt.Errorf("stop: %w", err)
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

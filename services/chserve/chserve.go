// Package chserve is the embedded ClickHouse of goodhart: the real engine,
// libchdb, behind ClickHouse's HTTP interface, so that clickhouse-go, curl and
// BI tools talk to it as they would to a server.
//
// It is single-trust: one user, no SQL roles, meant for one machine. It listens
// on loopback unless told otherwise, and then asks for a password. A data path
// belongs to one process at a time; what was acknowledged survives a kill.
package chserve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/goodhartlabs/goodhart/services/probe"
)

// Config says where the data lies and who may ask.
type Config struct {
	// Path is the data directory; it is created if missing. Required.
	Path string `yaml:"path"`
	// Library is the file libchdb.so. Required.
	Library string `yaml:"library"`
	// Listen is the host:port of the HTTP interface. Default 127.0.0.1:8123;
	// an address beyond loopback demands a Password.
	Listen string `yaml:"listen"`
	// Admin is the host:port of /metrics, /healthz and /readyz; empty: none.
	Admin string `yaml:"admin"`
	// User is the only user there is. Default "default".
	User string `yaml:"user"`
	// Password is what User must show; empty: none is asked for.
	Password string `yaml:"password"`
	// MaxQueries is how many queries run at once; more wait. Default 16.
	MaxQueries int `yaml:"max_queries"`
	// MaxMemory bounds the engine's memory in bytes. Default 0: nine tenths of
	// the machine's.
	MaxMemory int64 `yaml:"max_memory"`
	// AllowFiles lets queries read and write files of this machine (table
	// functions file and such). Default false.
	AllowFiles bool `yaml:"allow_files"`
	// StopTimeout is how long a stop waits for running queries before it
	// cancels them. Default 30 s.
	StopTimeout time.Duration `yaml:"stop_timeout"`
}

// Default returns the configuration that a demo on one machine needs, but for
// Path and Library.
func Default() Config {
	return Config{
		Listen:      "127.0.0.1:8123",
		User:        "default",
		MaxQueries:  16,
		StopTimeout: 30 * time.Second,
	}
}

// Validate joins every problem of the configuration.
func (c Config) Validate() error {
	var errs []error
	if c.Path == "" {
		errs = append(errs, errors.New("path: empty; want the data directory"))
	}
	if c.Library == "" {
		errs = append(errs, errors.New("library: empty; want the file libchdb.so (`make tools` fetches it)"))
	}
	if host, _, err := net.SplitHostPort(c.Listen); err != nil {
		errs = append(errs, fmt.Errorf("listen: %q: want host:port: %w", c.Listen, err))
	} else if !isLoopback(host) && c.Password == "" {
		errs = append(errs, fmt.Errorf("password: empty, while listen %q reaches beyond this machine; set one, or listen on 127.0.0.1", c.Listen))
	}
	if c.User == "" {
		errs = append(errs, errors.New("user: empty; want a name, such as default"))
	}
	if c.MaxQueries < 1 || c.MaxQueries > 1000 {
		errs = append(errs, fmt.Errorf("max_queries: %d; want 1 to 1000", c.MaxQueries))
	}
	if c.MaxMemory != 0 && c.MaxMemory < 256<<20 {
		errs = append(errs, fmt.Errorf("max_memory: %d bytes; want 0 or at least 268435456", c.MaxMemory))
	}
	if c.StopTimeout < 0 {
		errs = append(errs, fmt.Errorf("stop_timeout: %s; want 0 or more", c.StopTimeout))
	}
	return errors.Join(errs...)
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Run serves until ctx ends, then finishes the running queries, closes the
// engine and returns nil. The engine lives once in a process: a second Run in
// the same process fails.
func Run(ctx context.Context, cfg Config, tel *probe.Telemetry) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	tel.NotReady("chserve", "starting the engine")
	tel.WatchDisk(cfg.Path)
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen for queries: %w", err)
	}
	eng, err := openEngine(cfg)
	if err != nil {
		_ = ln.Close()
		return err
	}
	h := newHandler(cfg, eng, tel)
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       5 * time.Minute,
		MaxHeaderBytes:    2 << 20, // settings, parameters and queries travel in URLs
		ErrorLog:          slog.NewLogLogger(tel.Log.Handler(), slog.LevelDebug),
	}
	tel.Log.Info("engine started", "version", eng.version, "path", cfg.Path, "listen", ln.Addr().String())
	tel.Ready("chserve")

	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve queries: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		<-gctx.Done()
		tel.NotReady("chserve", "stopping")
		return stop(srv, h, cfg.StopTimeout)
	})
	g.Go(func() error { return tel.Serve(gctx, cfg.Admin) })
	return errors.Join(g.Wait(), eng.close())
}

// stop lets running queries finish for a while, then cancels the rest and
// waits for them to notice.
func stop(srv *http.Server, h *handler, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := srv.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close()
	}
	h.close()
	if err != nil {
		return fmt.Errorf("stop serving queries: %w", err)
	}
	return nil
}

package up

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/goodhartlabs/goodhart/services/probe"
)

// clickhouse runs chserve as a child process until ctx ends. The engine brings
// its own signal handlers and half a gigabyte of code: it gets a process of its
// own. A child that dies is started again; ready is called once it answers.
func clickhouse(ctx context.Context, cfg Config, tel *probe.Telemetry, ready func()) error {
	binary, err := chserveBinary(cfg)
	if err != nil {
		return err
	}
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		began := time.Now()
		err := child(ctx, cfg, binary, tel, ready)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the child ended because it was told to
		}
		if time.Since(began) > time.Minute {
			wait = 100 * time.Millisecond
		}
		tel.NotReady("clickhouse", "chserve is restarting")
		tel.Log.Warn("chserve ended, starting it again", "error", err, "wait", wait)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

func chserveBinary(cfg Config) (string, error) {
	if cfg.Chserve != "" {
		return cfg.Chserve, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find chserve: %w", err)
	}
	binary := filepath.Join(filepath.Dir(self), "chserve")
	if _, err := os.Stat(binary); err != nil {
		return "", fmt.Errorf("find chserve beside %s: build it with `make build`, name it with --chserve, or set CLICKHOUSE_DSN to use a server: %w", self, err)
	}
	return binary, nil
}

func child(ctx context.Context, cfg Config, binary string, tel *probe.Telemetry, ready func()) error {
	args := []string{
		"--attached", "--path", filepath.Join(cfg.Data, "clickhouse"), "--listen", cfg.ClickHouse, "--lib", cfg.Library,
		"--admin", cfg.ClickHouseAdmin,
	}
	if memory := cfg.engineMemory(); memory > 0 {
		args = append(args, "--max-memory", strconv.FormatInt(memory, 10))
	}
	cmd := exec.CommandContext(ctx, binary, args...)
	// An attached child ends when its standard input does, which is when this
	// process ends, however it does.
	if _, err := cmd.StdinPipe(); err != nil {
		return fmt.Errorf("start chserve: %w", err)
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	cmd.Stdout, cmd.Stderr = cfg.Output, cfg.Output
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start chserve: %w", err)
	}
	watch, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if ping(watch, cfg.ClickHouse) == nil {
			tel.Ready("clickhouse")
			ready()
		}
	}()
	err := cmd.Wait()
	stop()
	<-watched
	return err
}

// ping returns nil once the server answers.
func ping(ctx context.Context, addr string) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/ping", nil)
		if err != nil {
			return fmt.Errorf("ping: %w", err)
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_, copyErr := io.Copy(io.Discard, resp.Body)
			if closeErr := resp.Body.Close(); errors.Join(copyErr, closeErr) == nil && resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

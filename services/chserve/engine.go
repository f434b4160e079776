package chserve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/goodhartlabs/goodhart/services/chserve/internal/chdb"
)

// engine owns the data path and the connections to it. Safe for concurrent use.
type engine struct {
	lib      *chdb.Library
	args     []string
	lock     *os.File
	version  string // of ClickHouse: 26.7.2.1
	timezone string

	slots chan struct{} // one per running query
	mu    sync.Mutex
	idle  []*chdb.Conn // as fresh: no setting changed, database default
}

// openEngine takes the data path, loads the library and starts the engine.
func openEngine(cfg Config) (*engine, error) {
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("data path: %w", err)
	}
	lock, err := takePath(path)
	if err != nil {
		return nil, err
	}
	e := &engine{lock: lock, slots: make(chan struct{}, cfg.MaxQueries)}
	if err := e.start(path, cfg); err != nil {
		_ = lock.Close()
		return nil, err
	}
	return e, nil
}

func (e *engine) start(path string, cfg Config) error {
	lib, err := chdb.Open(cfg.Library)
	if errors.Is(err, chdb.ErrMissing) {
		return fmt.Errorf("%w: run `make tools` to fetch it, or set CLICKHOUSE_DSN to use a ClickHouse server instead", err)
	}
	if err != nil {
		return err
	}
	file := filepath.Join(path, "chserve.xml")
	if err := os.WriteFile(file, []byte(serverConfig(cfg)), 0o600); err != nil {
		return fmt.Errorf("write engine config: %w", err)
	}
	e.lib = lib
	e.args = []string{"--config-file=" + file, "--path=" + path, "--implicit_select=0"}
	conn, err := lib.Connect(e.args...)
	if err != nil {
		return fmt.Errorf("open data path %s: %w", path, err)
	}
	var hello struct{ Version, Timezone string }
	res, err := conn.Query("SELECT version() AS version, timezone() AS timezone", "JSONEachRow", nil)
	if err != nil {
		conn.Close()
		return fmt.Errorf("ask the engine for its version: %w", err)
	}
	defer res.Close()
	if err := json.Unmarshal(res.Data, &hello); err != nil {
		conn.Close()
		return fmt.Errorf("ask the engine for its version: %w", err)
	}
	e.version, e.timezone = hello.Version, hello.Timezone
	e.idle = append(e.idle, conn)
	return nil
}

// serverConfig is the engine's own configuration. It is always given, since
// the engine would else pick up a config.xml that lies in the working
// directory or under $HOME.
func serverConfig(cfg Config) string {
	var b strings.Builder
	b.WriteString("<clickhouse>\n")
	if cfg.MaxMemory > 0 {
		fmt.Fprintf(&b, "  <max_server_memory_usage>%d</max_server_memory_usage>\n", cfg.MaxMemory)
	}
	b.WriteString("</clickhouse>\n")
	return b.String()
}

// takePath creates the data directory and locks it for this process. The lock
// dies with the process, however that ends.
func takePath(path string) (*os.File, error) {
	if err := os.MkdirAll(path, 0o750); err != nil {
		return nil, fmt.Errorf("create data path: %w", err)
	}
	name := filepath.Join(path, "chserve.lock")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data path: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		owner, _ := os.ReadFile(name)
		_ = f.Close()
		return nil, fmt.Errorf("data path %s is in use by another chserve (process %s): stop that one, or choose another path",
			path, strings.TrimSpace(string(owner)))
	}
	if err := errors.Join(f.Truncate(0), writeAt(f, fmt.Sprintln(os.Getpid()))); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock data path: %w", err)
	}
	return f, nil
}

func writeAt(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s), 0)
	return err
}

// close shuts the engine down. No query may be running.
func (e *engine) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, conn := range e.idle {
		conn.Close()
	}
	e.idle = nil
	_ = e.lib.Shutdown()
	return e.lock.Close()
}

// acquire waits for a place among the running queries and returns a connection
// in its fresh state.
func (e *engine) acquire(ctx context.Context) (*chdb.Conn, error) {
	select {
	case e.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	conn, err := e.connect()
	if err != nil {
		<-e.slots
	}
	return conn, err
}

func (e *engine) connect() (*chdb.Conn, error) {
	e.mu.Lock()
	if n := len(e.idle); n > 0 {
		conn := e.idle[n-1]
		e.idle = e.idle[:n-1]
		e.mu.Unlock()
		return conn, nil
	}
	e.mu.Unlock()
	return e.lib.Connect(e.args...)
}

// release gives a connection back. One that is not as fresh is closed.
func (e *engine) release(conn *chdb.Conn, fresh bool) {
	if !fresh {
		conn.Close()
		<-e.slots
		return
	}
	e.mu.Lock()
	e.idle = append(e.idle, conn)
	e.mu.Unlock()
	<-e.slots
}

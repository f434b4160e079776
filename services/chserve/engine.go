package chserve

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/goodhartlabs/goodhart/services/chserve/internal/chdb"
)

// engine owns the data path and the connections to it. Safe for concurrent use.
type engine struct {
	lib      *chdb.Library
	args     []string
	lock     *os.File
	version  string // of ClickHouse: 26.7.2.1
	timezone string
	formats  map[string]bool // output formats by name in lower case

	slots chan struct{} // one per running query
	keep  *chdb.Conn    // never used: without any connection the engine shuts down, to boot at the next
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
	if err := forgetDangling(path); err != nil {
		return err
	}
	lib, err := chdb.Open(cfg.Library)
	if errors.Is(err, chdb.ErrMissing) {
		return fmt.Errorf("%w: run `make tools` to fetch it, or set CLICKHOUSE_DSN to use a ClickHouse server instead", err)
	}
	if err != nil {
		return err
	}
	config, err := writeServerConfig(path, cfg)
	if err != nil {
		return err
	}
	e.lib = lib
	e.args = []string{"--config-file=" + config, "--path=" + path, "--implicit_select=0"}
	conn, err := lib.Connect(e.args...)
	if err != nil {
		return fmt.Errorf("open data path %s: %w", path, err)
	}
	if err := e.greet(conn); err != nil {
		conn.Close()
		return fmt.Errorf("ask the engine for its version: %w", err)
	}
	e.keep = conn
	return nil
}

// greet asks the engine what the facade has to know of it.
func (e *engine) greet(conn *chdb.Conn) error {
	res, err := conn.Query("SELECT version() AS version, timezone() AS timezone, "+
		"groupArray(lower(name)) AS formats FROM system.formats WHERE is_output", "JSONEachRow", nil)
	if err != nil {
		return err
	}
	defer res.Close()
	var hello struct {
		Version, Timezone string
		Formats           []string
	}
	if err := json.Unmarshal(res.Data, &hello); err != nil {
		return err
	}
	e.version, e.timezone, e.formats = hello.Version, hello.Timezone, map[string]bool{}
	for _, name := range hello.Formats {
		e.formats[name] = true
	}
	return nil
}

func (e *engine) knowsFormat(name string) bool { return e.formats[strings.ToLower(name)] }

// usersXML gives the one user everything but the files of this machine, unless
// %s says else: a query must not read /etc, whoever sent it.
const usersXML = `<clickhouse>
  <profiles><default></default></profiles>
  <quotas><default></default></quotas>
  <users><default>
    <password></password>
    <networks><ip>::/0</ip></networks>
    <profile>default</profile>
    <quota>default</quota>
    <grants><query>GRANT ALL ON *.*</query>%s</grants>
  </default></users>
</clickhouse>
`

// writeServerConfig writes the engine's own configuration and returns its
// file. One is always given, since the engine would else pick up a config.xml
// that lies in the working directory or under $HOME.
func writeServerConfig(path string, cfg Config) (string, error) {
	revoke := "<query>REVOKE FILE ON *.*</query>"
	if cfg.AllowFiles {
		revoke = ""
	}
	users, config := filepath.Join(path, "chserve-users.xml"), filepath.Join(path, "chserve.xml")
	var limit string
	if cfg.MaxMemory > 0 {
		limit = fmt.Sprintf("  <max_server_memory_usage>%d</max_server_memory_usage>\n", cfg.MaxMemory)
	}
	var escaped strings.Builder
	_ = xml.EscapeText(&escaped, []byte(users)) // a builder takes everything
	err := errors.Join(
		os.WriteFile(users, fmt.Appendf(nil, usersXML, revoke), 0o600),
		os.WriteFile(config, []byte("<clickhouse>\n  <users_config>"+escaped.String()+"</users_config>\n"+limit+"</clickhouse>\n"), 0o600),
	)
	if err != nil {
		return "", fmt.Errorf("write engine config: %w", err)
	}
	return config, nil
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
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock data path: %w", err)
	}
	return f, nil
}

// close closes the data path. No query may be running. The engine's threads
// stay until the process ends, which is what its library advises.
func (e *engine) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, conn := range e.idle {
		conn.Close()
	}
	e.idle = nil
	e.keep.Close()
	return e.lock.Close()
}

// take waits for a place among the running queries; give returns it.
func (e *engine) take(ctx context.Context) error {
	select {
	case e.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *engine) give() { <-e.slots }

// connect returns a connection in its fresh state.
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

// retire takes a connection back that is as fresh again.
func (e *engine) retire(conn *chdb.Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.idle = append(e.idle, conn)
}

// markSetting is a setting that the engine's SQL ignores. Each request writes
// a value of its own into it, by which kill finds its query: the engine gives
// query ids of its own making.
const markSetting = "chdb_client_name"

// killInterval is how often kill asks again: a query that has not registered
// yet is not found.
const killInterval = 100 * time.Millisecond

// kill cancels the query that carries mark, again and again until done closes.
func (e *engine) kill(mark string, done <-chan struct{}) {
	conn, err := e.connect()
	if err != nil {
		return // the query runs to its end, as its client's absence does no harm
	}
	defer e.retire(conn)
	tick := time.NewTicker(killInterval)
	defer tick.Stop()
	for {
		res, err := conn.Query("KILL QUERY WHERE Settings['"+markSetting+"'] = "+quote(mark)+" ASYNC", "Null", nil)
		if err == nil {
			res.Close()
		}
		select {
		case <-done:
			return
		case <-tick.C:
		}
	}
}

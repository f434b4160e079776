package chtest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Server is a chserve process of the test's own. Not safe for concurrent use.
type Server struct {
	DSN  string // http://default@127.0.0.1:port/default
	Addr string // 127.0.0.1:port; stays the same over Restart
	Dir  string // data path

	tb    testing.TB
	args  []string
	cmd   *osexec.Cmd
	stdin io.Closer
	ended chan struct{} // closed when the process is gone
	log   *tail
}

// StartServer starts a chserve that the test may kill and restart. Further
// args go to its command line. It always is a process of the test's own,
// whatever CLICKHOUSE_DSN says, and dies with the test.
func StartServer(tb testing.TB, args ...string) *Server {
	tb.Helper()
	s := &Server{tb: tb, Dir: tb.TempDir(), Addr: "127.0.0.1:0", args: args}
	tb.Cleanup(func() { s.Kill() })
	s.Restart()
	return s
}

// Restart starts the server anew, on the same data and port, after killing it
// if it still runs. It returns once the server answers.
func (s *Server) Restart() {
	s.tb.Helper()
	s.Kill()
	if err := s.start(); err != nil {
		s.tb.Fatal(err)
	}
}

// Kill ends the process at once, as a crash would. Harmless when it is gone.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	<-s.ended
	s.cmd = nil
}

// Stop asks the process to stop, waits until it has, and reports its exit.
func (s *Server) Stop() error {
	if s.cmd == nil {
		return errors.New("the server does not run")
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	<-s.ended
	state := s.cmd.ProcessState
	s.cmd = nil
	if !state.Success() {
		return fmt.Errorf("chserve: %s\n%s", state, s.log)
	}
	return nil
}

// PID is the process id, 0 when the server does not run.
func (s *Server) PID() int {
	if s.cmd == nil {
		return 0
	}
	return s.cmd.Process.Pid
}

// Log returns the last lines that the process wrote.
func (s *Server) Log() string { return s.log.String() }

func (s *Server) start() error {
	binary, library := s.tools()
	cmd := osexec.Command(binary, append([]string{ //nolint:noctx // lives as long as the test, ended by Kill
		"--attached", "--path", s.Dir, "--listen", s.Addr, "--lib", library,
	}, s.args...)...)
	cmd.Dir = filepath.Dir(s.Dir) // the engine keeps schemas that a query brings along where it runs
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("start chserve: %w", err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("start chserve: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start chserve: %w", err)
	}
	s.cmd, s.stdin, s.ended, s.log = cmd, stdin, make(chan struct{}), &tail{}
	started := make(chan string, 1)
	go func() {
		s.log.follow(stderr, started)
		_ = cmd.Wait()
		_ = stdin.Close()
		close(s.ended)
	}()
	select {
	case s.Addr = <-started:
		s.DSN = "http://default@" + s.Addr + "/default"
		return nil
	case <-s.ended:
		s.cmd = nil
		return fmt.Errorf("chserve ended at once: %s\n%s", cmd.ProcessState, s.log)
	case <-time.After(3 * time.Minute):
		return fmt.Errorf("chserve did not come up within three minutes\n%s", s.log)
	}
}

// tail keeps the last lines of a process's log. Safe for concurrent use.
type tail struct {
	mu    sync.Mutex
	lines [][]byte
}

var startedLine = regexp.MustCompile(`msg="engine started".* listen=(\S+)`)

// follow reads the log to its end and sends the address that it tells.
func (t *tail) follow(r io.Reader, started chan<- string) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if m := startedLine.FindSubmatch(lines.Bytes()); m != nil {
			started <- string(m[1])
		}
		t.mu.Lock()
		t.lines = append(t.lines, bytes.Clone(lines.Bytes()))
		t.lines = t.lines[max(0, len(t.lines)-50):]
		t.mu.Unlock()
	}
}

// String joins the lines.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.Join(t.lines, []byte("\n")))
}

// tools finds the engine and builds chserve, once per test binary.
func (s *Server) tools() (binary, library string) {
	s.tb.Helper()
	root, err := repository()
	if err != nil {
		s.tb.Fatal(err)
	}
	library = filepath.Join(root, ".cache", "chdb", "package", "libchdb.so")
	if _, err := os.Stat(library); err != nil {
		if os.Getenv("REQUIRE_TOOLS") == "1" { //nolint:forbidigo // tests have no main to hand them their environment
			s.tb.Fatal(errNoEngine)
		}
		s.tb.Skip(errNoEngine)
	}
	if binary, err = build(); err != nil {
		s.tb.Fatal(err)
	}
	return binary, library
}

// repository finds the root of the repository above the working directory.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find repository: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find repository: no go.work above the working directory")
		}
		dir = parent
	}
}

// build builds chserve into .cache/bin of the repository. A lock file keeps
// test binaries that run side by side from building over each other.
var build = sync.OnceValues(func() (string, error) {
	root, err := repository()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(root, ".cache", "bin")
	if err := os.MkdirAll(bin, 0o750); err != nil {
		return "", fmt.Errorf("build chserve: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(bin, "chserve.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", fmt.Errorf("build chserve: %w", err)
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("build chserve: %w", err)
	}
	binary := filepath.Join(bin, "chserve")
	cmd := osexec.Command("go", "build", "-o", binary, "github.com/goodhartlabs/goodhart/services/cmd/chserve")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOWORK="+filepath.Join(root, "go.work"), "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build chserve: %w\n%s", err, out)
	}
	return binary, nil
})

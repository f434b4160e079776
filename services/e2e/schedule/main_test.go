package schedule

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestMain runs the tests in a binary of their own, built with the tag
// synctests, wherever they were started without it.
func TestMain(m *testing.M) {
	if !tagged {
		os.Exit(rerun(os.Args[1:]))
	}
	// Garbage is not the point here, and neither is what survives a crash of the
	// machine: the engine's files go to memory where there is enough.
	debug.SetGCPercent(400)
	// Schedules wait for the engine: more of them than processors keep both busy.
	flag.Parse()
	_ = flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0)))
	var shm syscall.Statfs_t
	if syscall.Statfs("/dev/shm", &shm) == nil && shm.Bavail*uint64(shm.Bsize) > 2<<30 && os.Getenv("TMPDIR") == "" {
		_ = os.Setenv("TMPDIR", "/dev/shm")
	}
	os.Exit(m.Run())
}

// rerun builds the tests again, with the tag, runs them with the same arguments
// and returns how they ended.
func rerun(args []string) int {
	dir, err := os.MkdirTemp("", "schedule")
	if err != nil {
		return report("%v", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary := filepath.Join(dir, "schedule.test")
	build := []string{"test", "-c", "-tags", "synctests", "-o", binary}
	if raced() {
		build = append(build, "-race")
	}
	if out, err := exec.Command("go", append(build, ".")...).CombinedOutput(); err != nil {
		return report("build the tests with the tag synctests: %v\n%s", err, out)
	}
	var same []string
	for _, arg := range args {
		// The log is of the files that go test watches, for its cache.
		if !strings.HasPrefix(arg, "-test.testlogfile=") {
			same = append(same, arg)
		}
	}
	cmd := exec.Command(binary, same...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		return report("%v", err)
	}
	return 0
}

func report(format string, args ...any) int {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	return 1
}

// raced reports whether this binary was built with the race detector.
func raced() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return false
	}
	for _, s := range info.Settings {
		if s.Key == "-race" && s.Value == "true" {
			return true
		}
	}
	return false
}

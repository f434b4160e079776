package faults

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// shell runs a script as a process; a crash comes through the channel.
func shell(t *testing.T, script string) (*process, <-chan error) {
	t.Helper()
	crashes := make(chan error, 1)
	return &process{
		name: "p", argv: []string{"/bin/sh", "-c", script},
		log: filepath.Join(t.TempDir(), "log"), crashed: func(err error) { crashes <- err },
	}, crashes
}

func TestProcessThatEndsByItself(t *testing.T) {
	p, crashes := shell(t, "for i in $(seq 50); do echo line $i; done; exit 3")
	if err := p.launch(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := <-crashes
	if text := err.Error(); !strings.Contains(text, "p ended by itself: exit status 3") || !strings.Contains(text, "line 50") || strings.Contains(text, "line 29\n") {
		t.Errorf("says %q", text)
	}
}

func TestProcessThatIsKilled(t *testing.T) {
	p, crashes := shell(t, "echo up; exec sleep 1000")
	for life := 1; life <= 2; life++ {
		if err := p.launch(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := []string{"", "p/1", "p/2"}[life]; p.life() != want {
			t.Errorf("life %q, want %q", p.life(), want)
		}
		if err := p.kill(t.Context()); err != nil {
			t.Fatal(err)
		}
		if p.cmd.ProcessState == nil {
			t.Error("kill returned before the end")
		}
	}
	if err := p.signal(syscall.SIGSTOP); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("a dead process was stopped: %v", err)
	}
	if text, err := os.ReadFile(p.log); err != nil || strings.Count(string(text), "--- life") != 2 {
		t.Errorf("log %q, %v", text, err)
	}
	select {
	case err := <-crashes:
		t.Errorf("taken for a crash: %v", err)
	default:
	}
}

// A role must end by itself when it is asked to, and well.
func TestProcessThatIsAskedToEnd(t *testing.T) {
	f := func(script, want string) {
		t.Helper()
		p, _ := shell(t, script+"; echo trapped; while :; do sleep 0.01; done")
		if err := p.launch(t.Context()); err != nil {
			t.Fatal(err)
		}
		err := eventually(t.Context(), "the trap", func(context.Context) bool { return strings.Contains(string(Tail(p.log)), "trapped") })
		if err != nil {
			t.Fatal(err)
		}
		err = p.stop(t.Context())
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", script, err, want)
		}
	}
	f("trap 'exit 0' TERM", "")
	f("trap 'exit 4' TERM", "p after SIGTERM: exit status 4")
	f("true", "signal: terminated")
}

// A frozen process is killed like any other when the run ends.
func TestProcessEndsWithTheRun(t *testing.T) {
	p, crashes := shell(t, "exec sleep 1000")
	ctx, cancel := context.WithCancel(t.Context())
	if err := p.launch(ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	cancel()
	p.wait()
	select {
	case err := <-crashes:
		t.Errorf("taken for a crash: %v", err)
	default:
	}
}

// A directory that is not a run's is left alone.
func TestForeignDirectory(t *testing.T) {
	cfg := Default()
	cfg.Bin, cfg.Library, cfg.Deploy, cfg.Dir = "b", "l", "d", t.TempDir()
	precious := filepath.Join(cfg.Dir, "thesis")
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "not of a run before") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}

// What ended a run is what it says, not what followed from it.
func TestRunSaysWhatEndedIt(t *testing.T) {
	cfg := Default()
	cfg.Bin, cfg.Library, cfg.Deploy, cfg.Dir = t.TempDir(), "l", "d", filepath.Join(t.TempDir(), "run")
	var out strings.Builder
	cfg.Out = &out
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("somebody pressed Ctrl-C"))
	if _, err := Run(ctx, cfg); err == nil || err.Error() != "somebody pressed Ctrl-C" {
		t.Errorf("error %v", err)
	}
	if !strings.Contains(out.String(), "are left in "+cfg.Dir) {
		t.Errorf("does not say where the logs are: %q", out.String())
	}
}

// A sender that trickles goes on, slowly, and flows again afterwards.
func TestSenderTrickles(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", "while :; do echo x; done >"+out)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &sender{}
	s.signal(syscall.SIGSTOP) // before there is one
	s.set(cmd.Process)
	flowing := s.trickle(t.Context())
	state := func() string { // of the process: T if it is stopped
		stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "stat"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(stat))[2]
	}
	until := func(what string, holds func() bool) {
		t.Helper()
		if err := eventually(t.Context(), what, func(context.Context) bool { return holds() }); err != nil {
			t.Fatal(err)
		}
	}
	until("a stop", func() bool { return state() == "T" })
	until("some of the traffic", func() bool { return state() != "T" })
	flowing()
	if state() == "T" {
		t.Error("the traffic stands still")
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	s.signal(syscall.SIGSTOP) // it has ended
}

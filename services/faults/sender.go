package faults

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// sender is the process that sends the traffic, while it runs.
type sender struct {
	mu      sync.Mutex
	process *os.Process
}

// send sends the traffic; the clients try again until a request is acknowledged.
func (r *run) send(ctx context.Context) error {
	log, err := os.Create(filepath.Join(r.cfg.Dir, logDir, "simulate.log"))
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	defer func() { _ = log.Close() }()
	cmd := r.simulate(ctx, "send", "--dir", filepath.Join(r.cfg.Dir, planDir), "--http", "http://"+r.fleet.http,
		"--grpc", r.fleet.grpc, "--rate", fmt.Sprint(r.cfg.Rate), "--patience", "10m")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	r.sender.set(cmd.Process)
	defer r.sender.set(nil)
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("send: %w\n%s", err, Tail(log.Name()))
	}
	r.log.say("everything is sent and acknowledged")
	return nil
}

func (s *sender) set(p *os.Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process = p
}

// signal does nothing to a sender that has ended.
func (s *sender) signal(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		_ = s.process.Signal(sig) // os.ErrProcessDone: it has just ended
	}
}

// A sender that trickles is stopped nine tenths of the time.
const (
	stopped = 900 * time.Millisecond
	running = 100 * time.Millisecond
)

// trickle slows the traffic to about a tenth until the returned function is called.
func (s *sender) trickle(ctx context.Context) (flowing func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			s.signal(syscall.SIGSTOP)
			_ = pause(ctx, stopped)
			s.signal(syscall.SIGCONT)
			_ = pause(ctx, running)
		}
	}()
	return func() { cancel(); <-done }
}

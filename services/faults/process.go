package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// process is a role that is started, broken and started again. A life of it is
// one start.
type process struct {
	name string
	argv []string
	// config is the file of its configuration, if it has one.
	config string
	ready  string // URL that answers 200 once it works
	admin  string // host:port of /metrics
	log    string // file of what all its lives print
	// crashed is told when a life ends that nobody ended.
	crashed func(error)

	mu    sync.Mutex
	lives int
	began time.Time // the current life
	cmd   *exec.Cmd
	ended chan struct{} // closed when the life is over
	meant bool          // somebody ends it
	err   error         // how it ended
}

// start begins a life and returns when it works.
func (p *process) start(ctx context.Context) error {
	if err := p.launch(ctx); err != nil {
		return err
	}
	return eventually(ctx, p.name+" to be ready", func(ctx context.Context) bool {
		_, err := get(ctx, p.ready)
		return err == nil
	})
}

// launch begins a life. It ends with ctx, and with this process, however that ends.
func (p *process) launch(ctx context.Context) error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	defer func() { _ = log.Close() }() // the child has its own
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lives++
	p.began = time.Now()
	_, _ = fmt.Fprintf(log, "--- life %d, %s\n", p.lives, time.Now().Format(time.RFC3339Nano))
	argv := p.argv
	if p.config != "" {
		argv = append(argv[:len(argv):len(argv)], "--config", p.config)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	ended := make(chan struct{})
	p.cmd, p.ended, p.meant = cmd, ended, false
	go func() {
		err := cmd.Wait()
		p.mu.Lock()
		p.err = err
		crashed := !p.meant && ctx.Err() == nil
		p.mu.Unlock()
		close(ended)
		if crashed {
			p.crashed(fmt.Errorf("%s ended by itself: %w\n%s", p.name, err, Tail(p.log)))
		}
	}()
	return nil
}

// life names the current one.
func (p *process) life() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprintf("%s/%d", p.name, p.lives)
}

// since is when the current life began.
func (p *process) since() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.began
}

func (p *process) signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return fmt.Errorf("signal %s: it was never started", p.name)
	}
	if s == syscall.SIGKILL || s == syscall.SIGTERM {
		p.meant = true
	}
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("signal %s: %w", p.name, err)
	}
	return nil
}

// kill is kill -9. It returns when the process is gone.
func (p *process) kill(context.Context) error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	p.wait()
	return nil
}

// stop asks the process to end, which it must do by itself and well.
func (p *process) stop(ctx context.Context) error {
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	p.mu.Lock()
	ended := p.ended
	p.mu.Unlock()
	select {
	case <-ended:
	case <-time.After(stopWithin):
		return fmt.Errorf("%s still runs %v after SIGTERM\n%s", p.name, stopWithin, Tail(p.log))
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return fmt.Errorf("%s after SIGTERM: %w\n%s", p.name, p.err, Tail(p.log))
	}
	return nil
}

const stopWithin = time.Minute

// wait returns when no life is under way.
func (p *process) wait() {
	p.mu.Lock()
	ended := p.ended
	p.mu.Unlock()
	if ended != nil {
		<-ended
	}
}

// Tail is the end of a log, or why there is none.
func Tail(path string) []byte {
	text, err := os.ReadFile(path)
	if err != nil {
		return []byte(err.Error())
	}
	const lines = 20
	at := len(text)
	for range lines + 1 {
		if at = bytes.LastIndexByte(text[:max(at, 0)], '\n'); at < 0 {
			break
		}
	}
	return text[at+1:]
}

// patience is how long anything may take: a state may be restored, on a machine
// that has other things to do.
const patience = 2 * time.Minute

// eventually waits until done.
func eventually(ctx context.Context, what string, done func(context.Context) bool) error {
	deadline := time.After(patience)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for !done(ctx) {
		select {
		case <-again.C:
		case <-deadline:
			return fmt.Errorf("waited %v for %s", patience, what)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// get returns the body of a page. A frozen process does not answer for long.
func get(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(res.Status)
	}
	return body, err
}

package chsink

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Sink stores the streams of its configuration. Run it once.
type Sink struct {
	cfg     Config
	metrics *metrics
	inserts chan struct{} // one token per insert that may run
	buffers sync.Pool     // of *[]byte: encoded blocks
	// noNative is set when the connection cannot stream a Native block, so that
	// blocks go through the client's own columns.
	noNative atomic.Bool
	current  atomic.Pointer[session] // nil between sessions
}

// New returns a sink, or all problems of its configuration.
func New(cfg Config) (*Sink, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("sink configuration: %w", err)
	}
	cfg = cfg.withDefaults()
	s := &Sink{cfg: cfg, metrics: newMetrics(cfg.Metrics), inserts: make(chan struct{}, cfg.Inserts)}
	cfg.Metrics.MustRegister(lag{s})
	return s, nil
}

// errReplaced says that the group took this process for dead and gave its
// partitions away: what it holds in memory is void.
var errReplaced = errors.New("the group replaced this member")

// Run consumes until ctx ends, then stores what it has read, commits and
// returns nil. It returns an error when going on would be wrong: rows without a
// committed offset and no Config.From, tables that do not fit, a topic that was
// deleted, another process with the same instance id.
func (s *Sink) Run(ctx context.Context) error {
	if err := s.checkTables(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	for ctx.Err() == nil {
		err := s.session(ctx)
		switch {
		case err == nil, ctx.Err() != nil && errors.Is(err, context.Canceled):
			return nil
		case errors.Is(err, errReplaced):
			s.cfg.Log.WarnContext(ctx, "rejoining the group", "error", err)
			sleep(ctx, s.cfg.backoff.first)
		default:
			return err
		}
	}
	return nil
}

// session is one membership in the group.
type session struct {
	*Sink
	group *member
	fail  context.CancelCauseFunc

	mu         sync.Mutex
	partitions map[place]*partition
}

// place is a topic-partition.
type place struct {
	topic     string
	partition int32
}

func (s *Sink) session(ctx context.Context) error {
	// inner ends with a failure, or after ctx when everything is drained.
	inner, fail := context.WithCancelCause(context.WithoutCancel(ctx))
	defer fail(nil)
	ss := &session{Sink: s, fail: fail, partitions: map[place]*partition{}}
	group, err := ss.join(ctx) // nothing is begun yet that would have to be drained
	if err != nil {
		return err
	}
	defer group.close()
	s.current.Store(ss)
	defer s.current.Store(nil)
	ss.cfg.Ready()

	polling, stopPolling := context.WithCancel(inner)
	defer context.AfterFunc(ctx, stopPolling)()
	defer stopPolling()
	ss.poll(polling)

	if inner.Err() == nil { // ctx ended
		ss.drain(inner)
	}
	ss.revokeAll()
	if err := context.Cause(inner); err != nil {
		return err
	}
	return nil
}

// poll hands records to their partitions until ctx ends.
func (ss *session) poll(ctx context.Context) {
	for ctx.Err() == nil {
		batches := ss.group.poll(ctx)
		for _, b := range batches {
			if p := ss.partition(b.place); p != nil {
				p.push(b)
			}
		}
		ss.group.client.AllowRebalance()
	}
}

func (ss *session) partition(at place) *partition {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return ss.partitions[at]
}

// assign starts a partition at what the group remembers of it.
func (ss *session) assign(p *partition) {
	ss.revoke([]place{p.at})
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.partitions[p.at] = p
	go p.run()
}

// revoke stops partitions and returns when they have.
func (ss *session) revoke(lost []place) {
	var stopping []*partition
	ss.mu.Lock()
	for _, at := range lost {
		if p := ss.partitions[at]; p != nil {
			delete(ss.partitions, at)
			p.cancel()
			stopping = append(stopping, p)
		}
	}
	ss.mu.Unlock()
	for _, p := range stopping {
		<-p.done
		ss.group.resume(p.at)
		ss.metrics.forget(p.at)
	}
}

func (ss *session) owned() []place {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	all := make([]place, 0, len(ss.partitions))
	for at := range ss.partitions {
		all = append(all, at)
	}
	return all
}

func (ss *session) revokeAll() { ss.revoke(ss.owned()) }

// drain lets every partition store what it has decoded and commit.
func (ss *session) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, drainFor)
	defer cancel()
	ss.mu.Lock()
	waiting := make([]*partition, 0, len(ss.partitions))
	for _, p := range ss.partitions {
		close(p.draining)
		waiting = append(waiting, p)
	}
	ss.mu.Unlock()
	for _, p := range waiting {
		select {
		case <-p.done:
		case <-ctx.Done():
			return
		}
	}
}

// newBackoff grows to its maximum and never gives up.
func (s *Sink) newBackoff() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(s.cfg.backoff.first),
		backoff.WithMaxInterval(s.cfg.backoff.most),
		backoff.WithMaxElapsedTime(0),
	)
}

// sleep waits, and reports whether ctx still stands.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

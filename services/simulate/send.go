package simulate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/goodhartlabs/goodhart/services/simulate/client"
	"github.com/goodhartlabs/goodhart/services/simulate/org"
	"github.com/goodhartlabs/goodhart/services/simulate/traffic"
	"github.com/goodhartlabs/goodhart/services/simulate/wire"
)

// progress is what is left on disk for a Send that is started again.
type progress struct {
	// Acknowledged is how many steps are through.
	Acknowledged int `json:"acknowledged"`
	// Records is how many records they held, Repeated how many requests had to
	// be sent again because they were not acknowledged.
	Records  int64 `json:"records"`
	Repeated int64 `json:"repeated"`
	// Done says that the clock stands at its last value.
	Done bool `json:"done"`
}

// sender sends the steps of one plan.
type sender struct {
	dir    string
	client *client.Client
	limit  int
}

// Send sends the traffic of the plan in cfg.Dir. Every record is sent until it
// is acknowledged; steps follow each other, the requests of a step go out
// together. After the period the clock moves on until everything is final.
func Send(ctx context.Context, cfg Config) (err error) {
	p, done, secrets, err := readDir(cfg.Dir)
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	c, err := client.New(client.Config{
		HTTP: cfg.HTTP, GRPC: cfg.GRPC, Secrets: secrets, Patience: cfg.Patience, FirstPause: cfg.pause,
	})
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	s := &sender{dir: cfg.Dir, client: c, limit: cfg.Concurrency}
	generator := traffic.New(p.traffic(), p.company())
	b := newBar(cfg.Out, done.Acknowledged, generator.Steps(), time.Now())
	before := done.Repeated // by a run that was interrupted
	for step := range generator.All() {
		if step.Index < done.Acknowledged {
			continue
		}
		if cfg.Hours > 0 && step.Index >= cfg.Hours {
			return b.end(c.Stats(), time.Now())
		}
		began := time.Now()
		records, err := s.step(ctx, step)
		if err != nil {
			return fmt.Errorf("send %s: %w", time.UnixMilli(step.Start).UTC().Format(time.RFC3339), err)
		}
		done.Acknowledged = step.Index + 1
		done.Records += records
		done.Repeated = before + c.Stats().Retries.Load()
		if err := done.write(cfg.Dir); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		if err := b.step(done.Acknowledged, records, time.UnixMilli(step.End), time.Now()); err != nil {
			return fmt.Errorf("send: show progress: %w", err)
		}
		if err := pace(ctx, cfg.Rate, records, began); err != nil {
			return fmt.Errorf("send: %w", err)
		}
	}
	for _, clock := range p.epilogue() {
		if err := s.advance(ctx, clock); err != nil {
			return fmt.Errorf("send: %w", err)
		}
	}
	done.Done = true
	if err := done.write(cfg.Dir); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	if err := b.end(c.Stats(), time.Now()); err != nil {
		return fmt.Errorf("send: show statistics: %w", err)
	}
	return nil
}

// pace waits until a step has taken as long as its records may at the rate. Each
// step for itself: what an outage has cost is not made up for by a burst.
func pace(ctx context.Context, rate int, records int64, began time.Time) error {
	if rate == 0 {
		return nil
	}
	wait := time.NewTimer(time.Until(began.Add(time.Duration(records) * time.Second / time.Duration(rate))))
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func readDir(dir string) (plan, progress, map[string]string, error) {
	var done progress
	p, err := readPlan(dir)
	if err != nil {
		return p, done, nil, err
	}
	var secrets map[string]string
	raw, err := os.ReadFile(filepath.Join(dir, secretsFile))
	if err != nil {
		return p, done, nil, fmt.Errorf("read secrets: %w", err)
	}
	if err := json.Unmarshal(raw, &secrets); err != nil {
		return p, done, nil, fmt.Errorf("read secrets: %w", err)
	}
	raw, err = os.ReadFile(filepath.Join(dir, progressFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return p, done, secrets, nil
	case err != nil:
		return p, done, nil, fmt.Errorf("read progress: %w", err)
	}
	if err := json.Unmarshal(raw, &done); err != nil {
		return p, done, nil, fmt.Errorf("read progress: %w", err)
	}
	return p, done, secrets, nil
}

// write replaces the file whole, so that a kill leaves the old or the new one.
func (d progress) write(dir string) error {
	raw, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("encode progress: %w", err)
	}
	path := filepath.Join(dir, progressFile)
	if err := os.WriteFile(path+".new", append(raw, '\n'), 0o644); err != nil {
		return fmt.Errorf("write progress: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write progress: %w", err)
	}
	return nil
}

// step moves the clock to the end of a step and then sends its requests, a few
// at a time, and waits for all acknowledgements. The clock goes first: it must
// not move while the announcements of one request, which take several requests
// of ours, are on their way.
func (s *sender) step(ctx context.Context, step *traffic.Step) (int64, error) {
	if err := s.advance(ctx, step.End); err != nil {
		return 0, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.limit)
	var records int64
	for _, r := range step.Requests {
		records += int64(len(r.Items))
		if r.Lost {
			records += int64(len(r.Items))
		}
		group.Go(func() error { return s.request(ctx, r, step.End) })
	}
	return records, group.Wait()
}

// request sends one request; one whose answer is lost goes out again.
func (s *sender) request(ctx context.Context, r *traffic.Request, clock int64) error {
	m, err := wire.Message(r, clock)
	if err != nil {
		return err
	}
	if r.Lost {
		if err := s.client.Send(ctx, m); err != nil {
			return err
		}
	}
	return s.client.Send(ctx, m)
}

// advance moves the collector's clock with a request that carries no event.
func (s *sender) advance(ctx context.Context, clock int64) error {
	return s.client.Send(ctx, &client.Message{
		Key: org.KeyOutcomes, Clock: clock, Path: "/v1/events",
		Header: http.Header{"Content-Type": {"application/cloudevents-batch+json"}}, Body: []byte("[]"),
	})
}

package schedule

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
	"github.com/goodhartlabs/goodhart/services/simulate/client"
	"github.com/goodhartlabs/goodhart/services/simulate/traffic"
	"github.com/goodhartlabs/goodhart/services/simulate/wire"
)

// outcome is what a schedule left behind.
type outcome struct {
	plan   *plan
	wrote  wrote
	struck map[string]int64
}

// run plays a schedule to its end. Its errors are those of the pipeline: that it
// did not get through, or that a process gave up.
func (b *bench) run(t *testing.T, p *plan) (outcome, error) {
	t.Helper()
	var out outcome
	var failed error
	synctest.Test(t, func(t *testing.T) {
		w, end := b.open(t, p)
		defer end()
		if failed = w.play(0, len(p.steps)); failed == nil {
			failed = w.epilogue()
		}
		w.rest()
		if failed == nil {
			out.wrote, failed = w.drain()
		}
		w.engine.late.Wait()
		w.tally()
		for _, c := range w.crews {
			c.dismiss()
			failed = errors.Join(append(c.complaints(), failed)...)
		}
		out.plan, out.struck = p, w.struck.all()
	})
	return out, failed
}

// open starts a world in the test's bubble and returns it when every role is
// ready, and what ends it.
func (b *bench) open(t *testing.T, p *plan) (w *world, end func()) {
	t.Helper()
	log := discard()
	if *verbose {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("seed", p.seed)
	}
	// The bubble's clock starts in 2000. Brokers must not be behind the events.
	time.Sleep(time.Until(p.start.Add(5 * 24 * time.Hour)))
	w = newWorld(t, p, log)
	srv := w.serveEngine(b.addr, &b.known)
	w.arm()
	for _, role := range []string{collectorRole, processorRole, sinkRole} {
		w.crews[role] = w.hire(role)
	}
	if err := w.await("every role is ready", w.ready); err != nil {
		t.Error(err)
	}
	return w, func() {
		w.close()
		_ = srv.Close()
	}
}

// rest ends the acts and the ticks, which would go on for ever.
func (w *world) rest() {
	for _, c := range w.crews {
		c.rest()
	}
	w.crews[collectorRole].dismiss()
}

// dismiss stops all that live.
func (c *crew) dismiss() {
	for len(c.living) > 0 {
		c.stop(c.living[0])
	}
}

func (w *world) ready() (bool, error) {
	for _, c := range w.crews {
		for _, p := range c.living {
			if pending := p.tel.Pending(); len(pending) > 0 {
				return false, fmt.Errorf("%s is not ready: %v", p.name, pending)
			}
		}
	}
	return true, nil
}

// play sends the traffic of the steps in [from, to) and lets happen what the plan says.
func (w *world) play(from, to int) error {
	sender := w.sender()
	defer sender.client.CloseIdleConnections()
	for i := from; i < to; i++ {
		step := w.plan.steps[i]
		if err := sender.clock(step.End); err != nil {
			return err
		}
		for j := range len(step.Requests) + 1 {
			for _, a := range w.plan.acts[i] {
				if a.after == j {
					w.perform(a)
				}
			}
			if j == len(step.Requests) {
				break
			}
			if err := sender.request(step.Requests[j], step.End); err != nil {
				return err
			}
			time.Sleep(w.plan.pauses[i] / 10)
		}
		if err := w.litter(w.plan.junk[i], step); err != nil {
			return err
		}
		time.Sleep(w.plan.pauses[i])
	}
	return nil
}

// epilogue moves the clock on until holds have ended and tallies are told, and
// twice a minute further, one for each fold that merges.
func (w *world) epilogue() error {
	to := w.sender()
	defer to.client.CloseIdleConnections()
	last := w.plan.steps[len(w.plan.steps)-1].End + 3*traffic.Hour
	return errors.Join(to.clock(last), to.clock(last+60_000), to.clock(last+120_000))
}

// litter puts records into events.v1 that pass for ours and lack what makes an
// event.
func (w *world) litter(n int, step *traffic.Step) error {
	for i := range n {
		value, err := (&goodhartv1.Event{
			Kind: goodhartv1.EventKind_EVENT_KIND_USAGE, Tenant: w.plan.org.Tenant, Source: "claude-code",
			Signal: goodhartv1.Signal_SIGNAL_LOG, TimeMs: step.End - 60_000, ReceivedMs: step.End, Usage: &goodhartv1.Usage{Model: "junk"},
		}).MarshalVT()
		if err != nil {
			return err
		}
		partition := int32(i+step.Index) % w.plan.counts.Events
		rec := &kgo.Record{Topic: schemas.TopicEvents, Partition: partition, Key: []byte("junk"), Value: value}
		err = w.await("litter is there", func() (bool, error) {
			again := *rec
			err := w.client.ProduceSync(w.t.Context(), &again).FirstErr() // perhaps it is there twice: the log will tell
			return err == nil, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sender is the company's clients: each request is sent until it is
// acknowledged.
type sender struct {
	w       *world
	client  *http.Client
	secrets map[string]string
}

func (w *world) sender() *sender {
	s := &sender{
		w: w, secrets: map[string]string{},
		client: &http.Client{Transport: &http.Transport{DialContext: w.network.DialContext}, Timeout: 20 * time.Second},
	}
	for _, k := range w.plan.org.Keys {
		s.secrets[k.ID] = k.Secret
	}
	return s
}

// clock moves the collectors' clock.
func (s *sender) clock(ms int64) error {
	return s.send(&client.Message{
		Key: s.w.plan.org.Keys[0].ID, Clock: ms, Path: "/v1/events", Body: []byte("[]"),
		Header: http.Header{"Content-Type": {"application/cloudevents-batch+json"}},
	})
}

func (s *sender) request(r *traffic.Request, clock int64) error {
	m, err := wire.Message(r, clock)
	if err != nil {
		return err
	}
	if err := s.send(m); err != nil || !r.Lost {
		return err
	}
	return s.send(m)
}

func (s *sender) send(m *client.Message) error {
	for deadline := time.Now().Add(10 * time.Minute); ; {
		err := s.post(m)
		if err == nil || errors.Is(err, errRefused) {
			return err
		}
		s.w.log.Info("request not acknowledged", "error", err)
		if time.Now().After(deadline) {
			return fmt.Errorf("no acknowledgement: %w", err)
		}
		s.w.struck.add(reaction + repeatedRequests)
		time.Sleep(300 * time.Millisecond)
	}
}

var errRefused = errors.New("refused")

func (s *sender) post(m *client.Message) error {
	var body io.Reader = bytes.NewReader(m.Body)
	if m.Chunked {
		body = io.MultiReader(body) // of unknown length
	}
	req, err := http.NewRequestWithContext(s.w.t.Context(), http.MethodPost, "http://"+collectorAddr+m.Path, body)
	if err != nil {
		return err
	}
	req.Header = m.Header.Clone()
	req.Header.Set("Authorization", "Bearer "+s.secrets[m.Key])
	req.Header.Set(client.ClockHeader, strconv.FormatInt(m.Clock, 10))
	res, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return err
	case res.StatusCode/100 == 2, res.StatusCode/100 == 4 && res.StatusCode != http.StatusTooManyRequests && m.Tolerant:
		return nil
	case res.StatusCode/100 == 4 && res.StatusCode != http.StatusTooManyRequests:
		return fmt.Errorf("%w: %d %s", errRefused, res.StatusCode, answer)
	default:
		return fmt.Errorf("status %d: %s", res.StatusCode, answer)
	}
}

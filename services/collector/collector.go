package collector

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/goodhartlabs/goodhart/services/probe"
)

// Components of readiness.
const (
	readyKafka  = "collector kafka"
	readyListen = "collector listeners"
	readyTicks  = "collector ticks"
)

// pingInterval is how often the collector asks whether a broker answers.
const pingInterval = 5 * time.Second

// service is a running collector.
type service struct {
	cfg      Config
	log      *slog.Logger
	tel      *probe.Telemetry
	metrics  *metrics
	library  *library
	clock    *clock
	intake   *intake
	producer *producer
	ticker   *ticker
	tallies  *tallies
	servers  []listening
}

// listening is a server with its open listener.
type listening struct {
	server   *http.Server
	listener net.Listener
}

// Run collects until ctx ends, then stops listening, answers the requests in
// work, flushes and sends a last round of ticks. It waits for Kafka at the start
// and returns an error if the files, the partition counts or the listeners
// cannot be used.
func Run(ctx context.Context, cfg Config, tel *probe.Telemetry) error {
	s, err := open(ctx, cfg, tel)
	if err != nil {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // stopped while it waited for Kafka, which is no failure
		}
		return err
	}
	return s.run(ctx)
}

// open does everything up to the listeners.
func open(ctx context.Context, cfg Config, tel *probe.Telemetry) (*service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("collector configuration: %w", err)
	}
	s := &service{
		cfg:     cfg,
		log:     tel.Log.With("role", "collector"),
		tel:     tel,
		metrics: newMetrics(tel.Metrics),
		clock:   &clock{fromHeader: cfg.Clock == ClockHeader},
		intake:  newIntake(cfg.Limits),
		tallies: newTallies(),
	}
	tel.NotReady(readyListen, "starting")
	tel.NotReady(readyKafka, "waiting for the partition layout")
	var err error
	if s.library, err = openLibrary(cfg, s.log, s.metrics); err != nil {
		return nil, err
	}
	if s.producer, err = openProducer(ctx, cfg, s.log, s.metrics); err != nil {
		return nil, err
	}
	tel.Ready(readyKafka)
	s.metrics.watch(s.intake, s.producer)
	s.ticker = newTicker(collectorID(cfg.ID), s.producer, s.tallies, s.tel, s.metrics)
	if err := s.listen(ctx); err != nil {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.Timeouts.Shutdown)
		defer cancel()
		return nil, errors.Join(err, s.producer.close(stop))
	}
	return s, nil
}

// collectorID names this process life: readers tell a restart from a gap.
func collectorID(id string) string {
	var life [8]byte
	_, _ = rand.Read(life[:]) // never fails
	return id + "-" + hex.EncodeToString(life[:])
}

func (s *service) listen(ctx context.Context) error {
	open := func(addr string, server *http.Server) error {
		if addr == "" {
			return nil
		}
		ln, err := s.cfg.Listen.open(ctx, addr)
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		s.servers = append(s.servers, listening{server, ln})
		return nil
	}
	err := errors.Join(
		open(s.cfg.Listen.HTTP, s.httpServer(s.httpRoutes(), nil)),
		open(s.cfg.Listen.GRPC, s.httpServer(s.grpcRoutes(), cleartextHTTP2())),
	)
	if err != nil {
		for _, l := range s.servers {
			_ = l.listener.Close()
		}
	}
	return err
}

// run serves until ctx ends and stops in the reverse order of starting.
func (s *service) run(ctx context.Context) error {
	var background errgroup.Group
	tend, stopTending := context.WithCancel(ctx)
	defer stopTending()
	background.Go(func() error { s.library.run(tend); return nil })
	background.Go(func() error { s.watchKafka(tend); return nil })
	background.Go(func() error {
		s.ticker.run(tend, s.cfg.TickInterval, s.cfg.Timeouts.Produce, s.tickTime)
		return nil
	})

	serving, broken := errgroup.WithContext(ctx)
	for _, l := range s.servers {
		s.log.Info("listening", "address", l.listener.Addr().String())
		serving.Go(func() error {
			if err := l.server.Serve(l.listener); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve %s: %w", l.listener.Addr(), err)
			}
			return nil
		})
	}
	s.tel.Ready(readyListen)
	<-broken.Done() // ctx ended, or a listener broke
	s.tel.NotReady(readyListen, "stopping")

	//nolint:contextcheck // ctx has ended; the stop has its own time
	err := s.shutdown()
	err = errors.Join(serving.Wait(), err)
	stopTending()
	_ = background.Wait() // its functions return no errors
	//nolint:contextcheck // as above
	return errors.Join(err, s.settle())
}

// shutdown stops listening and lets the requests in work finish.
func (s *service) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.Timeouts.Shutdown)
	defer cancel()
	var stop errgroup.Group
	for _, l := range s.servers {
		stop.Go(func() error {
			if err := l.server.Shutdown(ctx); err != nil {
				_ = l.server.Close()
				return fmt.Errorf("requests cut off by the stop: %w", err)
			}
			return nil
		})
	}
	return stop.Wait()
}

// settle sends the last ticks and flushes.
func (s *service) settle() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.Timeouts.Shutdown)
	defer cancel()
	err := s.ticker.farewell(ctx, s.cfg.Timeouts.Produce, s.tickTime)
	return errors.Join(err, s.producer.close(ctx))
}

// tickTime is the clock of periodic ticks: in clock mode header that of the last
// round, because a later one stands for events that are still under way.
func (s *service) tickTime() time.Time {
	if s.clock.fromHeader {
		return s.ticker.last()
	}
	return time.Now()
}

// watchKafka keeps readiness true to the brokers until ctx ends.
func (s *service) watchKafka(ctx context.Context) {
	next := time.NewTicker(pingInterval)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		attempt, cancel := context.WithTimeout(ctx, pingInterval)
		if err := s.producer.ping(attempt); err != nil {
			s.tel.NotReady(readyKafka, err.Error())
		} else {
			s.tel.Ready(readyKafka)
		}
		cancel()
	}
}

// Package up runs the whole pipeline on its embedded defaults: broker,
// ClickHouse (as a child process), collector, folds and sink, all state under
// one directory.
package up

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	schema "github.com/goodhartlabs/goodhart/schemas/clickhouse"
	"github.com/goodhartlabs/goodhart/services/alerter"
	"github.com/goodhartlabs/goodhart/services/broker"
	"github.com/goodhartlabs/goodhart/services/collector"
	"github.com/goodhartlabs/goodhart/services/console"
	"github.com/goodhartlabs/goodhart/services/kafka"
	"github.com/goodhartlabs/goodhart/services/migrate"
	"github.com/goodhartlabs/goodhart/services/probe"
	"github.com/goodhartlabs/goodhart/services/processor"
	"github.com/goodhartlabs/goodhart/services/sink"
)

// service is a role that runs until its context ends.
type service struct {
	name   string
	cancel context.CancelFunc
	done   chan error
}

// pipeline is the running services, in the order of their start.
type pipeline struct {
	services []service
	failed   chan error // the first service that ended by itself
}

// start runs a service under a context of its own, so that the pipeline can
// stop its parts in order.
func (p *pipeline) start(ctx context.Context, name string, run func(context.Context) error) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := service{name: name, cancel: cancel, done: make(chan error, 1)}
	p.services = append(p.services, s)
	go func() {
		err := run(own)
		s.done <- err
		if own.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("ended by itself")
		}
		select {
		case p.failed <- fmt.Errorf("%s: %w", name, err):
		default: // an earlier failure already ends the pipeline
		}
	}()
}

// stopTimeout bounds how long a part may take to finish its work.
const stopTimeout = time.Minute

// stop ends the services against the order of their start: what feeds another
// ends before it.
func (p *pipeline) stop() error {
	var errs []error
	for i := len(p.services) - 1; i >= 0; i-- {
		s := p.services[i]
		s.cancel()
		select {
		case err := <-s.done:
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
			}
		case <-time.After(stopTimeout):
			errs = append(errs, fmt.Errorf("%s: still at work %v after it was told to stop", s.name, stopTimeout))
		}
	}
	return errors.Join(errs...)
}

// Run brings the pipeline up, prints where it can be reached, and serves until
// ctx ends; then it stops collector, folds, console, alerter, sink, ClickHouse and
// broker in this order, each after finishing its work.
func Run(ctx context.Context, cfg Config, tel *probe.Telemetry) error {
	if err := os.MkdirAll(cfg.Data, 0o750); err != nil {
		return fmt.Errorf("create data directory: %w", err)
	}
	keys, err := openSecrets(cfg)
	if err != nil {
		return err
	}
	p := &pipeline{failed: make(chan error, 1)}
	tel.NotReady("up", "starting")
	err = p.bringUp(ctx, cfg, keys, tel)
	if err == nil {
		welcome(cfg, keys)
		select {
		case <-ctx.Done():
		case err = <-p.failed:
		}
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, p.stop())
}

func (p *pipeline) bringUp(ctx context.Context, cfg Config, keys secrets, tel *probe.Telemetry) error {
	brokers := cfg.kafka()
	tel.NotReady("broker", "starting")
	p.start(ctx, "broker", func(ctx context.Context) error {
		c := broker.Default()
		c.Listen, c.Data = cfg.Broker, filepath.Join(cfg.Data, "broker")
		c.SyncWrites = !cfg.Simulation // months go by in minutes, and are played again after a power loss
		return broker.Run(ctx, c, tel)
	})
	answered := make(chan struct{})
	if cfg.DSN == "" {
		tel.NotReady("clickhouse", "starting")
		p.start(ctx, "clickhouse", func(ctx context.Context) error {
			return clickhouse(ctx, cfg, tel, sync.OnceFunc(func() { close(answered) }))
		})
	} else {
		close(answered)
	}
	if err := p.await(ctx, "clickhouse to answer", answered); err != nil {
		return err
	}
	// Our own broker, not another that has its port: that one would end ours.
	if err := p.awaitReady(ctx, tel, "broker"); err != nil {
		return err
	}
	m := migrate.Default()
	m.Kafka, m.ClickHouse.DSN, m.Partitions, m.Replication = brokers, cfg.dsn(), cfg.Partitions, 1
	m.Prices = cfg.Prices
	if cfg.DSN == "" {
		m.Schema.Kind = schema.Embedded
	}
	if err := migrate.Run(ctx, m, tel); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	p.start(ctx, "sink", func(ctx context.Context) error { return sink.Run(ctx, sinkConfig(cfg, brokers), tel) })
	if cfg.Alerter != "" {
		a, err := cfg.alerter()
		if err != nil {
			return fmt.Errorf("alerter: %w", err)
		}
		p.start(ctx, "alerter", func(ctx context.Context) error { return alerter.Run(ctx, a, tel) })
	}
	if cfg.Console != "" {
		p.start(ctx, "console", func(ctx context.Context) error { return console.Run(ctx, consoleConfig(cfg, keys), tel) })
	}
	p.start(ctx, "processor", func(ctx context.Context) error { return processor.Run(ctx, processorConfig(cfg, brokers), tel) })
	p.start(ctx, "collector", func(ctx context.Context) error {
		return collector.Run(ctx, collectorConfig(cfg, keys, brokers), tel)
	})
	tel.Ready("up")
	return p.awaitReady(ctx, tel, "")
}

// startTimeout bounds how long a part may take to come up: a large state is
// restored first.
const startTimeout = 2 * time.Minute

func (p *pipeline) await(ctx context.Context, what string, event <-chan struct{}) error {
	select {
	case <-event:
		return nil
	case err := <-p.failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(startTimeout):
		return fmt.Errorf("waited %v for %s", startTimeout, what)
	}
}

// awaitReady waits until no component of the given name, or none at all, reports
// a reason not to be.
func (p *pipeline) awaitReady(ctx context.Context, tel *probe.Telemetry, component string) error {
	pending := func() []string {
		return slices.DeleteFunc(tel.Pending(), func(reason string) bool { return !strings.HasPrefix(reason, component) })
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(startTimeout)
	for len(pending()) > 0 {
		select {
		case <-tick.C:
		case err := <-p.failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			return fmt.Errorf("not ready after %v: %s", startTimeout, strings.Join(pending(), "; "))
		}
	}
	return nil
}

func processorConfig(cfg Config, brokers kafka.Config) processor.Config {
	c := processor.Default()
	c.Kafka = brokers
	c.SpillDir = cfg.Data
	if cfg.Simulation {
		// A step arrives in any order, and its clock is that of its end.
		c.Rules.OutOfOrderness = cfg.SimulationStep + 5*time.Minute
	}
	return c
}

func collectorConfig(cfg Config, keys secrets, brokers kafka.Config) collector.Config {
	c := collector.Default()
	c.Kafka = brokers
	c.Listen = collector.Listen{HTTP: cfg.HTTP, GRPC: cfg.GRPC}
	c.Keys, c.KeyringFile = keys.KeysFile, keys.KeyringFile
	c.People, c.Prices = cfg.People, cfg.Prices
	if cfg.Simulation {
		c.Clock = collector.ClockHeader
	}
	return c
}

func consoleConfig(cfg Config, keys secrets) console.Config {
	c := console.Default()
	c.Kafka, c.Listen, c.KeyringFile = cfg.kafka(), cfg.Console, keys.KeyringFile
	return c
}

func sinkConfig(cfg Config, brokers kafka.Config) sink.Config {
	c := sink.Default()
	c.Kafka = brokers
	c.ClickHouse.DSN = cfg.dsn()
	return c
}

// welcome prints where everything is, and what makes Claude Code report here.
func welcome(cfg Config, keys secrets) {
	var b strings.Builder
	fmt.Fprintf(&b, `
goodhart is ready
  OTLP/HTTP and CloudEvents  http://%[1]s  (/v1/logs /v1/metrics /v1/traces /v1/events)
  OTLP/gRPC                  %[2]s
  ClickHouse                 %[3]s  (views in database goodhart)
  Kafka                      %[4]s
  metrics                    http://%[5]s/metrics
`, cfg.HTTP, cfg.GRPC, cfg.dsn(), cfg.Broker, cfg.Admin)
	if cfg.DSN == "" && cfg.ClickHouseAdmin != "" {
		fmt.Fprintf(&b, "                             http://%s/metrics (ClickHouse)\n", cfg.ClickHouseAdmin)
	}
	if cfg.Console != "" {
		fmt.Fprintf(&b, "  console                    http://%s  (/v1/me; goodhart console token makes a token)\n", cfg.Console)
	}
	if keys.APIKey != "" {
		fmt.Fprintf(&b, `
API key of tenant %[3]s: %[1]s

To make Claude Code report here:
  export CLAUDE_CODE_ENABLE_TELEMETRY=1
  export OTEL_LOGS_EXPORTER=otlp OTEL_METRICS_EXPORTER=otlp
  export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
  export OTEL_EXPORTER_OTLP_ENDPOINT=http://%[2]s
  export OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer %[1]s"
`, keys.APIKey, cfg.HTTP, tenant)
	}
	_, _ = fmt.Fprintln(cfg.Output, b.String()) // a closed terminal stops nothing
}

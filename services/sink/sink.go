// Package sink is the role that stores goodhart's topics in ClickHouse: facts,
// scores, signals, health cards, private questions and dead letters, each record
// exactly once. How that is kept is told in package chsink; this package knows
// which topic becomes which rows.
package sink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/cenkalti/backoff/v4"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/goodhartlabs/goodhart/pkg/chsink"
	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/schemas"
	"github.com/goodhartlabs/goodhart/services/probe"
)

// Run stores the configured topics until ctx ends, then stores what it has read,
// commits and returns nil.
//
// Delivery: exactly once per table and rollup. Order: that of the partition,
// within a batch as the table sorts.
func Run(ctx context.Context, cfg Config, tel *probe.Telemetry) error {
	tel.NotReady("sink", "starting")
	layout, err := layoutOf(ctx, cfg, tel)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	conn, err := connect(ctx, cfg, tel)
	if err != nil {
		return nil // ctx ended first
	}
	defer func() { _ = conn.Close() }()
	s, err := chsink.New(engine(cfg, tel, conn, layout))
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	watching, stop := context.WithCancel(ctx)
	group.Go(func() error { return watch(watching, conn, cfg.WatchEvery, tel) })
	group.Go(func() error {
		defer stop()
		return s.Run(ctx)
	})
	err = group.Wait()
	tel.NotReady("sink", "stopped")
	return err
}

// connect waits for ClickHouse until ctx ends.
func connect(ctx context.Context, cfg Config, tel *probe.Telemetry) (driver.Conn, error) {
	wait := backoff.NewExponentialBackOff(backoff.WithMaxInterval(15*time.Second), backoff.WithMaxElapsedTime(0))
	return backoff.RetryNotifyWithData(func() (driver.Conn, error) {
		return cfg.ClickHouse.Open(ctx)
	}, backoff.WithContext(wait, ctx), func(err error, _ time.Duration) {
		tel.NotReady("sink", err.Error())
		tel.Log.WarnContext(ctx, "wait for clickhouse", "error", err)
	})
}

func layoutOf(ctx context.Context, cfg Config, tel *probe.Telemetry) (kschema.Layout, error) {
	cl, err := kgo.NewClient(cfg.Kafka.Options()...)
	if err != nil {
		return kschema.Layout{}, fmt.Errorf("open kafka: %w", err)
	}
	defer cl.Close()
	layout, err := kschema.Await(ctx, cl, func(err error, _ time.Duration) {
		tel.NotReady("sink", err.Error())
		tel.Log.WarnContext(ctx, "wait for kafka", "error", err)
	})
	if err != nil {
		return kschema.Layout{}, fmt.Errorf("partition counts: %w", err)
	}
	return layout, nil
}

func engine(cfg Config, tel *probe.Telemetry, conn driver.Conn, layout kschema.Layout) chsink.Config {
	var streams []chsink.Stream
	facts := layout.Partitions(schemas.TopicFacts)
	for _, t := range cfg.Topics {
		of := openers()[t]
		streams = append(streams, chsink.Stream{
			Topic: t, Tables: of.tables,
			Open: func(o chsink.Origin) chsink.Decoder { return of.open(o, facts) },
		})
	}
	return chsink.Config{
		Client: cfg.Kafka.Options(), Group: schemas.GroupSink, InstanceID: cfg.Instance,
		Streams: streams, Conn: conn,
		Limits:  chsink.Limits{Rows: cfg.MaxRows, Bytes: cfg.MaxBytes, Age: cfg.MaxAge},
		Inserts: cfg.Inserts, From: chsink.From(cfg.From),
		CheckAfter: cfg.CheckAfter, RecommitAfter: cfg.RecommitAfter,
		DeadLetter: buried(layout.Partitions(schemas.TopicDead)),
		Suspect:    markSuspects(conn),
		Ready:      func() { tel.Ready("sink") },
		Metrics:    tel.Metrics, Log: tel.Log, Tracer: tel.Tracer,
	}
}

// markSuspects writes a row per month; the newest of a month and table holds.
func markSuspects(conn driver.Conn) marker {
	return func(ctx context.Context, table string, months []uint32) error {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		batch, err := conn.PrepareBatch(ctx, "INSERT INTO core.suspect_months (month, base_table, reason, marked_at)")
		if err != nil {
			return fmt.Errorf("mark suspect months: %w", err)
		}
		now := time.Now().UTC()
		for _, m := range months {
			if err := batch.Append(m, table, suspect, now); err != nil {
				return errors.Join(fmt.Errorf("mark suspect months: %w", err), batch.Abort())
			}
		}
		if err := batch.Send(); err != nil {
			return fmt.Errorf("mark suspect months: %w", err)
		}
		return nil
	}
}

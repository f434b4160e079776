// Package migrate brings Kafka and ClickHouse to what this binary needs: topics
// with their partition counts on record, tables, rollups, views, the price book.
// Running it again changes nothing.
package migrate

import (
	"context"
	"errors"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/chschema"
	"github.com/goodhartlabs/goodhart/pkg/kschema"
	schema "github.com/goodhartlabs/goodhart/schemas/clickhouse"
	"github.com/goodhartlabs/goodhart/services/clickhouse"
	"github.com/goodhartlabs/goodhart/services/config"
	"github.com/goodhartlabs/goodhart/services/kafka"
	"github.com/goodhartlabs/goodhart/services/prices"
	"github.com/goodhartlabs/goodhart/services/probe"
)

// Config of a migration.
type Config struct {
	Kafka kafka.Config `yaml:"kafka"`
	// Partitions are fixed by the first run.
	Partitions kschema.Counts `yaml:"partitions"`
	// Replication is the topics' replication factor, -1 for the broker's default.
	Replication int16             `yaml:"replication"`
	ClickHouse  clickhouse.Config `yaml:"clickhouse"`
	// Schema says how the tables are rendered.
	Schema schema.Params `yaml:"schema"`
	// Prices is a file of prices that goes before the embedded book.
	Prices string `yaml:"prices_file"`
	// DryRun says what would be done and does nothing.
	DryRun bool `yaml:"-"`
}

// Default suits one broker and one server.
func Default() Config {
	tables := schema.Default()
	// The embedded rendering has no reader role and no row policies: nobody gets
	// it by forgetting a key.
	tables.Kind = schema.Single
	return Config{
		Kafka:       kafka.Config{Brokers: []string{"127.0.0.1:9092"}},
		Partitions:  kschema.DefaultCounts(),
		Replication: -1,
		ClickHouse:  clickhouse.Config{DSN: "http://default@127.0.0.1:8123/default"},
		Schema:      tables,
	}
}

// Validate reports every problem, each with its key.
func (c Config) Validate() error {
	return errors.Join(c.Kafka.Validate(), c.Partitions.Validate(), c.ClickHouse.Validate(), config.Under("schema", c.Schema.Validate()))
}

// Run migrates Kafka, then ClickHouse, then publishes the prices.
func Run(ctx context.Context, cfg Config, tel *probe.Telemetry) error {
	cl, err := kgo.NewClient(cfg.Kafka.Options()...)
	if err != nil {
		return fmt.Errorf("open kafka: %w", err)
	}
	defer cl.Close()
	did, err := kschema.Migrate(ctx, cl, kschema.Options{Counts: cfg.Partitions, Replication: cfg.Replication, DryRun: cfg.DryRun})
	for _, step := range did {
		tel.Log.Info("kafka", "step", step, "dry_run", cfg.DryRun)
	}
	if err != nil {
		return err
	}
	conn, err := cfg.ClickHouse.Open(ctx)
	if err != nil {
		return err
	}
	return errors.Join(tables(ctx, conn, cfg, tel), conn.Close())
}

func tables(ctx context.Context, conn driver.Conn, cfg Config, tel *probe.Telemetry) error {
	if cfg.DryRun {
		steps, err := chschema.Plan(ctx, conn, cfg.Schema)
		for _, step := range steps {
			tel.Log.Info("clickhouse", "step", step.String(), "dry_run", true)
		}
		return err
	}
	steps, err := chschema.Apply(ctx, conn, cfg.Schema, tel.Log)
	if err != nil {
		return fmt.Errorf("migrate clickhouse: %w", err)
	}
	tel.Log.Info("clickhouse is up to date", "statements", len(steps))
	book, err := prices.Load(cfg.Prices)
	if err != nil {
		return err
	}
	return prices.Publish(ctx, conn, book)
}

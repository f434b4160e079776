package up

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/services/alerter"
	"github.com/goodhartlabs/goodhart/services/config"
	"github.com/goodhartlabs/goodhart/services/kafka"
)

// Config of `goodhart up`.
type Config struct {
	// Data is the directory of all state.
	Data string `yaml:"data"`
	// Broker, HTTP, GRPC, ClickHouse, Admin and ClickHouseAdmin are loopback
	// addresses, host:port. The engine is a process of its own and shows its
	// metrics at the last of them.
	Broker          string `yaml:"broker"`
	HTTP            string `yaml:"http"`
	GRPC            string `yaml:"grpc"`
	ClickHouse      string `yaml:"clickhouse"`
	Admin           string `yaml:"admin"`
	ClickHouseAdmin string `yaml:"clickhouse_admin"`
	// ClickHouseMemory bounds the engine's memory in bytes; 0: half of the
	// machine's, since the rest of the pipeline runs beside it.
	ClickHouseMemory int64 `yaml:"clickhouse_memory"`
	// DSN names a ClickHouse server to use instead of the embedded engine.
	DSN string `yaml:"dsn"`
	// Library is the engine's libchdb.so, Chserve the binary that serves it.
	Library string `yaml:"library"`
	Chserve string `yaml:"chserve"`
	// Keys and People replace the files under Data.
	Keys   string `yaml:"keys_file"`
	People string `yaml:"people_file"`
	Prices string `yaml:"prices_file"`
	// Alerter is the configuration file of an alerter; empty: none runs. Its Kafka
	// is the pipeline's, its metrics are at Admin.
	Alerter string `yaml:"alerter_file"`
	// Console is the loopback address, host:port, where a console answers people
	// about themselves; empty: none runs.
	Console string `yaml:"console"`
	// Partitions are fixed at the first start.
	Partitions kschema.Counts `yaml:"partitions"`
	// Simulation takes the time from the Goodhart-Clock header of the requests
	// and lets events be as late as SimulationStep.
	Simulation     bool          `yaml:"simulation"`
	SimulationStep time.Duration `yaml:"simulation_step"`
	// Getenv finds the environment that the alerter's file refers to; required with
	// Alerter.
	Getenv func(string) (string, bool) `yaml:"-"`
	// Output is where endpoints and the engine's own messages are printed.
	Output io.Writer `yaml:"-"`
}

// Default keeps everything under .goodhart and on the usual ports.
func Default() Config {
	return Config{
		Data:            ".goodhart",
		Broker:          "127.0.0.1:9092",
		HTTP:            "127.0.0.1:4318",
		GRPC:            "127.0.0.1:4317",
		ClickHouse:      "127.0.0.1:8123",
		Admin:           "127.0.0.1:9464",
		ClickHouseAdmin: "127.0.0.1:9461",
		Library:         ".cache/chdb/package/libchdb.so",
		Partitions:      kschema.DefaultCounts(),
		SimulationStep:  time.Hour,
		Output:          os.Stdout,
	}
}

// Validate reports every problem, each with its key.
func (c Config) Validate() error {
	errs := []error{c.Partitions.Validate()}
	if c.Data == "" {
		errs = append(errs, errors.New("data: a directory is needed"))
	}
	if c.SimulationStep <= 0 {
		errs = append(errs, errors.New("simulation_step: must be positive"))
	}
	if c.ClickHouseMemory != 0 && c.ClickHouseMemory < minEngineMemory {
		errs = append(errs, fmt.Errorf("clickhouse_memory: %d bytes; want 0 or at least %d", c.ClickHouseMemory, minEngineMemory))
	}
	if c.Alerter != "" {
		_, err := c.alerter()
		errs = append(errs, config.Under("alerter_file", err))
	}
	return errors.Join(errs...)
}

// alerter reads the configuration of the alerter.
func (c Config) alerter() (alerter.Config, error) {
	a := alerter.Default()
	if err := config.Load(c.Alerter, &a, c.Getenv); err != nil {
		return alerter.Config{}, err
	}
	a.Kafka = c.kafka()
	return a, a.Validate()
}

// kafka is where the pipeline's broker answers.
func (c Config) kafka() kafka.Config { return kafka.Config{Brokers: []string{c.Broker}} }

// dsn is where ClickHouse answers.
func (c Config) dsn() string {
	if c.DSN != "" {
		return c.DSN
	}
	return "http://default@" + c.ClickHouse + "/default"
}

// Package clickhouse is how every role reaches the database.
package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Config names the server.
type Config struct {
	// DSN is clickhouse://user:password@host:9000/db or http://user:password@host:8123/db.
	DSN string `yaml:"dsn"`
	// Dial replaces the network, for tests; nil for the system's.
	Dial func(ctx context.Context, addr string) (net.Conn, error) `yaml:"-"`
}

// Validate reports a DSN that cannot be read.
func (c Config) Validate() error {
	if c.DSN == "" {
		return errors.New("clickhouse.dsn: needed, e.g. clickhouse://default@127.0.0.1:9000/default")
	}
	if _, err := clickhouse.ParseDSN(c.DSN); err != nil {
		return fmt.Errorf("clickhouse.dsn: %w", err)
	}
	return nil
}

// Open connects and pings.
func (c Config) Open(ctx context.Context) (driver.Conn, error) {
	opts, err := clickhouse.ParseDSN(c.DSN)
	if err != nil {
		return nil, fmt.Errorf("clickhouse.dsn: %w", err)
	}
	opts.DialTimeout = 5 * time.Second
	opts.DialContext = c.Dial
	conn, err := clickhouse.Open(opts)
	if err != nil {
		return nil, fmt.Errorf("open clickhouse: %w", err)
	}
	if err := conn.Ping(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("ping clickhouse: %w", err), conn.Close())
	}
	return conn, nil
}

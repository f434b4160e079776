package doctor

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// bench is what checks work with. Safe for concurrent use.
type bench struct {
	cfg    Config
	client *kgo.Client
	adm    *kadm.Client

	mu   sync.Mutex
	conn driver.Conn
}

func openBench(cfg Config) (*bench, error) {
	// What a client does before it is connected heeds no context.
	cfg.Kafka.Extra = append(slices.Clone(cfg.Kafka.Extra), kgo.DialTimeout(cfg.Timeout), kgo.RequestTimeoutOverhead(cfg.Timeout))
	cl, err := kgo.NewClient(cfg.Kafka.Options()...)
	if err != nil {
		return nil, fmt.Errorf("open kafka: %w", err)
	}
	return &bench{cfg: cfg, client: cl, adm: kadm.NewClient(cl)}, nil
}

func (b *bench) close() {
	b.client.Close()
	if b.conn != nil {
		_ = b.conn.Close() // nothing was written
	}
}

// database returns the connection, which all checks share once one has made it.
func (b *bench) database(ctx context.Context) (driver.Conn, error) {
	b.mu.Lock()
	have := b.conn
	b.mu.Unlock()
	if have != nil {
		return have, nil
	}
	conn, err := b.cfg.ClickHouse.Open(ctx)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn != nil {
		return b.conn, conn.Close()
	}
	b.conn = conn
	return conn, nil
}

// rows calls scan for each row of a query.
func (b *bench) rows(ctx context.Context, scan func(driver.Rows) error, query string, args ...any) error {
	conn, err := b.database(ctx)
	if err != nil {
		return err
	}
	rows, err := conn.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Package prices reads the price book of a deployment: the embedded one, with a
// file of the operator's before it, and publishes it to ClickHouse.
package prices

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/goodhartlabs/goodhart/pkg/price"
	"github.com/goodhartlabs/goodhart/services/config"
)

// Load returns the embedded book with the prices of the YAML file at path before
// it; an empty path is the embedded book alone.
func Load(path string) (*price.Book, error) {
	if path == "" {
		return price.Embedded(), nil
	}
	var f price.File
	if err := config.Read(path, &f); err != nil {
		return nil, fmt.Errorf("prices_file: %w", err)
	}
	over, err := price.New(f)
	if err != nil {
		return nil, fmt.Errorf("prices_file %s: %w", path, err)
	}
	book, err := price.Embedded().With(over)
	if err != nil {
		return nil, fmt.Errorf("prices_file %s: with the embedded prices: %w", path, err)
	}
	return book, nil
}

// Publish makes core.prices show the book: its rows are added unless the newest
// book there is this one.
func Publish(ctx context.Context, conn driver.Conn, book *price.Book) error {
	var newest string
	if err := conn.QueryRow(ctx, "SELECT argMax(p.book_version, p.loaded_at) FROM core.prices AS p").Scan(&newest); err != nil {
		return fmt.Errorf("read prices: %w", err)
	}
	if newest == book.Version() {
		return nil
	}
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO core.prices (provider, model, token_class, tier, valid_from, valid_to, nanos_per_million, source, book_version)")
	if err != nil {
		return fmt.Errorf("publish prices: %w", err)
	}
	for _, r := range book.Rows() {
		var to *time.Time
		if !r.To.IsZero() {
			to = &r.To
		}
		// pico-USD per token × 1e6 tokens ÷ 1000 pico per nano
		if err := batch.Append(r.Provider, r.Model, r.TokenClass, r.Tier, r.From, to, r.PicoUSD*1000, r.Source, r.Version); err != nil {
			return fmt.Errorf("publish price of %s: %w", r.Model, err)
		}
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("publish prices: %w", err)
	}
	return nil
}

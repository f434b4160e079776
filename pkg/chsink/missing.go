package chsink

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Found is what became of a record that StoreMissing was given.
type Found struct {
	// Rows is how many rows the record makes, Missing how many of them its tables
	// lacked.
	Rows, Missing int
	// Err says why the record makes none: it is still bad.
	Err error
}

// StoreMissing stores the rows of single records that their tables lack, each
// under the place of its record: for records that a sink gave up on and that d
// can decode by now. The records belong to o, in order of their offsets, none
// twice. With dry it stores nothing.
//
// Done again it stores nothing: what the tables hold counts as stored, and an
// insert that was cut off is recognised by its token. It takes no part in the
// group's offsets, so no other may run for the same records at once.
func StoreMissing(ctx context.Context, conn driver.Conn, o Origin, d Decoder, records []*kgo.Record, dry bool) ([]Found, error) {
	s := &Sink{cfg: Config{Conn: conn}.withDefaults(), metrics: newMetrics(prometheus.NewRegistry())}
	blocks := d.Blocks()
	b := &batch{decoder: d, blocks: blocks, stored: make([]bool, len(blocks))}
	found := make([]Found, len(records))
	place := map[uint64]*Found{}
	for i, rec := range records {
		found[i].Err = b.add(rec)
		place[uint64(rec.Offset)] = &found[i]
	}
	for _, block := range blocks {
		if block.Rows() == 0 {
			continue
		}
		held, err := s.heldAmong(ctx, block.table.Name, o, block.offset.v)
		if err != nil {
			return nil, fmt.Errorf("compare %s: %w", block.table.Name, err)
		}
		missing := block.inMonths(func(row int) bool {
			_, ok := held[block.offset.v[row]]
			f := place[block.offset.v[row]]
			f.Rows++
			if !ok {
				f.Missing++
			}
			return !ok
		})
		for _, month := range block.months {
			rows, ok := missing[month]
			if !ok || dry {
				continue
			}
			if err := s.insert(ctx, block, parcel{missingToken(o, block, month, rows), rows}); err != nil {
				return nil, fmt.Errorf("insert into %s: %w", block.table.Name, err)
			}
		}
	}
	return found, nil
}

// heldAmong are those of the offsets that a table holds rows of.
func (s *Sink) heldAmong(ctx context.Context, table string, o Origin, offsets []uint64) (map[uint64]struct{}, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	rows, err := s.cfg.Conn.Query(ctx, "SELECT DISTINCT k_offset FROM "+table+
		" WHERE k_topic = ? AND k_partition = ? AND k_offset IN (?)", o.Name(), o.Partition, slices.Compact(slices.Clone(offsets)))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	held := map[uint64]struct{}{}
	for rows.Next() {
		var offset uint64
		if err := rows.Scan(&offset); err != nil {
			return nil, err
		}
		held[offset] = struct{}{}
	}
	return held, rows.Err()
}

// missingToken names the insert of exactly these rows. The sink's own tokens name
// ranges: these rows were in one, which the server remembers without them.
func missingToken(o Origin, b *Block, month uint32, rows []int) string {
	var list []byte
	for _, row := range rows {
		list = binary.AppendUvarint(list, b.offset.v[row])
	}
	sum := sha256.Sum256(list)
	first, last := int64(b.offset.v[rows[0]]), int64(b.offset.v[rows[len(rows)-1]])
	return fmt.Sprintf("%s/missing/%x", splitToken(o, span{first, last}, month), sum[:8])
}

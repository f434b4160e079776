package chsink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// parcel is an insert: its token and the selected rows, nil for all. Encoding is
// deterministic: an insert tried again sends the same bytes.
type parcel struct {
	token string
	rows  []int
}

// settings are sent with every insert; the defaults of servers move.
func settings(token string) clickhouse.Settings {
	return clickhouse.Settings{
		"async_insert":       0,
		"insert_deduplicate": 1,
		"deduplicate_blocks_in_dependent_materialized_views": 1,
		"insert_deduplication_token":                         token,
		"materialized_views_ignore_errors":                   0,
		"max_execution_time":                                 int(maxExecution.Seconds()),
		"wait_end_of_query":                                  1,
	}
}

// insert sends one block and returns when the server has stored it, in the
// table and in everything that its views fill.
func (s *Sink) insert(ctx context.Context, b *Block, what parcel) error {
	rows := len(what.rows)
	if what.rows == nil {
		rows = b.Rows()
	}
	ctx, cancel := context.WithTimeout(ctx, insertTimeout)
	defer cancel()
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(settings(what.token)))
	began := time.Now()
	if err := s.send(ctx, b, what); err != nil {
		return err
	}
	s.metrics.inserted(b.table.Name, rows, time.Since(began))
	return nil
}

func (s *Sink) send(ctx context.Context, b *Block, what parcel) error {
	if !s.noNative.Load() {
		err := s.stream(ctx, b, what)
		if !errors.Is(err, clickhouse.ErrFormatNativeUnsupported) {
			return err
		}
		s.noNative.Store(true) // the native protocol: it takes the client's columns only
	}
	if err := b.check(); err != nil {
		return stop{err}
	}
	batch, err := s.cfg.Conn.PrepareBatch(clickhouse.Context(ctx, clickhouse.WithColumnNamesAndTypes(b.namesAndTypes())), b.Statement())
	if err != nil {
		return err
	}
	defer func() { _ = batch.Close() }()
	for i, c := range b.columns {
		if err := c.send(batch.Column(i), what.rows); err != nil {
			return fmt.Errorf("column %s: %w", c.label(), err)
		}
	}
	return batch.Send()
}

// stream encodes the rows and sends them as they are.
func (s *Sink) stream(ctx context.Context, b *Block, what parcel) error {
	buf, _ := s.buffers.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	var err error
	if *buf, err = b.encode((*buf)[:0], what.rows); err != nil {
		return stop{err}
	}
	// A process that was stopped meanwhile must not begin what its successor has
	// finished: its timers may not have fired yet.
	if until, ok := ctx.Deadline(); ok && !time.Now().Before(until) {
		return context.DeadlineExceeded
	}
	if err := s.cfg.Conn.InsertFormat(ctx, "Native", b.Statement(), bytes.NewReader(*buf)); err != nil {
		return err // the transport may read the buffer still
	}
	s.buffers.Put(buf)
	return nil
}

// queryTimeout bounds the questions the sink asks.
const queryTimeout = 30 * time.Second

// lastStored is the greatest offset of a topic-partition in any table of its
// stream, -1 if there is none.
func (s *Sink) lastStored(ctx context.Context, st Stream, o Origin) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	last := int64(-1)
	for _, t := range st.Tables {
		var rows, greatest uint64
		query := "SELECT count(), max(k_offset) FROM " + t.Name + " WHERE k_topic = ? AND k_partition = ?"
		if err := s.cfg.Conn.QueryRow(ctx, query, o.Name(), o.Partition).Scan(&rows, &greatest); err != nil {
			return 0, fmt.Errorf("last offset in %s: %w", t.Name, err)
		}
		if rows > 0 {
			last = max(last, int64(greatest))
		}
	}
	return last, nil
}

// heldOffsets are the offsets of a range that a table holds rows of.
func (s *Sink) heldOffsets(ctx context.Context, table string, o Origin, r span) (map[uint64]struct{}, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	rows, err := s.cfg.Conn.Query(ctx, "SELECT DISTINCT k_offset FROM "+table+
		" WHERE k_topic = ? AND k_partition = ? AND k_offset BETWEEN ? AND ?", o.Name(), o.Partition, r.first, r.last)
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

// windowUsed is which part of the deduplication windows of tables, and of the
// targets of their views, inserts have used up within a time; over 1 when a
// window is full. A part that an insert made covers one block, and stays listed
// for 8 minutes after a merge has replaced it.
func (s *Sink) windowUsed(ctx context.Context, tables []string, within time.Duration) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	const clocks = 2 * time.Second // times of parts are full seconds
	var used float64
	err := s.cfg.Conn.QueryRow(ctx, `SELECT max(p.made / toFloat64OrZero(extract(t.engine_full, 'replicated_deduplication_window = (\\d+)')))
		FROM system.tables AS t INNER JOIN (
			SELECT database, table, uniqExact(partition_id, min_block_number) AS made FROM system.parts
			WHERE min_block_number = max_block_number AND modification_time >= now() - toIntervalSecond(?) GROUP BY database, table
		) AS p ON p.database = t.database AND p.table = t.name
		WHERE concat(t.database, '.', t.name) IN (?) OR concat(t.database, '.', t.name) IN (
			SELECT replaceAll(extract(v.create_table_query, ' TO (\\S+)'), '`+"`"+`', '') FROM system.tables AS v
			WHERE (v.database, v.name) IN (
				SELECT arrayJoin(arrayZip(s.dependencies_database, s.dependencies_table)) FROM system.tables AS s WHERE concat(s.database, '.', s.name) IN (?)
			)
		)`, int64((within + clocks).Seconds()), tables, tables).Scan(&used)
	return used, err
}

// checkTables compares every block with its table before anything is consumed:
// a column that does not fit would stall every partition. It waits for a server
// that does not answer.
func (s *Sink) checkTables(ctx context.Context) error {
	retry := s.newBackoff()
	for {
		err := s.compareTables(ctx)
		var wrong stop
		if err == nil || errors.As(err, &wrong) {
			return err
		}
		s.cfg.Log.WarnContext(ctx, "look at the tables", "error", err)
		if !sleep(ctx, retry.NextBackOff()) {
			return ctx.Err()
		}
	}
}

func (s *Sink) compareTables(ctx context.Context) error {
	var wrong []error
	for _, st := range s.cfg.Streams {
		for _, b := range st.Open(Origin{Topic: st.Topic}).Blocks() {
			types, err := s.tableTypes(ctx, b.table.Name)
			if err != nil {
				return err
			}
			if len(types) == 0 {
				wrong = append(wrong, fmt.Errorf("table %s does not exist: run the migrations", b.table.Name))
				continue
			}
			for _, c := range b.columns {
				if types[c.label()] != c.kind() {
					wrong = append(wrong, fmt.Errorf("table %s: column %s is %q, the sink writes %q", b.table.Name, c.label(), types[c.label()], c.kind()))
				}
			}
		}
	}
	if len(wrong) > 0 {
		return stop{errors.Join(wrong...)}
	}
	return nil
}

func (s *Sink) tableTypes(ctx context.Context, table string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	database, name, _ := strings.Cut(table, ".")
	rows, err := s.cfg.Conn.Query(ctx, "SELECT name, type FROM system.columns WHERE database = ? AND table = ?", database, name)
	if err != nil {
		return nil, fmt.Errorf("columns of %s: %w", table, err)
	}
	defer func() { _ = rows.Close() }()
	types := map[string]string{}
	for rows.Next() {
		var column, typ string
		if err := rows.Scan(&column, &typ); err != nil {
			return nil, fmt.Errorf("columns of %s: %w", table, err)
		}
		types[column] = typ
	}
	return types, rows.Err()
}

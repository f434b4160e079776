package chsink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/tracing"
)

// Decoder turns the records of one topic-partition into rows. It is used by one
// goroutine; a Sink opens several.
type Decoder interface {
	// Blocks are the blocks it fills, one per table, always the same.
	Blocks() []*Block
	// Decode appends the rows of a record, in whole rows. It is a pure function
	// of the record. An error says that the record is bad and why; its rows are
	// dropped then. The record and what it refers to must not be kept.
	Decode(rec *kgo.Record) error
	// Accepted returns, and forgets, when records decoded since the last call
	// were accepted, in ms since the epoch, for those that measure latency.
	Accepted() []int64
}

// Stream is a topic and how its records become rows.
type Stream struct {
	Topic string
	// Tables are those that its decoders fill.
	Tables []Table
	// Open returns a decoder for a topic-partition.
	Open func(Origin) Decoder
}

// Limits say when a batch is sealed. The zero value of a field means its default.
type Limits struct {
	// Rows of one table: 100,000 by default. Far below the 1,048,449 at which
	// the server would cut a block in two.
	Rows int
	// Bytes of all columns together: 32 MiB by default.
	Bytes int
	// Age since the first row: 1 s by default.
	Age time.Duration
	// Months of one table: 50 by default; the server takes 100 partitions in an
	// insert.
	Months int
	// Records, with or without rows: 1,000,000 by default.
	Records int
}

// From says where to begin a partition whose committed offset is gone although
// rows of it are stored.
type From string

// The choices. None skips a row that is stored, none stores one twice.
const (
	// FromNowhere refuses to start.
	FromNowhere From = ""
	// FromStart reads everything that the topic still holds, comparing with the
	// table up to the last stored offset.
	FromStart From = "start"
	// FromStored begins some way before the last stored offset and compares up
	// to it: quicker, and exact unless batches were larger than Limits.Records.
	FromStored From = "stored"
	// FromEnd takes only what comes from now on: what lies between is lost.
	FromEnd From = "end"
)

// Config is what a Sink needs. Streams, Group, Conn, DeadLetter and Client are
// required.
type Config struct {
	// Client holds the options that reach the brokers.
	Client []kgo.Opt
	Group  string
	// InstanceID is a stable name of this process in the group; empty for none.
	InstanceID string
	Streams    []Stream
	Conn       driver.Conn
	Limits     Limits
	// Inserts is how many run at once; 2 by default.
	Inserts int
	From    From
	// SessionTimeout after which the group gives partitions of a silent member
	// away: 45 s by default, at least 40 s, because an insert may take 30.
	SessionTimeout time.Duration
	// CheckAfter is how long after its first attempt a range is sent again as it
	// is, because the server surely remembers its token; an older one is compared
	// with its tables first. 5 min by default, at most 7.
	CheckAfter time.Duration
	// RecommitAfter is how old a durable intent may be when it is sent: an older
	// one is committed again first, which fails for a member that was replaced.
	// 1 min by default.
	RecommitAfter time.Duration
	// DeadLetter makes the dead letter of a bad record, with its topic and
	// partition, or returns nil if there must not be one; the record is then
	// counted and logged only.
	DeadLetter func(rec *kgo.Record, why error) *kgo.Record
	// Suspect records durably that rollups of a table may disagree with its rows
	// in the given months (yyyymm). It may be called again for the same months.
	Suspect func(ctx context.Context, table string, months []uint32) error
	// Ready is called when the tables fit and the group is entered, again after
	// each return to it.
	Ready   func()
	Metrics prometheus.Registerer
	Log     *slog.Logger
	// Tracer makes a span per batch; nil for none.
	Tracer *tracing.Tracer

	// Set by tests alone.
	now     func() time.Time
	backoff struct{ first, most time.Duration }
	// settleFor is how long a range that is there in part is left alone.
	settleFor time.Duration
	// stalledAfter is how long attempts may fail before the partition counts as
	// stalled.
	stalledAfter time.Duration
}

const (
	// insertTimeout is when the client gives an insert up. The client library
	// sets max_execution_time on the server 5 s later: maxExecution, below any
	// session timeout, so that an insert is over when the next owner starts.
	insertTimeout     = 25 * time.Second
	maxExecution      = 30 * time.Second
	minSessionTimeout = 40 * time.Second
	// maxCheckAfter stays below the 8 minutes for which the server lists parts
	// that merges have replaced: the sink counts parts to learn how much of the
	// deduplication window is used.
	maxCheckAfter = 7 * time.Minute
	// maxWindowUsed is the part of a deduplication window that may have passed
	// since the first attempt of a range that is sent again as it is. The rest is
	// for what other inserts add meanwhile.
	maxWindowUsed = 0.5
	// drainFor is how long a graceful stop may take to store what was read.
	drainFor = 20 * time.Second
)

func (c Config) withDefaults() Config {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&c.Limits.Rows, 100_000)
	def(&c.Limits.Bytes, 32<<20)
	def(&c.Limits.Months, 50)
	def(&c.Limits.Records, 1_000_000)
	def(&c.Inserts, 2)
	if c.Limits.Age == 0 {
		c.Limits.Age = time.Second
	}
	if c.SessionTimeout == 0 {
		c.SessionTimeout = 45 * time.Second
	}
	if c.CheckAfter == 0 {
		c.CheckAfter = 5 * time.Minute
	}
	if c.RecommitAfter == 0 {
		c.RecommitAfter = time.Minute
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	if c.Suspect == nil {
		c.Suspect = func(context.Context, string, []uint32) error { return nil }
	}
	if c.Ready == nil {
		c.Ready = func() {}
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.backoff.first == 0 {
		c.backoff.first, c.backoff.most = 200*time.Millisecond, 30*time.Second
	}
	if c.settleFor == 0 {
		c.settleFor = c.RecommitAfter + insertTimeout + maxExecution
	}
	if c.stalledAfter == 0 {
		c.stalledAfter = 10 * time.Second
	}
	return c
}

// Validate reports every problem of the configuration, defaults filled in.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(c.Group == "", "group: must not be empty")
	bad(len(c.Streams) == 0, "streams: none")
	bad(c.Conn == nil, "conn: none")
	bad(c.DeadLetter == nil, "dead_letter: none")
	bad(c.Limits.Rows < 1 || c.Limits.Rows > 1_000_000, "limits.rows: %d is not in 1..1000000", c.Limits.Rows)
	bad(c.Limits.Bytes < 1<<10 || c.Limits.Bytes > 1<<30, "limits.bytes: %d is not in 1 KiB..1 GiB", c.Limits.Bytes)
	bad(c.Limits.Age < time.Millisecond || c.Limits.Age > time.Minute, "limits.age: %s is not in 1ms..1m", c.Limits.Age)
	bad(c.Limits.Months < 1 || c.Limits.Months > 90, "limits.months: %d is not in 1..90", c.Limits.Months)
	bad(c.Limits.Records < 1, "limits.records: %d is not positive", c.Limits.Records)
	bad(c.Inserts < 1 || c.Inserts > 64, "inserts: %d is not in 1..64", c.Inserts)
	bad(c.SessionTimeout < minSessionTimeout, "session_timeout: %s is below %s", c.SessionTimeout, minSessionTimeout)
	bad(c.CheckAfter < time.Second || c.CheckAfter > maxCheckAfter, "check_after: %s is not in 1s..%s", c.CheckAfter, maxCheckAfter)
	bad(c.RecommitAfter < time.Second || c.RecommitAfter > c.CheckAfter, "recommit_after: %s is not in 1s..%s, the value of check_after", c.RecommitAfter, c.CheckAfter)
	switch c.From {
	case FromNowhere, FromStart, FromStored, FromEnd:
	default:
		errs = append(errs, fmt.Errorf("from: %q is not one of start, stored, end", c.From))
	}
	return errors.Join(errs...)
}

package chsink

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/tracing"
)

// batch is a range of offsets on its way into the tables.
type batch struct {
	span
	decoder Decoder
	blocks  []*Block
	records int
	begun   time.Time // of the first row or dead letter
	// complete says that a replayed range has all its records.
	complete bool

	since   time.Time // of the first attempt; zero before it
	split   bool
	durable time.Time // when the intent was last committed; zero if never
	torn    time.Time // when part of the range was first found in a table
	dead    []*kgo.Record
	buried  bool         // the dead letters are acknowledged
	stored  []bool       // per block
	found   []comparison // per block, as it was first seen
	links   links
}

func newBatch(st Stream, o Origin, t *tracing.Tracer) *batch {
	d := st.Open(o)
	blocks := d.Blocks()
	return &batch{decoder: d, blocks: blocks, stored: make([]bool, len(blocks)), found: make([]comparison, len(blocks)), links: newLinks(t, d)}
}

// add decodes a record. An error says that the record is bad; nothing of it is
// in the batch then but its offset.
func (b *batch) add(rec *kgo.Record) error {
	b.records++
	b.last = rec.Offset
	if rec.Attrs.IsControl() {
		return nil
	}
	var marks [16]int
	at := marks[:0]
	for _, bl := range b.blocks {
		bl.at = rec.Offset
		at = append(at, bl.Rows())
	}
	err := b.decoder.Decode(rec)
	if err != nil {
		for i, bl := range b.blocks {
			bl.truncate(at[i])
		}
	} else {
		b.links.decoded(rec)
	}
	if b.begun.IsZero() && (err != nil || !b.worthless()) {
		b.begun = time.Now()
	}
	return err
}

func (b *batch) empty() bool { return b.records == 0 }

// worthless says that there is nothing to store.
func (b *batch) worthless() bool {
	for _, bl := range b.blocks {
		if bl.Rows() > 0 {
			return false
		}
	}
	return len(b.dead) == 0
}

// full looks at the bytes every few records only: it costs a walk over the
// columns.
func (b *batch) full(l Limits) bool {
	if b.records >= l.Records {
		return true
	}
	for _, bl := range b.blocks {
		if bl.Rows() >= l.Rows || len(bl.months) >= l.Months {
			return true
		}
	}
	if b.records%256 != 0 {
		return false
	}
	n := 0
	for _, bl := range b.blocks {
		n += bl.Bytes()
	}
	for _, d := range b.dead {
		n += len(d.Value)
	}
	return n >= l.Bytes
}

func (b *batch) reset() {
	for i, bl := range b.blocks {
		bl.Reset()
		b.stored[i] = false
	}
	clear(b.dead)
	clear(b.found)
	*b = batch{decoder: b.decoder, blocks: b.blocks, stored: b.stored, found: b.found, dead: b.dead[:0], links: b.links}
}

func (b *batch) intent() *intent { return &intent{span: b.span, since: b.since, split: b.split} }

// bury makes the dead letter of a bad record; it is produced before the range
// is done.
func (s *Sink) bury(ctx context.Context, b *batch, rec *kgo.Record, why error) {
	s.metrics.dead.WithLabelValues(rec.Topic).Inc()
	letter := s.cfg.DeadLetter(rec, why)
	if letter == nil {
		s.cfg.Log.ErrorContext(ctx, "a record can be neither stored nor dead-lettered",
			"topic", rec.Topic, "partition", rec.Partition, "offset", rec.Offset, "error", why)
		return
	}
	b.dead = append(b.dead, letter)
}

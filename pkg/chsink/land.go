package chsink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/twmb/franz-go/pkg/kgo"
)

// stop is an error after which going on would be wrong.
type stop struct{ error }

func (s stop) Unwrap() error { return s.error }

// errStopping ends attempts that fail while the sink is asked to stop: the
// intent is durable, the next run goes on from it.
var errStopping = errors.New("the sink stops")

// land stores a batch, trying for as long as the partition is ours. It returns
// an error only when it must not go on.
func (p *partition) land(b *batch) error {
	retry := p.ss.newBackoff()
	started := time.Now()
	stalled := false
	for {
		err := p.attempt(b)
		var end stop
		switch {
		case err == nil:
			if stalled {
				p.ss.metrics.stall(p.at, false)
				p.ss.cfg.Log.InfoContext(p.ctx, "partition goes on", "topic", p.at.topic, "partition", p.at.partition)
			}
			return nil
		case p.ctx.Err() != nil:
			return p.ctx.Err()
		case errors.As(err, &end), errors.Is(err, errReplaced):
			return err
		}
		p.ss.metrics.retries.Inc()
		log := p.ss.cfg.Log.With("topic", p.at.topic, "partition", p.at.partition, "first", b.first, "last", b.last, "error", err)
		if !stalled && (!passing(err) || time.Since(started) > p.ss.cfg.stalledAfter) {
			stalled = true
			p.ss.metrics.stall(p.at, true)
			log.ErrorContext(p.ctx, "partition stalled: its batch cannot be stored")
		} else {
			log.WarnContext(p.ctx, "store batch")
		}
		select {
		case <-p.draining:
			return errStopping
		case <-time.After(retry.NextBackOff()):
		case <-p.ctx.Done():
			return p.ctx.Err()
		}
	}
}

// passing says whether an error may go away by itself. Others stall at once;
// they are retried too, because somebody may mend the table.
func passing(err error) bool {
	var ex *clickhouse.Exception
	if !errors.As(err, &ex) {
		return true // the network, Kafka, a deadline
	}
	switch ex.Code {
	case 159, // TIMEOUT_EXCEEDED
		160, // TOO_SLOW
		202, // TOO_MANY_SIMULTANEOUS_QUERIES
		209, // SOCKET_TIMEOUT
		210, // NETWORK_ERROR
		236, // ABORTED
		241, // MEMORY_LIMIT_EXCEEDED
		242, // TABLE_IS_READ_ONLY
		252, // TOO_MANY_PARTS
		285, // TOO_FEW_LIVE_REPLICAS
		319, // UNKNOWN_STATUS_OF_INSERT
		394, // QUERY_WAS_CANCELLED
		999: // KEEPER_EXCEPTION
		return true
	}
	return false
}

// attempt takes the steps that are still missing.
func (p *partition) attempt(b *batch) error {
	if err := p.prepare(); err != nil {
		return err
	}
	if b.worthless() {
		return nil
	}
	compare, err := p.doubts(b)
	if err != nil {
		return err
	}
	if err := p.intend(b); err != nil {
		return err
	}
	if !b.buried && len(b.dead) > 0 {
		if err := p.produceDead(b); err != nil {
			return err
		}
	}
	b.buried = true
	for i, block := range b.blocks {
		if b.stored[i] || block.Rows() == 0 {
			continue
		}
		var err error
		if compare && !block.table.Replacing {
			err = p.complete(b, i)
		} else {
			err = p.insert(b, block, parcel{token: token(p.origin, b.span)})
		}
		if err != nil {
			return fmt.Errorf("insert into %s: %w", block.table.Name, err)
		}
		b.stored[i] = true
	}
	return nil
}

// doubts says whether the tables must be asked what they hold of a batch, because
// the server may not know its token any more: it was begun long ago, or its
// former attempts are young but so many inserts came after them that they are
// half out of the server's memory.
func (p *partition) doubts(b *batch) (bool, error) {
	if b.since.IsZero() {
		b.since = p.ss.cfg.now()
		return b.first < p.verify, nil
	}
	age := p.ss.cfg.now().Sub(b.since)
	if b.split || b.first < p.verify || age >= p.ss.cfg.CheckAfter {
		return true, nil
	}
	var tables []string
	for i, block := range b.blocks {
		if !b.stored[i] && block.Rows() > 0 && !block.table.Replacing {
			tables = append(tables, block.table.Name)
		}
	}
	if len(tables) == 0 {
		return false, nil
	}
	used, err := p.ss.windowUsed(p.ctx, tables, age)
	if err != nil {
		return false, fmt.Errorf("look at the deduplication windows: %w", err)
	}
	if used > maxWindowUsed {
		p.ss.cfg.Log.WarnContext(p.ctx, "a range is young, but the server may have forgotten its token: enlarge the deduplication windows",
			"topic", p.at.topic, "partition", p.at.partition, "first", b.first, "last", b.last, "age", age, "window_used", used)
	}
	return used > maxWindowUsed, nil
}

// prepare runs once, before the partition's first commit: it finds out whether
// rows exist that no committed offset accounts for.
func (p *partition) prepare() error {
	if p.prepared {
		return nil
	}
	if p.committed < 0 || p.foreign {
		stored, err := p.ss.lastStored(p.ctx, p.stream, p.origin)
		if err != nil {
			return fmt.Errorf("look for stored rows: %w", err)
		}
		if stored >= 0 && p.committed < 0 && p.ss.cfg.From == FromNowhere {
			return stop{fmt.Errorf("group %s has no offset of %s/%d, but rows up to offset %d are stored: say where to begin (from: start, stored or end)",
				p.ss.cfg.Group, p.at.topic, p.at.partition, stored)}
		}
		p.verify = stored + 1
	}
	p.prepared = true
	return nil
}

// intend makes the intent durable: before the first attempt, and again when it
// is old, to find out whether the partition is still ours.
func (p *partition) intend(b *batch) error {
	now := p.ss.cfg.now()
	if !b.durable.IsZero() && now.Sub(b.durable) < p.ss.cfg.RecommitAfter {
		return nil
	}
	if err := p.ss.group.commit(p, b.first, p.progress(b.intent()).String()); err != nil {
		return fmt.Errorf("commit intent: %w", err)
	}
	b.durable = now // of the question: the process may have been stopped before it read the answer
	return nil
}

func (p *partition) produceDead(b *batch) error {
	ctx, cancel := context.WithTimeout(p.ctx, insertTimeout)
	defer cancel()
	// Copies, because the client keeps the state of an attempt in the record.
	letters := make([]*kgo.Record, len(b.dead))
	for i, d := range b.dead {
		letters[i] = &kgo.Record{Topic: d.Topic, Partition: d.Partition, Key: d.Key, Value: d.Value, Headers: d.Headers}
	}
	for _, r := range p.ss.group.client.ProduceSync(ctx, letters...) {
		if r.Err != nil {
			return fmt.Errorf("dead letter: %w", r.Err)
		}
	}
	return nil
}

// insert waits for its turn and sends a parcel, if the partition is still ours.
func (p *partition) insert(b *batch, block *Block, what parcel) error {
	select {
	case p.ss.inserts <- struct{}{}:
		defer func() { <-p.ss.inserts }()
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
	if err := p.intend(b); err != nil { // the turn may have come late
		return err
	}
	return p.ss.insert(p.ctx, block, what)
}

// complete inserts what the table does not hold of a block. Rows of a month
// land together, so what is missing is whole months.
func (p *partition) complete(b *batch, i int) error {
	block := b.blocks[i]
	held, err := p.ss.heldOffsets(p.ctx, block.table.Name, p.origin, b.span)
	if err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	missing := block.inMonths(func(row int) bool {
		_, ok := held[block.offset.v[row]]
		return !ok
	})
	if b.found[i] == unseen {
		b.found[i] = comparisonOf(len(held) > 0, len(missing) > 0)
	}
	if len(held) == 0 {
		return p.insert(b, block, parcel{token: token(p.origin, b.span)})
	}
	p.ss.cfg.Log.WarnContext(p.ctx, "an old range is in its table already",
		"table", block.table.Name, "topic", p.at.topic, "partition", p.at.partition,
		"first", b.first, "last", b.last, "offsets", len(held), "months_missing", len(missing))
	if len(missing) > 0 && !b.split {
		if err := p.settled(b); err != nil {
			return err
		}
		b.split, b.durable = true, time.Time{}
		if err := p.intend(b); err != nil {
			b.split = false
			return err
		}
	}
	if len(missing) > 0 || b.first >= p.verify {
		if err := p.ss.cfg.Suspect(p.ctx, block.table.Name, block.months); err != nil {
			return fmt.Errorf("record suspect months: %w", err)
		}
	}
	for _, month := range block.months {
		rows, ok := missing[month]
		if !ok {
			continue
		}
		if err := p.insert(b, block, parcel{splitToken(p.origin, b.span, month), rows}); err != nil {
			return err
		}
	}
	return nil
}

// settled returns an error until nobody can be inserting a range that was found
// in part: a former owner begins nothing more once its intent is too old to act
// on without a commit, and what it began ends by the limits of client and server.
// A split before that would insert beside it, under other tokens.
func (p *partition) settled(b *batch) error {
	now := p.ss.cfg.now()
	if b.torn.IsZero() {
		b.torn = now
	}
	if wait := p.ss.cfg.settleFor - now.Sub(b.torn); wait > 0 {
		return fmt.Errorf("the range is there in part: waiting %s for a former attempt to end", wait.Round(time.Second))
	}
	return nil
}

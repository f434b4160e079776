package fold

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// faults collects what went wrong with the records of one transaction, by the
// input partition they came from. Promises run on the client's goroutines.
type faults struct {
	mu  sync.Mutex
	err map[int32]error
}

func (f *faults) add(partition int32, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = map[int32]error{}
	}
	if f.err[partition] == nil {
		f.err[partition] = err
	}
}

func (f *faults) all() map[int32]error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// refused reports whether Kafka will refuse the record however often it is
// sent.
func refused(err error) bool {
	for _, final := range []error{
		kerr.MessageTooLarge, kerr.RecordListTooLarge, // of the topic's limit
		kerr.InvalidRecord, kerr.InvalidTimestamp, kerr.InvalidTopicException, // of the topic's rules
		kerr.TopicAuthorizationFailed, kerr.PolicyViolation, // of the operator's
	} {
		if errors.Is(err, final) {
			return true
		}
	}
	return false
}

// redoLimit is how long an aborted transaction may take to be read again. It is
// overrun if a partition was taken away without a word; a new session starts
// from what is committed.
const redoLimit = 10 * time.Second

// transact folds fetches and what else arrives within the interval, and commits
// it. After an abort the client delivers the same records again; nothing is
// folded twice, and no transaction ends before all of them have passed, so that
// the committed offset is always the one the state is at.
func (s *session) transact(ctx context.Context, fetches kgo.Fetches) error {
	began := time.Now()
	// A stop lets the transaction finish, but not wait for brokers that have
	// given it up by now.
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.patience.transaction+5*time.Second)
	defer cancel()
	if err := s.txn.Begin(); err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	for _, p := range s.partitions {
		p.polled = 0
	}
	var failed faults
	sent := map[int32]int{}
	total, err := s.fold(fetches)
	if err != nil {
		return err
	}
	s.produce(finish, sent, &failed)
	for {
		wait := time.Until(began.Add(s.cfg.Interval))
		behind := s.behind()
		if !behind && (wait <= 0 || total >= s.cfg.MaxRecords || ctx.Err() != nil) {
			break
		}
		if behind {
			if wait = pollWait; time.Since(began) > redoLimit {
				return errors.New("the records of an aborted transaction did not come back")
			}
		}
		more, err := s.poll(finish, wait, s.cfg.MaxRecords)
		if err != nil {
			return err
		}
		n, err := s.fold(more)
		if err != nil {
			return err
		}
		total += n
		s.produce(finish, sent, &failed)
	}
	if err := s.snapshot(ctx.Err() != nil); err != nil {
		return err
	}
	s.produce(finish, sent, &failed)
	s.records = total
	s.metrics.size.Observe(float64(total))
	return s.end(finish, began, &failed)
}

// behind reports whether a partition still reads again what it has folded.
func (s *session) behind() bool {
	for id, p := range s.partitions {
		if (p.polled != 0 || len(p.pending) > 0) && p.polled < p.applied && !s.stopped[id] {
			return true
		}
	}
	return false
}

// produce sends the pending records that this transaction has not sent yet. While
// the session sends apart, no batch holds records of two partitions.
func (s *session) produce(ctx context.Context, sent map[int32]int, failed *faults) {
	for id, p := range s.partitions {
		if s.stopped[id] {
			continue
		}
		note := func(rec *kgo.Record, err error) {
			if err != nil {
				failed.add(id, fmt.Errorf("produce to %s/%d: %w", rec.Topic, rec.Partition, err))
			}
		}
		for _, rec := range p.pending[sent[id]:] {
			s.txn.Produce(ctx, rec, note)
		}
		sent[id] = len(p.pending)
		if s.apart {
			_ = s.txn.Client().Flush(ctx) // an error is one of the context, end returns it
		}
	}
}

// snapshot appends the state records of this transaction to each partition that
// has something to commit.
func (s *session) snapshot(leaving bool) error {
	s.mu.Lock()
	all := s.handoff || leaving
	s.handoff = false
	s.mu.Unlock()
	now := time.Now()
	for id, p := range s.partitions {
		if s.stopped[id] || p.polled == 0 && len(p.pending) == 0 {
			continue
		}
		records, err := p.snapshots.next(p, now, all)
		if err != nil {
			return fatalError{err}
		}
		for _, rec := range records {
			s.metrics.snapshotBytes.Add(float64(len(rec.Value)))
		}
		header, err := p.header().MarshalVT()
		if err != nil {
			return fatalError{fmt.Errorf("encode header: %w", err)}
		}
		p.pending = append(p.pending, append(records, &kgo.Record{
			Topic: s.cfg.Stage.State, Partition: id, Key: headerKey, Value: header,
		})...)
		p.headed = true
		s.tell(p, now)
	}
	return nil
}

// end commits if every record arrived, else aborts.
func (s *session) end(ctx context.Context, began time.Time, failed *faults) error {
	// The client would commit although a record failed: it was asked to send
	// what it could. Flush first, look, then decide.
	if err := s.txn.Client().Flush(ctx); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	try := kgo.TryCommit
	var sick []int32
	for id, err := range failed.all() {
		try = kgo.TryAbort
		if refused(err) {
			sick = append(sick, id)
		}
		s.cfg.Log.Warn("record not produced, aborting", "stage", s.cfg.Stage.Name, "partition", id, "error", err)
	}
	// A batch is refused as a whole, whosever records are in it.
	if s.apart = len(sick) > 1 && !s.apart; !s.apart {
		for _, id := range sick {
			s.stop(id, failed.all()[id])
		}
	}
	committed, err := s.txn.End(ctx, try)
	s.metrics.duration.Observe(time.Since(began).Seconds())
	if err != nil {
		return fmt.Errorf("end transaction: %w", err)
	}
	result := resultCommitted
	if !committed && try == kgo.TryCommit {
		if committed, err = s.confirmed(ctx); err != nil {
			return err
		}
		result = resultConfirmed
	}
	if !committed {
		s.metrics.transactions.WithLabelValues(resultAborted).Inc()
		s.trace(began, resultAborted)
		s.aborts++
		for _, p := range s.partitions {
			p.aborted()
		}
		return nil
	}
	s.aborts = 0
	s.metrics.transactions.WithLabelValues(result).Inc()
	s.trace(began, result)
	for id, p := range s.partitions {
		if s.stopped[id] {
			continue
		}
		s.metrics.committed(&s.cfg.Stage, p.pending)
		p.committed()
	}
	return nil
}

// stop takes a partition out of service: Kafka refuses one of its outputs, which
// only a change of program or configuration can mend. Its offset stays where it
// is; the other partitions go on.
func (s *session) stop(id int32, err error) {
	s.stopped[id] = true
	s.metrics.standings.tell(id, func(at *standing) { at.stopped = true })
	s.txn.Client().PauseFetchPartitions(map[string][]int32{s.cfg.Stage.Input: {id}})
	s.cfg.Log.Error("partition stopped: its output is refused", "stage", s.cfg.Stage.Name, "partition", id, "error", err)
}

// confirmed asks the broker whether a commit whose outcome the client does not
// know took effect: the group's offsets were part of it. If that holds for some
// partitions only, somebody else has gone on with the others, and nobody can tell
// any more.
func (s *session) confirmed(ctx context.Context) (bool, error) {
	offsets, err := groupOffsets(ctx, s.cfg)
	if err != nil {
		return false, err
	}
	forward, total := map[int32]kgo.EpochOffset{}, 0
	for id, p := range s.partitions {
		if len(p.pending) == 0 || s.stopped[id] {
			continue
		}
		total++
		if at, ok := offsets.Lookup(s.cfg.Stage.Input, id); ok && at.At == p.applied {
			forward[id] = kgo.EpochOffset{Epoch: -1, Offset: p.applied}
		}
	}
	switch len(forward) {
	case 0:
		return false, nil
	case total:
	default:
		return false, fmt.Errorf("%d of %d partitions are at the offset of a transaction whose end is unknown", len(forward), total)
	}
	s.txn.Client().SetOffsets(map[string]map[int32]kgo.EpochOffset{s.cfg.Stage.Input: forward})
	return true, nil
}

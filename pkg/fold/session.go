package fold

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"
)

// session is one membership in the consumer group and one transactional
// producer. The loop owns everything except assigned, which the client's
// callbacks fill.
type session struct {
	cfg     *Config
	metrics *metrics
	txn     *kgo.GroupTransactSession

	source     []byte // id of the input topic
	partitions map[int32]*partition
	// healed counts the group offsets that were restored from the state.
	healed int
	// aborts counts the transactions aborted in a row.
	aborts int
	// records is how many the transaction holds.
	records int
	// apart makes the next transaction send the records of one partition after the
	// other, to tell whose Kafka refuses.
	apart bool
	// stopped partitions had an output that Kafka refuses for good.
	stopped map[int32]bool

	mu       sync.Mutex
	assigned map[int32]int64 // to restore, with the group's offset
	revoked  map[int32]bool
	handoff  bool // somebody waits for a rebalance
	joined   bool // the group has said what is assigned
	broken   error
}

// maxAborts in a row end a session: what does not pass by trying again at once
// may pass after the pause before the next one.
const maxAborts = 20

// pollWait bounds a poll without records, so that assignments are noticed.
const pollWait = 500 * time.Millisecond

func runSession(ctx context.Context, cfg *Config, m *metrics) error {
	s := &session{
		cfg:        cfg,
		metrics:    m,
		partitions: map[int32]*partition{},
		stopped:    map[int32]bool{},
		assigned:   map[int32]int64{},
		revoked:    map[int32]bool{},
	}
	txn, err := kgo.NewGroupTransactSession(append(slices.Clone(cfg.Client), s.options()...)...)
	if err != nil {
		return fatalError{fmt.Errorf("open session: %w", err)}
	}
	s.txn = txn
	watchCtx, unwatch := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { s.watchEnds(watchCtx) })
	defer func() {
		unwatch()
		watch.Wait()
		txn.CloseAllowingRebalance()
		for id := range s.partitions {
			s.drop(id)
		}
	}()
	if err := s.open(ctx); err != nil {
		return err
	}
	for ctx.Err() == nil {
		// Never leave behind an error: records that came with it would be passed by.
		if err := s.turn(ctx); err != nil {
			return err
		}
	}
	return s.leave(ctx)
}

// open ends what a dead predecessor left open, before anything is restored: until
// then nobody reads what it wrote, and the group does not tell the offsets that
// it was about to commit.
func (s *session) open(ctx context.Context) error {
	if _, _, err := s.txn.Client().ProducerID(ctx); err != nil {
		return fmt.Errorf("take over the transactional id: %w", err)
	}
	var err error
	s.source, err = topicID(ctx, s.cfg)
	return err
}

// leave ends with a transaction over what the next fetch brings: it carries the
// whole state of the partitions in it, so that their next owner has nothing to
// replay. A partition without records has no commit that would fence a member
// the group has already replaced, so nothing is written for it.
func (s *session) leave(ctx context.Context) error {
	s.dropRevoked()
	fetches, err := s.poll(context.WithoutCancel(ctx), pollWait, s.cfg.MaxRecords)
	if err != nil || fetches.NumRecords() == 0 {
		return err
	}
	return s.transact(ctx, fetches)
}

func (s *session) options() []kgo.Opt {
	instance := s.cfg.Stage.Group + "." + s.cfg.Instance
	return []kgo.Opt{
		kgo.ConsumerGroup(s.cfg.Stage.Group),
		kgo.ConsumeTopics(s.cfg.Stage.Input),
		kgo.InstanceID(instance),
		// Stable, so that the first transaction after a restart fences what a dead
		// predecessor left open.
		kgo.TransactionalID(instance),
		kgo.TransactionTimeout(s.cfg.patience.transaction),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.RebalanceTimeout(s.cfg.patience.rebalance),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.BlockRebalanceOnPoll(),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytes(1 << 20),
		kgo.MaxBufferedRecords(1 << 20),
		// Facts shrink to two fifths: that is worth more than it costs once there are
		// replicas.
		kgo.ProducerBatchCompression(kgo.SnappyCompression()),
		kgo.OnPartitionsAssigned(func(_ context.Context, cl *kgo.Client, parts map[string][]int32) {
			// Nothing may be fetched before its state is restored.
			cl.PauseFetchPartitions(parts)
			s.mu.Lock()
			s.joined = true
			s.mu.Unlock()
		}),
		kgo.OnOffsetsFetched(s.offsetsFetched),
		kgo.OnPartitionsRevoked(s.partitionsRevoked),
		kgo.OnPartitionsCallbackBlocked(func(context.Context, *kgo.Client) {
			s.mu.Lock()
			s.handoff = true
			s.mu.Unlock()
		}),
	}
}

// expect breaks the session if a partition of the input is not on record: somebody
// added partitions. What is keyed to the others stays there; the new ones have no
// place in any state.
func (s *session) expect(partition int32) {
	count := s.cfg.Partitions(s.cfg.Stage.Input)
	if partition < count {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = fatalError{fmt.Errorf("%s has a partition %d, and %d partitions are on record: partitions are added only in a new generation", s.cfg.Stage.Input, partition, count)}
}

// failed is what a callback found, if anything.
func (s *session) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

func (s *session) offsetsFetched(_ context.Context, _ *kgo.Client, resp *kmsg.OffsetFetchResponse) error {
	add := func(partition int32, offset int64) {
		s.expect(partition)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.assigned[partition] = max(offset, noOffset)
		delete(s.revoked, partition)
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			add(p.Partition, p.Offset)
		}
	}
	for _, g := range resp.Groups {
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				add(p.Partition, p.Offset)
			}
		}
	}
	return nil
}

func (s *session) partitionsRevoked(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range parts[s.cfg.Stage.Input] {
		s.revoked[id] = true
		delete(s.assigned, id)
	}
}

// turn is one round: take over new partitions, collect records for one
// interval, commit what follows from them.
func (s *session) turn(ctx context.Context) error {
	if err := s.settle(ctx); err != nil {
		return err
	}
	defer s.txn.AllowRebalance()
	for again := true; again; again = s.awaited() {
		fetches, err := s.poll(ctx, pollWait, s.cfg.MaxRecords)
		if err != nil {
			return err
		}
		if fetches.NumRecords() == 0 {
			s.tellAll()
			return nil
		}
		if err := s.transact(ctx, fetches); err != nil {
			return err
		}
		if s.aborts > maxAborts {
			return fmt.Errorf("%d transactions in a row were aborted", s.aborts)
		}
	}
	return nil
}

// awaited reports whether a rebalance waits that no transaction has handed over
// for yet: it came too late for the last one.
func (s *session) awaited() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.handoff
}

// settle drops partitions that were taken away and restores those that were
// given, one at a time: a restore takes a while, and what is assigned may change
// meanwhile.
func (s *session) settle(ctx context.Context) error {
	for restored := false; ; restored = true {
		s.dropRevoked()
		s.forget()
		if err := s.failed(); err != nil {
			return err
		}
		id, committed, ok := s.nextAssigned()
		if !ok && s.healed > 0 {
			return fmt.Errorf("%d group offsets were restored, begin again from there", s.healed)
		}
		if !ok {
			if restored && s.cfg.Ready != nil {
				s.cfg.Ready()
			}
			return nil
		}
		s.drop(id)
		if err := s.adopt(ctx, id, committed); err != nil {
			return err
		}
	}
}

func (s *session) dropRevoked() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.revoked {
		s.drop(id)
	}
	clear(s.revoked)
}

// nextAssigned takes the smallest partition that waits to be restored.
func (s *session) nextAssigned() (id int32, committed int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.assigned) == 0 {
		return 0, 0, false
	}
	id = slices.Min(slices.Collect(maps.Keys(s.assigned)))
	committed = s.assigned[id]
	delete(s.assigned, id)
	return id, committed, true
}

func (s *session) drop(id int32) {
	if p := s.partitions[id]; p != nil {
		p.close()
		delete(s.partitions, id)
		if s.cfg.Stage.Observe != nil {
			s.cfg.Stage.Observe(id, nil)
		}
	}
	delete(s.stopped, id)
}

func (s *session) adopt(ctx context.Context, id int32, committed int64) error {
	began := time.Now()
	p, err := restore(ctx, s.cfg, s.source, id, committed)
	if err != nil {
		return err
	}
	s.partitions[id] = p
	s.metrics.restores.Inc()
	s.metrics.restoreTime.Observe(time.Since(began).Seconds())
	s.metrics.restoredShards.Add(float64(p.restored))
	s.metrics.replayed.WithLabelValues(strconv.Itoa(int(id))).Add(float64(p.fresh))
	p.fresh = 0
	s.tell(p, time.Now())
	s.cfg.Log.Info("partition restored", "stage", s.cfg.Stage.Name, "partition", id, "offset", p.applied, "took", time.Since(began))
	input := s.cfg.Stage.Input
	if committed == noOffset && p.applied > 0 {
		s.drop(id)
		s.healed++
		return s.commitMissing(ctx, id, p.applied)
	}
	s.txn.Client().ResumeFetchPartitions(map[string][]int32{input: {id}})
	return nil
}

// commitMissing gives the group the offset it has lost, as this member. The
// client has begun at the start of the partition by then: only a new session
// begins at the offset.
func (s *session) commitMissing(ctx context.Context, id int32, offset int64) error {
	s.cfg.Log.Warn("group offset was missing, taken from the state", "stage", s.cfg.Stage.Name, "partition", id, "offset", offset)
	var failed error
	s.txn.Client().CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{s.cfg.Stage.Input: {id: {Epoch: -1, Offset: offset}}},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
			failed = err
			if resp == nil {
				return
			}
			for _, t := range resp.Topics {
				for _, p := range t.Partitions {
					failed = errors.Join(failed, kerr.ErrorForCode(p.ErrorCode))
				}
			}
		})
	if failed != nil {
		return fmt.Errorf("commit the offset of partition %d: %w", id, failed)
	}
	return nil
}

// poll returns the next records, and the fetch errors that the client does not
// mend by itself.
func (s *session) poll(ctx context.Context, wait time.Duration, limit int) (kgo.Fetches, error) {
	pollCtx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	fetches := s.txn.PollRecords(pollCtx, limit)
	var fatal error
	fetches.EachError(func(topic string, partition int32, err error) {
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			return
		}
		fatal = errors.Join(fatal, fmt.Errorf("fetch: %w", lost(topic, partition, err)))
	})
	return fetches, fatal
}

// fold gives the fetched records to their partitions, which work in parallel.
func (s *session) fold(fetches kgo.Fetches) (int, error) {
	work := map[*partition][][]*kgo.Record{}
	records := 0
	var stray error
	fetches.EachPartition(func(f kgo.FetchTopicPartition) {
		p := s.partitions[f.Partition]
		switch {
		case len(f.Records) == 0:
		case p == nil || s.stopped[f.Partition]:
			// Committing these unread would lose them.
			stray = fmt.Errorf("records of partition %d, which is not in service", f.Partition)
		default:
			records += len(f.Records)
			s.observe(p, f)
			work[p] = append(work[p], f.Records)
		}
	})
	if stray != nil {
		return 0, stray
	}
	var group errgroup.Group
	for p, batches := range work {
		group.Go(func() error {
			for _, batch := range batches {
				if err := p.fold(batch); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return records, fatalError{err}
	}
	return records, nil
}

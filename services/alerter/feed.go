package alerter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/goodhartlabs/goodhart/schemas"
)

// feed brings the signals to one receiver. It is a consumer group of its own, so
// that Kafka holds what the receiver does not take: neither memory nor another
// receiver has to.
//
// Two goroutines: poll reads the log and queues what is to be told, tell empties
// the queue. They meet in mu.
type feed struct {
	name     string
	receiver receiver
	// resend is how often open signals are repeated to the receiver, refresh how;
	// 0 for never.
	resend  time.Duration
	refresh func(context.Context, []*signal) error
	// wait is how long a group collects signals.
	wait time.Duration
	// memory bounds the bytes that wait.
	memory int64
	rules  []Rule
	pauses pauses

	client *kgo.Client
	opened chan struct{} // closed when client is set: callbacks may run before
	// dead is how many partitions goodhart.dead.v1 has.
	dead    int32
	ready   func(bool)
	log     *slog.Logger
	metrics *metrics
	fail    context.CancelCauseFunc

	committing sync.Mutex
	wake       chan struct{} // tells that the queue changed

	mu         sync.Mutex
	partitions map[int32]*partition
	queue      *queue
	// bytes wait or are under way, late since when a group is; zero for none.
	bytes int64
	late  time.Time
	// paused: no more is read, from memory bytes until half of them are left.
	paused bool
}

// pauses are those between attempts, from the first to the longest, and how long a
// commit may take.
type pauses struct{ first, most, commit time.Duration }

// run tells the receiver what is on the topic until ctx ends. What was told by
// then is committed.
func (f *feed) run(ctx context.Context, opts []kgo.Opt, instance string) error {
	// inner ends with a failure, or after ctx when the attempt under way is over.
	inner, fail := context.WithCancelCause(context.WithoutCancel(ctx))
	defer fail(nil)
	f.fail = fail
	if err := f.open(opts, instance); err != nil {
		return err
	}
	working, stop := context.WithCancel(inner)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	var told sync.WaitGroup
	told.Go(func() { f.tell(working) })
	f.poll(working)
	told.Wait()
	if err := context.Cause(inner); err != nil {
		f.client.CloseAllowingRebalance()
		return fmt.Errorf("receiver %s: %w", f.name, err)
	}
	f.commit(inner)
	f.client.CloseAllowingRebalance()
	return nil
}

// open enters the group.
func (f *feed) open(opts []kgo.Opt, instance string) error {
	f.opened = make(chan struct{})
	client, err := kgo.NewClient(append(slices.Clone(opts),
		kgo.ConsumerGroup(Group(f.name)), kgo.ConsumeTopics(schemas.TopicSignals), kgo.InstanceID(instance),
		kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		// The marks that end transactions have offsets too: without them a partition
		// that is read to its end would seem to lag.
		kgo.KeepControlRecords(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxBytes(4<<20), kgo.FetchMaxPartitionBytes(1<<20), kgo.FetchMaxWait(250*time.Millisecond),
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		// A dead letter may be there twice; one that was sent to brokers that are
		// gone since must not keep the alerter from stopping.
		kgo.AllowIdempotentProduceCancellation(),
		kgo.OnPartitionsAssigned(f.onAssigned), kgo.OnPartitionsRevoked(f.onLost), kgo.OnPartitionsLost(f.onLost),
		kgo.OnOffsetsFetched(f.onOffsets), kgo.AdjustFetchOffsetsFn(f.adjust),
	)...)
	if err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	f.client = client
	close(f.opened)
	return nil
}

// onAssigned is called without partitions too, if there are more processes than
// partitions.
func (f *feed) onAssigned(_ context.Context, _ *kgo.Client, added map[string][]int32) {
	if len(added[schemas.TopicSignals]) == 0 {
		f.tellReady()
	}
}

// onLost forgets partitions before anybody else can own them. What is under way
// goes on, and is told again by whoever owns them then.
func (f *feed) onLost(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, number := range lost[schemas.TopicSignals] {
		f.forget(number)
	}
}

// forget drops a partition; mu is held.
func (f *feed) forget(number int32) {
	p := f.partitions[number]
	if p == nil {
		return
	}
	p.gone = true
	delete(f.partitions, number)
	for _, n := range f.queue.drop(p) {
		f.release(n)
	}
}

// onOffsets begins partitions with what the group remembers of them.
func (f *feed) onOffsets(_ context.Context, _ *kgo.Client, resp *kmsg.OffsetFetchResponse) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, g := range resp.Groups {
		for _, t := range g.Topics { // one topic: its name or its id says nothing new
			for _, p := range t.Partitions {
				if p.ErrorCode != 0 {
					continue // the client retries or surfaces it
				}
				f.forget(p.Partition)
				metadata := ""
				if p.Metadata != nil {
					metadata = *p.Metadata
				}
				f.partitions[p.Partition] = newPartition(p.Partition, p.Offset, metadata)
			}
		}
	}
	return nil
}

// adjust reads every partition from its beginning, whatever is committed: it says
// what is open.
func (f *feed) adjust(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	<-f.opened
	adm := kadm.NewClient(f.client)
	starts, err := adm.ListStartOffsets(ctx, schemas.TopicSignals)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("list start offsets: %w", err)
	}
	ends, err := adm.ListCommittedOffsets(ctx, schemas.TopicSignals)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("list end offsets: %w", err)
	}
	defer f.tellReady() // an empty partition has nothing to read
	f.mu.Lock()
	defer f.mu.Unlock()
	for number := range offsets[schemas.TopicSignals] {
		p := f.partitions[number]
		if p == nil {
			return nil, fmt.Errorf("partition %d: its committed offset is unknown", number)
		}
		start, _ := starts.Lookup(schemas.TopicSignals, number)
		end, _ := ends.Lookup(schemas.TopicSignals, number)
		p.begin(start.Offset, end.Offset)
		offsets[schemas.TopicSignals][number] = kgo.NewOffset().At(start.Offset)
	}
	return offsets, nil
}

// poll reads the log until ctx ends.
func (f *feed) poll(ctx context.Context) {
	for ctx.Err() == nil {
		f.tellReady()
		fetches := f.client.PollFetches(ctx)
		fetches.EachPartition(func(t kgo.FetchTopicPartition) {
			if t.Err != nil && ctx.Err() == nil {
				f.judge(ctx, t.Partition, t.Err)
			}
			f.apply(t)
		})
		f.client.AllowRebalance()
		if ctx.Err() == nil {
			f.commit(ctx)
		}
	}
}

// judge decides the fate of a fetch error.
func (f *feed) judge(ctx context.Context, partition int32, err error) {
	switch {
	case errors.Is(err, kgo.ErrClientClosed):
	case fateOf(err) == stop:
		f.fail(err)
	default: // the client retries by itself
		f.log.WarnContext(ctx, "fetch", "partition", partition, "error", err)
	}
}

// tellReady says whether every partition has been restored.
func (f *feed) tellReady() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.partitions) > 0 {
		f.ready(f.restored())
		f.nudge()
	}
}

// restored reports whether all is known of every partition; mu is held.
func (f *feed) restored() bool {
	for _, p := range f.partitions {
		if !p.restored {
			return false
		}
	}
	return len(f.partitions) > 0
}

// apply queues what is new of a partition's records.
func (f *feed) apply(t kgo.FetchTopicPartition) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.partitions[t.Partition]
	if p == nil {
		return
	}
	p.end = max(p.end, t.LastStableOffset)
	for _, rec := range t.Records {
		if !rec.Attrs.IsControl() {
			f.read(p, rec)
		}
		if p.passed(rec) && p.fresh {
			f.begin(p)
		}
	}
	p.sweep()
	if f.bytes >= f.memory && !f.paused {
		f.paused = true
		f.client.PauseFetchTopics(schemas.TopicSignals)
	}
	f.nudge()
}

// nudge wakes tell; mu is held.
func (f *feed) nudge() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// read decides what becomes of a record; mu is held.
func (f *feed) read(p *partition, rec *kgo.Record) {
	known := p.history(rec.Offset)
	if rec.Value == nil { // a tombstone: nobody will resolve it any more
		delete(p.signals, string(rec.Key))
		return
	}
	n := &notice{from: p, offset: rec.Offset, at: rec.Timestamp, key: rec.Key, value: rec.Value, due: time.Now()}
	if n.sig, n.why = decode(rec.Value); n.why != nil {
		if !known || p.fresh {
			f.enqueue(n)
		}
		return
	}
	s := p.signals[n.sig.ID]
	if s == nil {
		s = &standing{}
		p.signals[n.sig.ID] = s
	} else if n.sig.Rev <= s.rev {
		if !known {
			f.metrics.passed.WithLabelValues(f.name, passedOld).Inc()
		}
		return
	}
	s.rev, s.open, s.seen = n.sig.Rev, n.sig.open(), rec.Timestamp
	r := routeTo(f.rules, f.name, n.sig)
	switch {
	case known && p.fresh:
		s.first = nil
		if r.to && s.open {
			s.first = n
		}
	case known:
		s.taken = s.taken || r.to
		f.told(s, n.sig)
	case r.to || s.taken:
		s.taken = true
		f.queueFor(n, r)
	case r.nobody:
		f.metrics.passed.WithLabelValues(f.name, passedNobody).Inc()
	default:
		f.metrics.passed.WithLabelValues(f.name, passedElsewhere).Inc()
	}
}

// begin queues what is open at the end of a fresh partition's history; mu is
// held.
func (f *feed) begin(p *partition) {
	var open []*notice
	for _, s := range p.signals {
		if s.first != nil {
			open = append(open, s.first)
			s.taken, s.first = true, nil
		}
	}
	slices.SortFunc(open, func(a, b *notice) int { return int(a.offset - b.offset) })
	for _, n := range open {
		n.due = time.Now()
		f.queueFor(n, routeTo(f.rules, f.name, n.sig))
	}
}

// queueFor queues a signal for when it is due; mu is held.
func (f *feed) queueFor(n *notice, r route) {
	if r.quiet != nil && n.sig.Severity != critical {
		if end, _ := r.quiet.until(n.due); end.After(n.due) {
			n.due, n.held = end, end
		}
	}
	if n.held.IsZero() {
		n.due = n.due.Add(f.wait)
	}
	f.enqueue(n)
}

func (f *feed) enqueue(n *notice) {
	n.from.wait(n.offset)
	f.queue.push(n)
	f.bytes += n.size()
}

// told notes what the receiver has of a signal; mu is held.
func (f *feed) told(s *standing, sig *signal) {
	s.told = nil
	if f.resend > 0 && s.taken && sig.open() {
		s.told = sig
	}
}

// commit makes what was told known to whoever comes next.
func (f *feed) commit(ctx context.Context) {
	f.committing.Lock()
	defer f.committing.Unlock()
	f.mu.Lock()
	changed := map[*partition]commit{}
	offsets := map[int32]kgo.EpochOffset{}
	for number, p := range f.partitions {
		if c, fresh := p.progress(); fresh {
			changed[p] = c
			offsets[number] = kgo.EpochOffset{Epoch: -1, Offset: c.offset}
		}
	}
	f.mu.Unlock()
	if len(changed) == 0 {
		return
	}
	metadata := map[int32]string{}
	for p, c := range changed {
		metadata[p.number] = c.metadata
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.pauses.commit)
	defer cancel()
	ctx = kgo.PreCommitFnContext(ctx, func(req *kmsg.OffsetCommitRequest) error {
		for i := range req.Topics {
			for j := range req.Topics[i].Partitions {
				p := &req.Topics[i].Partitions[j]
				p.Metadata = kmsg.StringPtr(metadata[p.Partition])
			}
		}
		return nil
	})
	var failed error
	f.client.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{schemas.TopicSignals: offsets},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
			failed = commitError(resp, err)
		})
	switch {
	case failed == nil:
		f.mu.Lock()
		for p, c := range changed {
			p.committed, p.begun = c, true
		}
		f.mu.Unlock()
	case fateOf(failed) == stop:
		f.fail(failed)
	default: // the next one says the same and more
		f.log.WarnContext(ctx, "commit", "error", failed)
	}
}

// begun reports whether it is committed where the history of every partition ends.
// Until then nothing is told: a run that took it for history again would keep to
// itself how it went on.
func (f *feed) begun() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.partitions {
		if p.restored && !p.begun {
			return false
		}
	}
	return true
}

// openSignals are those that the receiver has and that are open, in a fixed order.
// They are known once every partition has been read.
func (f *feed) openSignals() (open []*signal, known bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.restored() {
		return nil, false
	}
	for _, number := range slices.Sorted(maps.Keys(f.partitions)) {
		p := f.partitions[number]
		for _, id := range slices.Sorted(maps.Keys(p.signals)) {
			if s := p.signals[id].told; s != nil {
				open = append(open, s)
			}
		}
	}
	return open, true
}

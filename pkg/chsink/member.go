package chsink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// member is this process in the consumer group.
type member struct {
	client  *kgo.Client
	ss      *session
	ids     map[string][16]byte
	names   map[[16]byte]string
	commits chan commit
	closed  chan struct{}
	ready   chan struct{} // closed when client is set: callbacks may run before
}

// fetched is what a poll returned for one partition.
type fetched struct {
	place
	records []*kgo.Record
	end     int64 // of what may be read: the last stable offset
}

// join connects, learns the topics' ids and enters the group.
func (ss *session) join(ctx context.Context) (*member, error) {
	m := &member{
		ss: ss, ids: map[string][16]byte{}, names: map[[16]byte]string{},
		commits: make(chan commit), closed: make(chan struct{}), ready: make(chan struct{}),
	}
	topics := make([]string, 0, len(ss.cfg.Streams))
	for _, st := range ss.cfg.Streams {
		topics = append(topics, st.Topic)
	}
	if err := m.learn(ctx, topics); err != nil {
		return nil, err
	}
	opts := append([]kgo.Opt{}, ss.cfg.Client...)
	opts = append(opts,
		kgo.ConsumerGroup(ss.cfg.Group), kgo.ConsumeTopics(topics...),
		kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.SessionTimeout(ss.cfg.SessionTimeout),
		kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		// The marks that end transactions have offsets too: without them a
		// partition that is read to its end would seem to lag.
		kgo.KeepControlRecords(),
		kgo.ConsumeStartOffset(startOffset(ss.cfg.From)), kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMaxBytes(16<<20), kgo.FetchMaxPartitionBytes(4<<20),
		// A partition that is resumed joins the next fetch only: the one under way,
		// of idle partitions perhaps, must not take long.
		kgo.FetchMaxWait(250*time.Millisecond),
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		// A dead letter may be there twice; one that was sent to brokers that are
		// gone since must not keep the sink from stopping.
		kgo.AllowIdempotentProduceCancellation(),
		kgo.OnPartitionsRevoked(m.onLost), kgo.OnPartitionsLost(m.onLost),
		kgo.OnOffsetsFetched(m.onOffsets), kgo.AdjustFetchOffsetsFn(m.adjust),
	)
	if ss.cfg.InstanceID != "" {
		opts = append(opts, kgo.InstanceID(ss.cfg.InstanceID))
	}
	ss.group = m
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	m.client = client
	close(m.ready)
	go m.commitLoop()
	return m, nil
}

func startOffset(from From) kgo.Offset {
	if from == FromEnd {
		return kgo.NewOffset().AtEnd()
	}
	return kgo.NewOffset().AtStart()
}

// learn asks for the topics' ids before anything is consumed: the progress that
// the group remembers belongs to an id.
func (m *member) learn(ctx context.Context, topics []string) error {
	client, err := kgo.NewClient(m.ss.cfg.Client...)
	if err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	defer client.Close()
	req := kmsg.NewPtrMetadataRequest()
	for _, t := range topics {
		rt := kmsg.NewMetadataRequestTopic()
		rt.Topic = kmsg.StringPtr(t)
		req.Topics = append(req.Topics, rt)
	}
	retry := m.ss.newBackoff()
	for {
		resp, err := req.RequestWith(ctx, client)
		if err == nil {
			err = m.note(resp)
		}
		var wrong stop
		if err == nil || errors.As(err, &wrong) {
			return err
		}
		m.ss.cfg.Log.WarnContext(ctx, "learn topic ids", "error", err)
		if !sleep(ctx, retry.NextBackOff()) {
			return ctx.Err()
		}
	}
}

func (m *member) note(resp *kmsg.MetadataResponse) error {
	for _, t := range resp.Topics {
		if t.Topic == nil {
			continue
		}
		err := kerr.ErrorForCode(t.ErrorCode)
		switch {
		case errors.Is(err, kerr.UnknownTopicOrPartition), kerr.IsRetriable(err):
			return fmt.Errorf("topic %s: %w", *t.Topic, err)
		case err != nil:
			return stop{fmt.Errorf("topic %s: %w", *t.Topic, err)}
		case t.TopicID == [16]byte{}:
			return stop{fmt.Errorf("topic %s: the broker gives no topic ids", *t.Topic)}
		}
		m.ids[*t.Topic], m.names[t.TopicID] = t.TopicID, *t.Topic
	}
	return nil
}

// close leaves the client. The members of a static group stay in it until their
// session times out, so that a quick restart moves nothing.
func (m *member) close() {
	m.client.CloseAllowingRebalance()
	close(m.commits)
	<-m.closed
}

func (m *member) poll(ctx context.Context) []fetched {
	fetches := m.client.PollFetches(ctx)
	var out []fetched
	fetches.EachTopic(func(t kgo.FetchTopic) {
		if id, ok := m.ids[t.Topic]; ok && t.TopicID != id && t.TopicID != [16]byte{} {
			m.ss.fail(fmt.Errorf("topic %s was deleted and made anew", t.Topic))
			return
		}
		t.EachPartition(func(p kgo.FetchPartition) {
			at := place{t.Topic, p.Partition}
			if p.Err != nil {
				m.judge(ctx, at, p.Err)
			}
			if len(p.Records) > 0 {
				out = append(out, fetched{at, p.Records, p.LastStableOffset})
			}
		})
	})
	return out
}

// judge decides the fate of a fetch error.
func (m *member) judge(ctx context.Context, at place, err error) {
	log := m.ss.cfg.Log.With("topic", at.topic, "partition", at.partition, "error", err)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, kgo.ErrClientClosed):
	case errors.Is(err, kerr.FencedInstanceID):
		m.ss.fail(fmt.Errorf("another process runs as %q: %w", m.ss.cfg.InstanceID, err))
	case errors.Is(err, kerr.UnknownTopicID):
		m.ss.fail(fmt.Errorf("topic %s was deleted, and may have been made anew: %w", at.topic, err))
	case errors.Is(err, kerr.TopicAuthorizationFailed),
		errors.Is(err, kerr.GroupAuthorizationFailed):
		m.ss.fail(fmt.Errorf("fetch %s: %w", at.topic, err))
	case errors.Is(err, kerr.OffsetOutOfRange):
		// The records are gone: retention overtook the sink, or the log was cut.
		// Going on would skip silently.
		m.ss.metrics.stall(at, true)
		log.ErrorContext(ctx, "the committed offset is not in the log: delete the group's offset and start with from")
	default: // the client retries by itself
		log.WarnContext(ctx, "fetch")
	}
}

func (m *member) pause(at place) {
	m.client.PauseFetchPartitions(map[string][]int32{at.topic: {at.partition}})
}

func (m *member) resume(at place) {
	m.client.ResumeFetchPartitions(map[string][]int32{at.topic: {at.partition}})
}

// onLost stops partitions before anybody else can own them.
func (m *member) onLost(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
	<-m.ready
	var places []place
	for topic, partitions := range lost {
		for _, p := range partitions {
			places = append(places, place{topic, p})
		}
	}
	m.ss.revoke(places)
}

// onOffsets starts partitions with what the group remembers, before their first
// record arrives.
func (m *member) onOffsets(_ context.Context, cl *kgo.Client, resp *kmsg.OffsetFetchResponse) error {
	<-m.ready
	id, _ := cl.GroupMetadata()
	for _, g := range resp.Groups {
		for _, t := range g.Topics {
			topic := t.Topic
			if topic == "" {
				topic = m.names[t.TopicID]
			}
			for _, p := range t.Partitions {
				if p.ErrorCode != 0 {
					continue // the client retries or surfaces it
				}
				m.ss.assign(m.ss.newPartition(place{topic, p.Partition}, id, p.Offset, p.Metadata))
			}
		}
	}
	return nil
}

// adjust moves the start of partitions whose committed offset does not hold.
func (m *member) adjust(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	for topic, partitions := range offsets {
		for number := range partitions {
			p := m.ss.partition(place{topic, number})
			if p == nil || p.committed >= 0 {
				continue
			}
			at, err := p.begin(ctx)
			if err != nil {
				return nil, fmt.Errorf("start of %s/%d: %w", topic, number, err)
			}
			partitions[number] = at
		}
	}
	return offsets, nil
}

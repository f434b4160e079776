package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/semaphore"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/schemas"
)

const (
	// batchBytes is franz-go's own limit of a batch; a topic's lower one goes first.
	batchBytes = 1000012
	// recordOverhead is what a waiting record takes beside its key and value.
	recordOverhead = 256
	// shipmentChunk is how many records are put under way together.
	shipmentChunk = 512
	// linger trades 2 ms of latency for batches that several requests share.
	linger = 2 * time.Millisecond
	// metadataAge is how often leaders are asked for at most.
	metadataAge = 250 * time.Millisecond
)

// producer writes records and says which of them Kafka acknowledged. Safe for
// concurrent use.
//
// Records are buffered without the requests' contexts: franz-go fails every
// record of a partition when the context of the first one ends, so a client that
// hangs up would take the records of others along.
type producer struct {
	client *kgo.Client
	// sieve is a second client, used by one request at a time, for batches that
	// the broker refused as too large.
	sieve   *kgo.Client
	sieving *semaphore.Weighted

	events, dead int32
	// room bounds the bytes that wait for acknowledgement.
	room     *semaphore.Weighted
	roomSize int64
	buffered atomic.Int64
	log      *slog.Logger
	metrics  *metrics
}

// openProducer waits until the layout of the topics is known, which needs a
// broker, and refuses one that disagrees with the record in the meta topic.
func openProducer(ctx context.Context, cfg Config, log *slog.Logger, m *metrics) (*producer, error) {
	// Leaders and new topics are worth asking for more often than every 5 s:
	// requests wait for them.
	base := append(cfg.Kafka.Options(), kgo.MetadataMinAge(metadataAge))
	probe, err := kgo.NewClient(base...)
	if err != nil {
		return nil, fmt.Errorf("open kafka client: %w", err)
	}
	defer probe.Close()
	layout, err := kschema.Await(ctx, probe, func(err error, pause time.Duration) {
		log.Warn("waiting for kafka", "error", err, "pause", pause)
	})
	if err != nil {
		return nil, err
	}
	limits := brokerLimits(ctx, probe, log)
	opts := append(base,
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytesFn(func(topic string) int32 {
			if n, ok := limits[topic]; ok {
				return n
			}
			return batchBytes
		}),
		kgo.MaxBufferedRecords(1<<30), // room bounds bytes, which matter
		kgo.RecordDeliveryTimeout(cfg.Timeouts.Produce),
		kgo.ProduceRequestTimeout(cfg.Timeouts.Produce),
	)
	client, err := kgo.NewClient(append(opts, kgo.ProducerLinger(linger))...)
	if err != nil {
		return nil, fmt.Errorf("open producer: %w", err)
	}
	sieve, err := kgo.NewClient(append(opts, kgo.ProducerLinger(0))...)
	if err != nil {
		client.Close()
		return nil, fmt.Errorf("open second producer: %w", err)
	}
	return &producer{
		client:   client,
		sieve:    sieve,
		sieving:  semaphore.NewWeighted(1),
		events:   layout.Partitions(schemas.TopicEvents),
		dead:     layout.Partitions(schemas.TopicDead),
		room:     semaphore.NewWeighted(cfg.Limits.BufferedBytes),
		roomSize: cfg.Limits.BufferedBytes,
		log:      log,
		metrics:  m,
	}, nil
}

// brokerLimits asks how large a batch each topic takes, so that batches stay
// under it. Without the right to ask, a refused batch is sieved instead.
func brokerLimits(ctx context.Context, client *kgo.Client, log *slog.Logger) map[string]int32 {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	configs, err := kadm.NewClient(client).DescribeTopicConfigs(ctx, schemas.TopicEvents, schemas.TopicDead)
	if err != nil {
		log.Info("batch limits unknown", "error", err)
		return nil
	}
	limits := map[string]int32{}
	for _, topic := range configs {
		for _, c := range topic.Configs {
			if c.Key != "max.message.bytes" || c.Value == nil {
				continue
			}
			if n, err := strconv.ParseInt(*c.Value, 10, 32); err == nil {
				limits[topic.Name] = int32(min(max(n, 512), batchBytes))
			}
		}
	}
	return limits
}

// ping reports whether a broker answers.
func (p *producer) ping(ctx context.Context) error { return p.client.Ping(ctx) }

// close flushes what is buffered, as far as ctx allows.
func (p *producer) close(ctx context.Context) error {
	err := errors.Join(p.client.Flush(ctx), p.sieve.Flush(ctx))
	p.client.Close()
	p.sieve.Close()
	if err != nil {
		return fmt.Errorf("flush producer: %w", err)
	}
	return nil
}

// shipment is the way of one request's records to Kafka. One goroutine sends
// and waits.
type shipment struct {
	p      *producer
	client *kgo.Client
	// open counts chunks under way, and one until the shipment is sealed.
	open   atomic.Int64
	sealed bool
	done   chan struct{}

	mu      sync.Mutex
	failed  error
	refused []*kgo.Record
}

func (p *producer) ship() *shipment { return p.shipThrough(p.client) }

func (p *producer) shipThrough(client *kgo.Client) *shipment {
	s := &shipment{p: p, client: client, done: make(chan struct{})}
	s.open.Store(1)
	return s
}

// send puts records under way, which must keep still from now on. It waits for
// room among the bytes that wait for Kafka, as long as ctx allows.
func (s *shipment) send(ctx context.Context, records []kgo.Record) error {
	for len(records) > 0 {
		n := min(len(records), shipmentChunk)
		if err := s.sendChunk(ctx, records[:n]); err != nil {
			return err
		}
		records = records[n:]
	}
	return nil
}

func (s *shipment) sendChunk(ctx context.Context, records []kgo.Record) error {
	size := int64(0)
	for i := range records {
		size += int64(len(records[i].Key) + len(records[i].Value) + recordOverhead)
	}
	// A chunk larger than all the room would wait for ever.
	size = min(size, s.p.roomSize)
	if err := s.p.room.Acquire(ctx, size); err != nil {
		return fmt.Errorf("wait for room in the producer: %w", err)
	}
	s.p.buffered.Add(size)
	s.open.Add(1)
	c := &chunk{shipment: s, size: size}
	c.left.Store(int32(len(records)))
	settle := c.settle
	for i := range records {
		//nolint:contextcheck // see producer: records outlive the request on purpose
		s.client.TryProduce(context.Background(), &records[i], settle)
	}
	return nil
}

// chunk is some records of a shipment that were put under way together.
type chunk struct {
	shipment *shipment
	left     atomic.Int32
	size     int64
}

// settle is called once for each record.
func (c *chunk) settle(r *kgo.Record, err error) {
	s := c.shipment
	if err != nil {
		s.fail(r, err)
	}
	if c.left.Add(-1) > 0 {
		return
	}
	s.p.buffered.Add(-c.size)
	s.p.room.Release(c.size)
	s.release()
}

func (s *shipment) release() {
	if s.open.Add(-1) == 0 {
		close(s.done)
	}
}

// settled says whether the fate of everything sent is known; wait comes first.
func (s *shipment) settled() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// fail decides the fate of a record that Kafka did not acknowledge.
func (s *shipment) fail(r *kgo.Record, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.InvalidRecord):
		// Dead letter: this record, or one that shared its batch, will never pass.
		s.refused = append(s.refused, r)
	default:
		// Retry, by the client: timeouts and lost connections leave open whether
		// the record is in the log, and missing rights or topics are ours to mend.
		if s.failed == nil {
			s.failed = err
		}
	}
}

// wait returns the records that Kafka refused for what they are, after all the
// others were acknowledged; an error means that the fate of some is unknown.
// Nothing is sent after the first wait; waiting again is fine.
func (s *shipment) wait(ctx context.Context) ([]*kgo.Record, error) {
	if !s.sealed {
		s.sealed = true
		s.release()
	}
	if !s.settled() {
		select {
		case <-s.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for acknowledgement: %w", ctx.Err())
		}
	}
	if s.failed != nil {
		return nil, s.failed
	}
	if len(s.refused) == 0 || s.client == s.p.sieve {
		return s.refused, nil
	}
	return s.p.sift(ctx, s.refused)
}

// sift finds out which records of refused batches are at fault: brokers refuse
// whole batches. Halves go through a client that nobody else uses meanwhile,
// until what is refused is a single record.
func (p *producer) sift(ctx context.Context, suspects []*kgo.Record) ([]*kgo.Record, error) {
	if err := p.sieving.Acquire(ctx, 1); err != nil {
		return nil, fmt.Errorf("wait for the sieve: %w", err)
	}
	defer p.sieving.Release(1)
	p.log.Warn("batch refused as too large, sending it in parts", "topic", suspects[0].Topic, "records", len(suspects))
	p.metrics.sifted.Add(float64(len(suspects)))
	var refused []*kgo.Record
	for work := [][]*kgo.Record{suspects}; len(work) > 0; {
		part := work[len(work)-1]
		work = work[:len(work)-1]
		bad, err := p.sendCopies(ctx, part)
		switch {
		case err != nil:
			return nil, err
		case len(bad) == 0:
		case len(part) == 1:
			refused = append(refused, bad...)
		case len(bad) == 1:
			work = append(work, bad)
		default:
			work = append(work, bad[:len(bad)/2], bad[len(bad)/2:])
		}
	}
	return refused, nil
}

// sendCopies sends records through the sieve and returns those refused.
func (p *producer) sendCopies(ctx context.Context, records []*kgo.Record) ([]*kgo.Record, error) {
	copies := make([]kgo.Record, len(records))
	origin := make(map[*kgo.Record]*kgo.Record, len(records))
	for i, r := range records {
		copies[i] = kgo.Record{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers}
		origin[&copies[i]] = r
	}
	s := p.shipThrough(p.sieve)
	if err := s.send(ctx, copies); err != nil {
		return nil, err
	}
	refused, err := s.wait(ctx)
	if err != nil {
		return nil, err
	}
	for i, r := range records {
		r.Offset = copies[i].Offset
	}
	for i, r := range refused {
		refused[i] = origin[r]
		refused[i].Offset = -1 // it lies nowhere
	}
	return refused, nil
}

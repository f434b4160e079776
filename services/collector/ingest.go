package collector

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/source/cloudevents"
	"github.com/goodhartlabs/goodhart/pkg/source/otlp"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// delivery is an authenticated request on its way in.
type delivery struct {
	books     *books
	cred      *credential
	now       time.Time // of acceptance
	started   time.Time // by the wall clock
	route     string    // method and path, as registered
	transport goodhartv1.Transport
	// source stands for the adapter where the body cannot be decoded.
	source string
}

// result is what became of a request that was not refused as a whole.
type result struct {
	accepted   int // events that Kafka acknowledged
	rejections []event.Rejection
}

// decoder turns a body into drafts. An error means that the body as a whole
// cannot be read.
type decoder func(body []byte) ([]event.Draft, []event.Rejection, error)

// ingest takes a body from its bytes to Kafka's acknowledgement.
func (s *service) ingest(ctx context.Context, d delivery, body []byte, decode decoder) (result, *refusal) {
	drafts, rejections, err := guarded(decode, body)
	if err != nil {
		return result{}, s.condemn(ctx, d, body, undecodable(err))
	}
	cargo := s.load(d, drafts, rejections)
	ref := s.accept(ctx, d, cargo)
	s.trace(d, cargo, ref)
	if ref != nil {
		return result{}, ref
	}
	s.count(d, cargo)
	return result{accepted: len(cargo.records), rejections: cargo.rejections}, nil
}

// accept does what must be done before a request is answered for good.
func (s *service) accept(ctx context.Context, d delivery, c *cargo) *refusal {
	if ref := s.deliver(ctx, c); ref != nil {
		return ref
	}
	if err := s.producer.bury(ctx, d.cred, d.now, c.rejections); err != nil {
		return unavailable(err)
	}
	if s.clock.fromHeader {
		if err := s.ticker.catchUp(ctx, d.now); err != nil {
			return unavailable(err)
		}
	}
	return nil
}

// cargo is what a request brings: records, each with the draft it came from,
// and what cannot be used.
type cargo struct {
	records    []kgo.Record
	drafts     []*event.Draft
	rejections []event.Rejection
	followed   []followed
	shipped    time.Time // when producing began
}

// load stamps and encodes drafts.
func (s *service) load(d delivery, drafts []event.Draft, rejections []event.Rejection) *cargo {
	c := &cargo{
		records:    make([]kgo.Record, 0, len(drafts)),
		drafts:     make([]*event.Draft, 0, len(drafts)),
		rejections: rejections,
	}
	var values slab
	for i := range drafts {
		draft := &drafts[i]
		if d.cred.source != "" && d.cred.source != draft.Event.Source {
			c.reject(draft, reasonSource, "this API key may not send events of this source")
			continue
		}
		draft.Event.Transport = d.transport
		key, rej := d.books.stamper.Stamp(draft, &d.cred.Credential, d.now)
		if rej != nil {
			c.rejections = append(c.rejections, *rej)
			continue
		}
		value, err := values.encode(draft.Event, len(drafts)-i)
		if err != nil {
			c.reject(draft, reasonEncode, "the event cannot be encoded")
			continue
		}
		c.drafts = append(c.drafts, draft)
		c.records = append(c.records, kgo.Record{
			Topic:     schemas.TopicEvents,
			Partition: schemas.Partition(key, s.producer.events),
			Key:       key,
			Value:     value,
		})
		c.mark(s.tel.Tracer, draft.Event.EventId, &c.records[len(c.records)-1])
	}
	return c
}

func (c *cargo) reject(d *event.Draft, reason, detail string) {
	c.rejections = append(c.rejections, event.Rejection{
		Path: d.Path, Reason: reason, Detail: detail, Source: d.Event.Source,
	})
}

// deliver produces the cargo and moves what the broker refused to the
// rejections.
func (s *service) deliver(ctx context.Context, c *cargo) *refusal {
	if len(c.records) == 0 {
		return nil
	}
	c.shipped = time.Now()
	ship := s.producer.ship()
	if err := ship.send(ctx, c.records); err != nil {
		return unavailable(err)
	}
	refused, err := ship.wait(ctx)
	if err != nil {
		return unavailable(err)
	}
	s.metrics.produceSeconds.Observe(time.Since(c.shipped).Seconds())
	c.landed()
	if len(refused) == 0 {
		return nil
	}
	atFault := make(map[*kgo.Record]bool, len(refused))
	for _, r := range refused {
		atFault[r] = true
	}
	// The records are done for; only their number and drafts matter from here.
	kept := 0
	for i := range c.records {
		if atFault[&c.records[i]] {
			c.reject(c.drafts[i], event.ReasonTooLarge, "the broker refused the event as too large")
			rej := &c.rejections[len(c.rejections)-1]
			rej.Hash, rej.Size = sha256.Sum256(c.records[i].Value), len(c.records[i].Value)
			continue
		}
		c.drafts[kept] = c.drafts[i]
		kept++
	}
	c.drafts, c.records = c.drafts[:kept], c.records[:kept]
	return nil
}

// count counts a request that is about to be answered for good.
func (s *service) count(d delivery, c *cargo) {
	bySource := map[string]int{}
	for _, draft := range c.drafts {
		bySource[draft.Event.Source]++
	}
	for source, n := range bySource {
		s.metrics.accepted.WithLabelValues(source).Add(float64(n))
	}
	s.countRejections(d, c.rejections)
}

func (s *service) countRejections(d delivery, rejections []event.Rejection) {
	if len(rejections) == 0 {
		return
	}
	s.tallies.add(d.cred.Tenant, d.now, rejections)
	for i := range rejections {
		s.metrics.rejected.WithLabelValues(rejections[i].Source, rejections[i].Reason).Inc()
	}
}

// condemn describes a whole body as a dead letter, counts it, and returns the
// refusal to answer with.
func (s *service) condemn(ctx context.Context, d delivery, body []byte, ref *refusal) *refusal {
	if !ref.bodyAtFault() {
		return ref
	}
	rejections := []event.Rejection{{Reason: ref.reason, Detail: ref.detail, Source: d.source, Size: len(body)}}
	if len(body) > 0 {
		rejections[0].Hash = sha256.Sum256(body)
	}
	if err := s.producer.bury(ctx, d.cred, d.now, rejections); err != nil {
		return unavailable(err)
	}
	s.countRejections(d, rejections)
	return ref
}

// errPanic marks an error that was a panic of a decoder.
var errPanic = errors.New("decoder panicked")

// guarded keeps a decoder that panics on hostile bytes from answering with a
// closed connection, which clients would retry for ever.
func guarded(decode decoder, body []byte) (drafts []event.Draft, rejections []event.Rejection, err error) {
	defer func() {
		if v := recover(); v != nil {
			// The value may quote the body; its type is enough to look further.
			err = fmt.Errorf("%w with %T", errPanic, v)
		}
	}()
	return decode(body)
}

// undecodable is the refusal of a body that a decoder gave up on. Only errors
// that are known not to quote the body are passed on.
func undecodable(err error) *refusal {
	ref := refuse(reasonMalformed, "the body cannot be decoded")
	switch {
	case errors.Is(err, cloudevents.ErrContentType):
		return refuse(reasonContentType, cloudevents.ErrContentType.Error())
	case errors.Is(err, otlp.ErrContentType):
		return refuse(reasonContentType, otlp.ErrContentType.Error())
	case errors.Is(err, otlp.ErrNoRecords):
		ref.detail = otlp.ErrNoRecords.Error()
	case errors.Is(err, errPanic):
		ref.cause = err
	}
	return ref
}

// slab holds encoded events one after the other, so that a batch takes a few
// allocations.
type slab struct{ free []byte }

const slabSize = 64 << 10

// encode encodes an event; remaining is how many events, with this one, the
// batch may still have.
func (s *slab) encode(e *goodhartv1.Event, remaining int) ([]byte, error) {
	size := e.SizeVT()
	if len(s.free) < size {
		s.free = make([]byte, max(size, min(slabSize, size*remaining)))
	}
	value := s.free[:size:size]
	if _, err := e.MarshalToSizedBufferVT(value); err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	s.free = s.free[size:]
	return value, nil
}

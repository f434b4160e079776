package collector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

const (
	// maxLetters is how many records of one request get a dead letter each. The
	// rest share one per source, reason and field, so that a body full of
	// rubbish does not become a multiple of it in Kafka.
	maxLetters = 1000
	// maxShape is where the description of a record's shape is cut.
	maxShape = 2 << 10
)

// letters describes rejections as records of dead.v1, without their content.
func letters(cred *credential, now time.Time, rejections []event.Rejection) []*goodhartv1.DeadLetter {
	type group struct{ source, reason, field string }
	shared := map[group]*goodhartv1.DeadLetter{}
	out := make([]*goodhartv1.DeadLetter, 0, min(len(rejections), maxLetters))
	for i := range rejections {
		r := &rejections[i]
		// What a pipeline sends beside AI telemetry is no fault to look into.
		share := r.Reason == event.ReasonNotAI || len(out) >= maxLetters
		g := group{r.Source, r.Reason, r.Field}
		if letter := shared[g]; share && letter != nil {
			letter.Records++
			letter.SizeBytes += int64(r.Size)
			continue
		}
		letter := &goodhartv1.DeadLetter{
			Stage:      goodhartv1.Stage_STAGE_COLLECTOR,
			Tenant:     cred.Tenant,
			Source:     r.Source,
			Reason:     r.Reason,
			Field:      r.Field,
			Detail:     r.Detail,
			TimeMs:     now.UnixMilli(),
			SizeBytes:  int64(r.Size),
			Credential: cred.ID,
			Records:    1,
		}
		if share {
			shared[g] = letter
		} else {
			letter.Field = place(r)
			letter.Shape = r.Shape[:min(len(r.Shape), maxShape)]
			if r.Hash != [32]byte{} {
				letter.Hash = r.Hash[:]
			}
		}
		out = append(out, letter)
	}
	return out
}

// place is where the fault lay: the record's path and the field in it.
func place(r *event.Rejection) string {
	switch {
	case r.Field == "":
		return r.Path
	case r.Path == "":
		return r.Field
	default:
		return r.Path + "." + r.Field
	}
}

// bury writes the dead letters of a request and waits for them.
func (p *producer) bury(ctx context.Context, cred *credential, now time.Time, rejections []event.Rejection) error {
	if len(rejections) == 0 {
		return nil
	}
	dead := letters(cred, now, rejections)
	key := []byte(cred.Tenant)
	records := make([]kgo.Record, len(dead))
	for i, letter := range dead {
		value, err := letter.MarshalVT()
		if err != nil {
			return fmt.Errorf("encode dead letter: %w", err)
		}
		records[i] = kgo.Record{Topic: schemas.TopicDead, Partition: schemas.Partition(key, p.dead), Key: key, Value: value}
	}
	s := p.ship()
	if err := s.send(ctx, records); err != nil {
		return fmt.Errorf("send dead letters: %w", err)
	}
	refused, err := s.wait(ctx)
	if errors.Is(err, kerr.UnknownTopicID) {
		// Somebody emptied the topic by making it anew. The client holds on to the
		// one it knew; letters are for whichever has the name.
		p.client.PurgeTopicsFromProducing(schemas.TopicDead)
	}
	if err != nil {
		return fmt.Errorf("send dead letters: %w", err)
	}
	if len(refused) > 0 {
		return fmt.Errorf("send dead letters: the broker refused %d of %d", len(refused), len(records))
	}
	for _, letter := range dead {
		p.metrics.deadLetters.WithLabelValues(letter.Reason).Inc()
	}
	return nil
}

// tallies counts refused records until a tick carries the counts away. Safe for
// concurrent use.
type tallies struct {
	mu     sync.Mutex
	counts map[tally]int64
}

type tally struct {
	tenant, source string
	hourMs         int64 // of acceptance
	reason         string
}

func newTallies() *tallies { return &tallies{counts: map[tally]int64{}} }

// add counts rejections of a request accepted at now.
func (t *tallies) add(tenant string, now time.Time, rejections []event.Rejection) {
	hour := now.UTC().Truncate(time.Hour).UnixMilli()
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range rejections {
		t.counts[tally{tenant, rejections[i].Source, hour, rejections[i].Reason}]++
	}
}

// take removes and returns up to n counts, in a fixed order.
func (t *tallies) take(n int) []*goodhartv1.Rejected {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.counts) == 0 {
		return nil
	}
	keys := make([]tally, 0, len(t.counts))
	for k := range t.counts {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b tally) int {
		return cmp.Or(cmp.Compare(a.hourMs, b.hourMs), cmp.Compare(a.tenant, b.tenant),
			cmp.Compare(a.source, b.source), cmp.Compare(a.reason, b.reason))
	})
	keys = keys[:min(n, len(keys))]
	out := make([]*goodhartv1.Rejected, len(keys))
	for i, k := range keys {
		out[i] = &goodhartv1.Rejected{Tenant: k.tenant, Source: k.source, HourMs: k.hourMs, Reason: k.reason, Records: t.counts[k]}
		delete(t.counts, k)
	}
	return out
}

// empty says whether nothing waits to be reported.
func (t *tallies) empty() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.counts) == 0
}

package dead

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
	"github.com/goodhartlabs/goodhart/services/kafka"
)

// Filter chooses letters. The zero value chooses all; of several conditions all
// must hold.
type Filter struct {
	// Since and Until bound the time at which the letter was written; zero for
	// no bound.
	Since, Until time.Time
	// Reason, Component, Topic, Source and Tenant must be equal where they are
	// not empty. Topic is that of the record that died.
	Reason, Component, Topic, Source, Tenant string
	// Addresses, where there are any, name the letters.
	Addresses []Address
	// All says that choosing everything is meant.
	All bool
}

// everything says that no condition is given, and that nobody said it is meant.
func (f *Filter) everything() bool {
	return !f.All && len(f.Addresses) == 0 && f.Since.IsZero() && f.Until.IsZero() &&
		f.Reason == "" && f.Component == "" && f.Topic == "" && f.Source == "" && f.Tenant == ""
}

func (f *Filter) takes(l *Letter) bool {
	equal := func(want, have string) bool { return want == "" || want == have }
	return (f.Since.IsZero() || !l.Time.Before(f.Since)) &&
		(f.Until.IsZero() || l.Time.Before(f.Until)) &&
		equal(f.Reason, l.Reason) && equal(f.Component, l.component()) && equal(f.Topic, l.Topic) &&
		equal(f.Source, l.Source) && equal(f.Tenant, l.Tenant)
}

// Scan calls apply with every letter that f takes and that was there when Scan
// began, partition by partition, in order. Letters of transactions that were
// aborted are none. The letter is apply's to keep.
func Scan(ctx context.Context, to kafka.Config, f Filter, apply func(*Letter) error) error {
	cl, err := kgo.NewClient(to.Options()...)
	if err != nil {
		return fmt.Errorf("open kafka: %w", err)
	}
	spans, err := kafka.Spans(ctx, cl, schemas.TopicDead, f.Since)
	cl.Close()
	if err != nil {
		return err
	}
	wanted := map[Address]bool{}
	if len(f.Addresses) > 0 {
		if spans, err = upTo(spans, f.Addresses); err != nil {
			return err
		}
		for _, a := range f.Addresses {
			wanted[a] = true
		}
	}
	known := deaths{}
	for _, span := range spans {
		err := span.Read(ctx, to.Options(), func(rec *kgo.Record) error {
			l := open(rec)
			l.Attempt = known.count(l)
			if len(f.Addresses) > 0 && !wanted[l.Address] || !f.takes(l) {
				return nil
			}
			delete(wanted, l.Address)
			return apply(l)
		})
		if err != nil {
			return err
		}
	}
	for a := range wanted {
		return fmt.Errorf("%s: no letter that fits the filter lies at %s", schemas.TopicDead, a)
	}
	return nil
}

// upTo cuts the spans behind the last address in each, so that the deaths before
// it are counted.
func upTo(all []kafka.Span, addresses []Address) ([]kafka.Span, error) {
	var spans []kafka.Span
	for _, s := range all {
		to := int64(-1)
		for _, a := range addresses {
			if a.Partition == s.Partition && a.Offset >= s.From && a.Offset < s.To {
				to = max(to, a.Offset+1)
			}
		}
		if to >= 0 {
			s.To = to
			spans = append(spans, s)
		}
	}
	for _, a := range addresses {
		within := func(s kafka.Span) bool { return s.Partition == a.Partition && s.From <= a.Offset && a.Offset < s.To }
		if !slices.ContainsFunc(spans, within) {
			return nil, fmt.Errorf("%s holds no letter at %s", schemas.TopicDead, a)
		}
	}
	return spans, nil
}

func open(rec *kgo.Record) *Letter {
	l := &Letter{
		Address: Address{rec.Partition, rec.Offset}, Time: rec.Timestamp.UTC(), DeadLetter: new(goodhartv1.DeadLetter),
	}
	if err := l.UnmarshalVT(rec.Value); err != nil {
		l.DeadLetter = &goodhartv1.DeadLetter{Reason: reasonUnreadable, SizeBytes: int64(len(rec.Value))}
	}
	return l
}

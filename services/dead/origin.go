package dead

import (
	"bytes"
	"context"
	"crypto/sha256"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
	"github.com/goodhartlabs/goodhart/services/kafka"
)

// cutKey is where the ledger cuts the key that a letter repeats.
const cutKey = 1 << 10

// recover finds the record that died: in the letter, or where it lay. It leaves
// s.record nil, and says why, where neither has it.
func (p *planner) recover(ctx context.Context, s *step) error {
	l := s.letter
	d := l.DeadLetter
	if n := p.layout.Partitions(d.Topic); d.Partition < 0 || d.Partition >= n {
		s.leave("it lay in a partition that %s does not have", d.Topic)
		return nil
	}
	whole := d.Value != nil && (d.Stage != goodhartv1.Stage_STAGE_LEDGER || len(d.Key) < cutKey)
	if whole {
		if !matches(d.Value, d.Hash) {
			s.leave("the letter's bytes do not fit its hash")
			return nil
		}
		s.record = &kgo.Record{Topic: d.Topic, Partition: d.Partition, Offset: d.Offset, Key: d.Key, Value: d.Value}
		return nil
	}
	rec, err := p.fetch(ctx, d.Topic, d.Partition, d.Offset)
	switch {
	case err != nil:
		return err
	case rec == nil:
		s.leave(whyGone)
	case !matches(rec.Value, d.Hash):
		s.leave("another record lies in its place: the topic was made anew")
	default:
		s.record = rec
	}
	return nil
}

func matches(value, hash []byte) bool {
	sum := sha256.Sum256(value)
	return bytes.Equal(sum[:], hash)
}

// fetch reads one record, nil if the topic does not hold it any more.
func (p *planner) fetch(ctx context.Context, topic string, partition int32, offset int64) (*kgo.Record, error) {
	i := slices.IndexFunc(p.spans[topic], func(s kafka.Span) bool { return s.Partition == partition })
	if i < 0 || offset < p.spans[topic][i].From || offset >= p.spans[topic][i].To {
		return nil, nil
	}
	one := kafka.Span{Topic: topic, Partition: partition, From: offset, To: offset + 1}
	var found *kgo.Record
	err := one.Read(ctx, p.cfg.Kafka.Options(), func(rec *kgo.Record) error {
		found = rec
		return nil
	})
	return found, err
}

// topicsOfLetters are those whose records may be replayed.
func topicsOfLetters() []string {
	return []string{
		schemas.TopicEvents, schemas.TopicFacts, schemas.TopicScores, schemas.TopicSignals, schemas.TopicKPI, schemas.TopicSelf,
	}
}

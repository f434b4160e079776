package dead

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/chsink"
	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/ledger"
	"github.com/goodhartlabs/goodhart/schemas"
	"github.com/goodhartlabs/goodhart/services/kafka"
	"github.com/goodhartlabs/goodhart/services/sink"
)

// Headers of a replayed record in goodhart.events.v1. Nothing reads them but
// people.
const (
	// HeaderReplay counts: 1 for the first replay of these bytes.
	HeaderReplay = "x.replay"
	// HeaderLetter is the address of the letter.
	HeaderLetter = "x.replay.letter"
)

// chunk is how many letters are decided and replayed together.
const chunk = 500

// replay replays what the filter takes, or says what it would do.
func replay(ctx context.Context, cfg Config, out io.Writer) (err error) {
	p, closing, err := newPlanner(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closing()) }()
	producer, err := kgo.NewClient(append(cfg.Kafka.Options(), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		return fmt.Errorf("open kafka: %w", err)
	}
	defer producer.Close()
	sum := &summary{Done: cfg.Yes, left: map[string][]Address{}}
	var letters []*Letter
	flush := func() error {
		steps, err := p.plan(ctx, letters)
		letters = letters[:0]
		if err != nil {
			return err
		}
		if err := p.storeRows(ctx, steps); err != nil {
			return err
		}
		if cfg.Yes {
			if err := publish(ctx, producer, steps); err != nil {
				return err
			}
		}
		sum.add(steps)
		return nil
	}
	err = Scan(ctx, cfg.Kafka, cfg.Filter, func(l *Letter) error {
		if letters = append(letters, l); len(letters) < chunk {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		return errors.Join(err, sum.print(out, cfg.Format)) // what was done before is done
	}
	return sum.print(out, cfg.Format)
}

func newPlanner(ctx context.Context, cfg Config) (*planner, func() error, error) {
	cl, err := kgo.NewClient(cfg.Kafka.Options()...)
	if err != nil {
		return nil, nil, fmt.Errorf("open kafka: %w", err)
	}
	defer cl.Close()
	p := &planner{cfg: cfg, now: time.Now(), seen: map[[sha256.Size]byte]bool{}, done: map[place]bool{}, spans: map[string][]kafka.Span{}}
	if p.layout, err = kschema.Load(ctx, cl); err != nil {
		return nil, nil, err
	}
	if p.topics, err = kadm.NewClient(cl).ListTopics(ctx, topicsOfLetters()...); err != nil {
		return nil, nil, fmt.Errorf("list topics: %w", err)
	}
	for _, topic := range topicsOfLetters() {
		if p.spans[topic], err = kafka.Spans(ctx, cl, topic, time.Time{}); err != nil {
			return nil, nil, err
		}
	}
	rules := ledger.Default()
	rules.Partitions = p.layout.Partitions(schemas.TopicFacts)
	p.trial = ledger.New(rules)
	if p.conn, err = cfg.ClickHouse.Open(ctx); err != nil {
		return nil, nil, err
	}
	return p, p.conn.Close, nil
}

// publish sends records into goodhart.events.v1 and waits for the brokers.
func publish(ctx context.Context, producer *kgo.Client, steps []*step) error {
	var records []*kgo.Record
	for _, s := range steps {
		if s.way == wayPublish {
			records = append(records, &kgo.Record{
				Topic: s.record.Topic, Partition: s.record.Partition, Key: s.record.Key, Value: s.record.Value,
				Headers: []kgo.RecordHeader{
					{Key: HeaderReplay, Value: []byte(strconv.Itoa(s.letter.Attempt))},
					{Key: HeaderLetter, Value: []byte(s.letter.Address.String())},
				},
			})
		}
	}
	if err := producer.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("publish: %w: some may be published: run it again, the ledger recognises them", err)
	}
	return nil
}

// storeRows stores what the sink could not, partition by partition; without Yes
// it only finds out what would be.
func (p *planner) storeRows(ctx context.Context, steps []*step) error {
	type partition struct {
		topic  string
		number int32
	}
	groups := map[partition][]*step{}
	for _, s := range steps {
		if s.way == wayStore {
			at := partition{s.record.Topic, s.record.Partition}
			groups[at] = append(groups[at], s)
		}
	}
	for at, group := range groups {
		slices.SortFunc(group, func(a, b *step) int { return cmp.Compare(a.record.Offset, b.record.Offset) })
		records := make([]*kgo.Record, len(group))
		for i, s := range group {
			records[i] = s.record
		}
		o := chsink.Origin{Topic: at.topic, TopicID: p.topics[at.topic].ID, Partition: at.number}
		decoder := sink.Again(o, p.layout.Partitions(schemas.TopicFacts))
		found, err := chsink.StoreMissing(ctx, p.conn, o, decoder, records, !p.cfg.Yes)
		if err != nil {
			return fmt.Errorf("store what died of %s/%d: %w", at.topic, at.number, err)
		}
		for i, f := range found {
			switch {
			case f.Err != nil:
				group[i].leave("it would die again: %s", sentence(f.Err.Error()))
			case f.Missing == 0:
				group[i].leave(whyStored)
			}
		}
	}
	return nil
}

// summary is what a replay did or would do.
type summary struct {
	// Done says that it was done.
	Done      bool        `json:"done"`
	Letters   int         `json:"letters"`
	Published int         `json:"published"`
	Stored    int         `json:"stored"`
	Left      []leftovers `json:"left,omitempty"`

	left map[string][]Address
}

// leftovers are letters that are not replayed for one reason.
type leftovers struct {
	Why     string   `json:"why"`
	Letters int      `json:"letters"`
	Such    []string `json:"such_as"`
}

func (s *summary) add(steps []*step) {
	for _, step := range steps {
		s.Letters++
		switch step.way {
		case wayPublish:
			s.Published++
		case wayStore:
			s.Stored++
		case wayNone:
			s.left[step.why] = append(s.left[step.why], step.letter.Address)
		}
	}
}

func (s *summary) print(out io.Writer, format string) error {
	for why, letters := range s.left {
		l := leftovers{Why: why, Letters: len(letters)}
		for _, a := range letters[:min(3, len(letters))] {
			l.Such = append(l.Such, a.String())
		}
		s.Left = append(s.Left, l)
	}
	slices.SortFunc(s.Left, func(a, b leftovers) int {
		return cmp.Or(cmp.Compare(b.Letters, a.Letters), cmp.Compare(a.Why, b.Why))
	})
	if format == FormatJSON {
		return json.NewEncoder(out).Encode(s)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d letters\n", s.Letters)
	row := func(n int, what string) {
		if n > 0 {
			fmt.Fprintf(&b, "%6d %s\n", n, what)
		}
	}
	if s.Done {
		row(s.Published, "published to "+schemas.TopicEvents+" again")
		row(s.Stored, "stored")
	} else {
		row(s.Published, "to publish to "+schemas.TopicEvents+" again")
		row(s.Stored, "to store")
	}
	for _, l := range s.Left {
		row(l.Letters, fmt.Sprintf("left: %s (%s)", l.Why, strings.Join(l.Such, ", ")))
	}
	if !s.Done && s.Published+s.Stored > 0 {
		fmt.Fprintf(&b, "nothing was done: say --yes to replay %d\n", s.Published+s.Stored)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

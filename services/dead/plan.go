package dead

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/ledger"
	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
	"github.com/goodhartlabs/goodhart/services/kafka"
)

// way is how a letter's record takes part again.
type way int

const (
	// wayNone: not at all; the step's why tells the reason.
	wayNone way = iota
	// wayPublish: into goodhart.events.v1.
	wayPublish
	// wayStore: its rows into the tables.
	wayStore
)

// step is what is to be done about one letter.
type step struct {
	letter *Letter
	way    way
	// why is the reason for doing nothing, the same words for the same reason.
	why string
	// record is the record that died, as it lay in its topic.
	record *kgo.Record
	// event is the decoded value of a record to publish.
	event *goodhartv1.Event
}

func (s *step) leave(why string, args ...any) { s.way, s.why = wayNone, fmt.Sprintf(why, args...) }

// Reasons for doing nothing that are used in several places.
const (
	whyCollector = "the collector refused it and it never reached Kafka: mend the sender and send it again"
	whyFold      = "the fold has gone on without it: what it lacks stays out of the scores, its rows are the sink's"
	whyOutput    = "a fold made it, nobody sent it: there is nothing to replay"
	whyTold      = "a receiver could not have it: the signal goes on, and its next revision is told"
	whyTopic     = "it names no topic of this pipeline"
	whyGone      = "its bytes are gone: the letter does not carry them and the topic has dropped them"
	whyStored    = "it is stored already"
	whyTwice     = "the same record is replayed by another letter of this run"
)

// planner decides what is to be done about letters. It keeps what it has seen:
// one planner serves one run.
type planner struct {
	cfg    Config
	now    time.Time
	layout kschema.Layout
	conn   driver.Conn
	topics kadm.TopicDetails
	// spans are what the topics of the records hold.
	spans map[string][]kafka.Span
	// trial is a ledger of this program's version, asked whether a record would
	// die again.
	trial *ledger.Fold
	seen  map[[sha256.Size]byte]bool
	done  map[place]bool
}

// plan returns a step per letter, in their order.
func (p *planner) plan(ctx context.Context, letters []*Letter) ([]*step, error) {
	steps := make([]*step, len(letters))
	for i, l := range letters {
		steps[i] = &step{letter: l}
		if err := p.begin(ctx, steps[i]); err != nil {
			return nil, err
		}
	}
	return steps, p.leaveStored(ctx, steps)
}

// begin decides by what the letter itself tells.
func (p *planner) begin(ctx context.Context, s *step) error {
	l := s.letter
	switch {
	case l.Stage == goodhartv1.Stage_STAGE_COLLECTOR:
		s.leave(whyCollector)
	case l.Reason == reasonOutputTooLarge:
		s.leave(whyOutput)
	case l.Stage == goodhartv1.Stage_STAGE_LEDGER && l.Topic == schemas.TopicEvents:
		return p.publish(ctx, s)
	case l.Stage == goodhartv1.Stage_STAGE_SINK && stored(l.Topic):
		return p.store(ctx, s)
	case l.Stage == goodhartv1.Stage_STAGE_SUBJECT || l.Stage == goodhartv1.Stage_STAGE_TENANT:
		s.leave(whyFold)
	case l.Stage == goodhartv1.Stage_STAGE_ALERTER:
		s.leave(whyTold)
	default:
		s.leave(whyTopic)
	}
	return nil
}

// reasonOutputTooLarge is the fold runtime's reason for an output that Kafka
// would refuse.
const reasonOutputTooLarge = "output_too_large"

// stored says whether the sink stores records of a topic.
func stored(topic string) bool {
	switch topic {
	case schemas.TopicFacts, schemas.TopicScores, schemas.TopicSignals, schemas.TopicKPI, schemas.TopicSelf:
		return true
	default:
		return false
	}
}

// publish looks at a record of events.v1 that the ledger fold refused.
func (p *planner) publish(ctx context.Context, s *step) error {
	l := s.letter
	if err := p.recover(ctx, s); err != nil || s.record == nil {
		return err
	}
	sum := sha256.Sum256(s.record.Value)
	if p.seen[sum] {
		s.leave(whyTwice)
		return nil
	}
	if n := p.layout.Partitions(schemas.TopicEvents); schemas.Partition(s.record.Key, n) != s.record.Partition {
		s.leave("its key does not belong to its partition: somebody else wrote it there")
		return nil
	}
	var e goodhartv1.Event
	if err := e.UnmarshalVT(s.record.Value); err == nil {
		switch e.Kind {
		case goodhartv1.EventKind_EVENT_KIND_TICK:
			s.leave("it is a tick: its time is over")
			return nil
		case goodhartv1.EventKind_EVENT_KIND_CONFIG:
			s.leave("it is a configuration, and order matters: apply it again instead")
			return nil
		default:
		}
		s.event = &e
	}
	if again := p.dies(s.record); again != nil && !p.cfg.Force {
		s.leave("it would die again: %s", sentence(again.Reason+" "+again.Field))
		return nil
	}
	if age := p.now.Sub(l.Time); age > p.cfg.Horizon && !p.cfg.Force {
		s.leave("it died more than %v ago: the ledger could not recognise it if it was counted since; --force", p.cfg.Horizon)
		return nil
	}
	p.seen[sum] = true
	s.way = wayPublish
	return nil
}

// dies returns the letter that the ledger of this program would write, or nil.
func (p *planner) dies(rec *kgo.Record) *goodhartv1.DeadLetter {
	var out machine.Outputs
	p.trial.Step(&machine.Record{
		Position: machine.Position{Seq: uint64(rec.Offset) + 1}, Time: p.now.UnixMilli(),
		Partition: rec.Partition, Offset: rec.Offset, Key: rec.Key, Value: rec.Value,
	}, &out)
	for _, o := range out.Records() {
		if o.Topic != schemas.TopicDead {
			continue
		}
		var again goodhartv1.DeadLetter
		if again.UnmarshalVT(o.Body()) == nil {
			return &again
		}
	}
	return nil
}

// store looks at a record that the sink refused.
func (p *planner) store(ctx context.Context, s *step) error {
	if p.done[s.letter.place()] {
		s.leave(whyTwice)
		return nil
	}
	if err := p.recover(ctx, s); err != nil || s.record == nil {
		return err
	}
	p.done[s.letter.place()] = true
	s.way = wayStore
	return nil
}

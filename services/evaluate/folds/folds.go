// Package folds sends the events of a simulated organisation through the three folds
// of the product, without Kafka between them.
package folds

import (
	"fmt"
	"math"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/ledger"
	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/subject"
	"github.com/goodhartlabs/goodhart/pkg/tenant"
	"github.com/goodhartlabs/goodhart/pkg/window"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Pipeline is the three folds in a row, of one partition each. Use New; it is for one
// goroutine.
type Pipeline struct {
	// Whole: usage goes through the ledger too. The simulator announces each request
	// once, in one form, so that sums come to the same without; but the ledger holds
	// the beginning of a conversation back for a minute, and then a repeat may come
	// before what it repeats. Else panes do not reach the tenant fold either: cards are
	// made of weeks, and windows and sizes of groups are not asked for.
	Whole bool
	// Tenant is the last fold.
	Tenant *tenant.Fold

	ledger  *ledger.Fold
	subject *subject.Fold
	take    func(topic string, body []byte) error

	facts, features, records machine.Outputs
	events, factSeq, seq     uint64
	minute, hour             int64
	value                    []byte
	usage                    goodhartv1.Fact
	key                      []byte
	err                      error
}

// New returns folds that have seen nothing. take is given every record of the tenant
// fold, whose body holds during the call; an error of it ends the run.
func New(take func(topic string, body []byte) error) *Pipeline {
	cfg := ledger.Default()
	var long []window.Window // those that scores are given for
	for _, w := range window.Windows() {
		if w.Pane == window.Day {
			long = append(long, w)
		}
	}
	cfg.IDsPerShard = 1 << 20
	return &Pipeline{
		ledger: ledger.New(cfg), subject: subject.New(subject.Config{Partitions: 1}), Tenant: tenant.NewWith(tenant.Default(), long),
		take: take, minute: math.MinInt64,
	}
}

// delivery is how long after it happened an event is accepted, ms.
const delivery = 5_000

// Push accepts an event and lets it take effect in every fold.
func (p *Pipeline) Push(e *goodhartv1.Event, key []byte) error {
	if e.Usage != nil && !p.Whole {
		return p.count(e)
	}
	value, err := p.encode(e, e.Config)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	p.events++
	p.ledger.Step(&machine.Record{
		Position: machine.Position{Seq: p.events}, Time: e.TimeMs + delivery, Offset: int64(p.events), Key: key, Value: value,
	}, &p.facts)
	p.drain()
	return p.err
}

// OutOfOrderness is how far the watermark stays behind, ms, as in the ledger.
const OutOfOrderness = 30_000

// count makes a usage event the fact that the ledger would make of it.
func (p *Pipeline) count(e *goodhartv1.Event) error {
	w := e.TimeMs - OutOfOrderness
	if hour := w / window.Hour; hour > p.hour {
		p.hour = hour
		if err := p.tick(e.Tenant, e.TimeMs); err != nil {
			return err
		}
	}
	f := &p.usage
	f.W, f.Seq, f.Kind, f.Event = w, p.factSeq, goodhartv1.FactKind_FACT_KIND_USAGE, e
	value, err := p.encode(f, nil)
	if err != nil {
		return fmt.Errorf("encode fact: %w", err)
	}
	p.key = append(append(append(p.key[:0], e.Tenant...), '|'), e.Subject...)
	p.fact(w, p.key, value)
	p.watermark(w)
	return p.err
}

// encode writes a message to the end of the buffer, which needs no size of it. The
// bytes hold until the next call.
func (p *Pipeline) encode(m interface {
	MarshalToSizedBufferVT(b []byte) (int, error)
}, document *goodhartv1.Config,
) ([]byte, error) {
	// Collectors refuse larger events; a configuration has no such bound.
	if room := event.MaxEncoded + 1<<10 + len(document.GetDocument()); len(p.value) < room {
		p.value = make([]byte, room)
	}
	n, err := m.MarshalToSizedBufferVT(p.value)
	return p.value[len(p.value)-n:], err
}

// tick lets the ledger know the time.
func (p *Pipeline) tick(tenantName string, ms int64) error {
	return p.Push(&goodhartv1.Event{
		Kind: goodhartv1.EventKind_EVENT_KIND_TICK, Tenant: tenantName, TimeMs: ms,
		Tick: &goodhartv1.Tick{Collector: "evaluate", Sequence: uint64(ms / 1000)},
	}, nil)
}

// drain moves what the ledger emitted through the folds behind it.
func (p *Pipeline) drain() {
	out := p.facts.Records()
	for i := range out {
		o := &out[i]
		if o.Topic != schemas.TopicFacts {
			p.fail("ledger", o)
			continue
		}
		p.fact(o.W, o.Key, o.Stamped(0, p.factSeq, false))
	}
	p.facts.Recycle()
	p.watermark(p.ledger.W())
}

// watermark moves the folds on: the runtime does it each second, but a minute is
// all that shows.
func (p *Pipeline) watermark(w int64) {
	if w != math.MinInt64 && w/window.Minute > p.minute {
		p.minute = w / window.Minute
		p.fact(w, nil, encode(&goodhartv1.Fact{W: w, Seq: p.factSeq, Kind: goodhartv1.FactKind_FACT_KIND_WATERMARK}))
		p.feature(w, nil, encode(&goodhartv1.Feature{W: w, Seq: p.seq, Kind: goodhartv1.FeatureKind_FEATURE_KIND_WATERMARK}))
	}
}

func encode(m interface{ MarshalVT() ([]byte, error) }) []byte {
	b, err := m.MarshalVT()
	if err != nil {
		panic("folds: encode watermark: " + err.Error()) // numbers always encode
	}
	return b
}

// kindField is the tag of a feature's kind, the first of its body.
const kindField = 4 << 3

func (p *Pipeline) fact(w int64, key, value []byte) {
	p.subject.Step(&machine.Record{Position: machine.Position{W: w, Seq: p.factSeq}, Key: key, Value: value}, &p.features)
	p.factSeq++
	out := p.features.Records()
	for i := range out {
		o := &out[i]
		if o.Topic != schemas.TopicFeatures {
			p.fail("subject", o)
			continue
		}
		if body := o.Body(); !p.Whole && body[0] == kindField && body[1] == byte(goodhartv1.FeatureKind_FEATURE_KIND_PANE) {
			continue
		}
		p.feature(o.W, o.Key, o.Stamped(0, p.seq, false))
	}
	if len(out) > 0 {
		p.features.Recycle()
	}
}

func (p *Pipeline) feature(w int64, key, value []byte) {
	p.Tenant.Step(&machine.Record{Position: machine.Position{W: w, Seq: p.seq}, Key: key, Value: value}, &p.records)
	p.seq++
	out := p.records.Records()
	for i := range out {
		if err := p.take(out[i].Topic, out[i].Body()); err != nil && p.err == nil {
			p.err = err
		}
		if out[i].Topic == schemas.TopicDead {
			p.fail("tenant", &out[i])
		}
	}
	if len(out) > 0 {
		p.records.Recycle()
	}
}

// fail notes a record that a fold could not use: the simulator makes none.
func (p *Pipeline) fail(fold string, o *machine.Output) {
	if p.err == nil {
		var letter goodhartv1.DeadLetter
		_ = letter.UnmarshalVT(o.Body()) // what can be read of it
		p.err = fmt.Errorf("%s fold: a record of the simulator in %s: %s", fold, o.Topic, letter.Reason)
	}
}

// Finish moves the watermark on, an hour at a time, until every week was judged
// and every outcome of the period is final.
func (p *Pipeline) Finish(tenantName string, until int64) error {
	for w := p.ledger.W(); w < until; w += window.Hour {
		if err := p.tick(tenantName, w+window.Hour); err != nil {
			return err
		}
	}
	return p.err
}

package runaway

import (
	"encoding/json"
	"fmt"

	"github.com/goodhartlabs/goodhart/pkg/ledger"
	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/signal"
	"github.com/goodhartlabs/goodhart/pkg/subject"
	"github.com/goodhartlabs/goodhart/pkg/tenant"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// pipeline is the three folds in a row, of one partition each. The tenant fold is
// given guards alone: panes and weeks say nothing of them.
type pipeline struct {
	rules   ledger.Config
	ledger  *ledger.Fold
	subject *subject.Fold
	tenant  *tenant.Fold

	facts, features, records machine.Outputs
	events, seq, guards      uint64
	value                    []byte
	// told is given every revision of a signal.
	told func(*signal.Record)
}

func newPipeline(told func(*signal.Record)) *pipeline {
	rules := ledger.Default()
	rules.IDsPerShard = 1 << 20
	return &pipeline{
		rules: rules, ledger: ledger.New(rules), subject: subject.New(subject.Config{Partitions: 1}), tenant: tenant.New(tenant.Default()),
		told: told,
	}
}

// delivery is how long after it happened an event is accepted, ms.
const delivery = 5_000

// push accepts an event and lets it take effect in every fold.
func (p *pipeline) push(e *goodhartv1.Event, key []byte) error {
	size := e.SizeVT()
	if cap(p.value) < size {
		p.value = make([]byte, 2*size)
	}
	value := p.value[:size]
	if _, err := e.MarshalToSizedBufferVT(value); err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	p.events++
	p.ledger.Step(&machine.Record{
		Position: machine.Position{Seq: p.events}, Time: e.TimeMs + delivery, Offset: int64(p.events), Key: key, Value: value,
	}, &p.facts)
	defer p.facts.Recycle()
	for _, o := range p.facts.Records() {
		if o.Topic != schemas.TopicFacts {
			return fmt.Errorf("ledger fold: an event of the simulator in %s", o.Topic)
		}
		if err := p.fact(&o); err != nil {
			return err
		}
	}
	return nil
}

func (p *pipeline) fact(fact *machine.Output) error {
	p.subject.Step(&machine.Record{Position: machine.Position{W: fact.W, Seq: p.seq}, Key: fact.Key, Value: fact.Stamped(0, p.seq, false)}, &p.features)
	p.seq++
	defer p.features.Recycle()
	for _, o := range p.features.Records() {
		var m goodhartv1.Feature
		if err := m.UnmarshalVT(o.Body()); err != nil || o.Topic != schemas.TopicFeatures {
			return fmt.Errorf("subject fold: a fact of the simulator in %s: %w", o.Topic, err)
		}
		if m.Kind != goodhartv1.FeatureKind_FEATURE_KIND_GUARD {
			continue
		}
		if err := p.guard(&o); err != nil {
			return err
		}
	}
	return nil
}

func (p *pipeline) guard(guard *machine.Output) error {
	p.tenant.Step(&machine.Record{Position: machine.Position{W: guard.W, Seq: p.guards}, Key: guard.Key, Value: guard.Stamped(0, p.guards, false)}, &p.records)
	p.guards++
	defer p.records.Recycle()
	for _, o := range p.records.Records() {
		if o.Topic != schemas.TopicSelf && o.Topic != schemas.TopicSignals {
			continue
		}
		var r signal.Record
		if err := json.Unmarshal(o.Body(), &r); err != nil {
			return fmt.Errorf("decode a record of %s: %w", o.Topic, err)
		}
		p.told(&r)
	}
	return nil
}

// pass lets the time go on to until, ms, in which nothing happens.
func (p *pipeline) pass(until int64) error {
	return p.push(&goodhartv1.Event{
		Kind: goodhartv1.EventKind_EVENT_KIND_TICK, TimeMs: until, Tick: &goodhartv1.Tick{Collector: "evaluation", Sequence: p.events + 1},
	}, nil)
}

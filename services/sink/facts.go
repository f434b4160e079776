package sink

import (
	"fmt"
	"math"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/chsink"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// facts decodes goodhart.facts.v1 into usage, activity, outcomes, ticks,
// tallies and config.
type facts struct {
	usage    *usageRows
	activity *activityRows
	outcomes *outcomeRows
	ticks    *tickRows
	tallies  *tallyRows
	config   *configRows
	accepted []int64

	// Reused from record to record.
	view view
	of   factFields
}

// factFields are those that decide what becomes of a fact.
type factFields struct{ kind, w, accepted, p, tenant, source, received, eventID slot }

func newFacts(o chsink.Origin, partitions int32) *facts {
	return &facts{
		view: view{wire: newWireTypes()},
		of: factFields{
			kind: field(ofFact, "kind"), w: field(ofFact, "w"), accepted: field(ofFact, "accepted_ms"), p: field(ofFact, "p"), tenant: field(ofEvent, "tenant"),
			source: field(ofEvent, "source"), received: field(ofEvent, "received_ms"), eventID: field(ofEvent, "event_id"),
		},
		usage: newUsageRows(o), activity: newActivityRows(o), outcomes: newOutcomeRows(o),
		ticks: newTickRows(o), tallies: newTallyRows(o), config: newConfigRows(o, partitions),
	}
}

// Blocks implements chsink.Decoder.
func (d *facts) Blocks() []*chsink.Block {
	return []*chsink.Block{d.usage.Block, d.activity.Block, d.outcomes.Block, d.ticks.Block, d.tallies.Block, d.config.Block}
}

// Accepted implements chsink.Decoder: ticks measure the latency.
func (d *facts) Accepted() []int64 {
	out := d.accepted
	d.accepted = nil
	return out
}

// EventID implements chsink.Identified.
func (d *facts) EventID() []byte { return d.view.bytes(d.of.eventID) }

// Decode implements chsink.Decoder.
func (d *facts) Decode(rec *kgo.Record) error {
	v := &d.view
	if !v.read(rec.Value) {
		return &reject{reason: reasonUndecodable, detail: "not a Fact"}
	}
	kind := goodhartv1.FactKind(v.int32(d.of.kind))
	if kind == goodhartv1.FactKind_FACT_KIND_WATERMARK {
		return nil
	}
	why := d.store(kind, rec.Value)
	if why == nil {
		return nil
	}
	why.received = v.int64(d.of.received)
	if !storable(why.received) {
		why.received = 0
	}
	if why.tenant == "" {
		why.tenant, why.source = v.str(d.of.tenant), v.str(d.of.source)
	}
	return why
}

func (d *facts) store(kind goodhartv1.FactKind, value []byte) *reject {
	v := &d.view
	if ms := v.int64(d.of.accepted); !storable(ms) {
		return badTime("accepted_ms", ms)
	}
	if p := v.uint32(d.of.p); p > math.MaxUint16 {
		return outOfRange("p", int64(p))
	}
	switch kind {
	case goodhartv1.FactKind_FACT_KIND_USAGE:
		return d.usage.add(v)
	case goodhartv1.FactKind_FACT_KIND_ACTIVITY:
		return d.activity.add(v)
	case goodhartv1.FactKind_FACT_KIND_OUTCOME, goodhartv1.FactKind_FACT_KIND_TRANSITION,
		goodhartv1.FactKind_FACT_KIND_CONFIG, goodhartv1.FactKind_FACT_KIND_TALLY, goodhartv1.FactKind_FACT_KIND_TICK:
		return d.storeRare(value)
	default:
		return &reject{reason: reasonUnknownKind, field: "kind", detail: kind.String()}
	}
}

// storeRare stores the kinds of which there are few: decoded as usual.
func (d *facts) storeRare(value []byte) *reject {
	f := goodhartv1.Fact{Event: &goodhartv1.Event{}} // a timer's transition has no event
	if err := f.UnmarshalVTUnsafe(value); err != nil {
		return &reject{reason: reasonUndecodable, detail: err.Error()}
	}
	var why *reject
	switch f.Kind {
	case goodhartv1.FactKind_FACT_KIND_OUTCOME:
		why = d.outcomes.announced(&f)
	case goodhartv1.FactKind_FACT_KIND_TRANSITION:
		why = d.outcomes.transition(&f)
	case goodhartv1.FactKind_FACT_KIND_CONFIG:
		why = d.config.add(&f)
	case goodhartv1.FactKind_FACT_KIND_TALLY:
		why = d.tallies.add(&f)
	default:
		if why = d.ticks.add(&f); why == nil {
			d.accepted = append(d.accepted, f.AcceptedMs)
		}
	}
	if why != nil && f.Transition != nil {
		why.tenant, why.source = f.Transition.Tenant, f.Transition.Source
	}
	if why != nil && f.Tally != nil {
		why.tenant, why.source = f.Tally.Tenant, f.Tally.Source
	}
	return why
}

func badTime(field string, ms int64) *reject {
	return &reject{reason: reasonBadTime, field: field, detail: fmt.Sprintf("%d ms is not between 1970 and 2261", ms)}
}

func outOfRange(field string, v int64) *reject {
	return &reject{reason: reasonOutOfRange, field: field, detail: fmt.Sprintf("%d does not fit", v)}
}

func missing(field string) *reject { return &reject{reason: reasonMissing, field: field} }

// provenance is where a fact comes from: the last columns of every fact table.
type provenance struct {
	w *chsink.Fixed[int64]
	p *chsink.Fixed[uint16]
}

func newProvenance(b *chsink.Block) provenance { return provenance{b.Millis("w"), b.UInt16("p")} }

func (c provenance) addProvenance(f *goodhartv1.Fact) {
	c.w.Append(clamped(f.W))
	c.p.Append(uint16(f.P))
}

package sink

import (
	"fmt"

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

	// Reused from record to record; its strings point into the record.
	fact  goodhartv1.Fact
	event goodhartv1.Event
	use   goodhartv1.Usage
}

func newFacts(o chsink.Origin, partitions int32) *facts {
	return &facts{
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
func (d *facts) EventID() []byte { return d.event.EventId }

// Decode implements chsink.Decoder.
func (d *facts) Decode(rec *kgo.Record) error {
	quality := d.event.Quality[:0]
	d.use = goodhartv1.Usage{}
	d.event = goodhartv1.Event{Usage: &d.use, Quality: quality}
	d.fact = goodhartv1.Fact{Event: &d.event}
	f := &d.fact
	if err := f.UnmarshalVTUnsafe(rec.Value); err != nil {
		return &reject{reason: reasonUndecodable, detail: err.Error()}
	}
	if f.Kind == goodhartv1.FactKind_FACT_KIND_WATERMARK {
		return nil
	}
	if why := d.store(f); why != nil {
		why.tenant, why.source, why.received = f.Event.Tenant, f.Event.Source, f.Event.ReceivedMs
		if f.Transition != nil {
			why.tenant, why.source = f.Transition.Tenant, f.Transition.Source
		}
		if f.Tally != nil {
			why.tenant, why.source = f.Tally.Tenant, f.Tally.Source
		}
		if !storable(why.received) {
			why.received = 0
		}
		return why
	}
	return nil
}

func (d *facts) store(f *goodhartv1.Fact) *reject {
	if !storable(f.AcceptedMs) {
		return badTime("accepted_ms", f.AcceptedMs)
	}
	if f.P > 1<<16-1 {
		return outOfRange("p", int64(f.P))
	}
	switch f.Kind {
	case goodhartv1.FactKind_FACT_KIND_USAGE:
		return d.usage.add(f)
	case goodhartv1.FactKind_FACT_KIND_ACTIVITY:
		return d.activity.add(f)
	case goodhartv1.FactKind_FACT_KIND_OUTCOME:
		return d.outcomes.announced(f)
	case goodhartv1.FactKind_FACT_KIND_TRANSITION:
		return d.outcomes.transition(f)
	case goodhartv1.FactKind_FACT_KIND_CONFIG:
		return d.config.add(f)
	case goodhartv1.FactKind_FACT_KIND_TALLY:
		return d.tallies.add(f)
	case goodhartv1.FactKind_FACT_KIND_TICK:
		why := d.ticks.add(f)
		if why == nil {
			d.accepted = append(d.accepted, f.AcceptedMs)
		}
		return why
	default:
		return &reject{reason: reasonUnknownKind, field: "kind", detail: f.Kind.String()}
	}
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

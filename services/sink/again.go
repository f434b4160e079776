package sink

import (
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/chsink"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Again opens a decoder for records that a sink has dead-lettered, of a topic
// that it stores; nil for any other topic. facts is the partition count of
// facts.v1. Their rows are those that the sink would have stored, and one more:
// the dead letter stays the fate of the first acceptance of a usage, activity or
// outcome record, so its stored row needs a second one in the tallies, lest the
// hour have more fates than records.
func Again(o chsink.Origin, facts int32) chsink.Decoder {
	of, ok := openers()[o.Topic]
	switch {
	case !ok || o.Topic == schemas.TopicDead:
		return nil
	case o.Topic == schemas.TopicFacts:
		return again{newFacts(o, facts)}
	default:
		return of.open(o, facts)
	}
}

// again decodes facts a second time.
type again struct{ *facts }

// Decode implements chsink.Decoder.
func (d again) Decode(rec *kgo.Record) error {
	if err := d.facts.Decode(rec); err != nil {
		return err
	}
	v, of := &d.view, &d.of
	switch goodhartv1.FactKind(v.int32(of.kind)) {
	case goodhartv1.FactKind_FACT_KIND_USAGE, goodhartv1.FactKind_FACT_KIND_ACTIVITY, goodhartv1.FactKind_FACT_KIND_OUTCOME:
	default:
		return nil
	}
	const hour = 3_600_000
	why := d.tallies.add(&goodhartv1.Fact{W: v.int64(of.w), P: v.uint32(of.p), AcceptedMs: v.int64(of.accepted), Tally: &goodhartv1.Tally{
		Tenant: v.str(of.tenant), Source: v.str(of.source), HourMs: v.int64(of.received) / hour * hour, Accepted: 1,
	}})
	if why != nil {
		return why
	}
	return nil
}

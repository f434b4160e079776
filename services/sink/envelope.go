package sink

import (
	"math"

	"github.com/goodhartlabs/goodhart/pkg/chsink"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// envelope is what usage and activity have in common: the event around them.
type envelope struct {
	columns
	eventTime, receivedAt, acceptedAt *chsink.Fixed[int64]
	eventID, requestKey               *chsink.FixedString
	observational, late               *chsink.Fixed[uint8]
	quality                           *chsink.EnumSet
	offset                            *chsink.Nullable[int16]
	schema                            *chsink.Fixed[uint16]
	w                                 *chsink.Fixed[int64]
	p                                 *chsink.Fixed[uint16]

	of envelopeFields
}

// envelopeFields are those that are checked or changed on their way.
type envelopeFields struct {
	w, p, observational, late, accepted                 slot
	time, received, eventID, requestKey, offset, schema slot
}

func newEnvelope(b *chsink.Block) envelope {
	c := columns{block: b}
	for _, name := range []string{"tenant", "team", "source", "role", "credential", "tool", "tool_version", "adapter_version", "repository"} {
		c.word(ofEvent, name, name)
	}
	for _, name := range []string{"conversation", "parent_conversation", "prompt", "subject"} {
		c.string(name)
	}
	c.enum(ofEvent, "signal", names(goodhartv1.Signal_name, "SIGNAL_"))
	c.enum(ofEvent, "accounting", names(goodhartv1.Accounting_name, "ACCOUNTING_"))
	c.enum(ofEvent, "identity_type", names(goodhartv1.IdentityType_name, "IDENTITY_TYPE_"))
	c.enum(ofEvent, "identity_method", names(goodhartv1.IdentityMethod_name, "IDENTITY_METHOD_"))
	c.enum(ofEvent, "transport", names(goodhartv1.Transport_name, "TRANSPORT_"))
	c.uint64(ofEvent, "sequence")
	return envelope{
		columns:   c,
		eventTime: b.Millis("event_time"), receivedAt: b.Millis("received_at"), acceptedAt: b.Millis("accepted_at"),
		eventID: b.FixedString("event_id", 16), requestKey: b.FixedString("request_key", 16),
		observational: b.UInt8("observational"), late: b.UInt8("late"),
		quality: b.EnumSet("quality", names(goodhartv1.Quality_name, "QUALITY_")),
		offset:  b.NullableInt16("tz_offset_min"), schema: b.UInt16("schema_version"),
		w: b.Millis("w"), p: b.UInt16("p"),
		of: envelopeFields{
			w: field(ofFact, "w"), p: field(ofFact, "p"), observational: field(ofFact, "observational"), late: field(ofFact, "late"),
			accepted: field(ofFact, "accepted_ms"), time: field(ofEvent, "time_ms"), received: field(ofEvent, "received_ms"),
			eventID: field(ofEvent, "event_id"), requestKey: field(ofEvent, "request_key"), offset: field(ofEvent, "tz_offset_min"),
			schema: field(ofEvent, "schema_version"),
		},
	}
}

// add appends the event's columns and those of the payload that are bound to
// fields.
func (c *envelope) add(v *view) *reject {
	timeMs, receivedMs := v.int64(c.of.time), v.int64(c.of.received)
	schema, offset := v.int32(c.of.schema), v.sint32(c.of.offset)
	switch {
	case !storable(timeMs):
		return badTime("event.time_ms", timeMs)
	case !storable(receivedMs):
		return badTime("event.received_ms", receivedMs)
	case schema < 0 || schema > math.MaxUint16:
		return outOfRange("event.schema_version", int64(schema))
	case int32(int16(offset)) != offset:
		return outOfRange("event.tz_offset_min", int64(offset))
	case !c.eventID.Append(v.bytes(c.of.eventID)):
		return outOfRange("event.event_id", int64(len(v.bytes(c.of.eventID))))
	case !c.requestKey.Append(v.bytes(c.of.requestKey)):
		return outOfRange("event.request_key", int64(len(v.bytes(c.of.requestKey))))
	}
	for _, q := range v.quality {
		if !c.quality.Elem.Append(q) {
			return outOfRange("event.quality", int64(q))
		}
	}
	c.quality.End()
	if why := c.columns.add(v); why != nil {
		return why
	}
	c.eventTime.Append(timeMs)
	c.receivedAt.Append(receivedMs)
	c.acceptedAt.Append(v.int64(c.of.accepted))
	c.observational.Append(bit(v.bool(c.of.observational)))
	c.late.Append(bit(v.bool(c.of.late)))
	if v.is(c.of.offset) {
		c.offset.AppendValue(int16(offset))
	} else {
		c.offset.Append(nil)
	}
	c.schema.Append(uint16(schema))
	c.w.Append(clamped(v.int64(c.of.w)))
	c.p.Append(uint16(v.uint32(c.of.p)))
	c.block.EndIn(timeMs)
	return nil
}

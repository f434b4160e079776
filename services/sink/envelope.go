package sink

import (
	"math"

	"github.com/goodhartlabs/goodhart/pkg/chsink"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// envelope is what usage and activity have in common: the event around them.
type envelope struct {
	tenant, team, source                     *chsink.Words
	eventTime, receivedAt, acceptedAt        *chsink.Fixed[int64]
	signal, accounting, identity, method     *chsink.Enum
	transport                                *chsink.Enum
	eventID, requestKey                      *chsink.FixedString
	conversation, parent, prompt, subject    *chsink.String
	observational, late                      *chsink.Fixed[uint8]
	role, credential, tool, version, adapter *chsink.Words
	repository                               *chsink.Words
	quality                                  *chsink.EnumSet
	offset                                   *chsink.Nullable[int16]
	sequence                                 *chsink.Nullable[uint64]
	schema                                   *chsink.Fixed[uint16]
	provenance
}

func newEnvelope(b *chsink.Block) envelope {
	return envelope{
		tenant: b.Words("tenant"), team: b.Words("team"), source: b.Words("source"),
		eventTime: b.Millis("event_time"), receivedAt: b.Millis("received_at"), acceptedAt: b.Millis("accepted_at"),
		signal:     b.Enum("signal", names(goodhartv1.Signal_name, "SIGNAL_")),
		accounting: b.Enum("accounting", names(goodhartv1.Accounting_name, "ACCOUNTING_")),
		identity:   b.Enum("identity_type", names(goodhartv1.IdentityType_name, "IDENTITY_TYPE_")),
		method:     b.Enum("identity_method", names(goodhartv1.IdentityMethod_name, "IDENTITY_METHOD_")),
		transport:  b.Enum("transport", names(goodhartv1.Transport_name, "TRANSPORT_")),
		eventID:    b.FixedString("event_id", 16), requestKey: b.FixedString("request_key", 16),
		conversation: b.String("conversation"), parent: b.String("parent_conversation"), prompt: b.String("prompt"),
		subject:       b.String("subject"),
		observational: b.UInt8("observational"), late: b.UInt8("late"),
		role: b.Words("role"), credential: b.Words("credential"), tool: b.Words("tool"),
		version: b.Words("tool_version"), adapter: b.Words("adapter_version"), repository: b.Words("repository"),
		quality: b.EnumSet("quality", names(goodhartv1.Quality_name, "QUALITY_")),
		offset:  b.NullableInt16("tz_offset_min"), sequence: b.NullableUInt64("sequence"), schema: b.UInt16("schema_version"),
		provenance: newProvenance(b),
	}
}

// add appends the event's columns.
func (c *envelope) add(f *goodhartv1.Fact) *reject {
	e := f.Event
	switch {
	case !storable(e.TimeMs):
		return badTime("event.time_ms", e.TimeMs)
	case !storable(e.ReceivedMs):
		return badTime("event.received_ms", e.ReceivedMs)
	case e.SchemaVersion < 0 || e.SchemaVersion > math.MaxUint16:
		return outOfRange("event.schema_version", int64(e.SchemaVersion))
	case e.TzOffsetMin != nil && int32(int16(*e.TzOffsetMin)) != *e.TzOffsetMin:
		return outOfRange("event.tz_offset_min", int64(*e.TzOffsetMin))
	case !c.signal.Append(int32(e.Signal)):
		return outOfRange("event.signal", int64(e.Signal))
	case !c.accounting.Append(int32(e.Accounting)):
		return outOfRange("event.accounting", int64(e.Accounting))
	case !c.identity.Append(int32(e.IdentityType)):
		return outOfRange("event.identity_type", int64(e.IdentityType))
	case !c.method.Append(int32(e.IdentityMethod)):
		return outOfRange("event.identity_method", int64(e.IdentityMethod))
	case !c.transport.Append(int32(e.Transport)):
		return outOfRange("event.transport", int64(e.Transport))
	case !c.eventID.Append(e.EventId):
		return outOfRange("event.event_id", int64(len(e.EventId)))
	case !c.requestKey.Append(e.RequestKey):
		return outOfRange("event.request_key", int64(len(e.RequestKey)))
	}
	for _, q := range e.Quality {
		if !c.quality.Elem.Append(int32(q)) {
			return outOfRange("event.quality", int64(q))
		}
	}
	c.quality.End()
	c.tenant.Append(e.Tenant)
	c.team.Append(e.Team)
	c.source.Append(e.Source)
	c.eventTime.Append(e.TimeMs)
	c.receivedAt.Append(e.ReceivedMs)
	c.acceptedAt.Append(f.AcceptedMs)
	c.conversation.Append(e.Conversation)
	c.parent.Append(e.ParentConversation)
	c.prompt.Append(e.Prompt)
	c.subject.Append(e.Subject)
	c.observational.Append(bit(f.Observational))
	c.late.Append(bit(f.Late))
	c.role.Append(e.Role)
	c.credential.Append(e.Credential)
	c.tool.Append(e.Tool)
	c.version.Append(e.ToolVersion)
	c.adapter.Append(e.AdapterVersion)
	c.repository.Append(e.Repository)
	if e.TzOffsetMin == nil {
		c.offset.Append(nil)
	} else {
		c.offset.AppendValue(int16(*e.TzOffsetMin))
	}
	c.sequence.Append(e.Sequence)
	c.schema.Append(uint16(e.SchemaVersion))
	c.addProvenance(f)
	return nil
}

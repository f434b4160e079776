package sink

import (
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/chsink"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

var tableDead = chsink.Table{Name: "core.dead"}

// dead decodes goodhart.dead.v1 into core.dead. The bytes at fault stay in the
// topic.
type dead struct {
	silent
	*chsink.Block
	tenant, source, reason, topic, credential *chsink.Words
	stage                                     *chsink.Enum
	field, detail, shape                      *chsink.String
	eventTime, acceptedAt                     *chsink.Fixed[int64]
	hash                                      *chsink.FixedString
	size, offset, records                     *chsink.Fixed[int64]
	partition                                 *chsink.Fixed[int32]
}

func newDead(o chsink.Origin) *dead {
	b := chsink.NewBlock(tableDead, o)
	return &dead{
		Block: b, tenant: b.Words("tenant"), source: b.Words("source"), reason: b.Words("reason"), topic: b.Words("topic"),
		credential: b.Words("credential"), stage: b.Enum("stage", names(goodhartv1.Stage_name, "STAGE_")),
		field: b.String("field"), detail: b.String("detail"), shape: b.String("shape"),
		eventTime: b.Millis("event_time"), acceptedAt: b.Millis("accepted_at"), hash: b.FixedString("hash", 32),
		size: b.Int64("size_bytes"), offset: b.Int64("offset"), records: b.Int64("records"), partition: b.Int32("partition"),
	}
}

// Blocks implements chsink.Decoder.
func (d *dead) Blocks() []*chsink.Block { return []*chsink.Block{d.Block} }

// Decode implements chsink.Decoder.
func (d *dead) Decode(rec *kgo.Record) error {
	var l goodhartv1.DeadLetter
	if err := l.UnmarshalVTUnsafe(rec.Value); err != nil {
		return &reject{reason: reasonUndecodable, detail: err.Error()}
	}
	// A letter about a bad time must not fail for its own.
	stored := clamped(rec.Timestamp.UnixMilli())
	when := l.TimeMs
	if !storable(when) || when == 0 {
		when = stored
	}
	switch {
	case !d.stage.Append(int32(l.Stage)):
		return outOfRange("stage", int64(l.Stage))
	case !d.hash.Append(l.Hash):
		return outOfRange("hash", int64(len(l.Hash)))
	}
	d.tenant.Append(l.Tenant)
	d.source.Append(l.Source)
	d.reason.Append(l.Reason)
	d.topic.Append(l.Topic)
	d.credential.Append(l.Credential)
	d.field.Append(l.Field)
	d.detail.Append(l.Detail)
	d.shape.Append(l.Shape)
	d.eventTime.Append(when)
	d.acceptedAt.Append(stored)
	d.size.Append(l.SizeBytes)
	d.offset.Append(l.Offset)
	d.records.Append(max(1, l.Records))
	d.partition.Append(l.Partition)
	d.EndIn(when)
	return nil
}

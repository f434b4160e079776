package sink

import (
	"math"

	"github.com/goodhartlabs/goodhart/pkg/chsink"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

var (
	tableTicks   = chsink.Table{Name: "core.ticks"}
	tableTallies = chsink.Table{Name: "core.tallies"}
	tableConfig  = chsink.Table{Name: "core.config", Replacing: true}
)

// tickRows fills core.ticks.
type tickRows struct {
	*chsink.Block
	eventTime, receivedAt, acceptedAt *chsink.Fixed[int64]
	collector                         *chsink.Words
	sequence                          *chsink.Fixed[uint64]
	provenance
}

func newTickRows(o chsink.Origin) *tickRows {
	b := chsink.NewBlock(tableTicks, o)
	return &tickRows{
		Block: b, eventTime: b.Millis("event_time"), receivedAt: b.Millis("received_at"), acceptedAt: b.Millis("accepted_at"),
		collector: b.Words("collector"), sequence: b.UInt64("sequence"), provenance: newProvenance(b),
	}
}

func (c *tickRows) add(f *goodhartv1.Fact) *reject {
	e, t := f.Event, f.Event.Tick
	switch {
	case t == nil:
		return missing("event.tick")
	case !storable(e.TimeMs):
		return badTime("event.time_ms", e.TimeMs)
	case !storable(e.ReceivedMs):
		return badTime("event.received_ms", e.ReceivedMs)
	}
	c.eventTime.Append(e.TimeMs)
	c.receivedAt.Append(e.ReceivedMs)
	c.acceptedAt.Append(f.AcceptedMs)
	c.collector.Append(t.Collector)
	c.sequence.Append(t.Sequence)
	c.addProvenance(f)
	c.EndIn(f.AcceptedMs)
	return nil
}

// tallyRows fills core.tallies.
type tallyRows struct {
	*chsink.Block
	tenant, source                            *chsink.Words
	hour                                      *chsink.Fixed[uint32]
	accepted, duplicate, held, rejected, dead *chsink.Fixed[int64]
	lost                                      *chsink.Fixed[uint8]
	acceptedAt                                *chsink.Fixed[int64]
	provenance
}

func newTallyRows(o chsink.Origin) *tallyRows {
	b := chsink.NewBlock(tableTallies, o)
	return &tallyRows{
		Block: b, tenant: b.Words("tenant"), source: b.Words("source"), hour: b.Seconds("hour"),
		accepted: b.Int64("accepted"), duplicate: b.Int64("duplicate"), held: b.Int64("held"),
		rejected: b.Int64("rejected"), dead: b.Int64("dead"), lost: b.UInt8("rejected_lost"),
		acceptedAt: b.Millis("accepted_at"), provenance: newProvenance(b),
	}
}

func (c *tallyRows) add(f *goodhartv1.Fact) *reject {
	t := f.Tally
	if t == nil {
		return missing("tally")
	}
	if t.HourMs < 0 || t.HourMs/1000 > math.MaxUint32 {
		return badTime("tally.hour_ms", t.HourMs)
	}
	c.tenant.Append(t.Tenant)
	c.source.Append(t.Source)
	c.hour.Append(uint32(t.HourMs / 1000))
	c.accepted.Append(t.Accepted)
	c.duplicate.Append(t.Duplicate)
	c.held.Append(t.Held)
	c.rejected.Append(t.Rejected)
	c.dead.Append(t.Dead)
	c.lost.Append(bit(t.RejectedLost))
	c.acceptedAt.Append(f.AcceptedMs)
	c.addProvenance(f)
	c.EndIn(t.HourMs)
	return nil
}

// configRows fills core.config. The ledger writes a configuration to every
// partition; the copy in the partition that owns the tenant is stored.
type configRows struct {
	*chsink.Block
	partition, partitions int32
	tenant                *chsink.Words
	version               *chsink.Fixed[uint64]
	document              *chsink.String
	eventTime, acceptedAt *chsink.Fixed[int64]
}

func newConfigRows(o chsink.Origin, partitions int32) *configRows {
	b := chsink.NewBlock(tableConfig, o)
	return &configRows{
		Block: b, partition: o.Partition, partitions: partitions,
		tenant: b.Words("tenant"), version: b.UInt64("version"), document: b.String("document"),
		eventTime: b.Millis("event_time"), acceptedAt: b.Millis("accepted_at"),
	}
}

func (c *configRows) add(f *goodhartv1.Fact) *reject {
	e, conf := f.Event, f.Event.Config
	switch {
	case conf == nil:
		return missing("event.config")
	case !storable(e.ReceivedMs): // it has no event time
		return badTime("event.received_ms", e.ReceivedMs)
	case schemas.Partition([]byte(e.Tenant), c.partitions) != c.partition:
		return nil
	}
	c.tenant.Append(e.Tenant)
	c.version.Append(conf.Version)
	c.document.Append(string(conf.Document))
	c.eventTime.Append(e.ReceivedMs)
	c.acceptedAt.Append(f.AcceptedMs)
	c.End()
	return nil
}

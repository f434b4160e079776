package organisation

import (
	"time"

	"github.com/goodhartlabs/goodhart/pkg/event"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Record is one announcement of the organisation: the event as a collector
// publishes it, its Kafka key, and what went over the wire.
type Record struct {
	Event *goodhartv1.Event
	Key   []byte
	// Draft holds the raw ids of the wire; its Event is Event.
	Draft      *event.Draft
	Credential *event.Credential
}

// record is a Record with its payload in one piece, to be used again.
type record struct {
	Record
	event goodhartv1.Event
	usage goodhartv1.Usage
	draft event.Draft

	input, read, write, output, reasoning, fresh, duration int64
	hash, target, sequence                                 uint64
	turn                                                   uint32
	ratio, effects, offset                                 int32
}

// waiting is a record whose time has not come; order breaks ties.
type waiting struct {
	at    int64
	order uint64
	*record
}

// blank takes an empty record from those that were yielded, or makes one.
func (o *Organisation) blank() *record {
	if n := len(o.free); n > 0 {
		r := o.free[n-1]
		o.free = o.free[:n-1]
		return r
	}
	return &record{}
}

// takeBack empties a record that was yielded.
func (o *Organisation) takeBack(r *record) {
	r.event.Reset()
	r.usage.Reset()
	r.reasoning = 0
	r.draft, r.Record = event.Draft{}, Record{}
	o.free = append(o.free, r)
}

// stamp completes a record as the collector does.
func (o *Organisation) stamp(r *record, c *event.Credential) {
	key, rejected := o.stamper.Stamp(&r.draft, c, time.UnixMilli(r.event.TimeMs+exportDelay))
	if rejected != nil {
		panic("organisation: an event that a collector refuses: " + rejected.String()) // it was drawn wrongly
	}
	r.Record = Record{Event: &r.event, Key: key, Draft: &r.draft, Credential: c}
}

// put stamps a record and holds it until its time comes.
func (o *Organisation) put(r *record, c *event.Credential) {
	o.stamp(r, c)
	o.count++
	o.pending = append(o.pending, waiting{r.event.TimeMs, o.count, r})
}

// exportDelay is how long clients collect before they send.
const exportDelay = 5 * second

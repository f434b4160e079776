package ledger

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// view is what the ledger must know of an Event, without the payload. Its
// slices point into the record.
type view struct {
	kind        goodhartv1.EventKind
	signal      goodhartv1.Signal
	accounting  goodhartv1.Accounting
	countsAlone bool

	tenant, source, conversation, subject, credential []byte
	eventID, requestKey                               []byte
	time, received                                    int64

	usage, activity, outcome, config, tick bool

	raw []byte
	// tenantHash is set by decode.
	tenantHash uint64
}

// decode reads b into v. It accepts nothing that the generated decoder would
// refuse.
func (v *view) decode(sh *shapes, b []byte) error {
	*v = view{raw: b}
	var f field
	for f.next < len(b) {
		if !f.read(sh.event, b) {
			return errWire
		}
		if f.num >= 40 {
			if err := v.payload(sh, f.num, f.bytes); err != nil {
				return err
			}
			continue
		}
		v.set(&f)
	}
	v.tenantHash = xxhash.Sum64(v.tenant)
	return nil
}

func (v *view) set(f *field) {
	switch f.num {
	case 1:
		v.kind = goodhartv1.EventKind(int32(f.varint))
	case 2:
		v.tenant = f.bytes
	case 3:
		v.source = f.bytes
	case 4:
		v.signal = goodhartv1.Signal(int32(f.varint))
	case 5:
		v.eventID = f.bytes
	case 6:
		v.requestKey = f.bytes
	case 7:
		v.time = int64(f.varint)
	case 8:
		v.received = int64(f.varint)
	case 9:
		v.conversation = f.bytes
	case 10:
		v.accounting = goodhartv1.Accounting(int32(f.varint))
	case 11:
		v.countsAlone = f.varint != 0
	case 12:
		v.subject = f.bytes
	case 17:
		v.credential = f.bytes
	}
}

func (v *view) payload(sh *shapes, num int32, b []byte) error {
	switch num {
	case 40:
		v.usage = true
		return sh.usage.check(b)
	case 41:
		v.activity = true
		return sh.activity.check(b)
	case 42:
		v.outcome = true
		return sh.outcome.check(b)
	case 43:
		v.config = true
		return sh.config.check(b)
	case 44:
		v.tick = true
		return sh.tick.check(b)
	}
	return nil
}

// fault is why a record cannot be used: the reason code and field of its dead
// letter.
type fault struct{ reason, field, detail string }

// Reason codes of the ledger's dead letters.
const (
	reasonUndecodable = "undecodable"
	reasonTooLarge    = "too_large"
	reasonMissing     = "missing_field"
	reasonBadValue    = "bad_value"
	reasonBadTime     = "bad_time"
	reasonNotUTF8     = "not_utf8"
)

// fault returns what is wrong with a decoded event, nil if nothing is.
func (v *view) fault() *fault {
	if f := v.faultyPayload(); f != nil {
		return f
	}
	if v.time <= 0 && v.kind != goodhartv1.EventKind_EVENT_KIND_CONFIG {
		return &fault{reasonBadTime, "time_ms", "event time is absent or before 1970"}
	}
	if v.kind == goodhartv1.EventKind_EVENT_KIND_TICK {
		return nil
	}
	switch {
	case len(v.tenant) == 0:
		return &fault{reasonMissing, "tenant", "event names no tenant"}
	case len(v.eventID) != idSize:
		return &fault{reasonBadValue, "event_id", "event id is not 16 bytes long"}
	case len(v.requestKey) != 0 && len(v.requestKey) != idSize:
		return &fault{reasonBadValue, "request_key", "request key is not 16 bytes long"}
	case !utf8.Valid(v.tenant):
		return &fault{reasonNotUTF8, "tenant", "tenant is not UTF-8"}
	case !utf8.Valid(v.source):
		return &fault{reasonNotUTF8, "source", "source is not UTF-8"}
	case !utf8.Valid(v.subject):
		return &fault{reasonNotUTF8, "subject", "subject is not UTF-8"}
	case v.kind == goodhartv1.EventKind_EVENT_KIND_USAGE && classOf(v.signal) == classNone:
		return &fault{reasonBadValue, "signal", "usage in a form that this version does not know"}
	}
	return nil
}

func (v *view) faultyPayload() *fault {
	var has bool
	var field string
	switch v.kind {
	case goodhartv1.EventKind_EVENT_KIND_USAGE:
		has, field = v.usage, "usage"
	case goodhartv1.EventKind_EVENT_KIND_ACTIVITY:
		has, field = v.activity, "activity"
	case goodhartv1.EventKind_EVENT_KIND_OUTCOME:
		has, field = v.outcome, "outcome"
	case goodhartv1.EventKind_EVENT_KIND_CONFIG:
		has, field = v.config, "config"
	case goodhartv1.EventKind_EVENT_KIND_TICK:
		has, field = v.tick, "tick"
	default:
		return &fault{reasonBadValue, "kind", "event of a kind that this version does not know"}
	}
	if !has {
		return &fault{reasonMissing, field, "event has no payload of its kind"}
	}
	return nil
}

// idSize is the length of event ids and request keys.
const idSize = 16

// idHash and requestHash are what the ledger remembers of an announcement and
// of a counted request. The tenant is part of an event id.
func (v *view) idHash() uint64 { return foldID(v.eventID, 0x9e3779b97f4a7c15) }

func (v *view) requestHash() uint64 {
	if len(v.requestKey) == 0 {
		return 0
	}
	return foldID(v.requestKey, v.tenantHash^0xd1b54a32d192ed03)
}

// foldID turns 16 bytes into 64 bits, never 0, that are spread evenly even if the bytes
// are not.
func foldID(id []byte, seed uint64) uint64 {
	a, b := binary.LittleEndian.Uint64(id), binary.LittleEndian.Uint64(id[8:])
	hi, lo := bits.Mul64(a^seed, b^0xa0761d6478bd642f)
	hi, lo = bits.Mul64(hi^a^0xe7037ed1a0b428db, lo^b^seed)
	return max(hi^lo, 1)
}

// nameHash is the key of a conversation, object or sha of a tenant.
func nameHash(tenantHash uint64, name []byte) uint64 {
	hi, lo := bits.Mul64(xxhash.Sum64(name)^tenantHash, 0x8ebc6af09c88c6e3)
	return hi ^ lo
}

package ledger

import (
	"cmp"
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

const minuteMs = 60_000

// tallies counts records by tenant, source and hour of acceptance since the
// last full minute of the watermark.
type tallies struct {
	byKey map[tallyKey]*goodhartv1.Tally
	// recent finds the tally of a record without hashing its strings again.
	recent [64]*goodhartv1.Tally
}

type tallyKey struct {
	tenant, source string
	hour           int64
}

// at returns the tally of a tenant, source and hour; hash is that of the tenant.
func (t *tallies) at(tenant, source []byte, hash uint64, hour int64) *goodhartv1.Tally {
	slot := &t.recent[(hash^uint64(hour)^uint64(len(source)))%uint64(len(t.recent))]
	if c := *slot; c != nil && c.HourMs == hour && c.Source == string(source) && c.Tenant == string(tenant) {
		return c
	}
	c := t.get(tallyKey{string(tenant), string(source), hour})
	*slot = c
	return c
}

func (t *tallies) get(key tallyKey) *goodhartv1.Tally {
	c := t.byKey[key]
	if c == nil {
		c = &goodhartv1.Tally{Tenant: key.tenant, Source: key.source, HourMs: key.hour}
		t.put(c)
	}
	return c
}

func (t *tallies) put(c *goodhartv1.Tally) {
	if t.byKey == nil {
		t.byKey = make(map[tallyKey]*goodhartv1.Tally)
	}
	t.byKey[tallyKey{c.Tenant, c.Source, c.HourMs}] = c
}

// sorted returns the tallies by tenant, source and hour.
func (t *tallies) sorted() []*goodhartv1.Tally {
	all := make([]*goodhartv1.Tally, 0, len(t.byKey))
	for _, c := range t.byKey {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *goodhartv1.Tally) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Source, b.Source), cmp.Compare(a.HourMs, b.HourMs))
	})
	return all
}

func (t *tallies) clear() {
	clear(t.byKey)
	clear(t.recent[:])
}

// tally returns the counts that a record belongs to. accepted is the record's
// timestamp, for events that do not say when they were accepted.
func (f *Fold) tally(v *view, accepted int64) *goodhartv1.Tally {
	if f.replaying {
		return &f.ignored
	}
	return f.tallies.at(v.tenant, v.source, v.tenantHash, hourOf(v.acceptance(accepted)))
}

// acceptance is when the collector accepted the event, or else the broker.
func (v *view) acceptance(recordTime int64) int64 {
	if v.received > 0 {
		return v.received
	}
	return recordTime
}

// hourOf returns the start of the hour of ms.
func hourOf(ms int64) int64 { return floorTo(ms, hourMs) }

func floorTo(ms, unit int64) int64 {
	if r := ms % unit; r < 0 {
		return ms - r - unit
	} else if r > 0 {
		return ms - r
	}
	return ms
}

// flush emits the tallies.
func (f *Fold) flush(out *machine.Outputs) {
	for _, c := range f.tallies.sorted() {
		if c.Accepted == 0 && c.Duplicate == 0 && c.Held == 0 && c.Rejected == 0 && c.Dead == 0 && !c.RejectedLost {
			continue // held and released within the minute
		}
		f.fact = fact{kind: goodhartv1.FactKind_FACT_KIND_TALLY, tally: c}
		f.emit(out, machine.ByKey, []byte(c.Tenant), nil)
	}
	f.tallies.clear()
}

package ledger

import (
	"github.com/goodhartlabs/goodhart/pkg/machine"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// collectorTTL is how far behind the watermark a collector's last tick is
// forgotten, ms.
const collectorTTL = 7 * 24 * hourMs

// tick passes a collector's tick on, once, and adds up what the collector
// rejected. It touches header state only.
//
// A collector numbers its ticks on each partition without gaps and repeats one
// that was not acknowledged under its number, later and with the same list. Its
// lists of rejected records go to one partition, always the same. A gap there
// means that a list may be lost, and so does a number that falls while the time
// goes on: the collector started again under its old name. Elsewhere gaps mean
// nothing.
func (f *Fold) tick(r *machine.Record, v *view, out *machine.Outputs) {
	if f.replaying {
		return
	}
	var ev goodhartv1.Event
	if err := ev.UnmarshalVT(r.Value); err != nil || ev.Tick.GetCollector() == "" {
		f.bury(r, v, &fault{reasonMissing, "tick.collector", "tick names no collector"}, out)
		return
	}
	t := ev.Tick
	last := f.collectors[t.Collector]
	if last != nil && (t.Sequence == last.Sequence || t.Sequence < last.Sequence && ev.TimeMs <= last.TimeMs) {
		f.stats.DuplicateTicks++
		return
	}
	if last == nil {
		f.forgetCollectors()
		last = &goodhartv1.LedgerCollector{Collector: t.Collector}
		f.collectors[t.Collector] = last
	} else if last.Lists && t.Sequence != last.Sequence+1 {
		f.lost(last.TimeMs, ev.TimeMs)
	}
	last.Sequence, last.TimeMs = t.Sequence, ev.TimeMs
	last.Lists = last.Lists || len(t.Rejected) > 0
	for _, rej := range t.Rejected {
		hour := hourOf(rej.HourMs)
		if hour <= 0 {
			hour = hourOf(ev.TimeMs)
		}
		f.tallies.get(tallyKey{rej.Tenant, rej.Source, hour}).Rejected += max(rej.Records, 0)
	}
	f.fact = fact{kind: goodhartv1.FactKind_FACT_KIND_TICK, accepted: r.Time, event: v.raw}
	f.emit(out, f.cfg.Partition%f.cfg.Partitions, nil, nil)
}

// lost marks the hours for which the count of rejected records is unknown, for
// every tenant and source: nobody knows whose they were.
func (f *Fold) lost(from, to int64) {
	first := max(hourOf(from), hourOf(to)-f.horizonHours*hourMs)
	for hour := min(first, hourOf(to)); hour <= hourOf(to); hour += hourMs {
		f.tallies.get(tallyKey{hour: hour}).RejectedLost = true
	}
}

// forgetCollectors drops the collectors that went silent long ago: a collector
// may take a new name with each start.
func (f *Fold) forgetCollectors() {
	for name, c := range f.collectors {
		if c.TimeMs < f.w-collectorTTL {
			delete(f.collectors, name)
		}
	}
}

package ledger

import "time"

// Stats describes a fold, for metrics. The counters run since New and count no
// record twice, whatever is replayed; the rest is the state now.
type Stats struct {
	// Counted and Merged are usage, activity and outcome facts, without and with
	// the observational flag; Late is those among them that are late.
	Counted, Merged, Late uint64
	// Duplicates were recognised by their event id.
	Duplicates, DuplicateTicks uint64
	Dead                       uint64
	// Transitions of outcome objects.
	Transitions uint64

	// SeenIDs are the event ids and counted requests remembered, SeenBytes the
	// memory for them.
	SeenIDs, SeenBytes int
	Conversations      int
	// Holds are conversations that hold records, HeldRecords those records.
	Holds, HeldRecords, HeldBytes int
	// ObjectNames are the names of outcome objects: one or two each.
	ObjectNames int
	Timers      int
	// EffectiveHorizon is how long a re-send is recognised in the shard that
	// remembers least: less than the configured horizon once the budget of ids
	// was reached.
	EffectiveHorizon time.Duration
}

// Stats returns the fold's numbers. Like every method of a Fold it belongs to
// the goroutine that drives it.
func (f *Fold) Stats() Stats {
	st := f.stats
	st.EffectiveHorizon = f.cfg.Horizon
	for i := range f.shards {
		s := &f.shards[i]
		st.SeenIDs += s.seen.live
		st.SeenBytes += s.seen.bytes()
		st.Conversations += len(s.conversations)
		st.Holds += len(s.holds)
		for _, h := range s.holds {
			st.HeldRecords += len(h.records)
			for _, rec := range h.records {
				st.HeldBytes += len(rec.event)
			}
		}
		st.ObjectNames += len(s.objects)
		if s.seen.forgotten > 0 {
			st.EffectiveHorizon = min(st.EffectiveHorizon, time.Duration(s.now-s.seen.forgotten)*time.Millisecond)
		}
	}
	st.Timers = len(f.timers)
	return st
}

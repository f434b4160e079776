package processor

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/goodhartlabs/goodhart/pkg/ledger"
	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/subject"
	"github.com/goodhartlabs/goodhart/pkg/tenant"
)

// newMetrics returns what shows the state of the folds' machines, by partition.
// Counts run since the partition was restored, so they are gauges.
func newMetrics(reg prometheus.Registerer) func(partition int32, m machine.Machine) {
	gauge := func(name, help string) func(string, float64) {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "goodhart_" + name, Help: help}, []string{"partition"})
		reg.MustRegister(g)
		return func(partition string, v float64) { g.WithLabelValues(partition).Set(v) }
	}
	var (
		counted    = gauge("ledger_counted_records", "Usage, activity and outcome facts that count, since the restore.")
		merged     = gauge("ledger_merged_records", "Observational facts: another announcement of the same counts, since the restore.")
		duplicates = gauge("ledger_duplicate_records", "Records recognised by their event id, since the restore.")
		late       = gauge("ledger_late_records", "Facts too late for any score, since the restore.")
		seen       = gauge("ledger_seen_ids", "Event ids and requests remembered.")
		seenBytes  = gauge("ledger_seen_bytes", "Memory for them.")
		horizon    = gauge("ledger_effective_horizon_seconds", "How long a re-send is recognised where least is remembered.")
		held       = gauge("ledger_held_records", "Records held until a conversation's class is fixed.")
		panes      = gauge("subject_open_panes", "Minutes of subjects that are not closed yet.")
		subjects   = gauge("subject_open_subjects", "Subjects with an open minute.")
		scopes     = gauge("tenant_scopes", "Tenants, teams, models and tools with windows.")
		revisions  = gauge("tenant_revisions", "Corrections of windows emitted, since the restore.")
		capped     = gauge("tenant_capped_cells", "Cells counted under other: too many names, since the restore.")
	)
	return func(partition int32, m machine.Machine) {
		p := strconv.Itoa(int(partition))
		switch f := m.(type) {
		case *ledger.Fold:
			s := f.Stats()
			counted(p, float64(s.Counted))
			merged(p, float64(s.Merged))
			duplicates(p, float64(s.Duplicates))
			late(p, float64(s.Late))
			seen(p, float64(s.SeenIDs))
			seenBytes(p, float64(s.SeenBytes))
			horizon(p, s.EffectiveHorizon.Seconds())
			held(p, float64(s.HeldRecords))
		case *subject.Fold:
			s := f.Stats()
			panes(p, float64(s.OpenPanes))
			subjects(p, float64(s.Subjects))
		case *tenant.Fold:
			s := f.Stats()
			scopes(p, float64(s.Scopes))
			revisions(p, float64(s.Revisions))
			capped(p, float64(s.Capped))
		}
	}
}

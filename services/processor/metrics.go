package processor

import (
	"maps"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/goodhartlabs/goodhart/pkg/ledger"
	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/subject"
	"github.com/goodhartlabs/goodhart/pkg/tenant"
)

// metrics of the folds' machines, by partition. What a machine counts runs since
// the partition was restored: those counts are gauges.
type metrics struct {
	gauges map[string]*prometheus.GaugeVec // partition
	late   *prometheus.CounterVec          // stage, class
	rules  Rules
}

func newMetrics(reg prometheus.Registerer, rules Rules) *metrics {
	m := &metrics{
		gauges: map[string]*prometheus.GaugeVec{},
		rules:  rules,
		late: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "goodhart_fold_late_total",
			Help: "Facts by when they came: ledger on_time, late (in no score); tenant dropped (a pane older than every window).",
		}, []string{"stage", "class"}),
	}
	for name, help := range map[string]string{
		"ledger_counted_records":           "Usage, activity and outcome facts that count, since the restore.",
		"ledger_merged_records":            "Observational facts: another announcement of the same counts, since the restore.",
		"ledger_duplicate_records":         "Records recognised by their event id, since the restore.",
		"ledger_late_records":              "Facts too late for any score, since the restore.",
		"ledger_seen_ids":                  "Event ids and requests remembered.",
		"ledger_seen_bytes":                "Memory for them.",
		"ledger_horizon_seconds":           "How long a re-send should be recognised.",
		"ledger_effective_horizon_seconds": "How long a re-send is recognised where least is remembered.",
		"ledger_held_records":              "Records held until a conversation's class is fixed.",
		"subject_open_panes":               "Minutes of subjects that are not closed yet.",
		"subject_subjects":                 "Subjects that the fold knows: those of the last 13 weeks.",
		"tenant_scopes":                    "Tenants, teams, models and tools with windows.",
		"tenant_revisions":                 "Corrections of windows emitted, since the restore.",
		"tenant_capped_cells":              "Cells counted under other: too many names, since the restore.",
	} {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "goodhart_" + name, Help: help}, []string{"partition"})
		reg.MustRegister(g)
		m.gauges[name] = g
	}
	reg.MustRegister(m.late)
	return m
}

// observer returns what a stage calls with its machines (fold.Stage.Observe).
func (m *metrics) observer(stage string) func(partition int32, f machine.Machine) (keys int) {
	r := &reading{metrics: m, stage: stage, before: map[int32]map[string]uint64{}, shown: map[string]bool{}}
	return r.read
}

// reading is how one stage's machines are read, by one goroutine.
type reading struct {
	*metrics

	stage  string
	before map[int32]map[string]uint64 // by partition and class
	shown  map[string]bool             // gauges of this stage
}

func (r *reading) read(partition int32, f machine.Machine) (keys int) {
	p := strconv.Itoa(int(partition))
	set := func(name string, v float64) {
		r.gauges[name].WithLabelValues(p).Set(v)
		r.shown[name] = true
	}
	switch f := f.(type) {
	case nil:
		for name := range maps.Keys(r.shown) {
			r.gauges[name].DeleteLabelValues(p)
		}
		delete(r.before, partition)
	case *ledger.Fold:
		s := f.Stats()
		set("ledger_counted_records", float64(s.Counted))
		set("ledger_merged_records", float64(s.Merged))
		set("ledger_duplicate_records", float64(s.Duplicates))
		set("ledger_late_records", float64(s.Late))
		set("ledger_seen_ids", float64(s.SeenIDs))
		set("ledger_seen_bytes", float64(s.SeenBytes))
		set("ledger_horizon_seconds", r.rules.Horizon.Seconds())
		set("ledger_effective_horizon_seconds", s.EffectiveHorizon.Seconds())
		set("ledger_held_records", float64(s.HeldRecords))
		r.count(partition, map[string]uint64{"on_time": s.Counted + s.Merged - s.Late, "late": s.Late})
		return s.SeenIDs + s.Conversations + s.ObjectNames
	case *subject.Fold:
		s := f.Stats()
		set("subject_open_panes", float64(s.OpenPanes))
		set("subject_subjects", float64(s.Subjects))
		return int(s.Subjects)
	case *tenant.Fold:
		s := f.Stats()
		set("tenant_scopes", float64(s.Scopes))
		set("tenant_revisions", float64(s.Revisions))
		set("tenant_capped_cells", float64(s.Capped))
		r.count(partition, map[string]uint64{"dropped": uint64(s.TooOld)})
		return int(s.Scopes + s.People)
	}
	return 0
}

// count adds what a machine has counted since it was read before. The first
// reading is that of a restore: what the replay counted was counted already.
func (r *reading) count(partition int32, now map[string]uint64) {
	before, again := r.before[partition]
	for class, n := range now {
		c := r.late.WithLabelValues(r.stage, class)
		if again {
			c.Add(float64(n - before[class]))
		}
	}
	r.before[partition] = now
}

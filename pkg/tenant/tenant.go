// Package tenant is the third fold of the pipeline, pure: features in, scores
// and signals out. It adds the panes of all subjects of a tenant up by tenant,
// team, model and tool, and at every slide of every window says what each of these
// scopes did; it counts people, and decides which team-weeks may be published. It
// has package signal judge the weeks of all subjects together, ten days after
// their Monday, and the crossings of rate guards at once; and package kpi state the
// health of the targets that people are managed by.
//
// A window that ends at E is emitted by the first record with a watermark past
// E, when every pane of its last minute has been applied. A pane that changes
// later (a delta of the subject fold) makes a correction, one revision higher,
// when the watermark passes the next slide, until the window's deadline.
// Scopes without activity in a window are not emitted. A watermark that jumps
// passes all slides in between, in order, at the cost of the active ones.
//
// At every midnight it scores the windows of days that end there, and those of the
// 14 days before again, because their outcomes settle: see emitEfficiency.
//
// Memory is bounded by the scopes and people of the last weeks: sparse panes of
// 2 hours of minutes, 3 days of hours and 42 days of days per scope, some 100 bytes
// per person and scope; and by the days and outcomes of 21 weeks per team and role.
// What is older is forgotten at midnight.
//
// Keys are not independent here (ranks, k-anonymity), so the state is one shard.
// Delivery: the same log gives the same records, byte for byte.
package tenant

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/window"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Config holds the rules of publication.
type Config struct {
	// MinimumGroup is k: figures of fewer people are not published. At least
	// MinimumGroupFloor.
	MinimumGroup int `yaml:"minimum_group"`
	// PanelWeeks is for how many weeks the sums of each person's weeks are kept, and
	// the scores of teams, for the health cards of targets to compare: 0 to MostPanelWeeks. With fewer than 16
	// before an announcement and 5 after it no card can say anything.
	PanelWeeks int `yaml:"panel_weeks"`
}

// MostPanelWeeks bounds Config.PanelWeeks.
const MostPanelWeeks = 104

// MinimumGroupFloor is the smallest k that anyone may choose.
const MinimumGroupFloor = 5

// Default returns the rules that hold unless someone chooses others.
func Default() Config { return Config{MinimumGroup: 10, PanelWeeks: 52} }

// Validate returns all problems of c, each naming its key.
func (c Config) Validate() error {
	var problems []error
	if c.MinimumGroup < MinimumGroupFloor {
		problems = append(problems, fmt.Errorf("minimum_group: %d: must be at least %d", c.MinimumGroup, MinimumGroupFloor))
	}
	if c.PanelWeeks < 0 || c.PanelWeeks > MostPanelWeeks {
		problems = append(problems, fmt.Errorf("panel_weeks: %d: must be from 0 to %d", c.PanelWeeks, MostPanelWeeks))
	}
	return errors.Join(problems...)
}

// Stats counts what a fold did since it was made, replays included. It is for
// metrics and no part of the state.
type Stats struct {
	// Features is how many records were applied, of any kind; Panes how many of
	// them were panes.
	Features, Panes int64
	// TooOld panes came when no window could show them any more.
	TooOld int64
	// Capped cells had a name beyond the most a tenant may have; they count
	// under "other".
	Capped int64
	// Configs came into force.
	Configs int64
	// Dead records could not be used.
	Dead int64
	// Rolling records were emitted, Revisions of them with rev above 0.
	Rolling, Revisions int64
	// GroupSizes were emitted, Credits of outcomes taken.
	GroupSizes, Credits int64
	// Efficiencies were emitted, first statements and corrections; for them Models
	// were learned.
	Efficiencies, Models int64
	// Weeks of subjects were taken, revisions of Signals and Cards emitted.
	Weeks, Signals, Cards int64
	// Tenants, Scopes and People are held now.
	Tenants, Scopes, People int64
}

// Fold is a machine.Machine. Use New; it is for one goroutine.
type Fold struct {
	cfg     Config
	windows []window.Window
	keep    keep
	w       int64
	headerW int64
	// at is the position of the state, during a replay.
	replaying bool
	at        machine.Position

	// schedules holds one schedule per window, in their order, and the daily one.
	schedules []schedule
	// due is the earliest slide of all schedules.
	due int64
	// newest is the start of the newest minute seen.
	newest  int64
	tenants map[string]*tenant
	// order holds the tenants by name.
	order []*tenant

	in    goodhartv1.Feature
	emit  emitter
	stats Stats

	observer Observer
	scored   func(end int64) bool
}

var _ machine.Machine = (*Fold)(nil)

// New returns a fold in its empty state. The configuration must be valid.
func New(cfg Config) *Fold { return NewWith(cfg, window.Windows()) }

// NewWith returns a fold that emits these windows alone: a replay of months seldom
// asks for what happened in each minute.
func NewWith(cfg Config, windows []window.Window) *Fold {
	f := &Fold{cfg: cfg, windows: windows, keep: keepFor(windows), w: math.MinInt64, headerW: math.MinInt64}
	f.reset()
	return f
}

// reset empties the state.
func (f *Fold) reset() {
	f.schedules = newSchedules(f.windows, f.cfg)
	f.due = math.MinInt64
	f.newest = math.MinInt64
	f.tenants = map[string]*tenant{}
	f.order = nil
	f.stats.Tenants, f.stats.Scopes, f.stats.People = 0, 0, 0
}

// W is the watermark: that of the last record applied.
func (f *Fold) W() int64 { return f.w }

// Shards is 1: the state is saved as a whole.
func (f *Fold) Shards() int { return 1 }

// Stats returns the counters.
func (f *Fold) Stats() Stats { return f.stats }

// Step applies one record: it emits the windows whose end the record's watermark
// has passed, then adds the pane. A record that cannot be used becomes a dead
// letter.
func (f *Fold) Step(r *machine.Record, out *machine.Outputs) {
	f.stats.Features++
	f.w = max(f.w, r.Position.W)
	if f.replaying && r.Position.Compare(f.at) <= 0 {
		return
	}
	if f.w > f.due {
		f.advance(out)
	}
	if reason := f.apply(r, out); reason != "" {
		f.bury(r, reason, out)
	}
}

// apply lets a feature take effect and returns why it cannot, a code.
func (f *Fold) apply(r *machine.Record, out *machine.Outputs) (reason string) {
	m := &f.in
	m.Reset()
	if err := m.UnmarshalVTUnsafe(r.Value); err != nil {
		return "undecodable"
	}
	switch m.Kind {
	case goodhartv1.FeatureKind_FEATURE_KIND_WATERMARK:
		return ""
	case goodhartv1.FeatureKind_FEATURE_KIND_PANE:
		return f.addFeature(m)
	case goodhartv1.FeatureKind_FEATURE_KIND_CREDIT:
		return f.takeCredit(m)
	case goodhartv1.FeatureKind_FEATURE_KIND_CONFIG, goodhartv1.FeatureKind_FEATURE_KIND_WEEK, goodhartv1.FeatureKind_FEATURE_KIND_GUARD:
		return f.applyKept(r.Value, out)
	default:
		return "bad_kind"
	}
}

// applyKept lets a feature take effect whose strings must outlive the record.
func (f *Fold) applyKept(value []byte, out *machine.Outputs) (reason string) {
	var m goodhartv1.Feature
	if err := m.UnmarshalVT(value); err != nil {
		return "undecodable"
	}
	switch m.Kind {
	case goodhartv1.FeatureKind_FEATURE_KIND_WEEK:
		return f.takeWeek(&m)
	case goodhartv1.FeatureKind_FEATURE_KIND_GUARD:
		return f.cross(&m, out)
	default:
		return f.configure(&m, out)
	}
}

// addFeature adds a pane of a subject.
func (f *Fold) addFeature(m *goodhartv1.Feature) (reason string) {
	if m.Tenant == "" {
		return "no_tenant"
	}
	start := m.PaneStartMs
	if start < 0 || start > f.w-window.Minute || start%window.Minute != 0 {
		return "bad_pane"
	}
	f.stats.Panes++
	if start < f.w-f.keep.longest {
		f.stats.TooOld++
		return ""
	}
	f.newest = max(f.newest, start)
	f.tenant(m.Tenant).add(f, m)
	return ""
}

// configure puts a configuration into force; disputes take effect at once.
func (f *Fold) configure(m *goodhartv1.Feature, out *machine.Outputs) (reason string) {
	if m.Config == nil || m.Tenant == "" {
		return "no_config"
	}
	p, err := policy.Parse(m.Config.Document)
	if err != nil || p.Tenant != m.Tenant {
		return "bad_config" // the one before stays in force
	}
	t := f.tenant(m.Tenant)
	t.configure(m.Config, p)
	f.stats.Configs++
	settled := t.signals.Settle(t.name, f.w, p, m.Config.Version)
	for i := range settled {
		f.emitSignal(&settled[i], out)
	}
	return ""
}

// bury emits a dead letter for a record that cannot be used.
func (f *Fold) bury(r *machine.Record, reason string, out *machine.Outputs) {
	f.stats.Dead++
	hash := sha256.Sum256(r.Value)
	letter := &goodhartv1.DeadLetter{
		Stage:     goodhartv1.Stage_STAGE_TENANT,
		Tenant:    string(bytes.ToValidUTF8(r.Key, nil)),
		Reason:    reason,
		TimeMs:    f.w,
		Hash:      hash[:],
		SizeBytes: int64(len(r.Value)),
		Topic:     schemas.TopicFeatures,
		Partition: r.Partition,
		Offset:    r.Offset,
		Key:       r.Key,
	}
	if len(r.Value) <= maxBuried {
		letter.Value = r.Value
	}
	out.Emit(schemas.TopicDead, machine.ByKey, r.Key, f.w, letter)
}

// maxBuried is the longest value that a dead letter quotes.
const maxBuried = 256 << 10

// Rewind begins a replay: see machine.Machine.
func (f *Fold) Rewind(w int64, at []machine.Position) {
	f.w, f.replaying = w, true
	f.at = machine.Position{}
	if len(at) > 0 {
		f.at = at[0]
	}
}

// Resume ends a replay.
func (f *Fold) Resume() { f.w, f.replaying = f.headerW, false }

package sink

import (
	"encoding/json"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/chsink"
	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/signal"
)

var (
	tableSignals  = chsink.Table{Name: "core.signals", Replacing: true}
	tableEvidence = chsink.Table{Name: "core.signal_evidence", Replacing: true}
	tableSelf     = chsink.Table{Name: "core.self", Replacing: true}
)

// checkSignal reports what a signal and a private question must have in common.
func checkSignal(s *signal.Record) error {
	if s.ID == "" {
		return &reject{reason: reasonMissing, field: "signal_id", tenant: s.Tenant}
	}
	times := []at{{"opened_at", s.OpenedAt}, {"updated_at", s.UpdatedAt}}
	if s.ResolvedAt != nil {
		times = append(times, at{"resolved_at", *s.ResolvedAt})
	}
	return timesOf(s.Tenant, times...)
}

// lifeRows are the columns that signals and private questions have in common.
type lifeRows struct {
	*chsink.Block
	tenant, code, label, severity, status, formula *chsink.Words
	id, title, question                            *chsink.String
	rev                                            *chsink.Fixed[uint32]
	opened, updated, w                             *chsink.Fixed[int64]
	resolved, cost                                 *chsink.Nullable[int64]
	config                                         *chsink.Fixed[uint64]
}

func newLifeRows(t chsink.Table, o chsink.Origin) lifeRows {
	b := chsink.NewBlock(t, o)
	return lifeRows{
		Block: b, tenant: b.Words("tenant"), code: b.Words("code"), label: b.Words("label"), severity: b.Words("severity"),
		status: b.Words("status"), formula: b.Words("formula"), id: b.String("signal_id"), title: b.String("title"),
		question: b.String("question"), rev: b.UInt32("rev"), opened: b.Millis("opened_at"), updated: b.Millis("updated_at"),
		w: b.Millis("w"), resolved: b.NullableMillis("resolved_at"), cost: b.NullableInt64("cost_at_stake_nanos"),
		config: b.UInt64("config_version"),
	}
}

func (c *lifeRows) addLife(s *signal.Record) {
	c.tenant.Append(s.Tenant)
	c.code.Append(s.Code)
	c.label.Append(s.Label)
	c.severity.Append(s.Severity)
	c.status.Append(s.Status)
	c.formula.Append(s.Formula)
	c.id.Append(s.ID)
	c.title.Append(s.Title)
	c.question.Append(s.Question)
	c.rev.Append(s.Rev)
	c.opened.Append(s.OpenedAt)
	c.updated.Append(s.UpdatedAt)
	c.w.Append(clamped(s.W))
	c.resolved.Append(s.ResolvedAt)
	c.cost.Append(s.CostAtStakeNanos)
	c.config.Append(s.ConfigVersion)
	c.EndIn(s.OpenedAt)
}

// signals decodes goodhart.signals.v1 into signals and their evidence.
type signals struct {
	silent
	lifeRows
	scopeKind, scope, team *chsink.Words
	evidence               *evidenceRows
}

func newSignals(o chsink.Origin) *signals {
	d := &signals{lifeRows: newLifeRows(tableSignals, o), evidence: newEvidenceRows(o)}
	d.scopeKind, d.scope, d.team = d.Words("scope_kind"), d.Words("scope"), d.Words("team")
	return d
}

// Blocks implements chsink.Decoder.
func (d *signals) Blocks() []*chsink.Block { return []*chsink.Block{d.Block, d.evidence.Block} }

// Decode implements chsink.Decoder.
func (d *signals) Decode(rec *kgo.Record) error {
	if rec.Value == nil {
		return nil // a tombstone of the compacted topic
	}
	s, err := object[signal.Record](rec.Value)
	if err != nil {
		return err
	}
	if err := checkSignal(&s); err != nil {
		return err
	}
	for i := range s.Evidence {
		d.evidence.add(&s, &s.Evidence[i])
	}
	d.scopeKind.Append(s.ScopeKind)
	d.scope.Append(s.Scope)
	d.team.Append(s.Team)
	d.addLife(&s)
	return nil
}

// evidenceRows fills core.signal_evidence.
type evidenceRows struct {
	*chsink.Block
	tenant, fact, team, statistic, unit, window *chsink.Words
	id                                          *chsink.String
	rev                                         *chsink.Fixed[uint32]
	value, threshold                            *chsink.Nullable[float64]
	n, opened, w                                *chsink.Fixed[int64]
	checked                                     *chsink.Strings
}

func newEvidenceRows(o chsink.Origin) *evidenceRows {
	b := chsink.NewBlock(tableEvidence, o)
	return &evidenceRows{
		Block: b, tenant: b.Words("tenant"), fact: b.Words("fact"), team: b.Words("team"), statistic: b.Words("statistic"),
		unit: b.Words("unit"), window: b.Words("window"), id: b.String("signal_id"), rev: b.UInt32("rev"),
		value: b.NullableFloat64("value"), threshold: b.NullableFloat64("threshold"),
		n: b.Int64("n"), opened: b.Millis("opened_at"), w: b.Millis("w"), checked: b.Strings("look_alike_checked"),
	}
}

func (c *evidenceRows) add(s *signal.Record, f *signal.FactRecord) {
	c.tenant.Append(s.Tenant)
	c.fact.Append(f.Fact)
	c.team.Append(s.Team)
	c.statistic.Append(f.Statistic)
	c.unit.Append(f.Unit)
	c.window.Append(f.Window)
	c.id.Append(s.ID)
	c.rev.Append(s.Rev)
	c.value.Append(f.Value)
	c.threshold.Append(f.Threshold)
	c.n.Append(f.N)
	c.opened.Append(s.OpenedAt)
	c.w.Append(clamped(s.W))
	all(c.checked, f.LookAlikeChecked)
	c.EndIn(s.OpenedAt)
}

// self decodes goodhart.self.v1: questions to a person, with their evidence as
// JSON, because nobody may query it, and the efficiency of a person.
type self struct {
	silent
	lifeRows
	subject, evidence *chsink.String
	efficiency        *personalRows
}

func newSelf(o chsink.Origin) *self {
	d := &self{lifeRows: newLifeRows(tableSelf, o), efficiency: newPersonalRows(o)}
	d.subject, d.evidence = d.String("subject"), d.String("evidence")
	return d
}

// Blocks implements chsink.Decoder.
func (d *self) Blocks() []*chsink.Block { return []*chsink.Block{d.Block, d.efficiency.Block} }

// Decode implements chsink.Decoder.
func (d *self) Decode(rec *kgo.Record) error {
	head, err := object[struct {
		Kind string `json:"kind"`
	}](rec.Value)
	if err != nil {
		return err
	}
	if head.Kind == score.KindEfficiency {
		return d.efficiency.decode(rec.Value)
	}
	s, err := object[struct {
		signal.Record

		Evidence json.RawMessage `json:"evidence"`
	}](rec.Value)
	if err != nil {
		return err
	}
	if s.Subject == "" {
		return &reject{reason: reasonMissing, field: "subject", tenant: s.Tenant}
	}
	if err := checkSignal(&s.Record); err != nil {
		return err
	}
	d.subject.Append(s.Subject)
	evidence := "[]"
	if len(s.Evidence) > 0 && string(s.Evidence) != "null" {
		evidence = string(s.Evidence)
	}
	d.evidence.Append(evidence)
	d.addLife(&s.Record)
	return nil
}

package sink

import "github.com/goodhartlabs/goodhart/pkg/chsink"

var tablePersonal = chsink.Table{Name: "core.self_efficiency", Replacing: true}

// personal is a person's own efficiency, as goodhart.self.v1 carries it.
type personal struct {
	Tenant           string   `json:"tenant"`
	Subject          string   `json:"subject"`
	Window           string   `json:"window"`
	WindowStart      int64    `json:"window_start"`
	WindowEnd        int64    `json:"window_end"`
	Rev              uint32   `json:"rev"`
	W                int64    `json:"w"`
	Role             string   `json:"role"`
	Weeks            int64    `json:"weeks"`
	OutcomesNeeded   *float64 `json:"outcomes_needed"`
	OutcomesCredited *float64 `json:"outcomes_credited"`
	OutcomesExpected *float64 `json:"outcomes_expected"`
	Score            *float64 `json:"score"`
	ScoreLo          *float64 `json:"score_lo"`
	ScoreHi          *float64 `json:"score_hi"`
	AlignedCostNanos *int64   `json:"aligned_cost_nanos"`
	UnitCostNanos    *int64   `json:"unit_cost_nanos"`
	UnitCostLoNanos  *int64   `json:"unit_cost_lo_nanos"`
	UnitCostHiNanos  *int64   `json:"unit_cost_hi_nanos"`
	Coverage         *float64 `json:"coverage"`
	UnpricedShare    *float64 `json:"unpriced_share"`
	Dispersion       *float64 `json:"dispersion"`
	Status           string   `json:"status"`
	Reason           string   `json:"reason"`
	Formula          string   `json:"formula"`
	ConfigVersion    uint64   `json:"config_version"`
}

// personalRows fills core.self_efficiency.
type personalRows struct {
	*chsink.Block
	words         [6]*chsink.Words
	subject       *chsink.String
	start, end, w *chsink.Fixed[int64]
	weeks         *chsink.Fixed[int64]
	rev           *chsink.Fixed[uint32]
	floats        [9]*chsink.Nullable[float64]
	nanos         [4]*chsink.Nullable[int64]
	config        *chsink.Fixed[uint64]
}

func newPersonalRows(o chsink.Origin) *personalRows {
	b := chsink.NewBlock(tablePersonal, o)
	d := &personalRows{
		Block: b, subject: b.String("subject"), start: b.Millis("window_start"), end: b.Millis("window_end"), w: b.Millis("w"),
		weeks: b.Int64("weeks"), rev: b.UInt32("rev"), config: b.UInt64("config_version"),
	}
	for i, name := range [...]string{"tenant", "window", "role", "status", "reason", "formula"} {
		d.words[i] = b.Words(name)
	}
	for i, name := range [...]string{
		"outcomes_needed", "outcomes_credited", "outcomes_expected", "score", "score_lo", "score_hi", "coverage", "unpriced_share", "dispersion",
	} {
		d.floats[i] = b.NullableFloat64(name)
	}
	for i, name := range [...]string{"aligned_cost_nanos", "unit_cost_nanos", "unit_cost_lo_nanos", "unit_cost_hi_nanos"} {
		d.nanos[i] = b.NullableInt64(name)
	}
	return d
}

func (d *personalRows) decode(value []byte) error {
	p, err := object[personal](value)
	if err != nil {
		return err
	}
	if p.Subject == "" {
		return &reject{reason: reasonMissing, field: "subject", tenant: p.Tenant}
	}
	if err := timesOf(p.Tenant, at{"window_start", p.WindowStart}, at{"window_end", p.WindowEnd}); err != nil {
		return err
	}
	for i, v := range [...]string{p.Tenant, p.Window, p.Role, p.Status, p.Reason, p.Formula} {
		d.words[i].Append(v)
	}
	for i, v := range [...]*float64{
		p.OutcomesNeeded, p.OutcomesCredited, p.OutcomesExpected, p.Score, p.ScoreLo, p.ScoreHi, p.Coverage, p.UnpricedShare, p.Dispersion,
	} {
		d.floats[i].Append(v)
	}
	for i, v := range [...]*int64{p.AlignedCostNanos, p.UnitCostNanos, p.UnitCostLoNanos, p.UnitCostHiNanos} {
		d.nanos[i].Append(v)
	}
	d.subject.Append(p.Subject)
	d.start.Append(p.WindowStart)
	d.end.Append(p.WindowEnd)
	d.w.Append(clamped(p.W))
	d.weeks.Append(p.Weeks)
	d.rev.Append(p.Rev)
	d.config.Append(p.ConfigVersion)
	d.EndIn(p.WindowEnd)
	return nil
}

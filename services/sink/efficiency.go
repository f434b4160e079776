package sink

import "github.com/goodhartlabs/goodhart/pkg/chsink"

// efficiency is an efficiency score with the rolling figures beside it.
type efficiency struct {
	rolling
	OutcomesCredited  *float64 `json:"outcomes_credited"`
	OutcomesExpected  *float64 `json:"outcomes_expected"`
	Score             *float64 `json:"score"`
	ScoreLo           *float64 `json:"score_lo"`
	ScoreHi           *float64 `json:"score_hi"`
	AlignedCostNanos  *int64   `json:"aligned_cost_nanos"`
	UnitCostNanos     *int64   `json:"unit_cost_nanos"`
	UnitCostLoNanos   *int64   `json:"unit_cost_lo_nanos"`
	UnitCostHiNanos   *int64   `json:"unit_cost_hi_nanos"`
	Coverage          *float64 `json:"coverage"`
	UnpricedShare     *float64 `json:"unpriced_share"`
	UnattributedShare *float64 `json:"unattributed_share"`
	Dispersion        *float64 `json:"dispersion"`
	Peers             *int64   `json:"peers"`
	PeersAbove        *int64   `json:"peers_above"`
	PeersBelow        *int64   `json:"peers_below"`
	Reason            string   `json:"reason"`
}

// efficiencyRows fills core.efficiency.
type efficiencyRows struct {
	*rollingRows
	floats [9]*chsink.Nullable[float64]
	counts [7]*chsink.Nullable[int64]
	reason *chsink.Words
}

func newEfficiencyRows(o chsink.Origin) *efficiencyRows {
	r := newRollingRows(tableEfficiency, o)
	d := &efficiencyRows{rollingRows: r, reason: r.Words("reason")}
	for i, name := range [...]string{
		"outcomes_credited", "outcomes_expected", "score", "score_lo", "score_hi", "coverage", "unpriced_share", "unattributed_share", "dispersion",
	} {
		d.floats[i] = r.NullableFloat64(name)
	}
	for i, name := range [...]string{
		"aligned_cost_nanos", "unit_cost_nanos", "unit_cost_lo_nanos", "unit_cost_hi_nanos", "peers", "peers_above", "peers_below",
	} {
		d.counts[i] = r.NullableInt64(name)
	}
	return d
}

func (d *efficiencyRows) decode(value []byte) error {
	e, err := object[efficiency](value)
	if err != nil {
		return err
	}
	if err := d.fill(&e.rolling); err != nil {
		return err
	}
	for i, v := range [...]*float64{
		e.OutcomesCredited, e.OutcomesExpected, e.Score, e.ScoreLo, e.ScoreHi, e.Coverage, e.UnpricedShare, e.UnattributedShare, e.Dispersion,
	} {
		d.floats[i].Append(v)
	}
	for i, v := range [...]*int64{
		e.AlignedCostNanos, e.UnitCostNanos, e.UnitCostLoNanos, e.UnitCostHiNanos, e.Peers, e.PeersAbove, e.PeersBelow,
	} {
		d.counts[i].Append(v)
	}
	d.reason.Append(e.Reason)
	d.EndIn(e.WindowEnd)
	return nil
}

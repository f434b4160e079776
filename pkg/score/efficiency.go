package score

import (
	"math"

	"github.com/goodhartlabs/goodhart/pkg/record"
)

// An efficiency score in scores.v1, its CloudEvents type and the version of its
// arithmetic, which changes when that does.
const (
	KindEfficiency    = "efficiency"
	TypeEfficiency    = "ai.goodhart.score.efficiency.v1"
	FormulaEfficiency = "efficiency/1"
)

// Status of an efficiency score, beside StatusInsufficient.
const (
	// StatusProvisional: outcomes of the window may still settle or be reverted.
	StatusProvisional = "provisional"
	StatusFinal       = "final"
)

// Efficiency is the score of a scope and window, with the plain figures beside
// it. It speaks of teams, models, tools and the tenant; a person's own is Personal.
type Efficiency struct {
	// Rolling is what the scope did in the window, as in the record of its kind;
	// its Status is not used.
	Rolling Rolling
	Score   *Score
	// Provisional is that of the Inputs, Dispersion that of the Model.
	Provisional bool
	Dispersion  float64
	// Unattributed is the share of the tenant's cost in the window that belongs to
	// no team.
	Unattributed Millionths
}

// Status is provisional, final, or insufficient data.
func (e *Efficiency) Status() string {
	switch {
	case e.Score.Reason != "":
		return StatusInsufficient
	case e.Provisional:
		return StatusProvisional
	default:
		return StatusFinal
	}
}

// AppendJSON appends the record, fields in the order of the schema.
func (e *Efficiency) AppendJSON(dst []byte) []byte {
	r, s := &e.Rolling, e.Score
	o := record.Open(dst)
	r.appendTo(&o, KindEfficiency)

	s.appendTo(&o)
	o.Value("coverage", s.Coverage.append)
	o.Value("unpriced_share", Ratio(r.Totals.UnpricedRequests, r.Totals.Records, 1).append)
	o.Value("unattributed_share", e.Unattributed.append)
	o.Number("dispersion", e.Dispersion, s.ExpectedKnown)
	o.Known("peers", int64(s.Peers), s.PeersKnown)
	o.Known("peers_above", int64(s.Above), s.PeersKnown)
	o.Known("peers_below", int64(s.Below), s.PeersKnown)
	o.String("status", e.Status())
	o.String("reason", s.Reason)
	o.String("formula", FormulaEfficiency)
	o.Uint("config_version", r.ConfigVersion)
	return o.Close()
}

// appendTo appends what was achieved, beside what peers achieve.
func (s *Score) appendTo(o *record.Object) {
	scored := s.Reason == ""
	o.Number("outcomes_credited", s.Credited, s.ExpectedKnown)
	o.Number("outcomes_expected", s.Expected, s.ExpectedKnown)
	o.Number("score", s.Index, scored)
	o.Number("score_lo", s.Low, scored)
	o.Number("score_hi", s.High, scored)
	o.Known("aligned_cost_nanos", s.AlignedNanos, s.ExpectedKnown)
	nanos(o, "unit_cost_nanos", s.UnitCost, scored)
	nanos(o, "unit_cost_lo_nanos", s.UnitCostLow, scored)
	nanos(o, "unit_cost_hi_nanos", s.UnitCostHigh, scored)
}

// nanos appends a cost in whole nano-USD, null unless known and in range.
func nanos(o *record.Object, name string, value float64, known bool) {
	known = known && value >= 0 && value < math.MaxInt64
	if !known {
		value = 0
	}
	o.Known(name, int64(math.Round(value)), known)
}

package sink

import (
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/chsink"
)

var (
	tableKPI    = chsink.Table{Name: "core.kpi_health", Replacing: true}
	tableChecks = chsink.Table{Name: "core.kpi_checks", Replacing: true}
)

// health is a health card of a usage target.
type health struct {
	Tenant          string   `json:"tenant"`
	Target          string   `json:"target"`
	ScopeKind       string   `json:"scope_kind"`
	Scope           string   `json:"scope"`
	WeekStart       int64    `json:"week_start"`
	Rev             uint32   `json:"rev"`
	W               int64    `json:"w"`
	Elasticity      *float64 `json:"elasticity"`
	ElasticityLo    *float64 `json:"elasticity_lo"`
	ElasticityHi    *float64 `json:"elasticity_hi"`
	Bunching        *float64 `json:"bunching"`
	Concentration   *float64 `json:"concentration"`
	SignalledShare  *float64 `json:"signalled_share"`
	ExcessShare     *float64 `json:"excess_share"`
	ExcessShareLo   *float64 `json:"excess_share_lo"`
	ExcessShareHi   *float64 `json:"excess_share_hi"`
	ExcessCostNanos *int64   `json:"excess_cost_nanos"`
	PlaceboExcess   *float64 `json:"placebo_excess"`
	Verdict         string   `json:"verdict"`
	Reasons         []string `json:"reasons"`
	Formula         string   `json:"formula"`
	ConfigVersion   uint64   `json:"config_version"`
	ComparedFrom    *int64   `json:"compared_from"`
	ComparedTo      *int64   `json:"compared_to"`
	Checks          []check  `json:"checks"`
}

// check is one check of a card.
type check struct {
	Check        string   `json:"check"`
	Value        *float64 `json:"value"`
	Lo           *float64 `json:"lo"`
	Hi           *float64 `json:"hi"`
	N            int64    `json:"n"`
	Placebo      *float64 `json:"placebo"`
	Z            *float64 `json:"z"`
	Alarm        bool     `json:"alarm"`
	Reason       string   `json:"reason"`
	Formula      string   `json:"formula"`
	Contribution string   `json:"contribution"`
}

// kpi decodes goodhart.kpi.v1 into core.kpi_health and core.kpi_checks.
type kpi struct {
	silent
	*chsink.Block
	tenant, target, scopeKind, scope, verdict, formula *chsink.Words
	weekStart                                          *chsink.Fixed[uint16]
	rev                                                *chsink.Fixed[uint32]
	w                                                  *chsink.Fixed[int64]
	estimates                                          [10]*chsink.Nullable[float64]
	cost                                               *chsink.Nullable[int64]
	reasons                                            *chsink.Strings
	config                                             *chsink.Fixed[uint64]
	comparedFrom, comparedTo                           *chsink.Nullable[int64]
	checks                                             *checkRows
}

func newKPI(o chsink.Origin) *kpi {
	b := chsink.NewBlock(tableKPI, o)
	d := &kpi{
		Block: b, tenant: b.Words("tenant"), target: b.Words("target"), scopeKind: b.Words("scope_kind"), scope: b.Words("scope"),
		verdict: b.Words("verdict"), formula: b.Words("formula"), weekStart: b.Date("week_start"), rev: b.UInt32("rev"),
		w: b.Millis("w"), cost: b.NullableInt64("excess_cost_nanos"), reasons: b.Strings("reasons"), config: b.UInt64("config_version"),
		comparedFrom: b.NullableMillis("compared_from"), comparedTo: b.NullableMillis("compared_to"), checks: newCheckRows(o),
	}
	for i, name := range [...]string{
		"elasticity", "elasticity_lo", "elasticity_hi", "bunching", "concentration", "signalled_share",
		"excess_share", "excess_share_lo", "excess_share_hi", "placebo_excess",
	} {
		d.estimates[i] = b.NullableFloat64(name)
	}
	return d
}

// Blocks implements chsink.Decoder.
func (d *kpi) Blocks() []*chsink.Block { return []*chsink.Block{d.Block, d.checks.Block} }

// Decode implements chsink.Decoder.
func (d *kpi) Decode(rec *kgo.Record) error {
	if rec.Value == nil {
		return nil // a tombstone of the compacted topic
	}
	h, err := object[health](rec.Value)
	if err != nil {
		return err
	}
	day, fits := days(h.WeekStart)
	switch {
	case h.Tenant == "":
		return missing("tenant")
	case h.Target == "":
		return &reject{reason: reasonMissing, field: "target", tenant: h.Tenant}
	case !fits:
		why := badTime("week_start", h.WeekStart)
		why.tenant = h.Tenant
		return why
	}
	for _, t := range []struct {
		field string
		ms    *int64
	}{{"compared_from", h.ComparedFrom}, {"compared_to", h.ComparedTo}} {
		if t.ms != nil && !storable(*t.ms) {
			why := badTime(t.field, *t.ms)
			why.tenant = h.Tenant
			return why
		}
	}
	for i := range h.Checks {
		d.checks.add(&h, day, i)
	}
	d.tenant.Append(h.Tenant)
	d.target.Append(h.Target)
	d.scopeKind.Append(h.ScopeKind)
	d.scope.Append(h.Scope)
	d.verdict.Append(h.Verdict)
	d.formula.Append(h.Formula)
	d.weekStart.Append(day)
	d.rev.Append(h.Rev)
	d.w.Append(clamped(h.W))
	for i, v := range [...]*float64{
		h.Elasticity, h.ElasticityLo, h.ElasticityHi, h.Bunching, h.Concentration, h.SignalledShare,
		h.ExcessShare, h.ExcessShareLo, h.ExcessShareHi, h.PlaceboExcess,
	} {
		d.estimates[i].Append(v)
	}
	d.cost.Append(h.ExcessCostNanos)
	all(d.reasons, h.Reasons)
	d.config.Append(h.ConfigVersion)
	d.comparedFrom.Append(h.ComparedFrom)
	d.comparedTo.Append(h.ComparedTo)
	d.EndIn(h.WeekStart)
	return nil
}

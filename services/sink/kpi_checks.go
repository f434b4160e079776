package sink

import "github.com/goodhartlabs/goodhart/pkg/chsink"

// checkRows fills core.kpi_checks.
type checkRows struct {
	*chsink.Block
	tenant, target, scopeKind, scope, name, contribution, reason, verdict, formula *chsink.Words
	weekStart, place                                                               *chsink.Fixed[uint16]
	rev                                                                            *chsink.Fixed[uint32]
	estimates                                                                      [5]*chsink.Nullable[float64]
	n, w                                                                           *chsink.Fixed[int64]
	alarm                                                                          *chsink.Fixed[uint8]
}

func newCheckRows(o chsink.Origin) *checkRows {
	b := chsink.NewBlock(tableChecks, o)
	c := &checkRows{
		Block: b, tenant: b.Words("tenant"), target: b.Words("target"), scopeKind: b.Words("scope_kind"), scope: b.Words("scope"),
		name: b.Words("check_name"), contribution: b.Words("contribution"), reason: b.Words("reason"), verdict: b.Words("verdict"),
		formula: b.Words("formula"), weekStart: b.Date("week_start"), place: b.UInt16("place"), rev: b.UInt32("rev"),
		n: b.Int64("n"), w: b.Millis("w"), alarm: b.UInt8("alarm"),
	}
	for i, name := range [...]string{"value", "lo", "hi", "placebo", "z"} {
		c.estimates[i] = b.NullableFloat64(name)
	}
	return c
}

// add appends check i of a card of the week that begins on a day.
func (c *checkRows) add(h *health, day uint16, i int) {
	k := &h.Checks[i]
	c.tenant.Append(h.Tenant)
	c.target.Append(h.Target)
	c.scopeKind.Append(h.ScopeKind)
	c.scope.Append(h.Scope)
	c.name.Append(k.Check)
	c.contribution.Append(k.Contribution)
	c.reason.Append(k.Reason)
	c.verdict.Append(h.Verdict)
	c.formula.Append(k.Formula)
	c.weekStart.Append(day)
	c.place.Append(uint16(i))
	c.rev.Append(h.Rev)
	c.n.Append(k.N)
	c.w.Append(clamped(h.W))
	c.alarm.Append(bit(k.Alarm))
	for j, v := range [...]*float64{k.Value, k.Lo, k.Hi, k.Placebo, k.Z} {
		c.estimates[j].Append(v)
	}
	c.EndIn(h.WeekStart)
}

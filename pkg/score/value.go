package score

import (
	"math"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Values says what the outcomes of a team are worth. It comes from the tenant's
// policy, or its default: a score names the version that it was made with.
type Values struct {
	// Points is the worth of one outcome by kind, thousandths of a point. A kind
	// that is absent is worth nothing.
	Points map[goodhartv1.OutcomeKind]int64
	// TicketCap is the most that the outcomes of one ticket are worth together,
	// thousandths of a point, so that splitting work into pieces pays only so
	// far. 0: no cap.
	TicketCap int64
}

// maxWorth is the most that a source may state for one outcome, thousandths of a
// point.
const maxWorth = 1_000_000

// Worth is what one outcome of a kind is worth, thousandths of a point. A value
// that the source states (nil if it states none) goes before the kind's, but
// gives no worth to a kind that has none.
func (v *Values) Worth(kind goodhartv1.OutcomeKind, stated *int64) int64 {
	points := v.Points[kind]
	if points > 0 && stated != nil {
		points = max(0, min(*stated, maxWorth))
	}
	return points
}

// Ticket is what stands to the credit of one ticket, or of one outcome that
// belongs to none. The transitions of an outcome add to it; a revert takes off
// what a merge had added.
type Ticket struct {
	// Provisional and Final are thousandths of a point: merged, and merged and
	// survived.
	Provisional, Final int64
	// Outcomes stand, and are worth something.
	Outcomes int64
}

// Add adds a transition of an outcome that is worth the given thousandths of a
// point; the deltas are those of the transition.
func (t *Ticket) Add(worth int64, provisional, final int32) {
	if worth <= 0 {
		return
	}
	t.Provisional += worth * int64(provisional)
	t.Final += worth * int64(final)
	t.Outcomes += int64(provisional) + int64(final)
}

// Value returns what the ticket counts for. The difference of two Values of a
// ticket, before and after a transition, is what the transition changes.
func (v *Values) Value(t Ticket) Value {
	most := int64(math.MaxInt64)
	if v.TicketCap > 0 {
		most = v.TicketCap
	}
	return Value{
		Outcomes: t.Outcomes,
		Standing: max(0, min(t.Provisional+t.Final, most)),
		Settled:  max(0, min(t.Final, most)),
	}
}

// Value is what outcomes count for. It adds up, and may be negative as a
// difference.
type Value struct {
	// Outcomes stand: merged and not reverted.
	Outcomes int64
	// Standing is their worth, Settled the worth of those that have survived as
	// well, thousandths of a point.
	Standing, Settled int64
}

// Add adds o.
func (v *Value) Add(o Value) {
	v.Outcomes += o.Outcomes
	v.Standing += o.Standing
	v.Settled += o.Settled
}

// Sub takes o off.
func (v *Value) Sub(o Value) {
	v.Outcomes -= o.Outcomes
	v.Standing -= o.Standing
	v.Settled -= o.Settled
}

// Halves is the credit in half thousandths of a point: half of the worth at the
// merge, the other half once it has survived.
func (v Value) Halves() int64 { return v.Standing + v.Settled }

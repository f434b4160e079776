package ledger

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// transition emits a change of an object's credit at event time ms, with the
// author and team of the object, whoever caused it.
func (c *cause) transition(o *object, kind goodhartv1.TransitionKind, ms int64) {
	f := c.fold
	ordinal := o.transitions
	o.transitions++
	if f.replaying {
		return
	}
	t := &goodhartv1.Transition{
		Kind: kind, Outcome: o.outcome, Tenant: o.tenant, Object: o.object,
		Subject: o.subject, Team: o.team, Role: o.role, IdentityType: o.identity,
		Repository: o.repository, RepositoryClass: o.repositoryClass, Source: o.source,
		ObjectDayMs: o.day, TimeMs: ms, ValueMillipoints: o.value,
		TransitionId: transitionID(o.tenant, o.object, ordinal),
		Ticket:       o.ticket, Linked: o.linked, Unreviewed: o.unreviewed,
	}
	switch kind {
	case goodhartv1.TransitionKind_TRANSITION_KIND_MERGED:
		t.ProvisionalDelta = 1
	case goodhartv1.TransitionKind_TRANSITION_KIND_FINALISED:
		t.ProvisionalDelta, t.FinalDelta = -1, 1
	case goodhartv1.TransitionKind_TRANSITION_KIND_REVERTED_PROVISIONAL:
		t.ProvisionalDelta, t.RevertedDelta = -1, 1
	case goodhartv1.TransitionKind_TRANSITION_KIND_REVERTED_FINAL:
		t.FinalDelta, t.RevertedDelta = -1, 1
	case goodhartv1.TransitionKind_TRANSITION_KIND_RESTORED:
		t.RevertedDelta, t.ProvisionalDelta = -1, 1
	default:
		panic("ledger: transition of no kind") // callers name one of the five
	}
	f.fact = fact{
		kind: goodhartv1.FactKind_FACT_KIND_TRANSITION, late: f.late(ms),
		accepted: c.accepted, event: c.event, transition: t,
	}
	if f.fact.SizeVT()+len(o.tenant)+len(o.subject)+outputRoom > maxOutput {
		f.fact.event = nil // the event itself is a fact of its own
	}
	f.stats.Transitions++
	f.emit(c.out, machine.ByKey, []byte(o.tenant), []byte(o.subject))
}

// transitionID names the n-th transition of an object: 16 bytes of SHA-256 over
// length-prefixed parts.
func transitionID(tenant, object string, n uint32) []byte {
	h := sha256.New()
	for _, part := range []string{tenant, object} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		h.Write([]byte(part))
	}
	h.Write(binary.BigEndian.AppendUint32(nil, n))
	return h.Sum(nil)[:16]
}

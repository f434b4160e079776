package ledger

import (
	"github.com/goodhartlabs/goodhart/pkg/machine"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

const dayMs = 24 * hourMs

// outcome passes an outcome event on and applies it to its object. What a bot
// did opens no credit; whether the author merged alone is for the scores to
// judge.
func (f *Fold) outcome(s *shard, r *machine.Record, v *view, out *machine.Outputs) {
	f.pass(out, v, goodhartv1.FactKind_FACT_KIND_OUTCOME, r.Time, v.neverCounts())
	if v.neverCounts() {
		return
	}
	var ev goodhartv1.Event
	if err := ev.UnmarshalVT(v.raw); err != nil {
		panic("ledger: a checked event does not decode") // the shapes are wrong
	}
	success, failure := isSuccess(ev.Outcome.Kind), isFailure(ev.Outcome.Kind)
	if !success && !failure {
		return
	}
	names := v.objectNames(&ev)
	if len(names) == 0 {
		return // no object, and reverts none: nothing to credit
	}
	c := &cause{fold: f, shard: s, out: out, event: v.raw, accepted: r.Time, time: ev.TimeMs}
	o := f.naming(s, names...)
	switch {
	case len(ev.Outcome.Reverts) > 0:
		c.revert(o, v, &ev)
	case failure:
		o.fail(ev.Outcome.Kind, ev.TimeMs)
	default:
		o.succeeded = max(o.succeeded, ev.TimeMs)
	}
	c.spread(o)
	if success && !o.credited() && ev.Outcome.Object != "" && len(o.targets) == 0 {
		c.open(o, &ev)
	}
}

func isSuccess(k goodhartv1.OutcomeKind) bool {
	switch k {
	case goodhartv1.OutcomeKind_OUTCOME_KIND_PR_MERGED,
		goodhartv1.OutcomeKind_OUTCOME_KIND_COMMIT_LANDED,
		goodhartv1.OutcomeKind_OUTCOME_KIND_DEPLOYMENT_SUCCEEDED,
		goodhartv1.OutcomeKind_OUTCOME_KIND_ISSUE_CLOSED,
		goodhartv1.OutcomeKind_OUTCOME_KIND_TICKET_DONE:
		return true
	default:
		return false
	}
}

func isFailure(k goodhartv1.OutcomeKind) bool {
	switch k {
	case goodhartv1.OutcomeKind_OUTCOME_KIND_PR_REVERTED,
		goodhartv1.OutcomeKind_OUTCOME_KIND_DEPLOYMENT_FAILED,
		goodhartv1.OutcomeKind_OUTCOME_KIND_ISSUE_REOPENED,
		goodhartv1.OutcomeKind_OUTCOME_KIND_TICKET_REOPENED:
		return true
	default:
		return false
	}
}

// objectNames are the names by which the event's object is found: the object
// itself and the sha that a later revert names. A revert without either is named
// by its event.
func (v *view) objectNames(ev *goodhartv1.Event) []uint64 {
	var names []uint64
	for _, name := range []string{ev.Outcome.Object, ev.Outcome.MergeSha} {
		if name != "" {
			names = append(names, nameHash(v.tenantHash, []byte(name)))
		}
	}
	if len(names) == 0 && len(ev.Outcome.Reverts) > 0 {
		names = append(names, v.idHash())
	}
	return names
}

// cause is what makes objects change: an event, or a timer, which has none.
type cause struct {
	fold     *Fold
	shard    *shard
	out      *machine.Outputs
	event    []byte
	accepted int64
	time     int64
}

// fail records that the object failed on its own. A ticket may be done again; a
// merged pull request is merged once.
func (o *object) fail(kind goodhartv1.OutcomeKind, ms int64) {
	o.failed = max(o.failed, ms)
	o.sealed = o.sealed || kind == goodhartv1.OutcomeKind_OUTCOME_KIND_PR_REVERTED
}

// revert links the event's object with those that it reverts.
func (c *cause) revert(o *object, v *view, ev *goodhartv1.Event) {
	for _, name := range ev.Outcome.Reverts {
		if name == "" {
			continue
		}
		target := c.fold.naming(c.shard, nameHash(v.tenantHash, []byte(name)))
		if target == o {
			if isFailure(ev.Outcome.Kind) {
				o.fail(ev.Outcome.Kind, c.time)
			}
			continue
		}
		c.shard.link(o, target)
		c.spread(target)
	}
}

// spread recomputes whether o is undone, whether the objects that it reverts
// are, and so on as far as anything changes. Each object changes at most once per event, so
// that objects which revert each other come to rest.
func (c *cause) spread(first *object) {
	c.fold.visit++
	visit := c.fold.visit
	for queue := []*object{first}; len(queue) > 0; queue = queue[1:] {
		o := queue[0]
		if o.visit == visit {
			continue
		}
		undone := c.shard.undone(o)
		changed := undone != o.undone
		if changed {
			o.visit = visit
			o.undone, o.undoneAt = undone, c.time
		}
		if changed || o == first {
			for _, name := range o.targets {
				if t := c.shard.objects[name]; t != nil && t != o {
					queue = append(queue, t)
				}
			}
		}
		c.settle(o, c.time)
	}
}

// open gives an object its credit.
func (c *cause) open(o *object, ev *goodhartv1.Event) {
	oc := ev.Outcome
	if oc.GetIsBot() {
		o.state = creditBarred
		return
	}
	o.state = creditProvisional
	o.outcome, o.tenant, o.object = oc.Kind, ev.Tenant, oc.Object
	o.subject, o.team, o.role, o.identity = ev.Subject, ev.Team, ev.Role, ev.IdentityType
	o.repository, o.repositoryClass, o.source = ev.Repository, oc.RepositoryClass, ev.Source
	o.value, o.ticket, o.linked = oc.ValueMillipoints, ticketOf(oc), oc.EvidenceOfAi
	o.unreviewed = oc.GetSelfMerged() && oc.GetIndependentApprovals() == 0
	o.day = floorTo(c.time, dayMs)
	o.finalisesAt = c.time + c.fold.finaliseAfter
	if oc.FinalisesAtMs != nil {
		o.finalisesAt = min(max(*oc.FinalisesAtMs, c.time), c.time+c.fold.objectTTL)
	}
	o.survive = o.finalisesAt - c.time
	o.keepUntil = max(o.keepUntil, o.finalisesAt)
	c.transition(o, goodhartv1.TransitionKind_TRANSITION_KIND_MERGED, c.time)
	c.settle(o, max(c.time, o.undoneAt))
	c.fold.arm(c.shard, o)
}

// ticketOf is the object of the ticket that an outcome belongs to: a ticket is its
// own. What closes several belongs to the first.
func ticketOf(oc *goodhartv1.Outcome) string {
	switch oc.Kind {
	case goodhartv1.OutcomeKind_OUTCOME_KIND_ISSUE_CLOSED, goodhartv1.OutcomeKind_OUTCOME_KIND_TICKET_DONE:
		return oc.Object
	default:
		if len(oc.Closes) > 0 {
			return oc.Closes[0]
		}
		return ""
	}
}

// settle makes an object's credit agree with what is known of it, as of the
// event time ms. A revert at or behind the time at which the credit became final
// takes a final credit, whether the watermark has come there or not.
func (c *cause) settle(o *object, ms int64) {
	cancelled := o.cancelled()
	switch {
	case cancelled && o.state == creditProvisional && ms >= o.finalisesAt:
		c.finalise(o)
		c.settle(o, ms)
	case cancelled && o.state == creditProvisional:
		o.state = creditReverted
		c.transition(o, goodhartv1.TransitionKind_TRANSITION_KIND_REVERTED_PROVISIONAL, ms)
	case cancelled && o.state == creditFinal:
		o.state = creditReverted
		c.transition(o, goodhartv1.TransitionKind_TRANSITION_KIND_REVERTED_FINAL, ms)
	case !cancelled && o.state == creditReverted:
		o.state = creditProvisional
		o.finalisesAt = ms + o.survive
		o.keepUntil = max(o.keepUntil, o.finalisesAt)
		c.transition(o, goodhartv1.TransitionKind_TRANSITION_KIND_RESTORED, ms)
		c.fold.arm(c.shard, o)
	}
}

func (c *cause) finalise(o *object) {
	o.state = creditFinal
	c.transition(o, goodhartv1.TransitionKind_TRANSITION_KIND_FINALISED, o.finalisesAt)
}

// wake fires an object's timer: its credit becomes final, or it is forgotten.
func (f *Fold) wake(s *shard, o *object, out *machine.Outputs) {
	if o.state == creditProvisional && o.finalisesAt <= o.due {
		c := &cause{fold: f, shard: s, out: out}
		c.finalise(o)
		f.arm(s, o)
		return
	}
	if o.keepUntil <= o.due {
		s.expire(o)
		return
	}
	f.arm(s, o)
}

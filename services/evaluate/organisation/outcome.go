package organisation

import (
	"fmt"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/source/cloudevents"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Delivery is when an outcome that was begun in a week is delivered.
type Delivery struct {
	// BegunMs and DoneMs are times in ms since the epoch, UTC.
	BegunMs, DoneMs int64
	// RevertedMs is 0, or when it was taken back.
	RevertedMs int64
	kind       int
}

// Deliveries are the outcomes of a plan: Outcomes of them, some after the end
// of the period.
func (o *Organisation) Deliveries(plan *Plan) []Delivery {
	if plan.Outcomes == 0 {
		return nil
	}
	rng := o.stream(forDeliveries, plan.Person, plan.Week)
	p := o.People[plan.Person]
	out := make([]Delivery, 0, plan.Outcomes)
	lag := o.Config.Outcomes.MeanLagDays * float64(dayMs)
	for range plan.Outcomes {
		at := o.weekStart(plan.Week) + int64(choose(rng, p.days[:]...))*dayMs +
			int64(uniform(rng, p.opens, p.closes)*float64(hour)) - int64(o.offset(p, plan.Week))*minute
		d := Delivery{BegunMs: at, DoneMs: at + int64(lag*rng.ExpFloat64())}
		if rng.Float64() < o.Config.Outcomes.Reverted {
			d.RevertedMs = d.DoneMs + 2*hour + int64(3*float64(dayMs)*rng.ExpFloat64())
		}
		d.kind = choose(rng, p.outcomeKinds()...)
		out = append(out, d)
	}
	return out
}

const (
	pullRequest = iota
	ticket
	deployment
)

// outcomeKinds are the shares of pull requests, tickets and deployments.
func (p *Person) outcomeKinds() []float64 {
	switch {
	case p.role.Tool == toolChat:
		return []float64{0, 1, 0}
	case p.Role == "sre":
		return []float64{.4, .3, .3}
	default:
		return []float64{.75, .2, .05}
	}
}

// outcomes announces the deliveries of a week.
func (o *Organisation) outcomes(plan *Plan) {
	end := o.weekStart(o.Config.Weeks)
	for i, d := range o.Deliveries(plan) {
		if d.DoneMs >= end {
			continue
		}
		o.row(plan).Delivered++
		kinds := [...][2]goodhartv1.OutcomeKind{
			{goodhartv1.OutcomeKind_OUTCOME_KIND_PR_MERGED, goodhartv1.OutcomeKind_OUTCOME_KIND_PR_REVERTED},
			{goodhartv1.OutcomeKind_OUTCOME_KIND_TICKET_DONE, goodhartv1.OutcomeKind_OUTCOME_KIND_TICKET_REOPENED},
			{goodhartv1.OutcomeKind_OUTCOME_KIND_DEPLOYMENT_SUCCEEDED, goodhartv1.OutcomeKind_OUTCOME_KIND_DEPLOYMENT_FAILED},
		}[d.kind]
		o.announce(plan, i, d.DoneMs, kinds[0])
		if d.RevertedMs > 0 && d.RevertedMs < end {
			o.row(plan).Reverted++
			o.announce(plan, i, d.RevertedMs, kinds[1])
		}
	}
}

// announce reports what happened to the i-th outcome of a week.
func (o *Organisation) announce(plan *Plan, i int, at int64, kind goodhartv1.OutcomeKind) {
	p, r := o.People[plan.Person], o.blank()
	number := fmt.Sprint(1+plan.Person*1000+plan.Week*10, "-", i)
	word := [...]string{"pr", "ticket", "deployment"}[objectOf(kind)]
	repository := repositoryOf(plan.Team, i%repositories)
	r.event.Kind, r.event.Source, r.event.Signal = goodhartv1.EventKind_EVENT_KIND_OUTCOME, cloudevents.Source, goodhartv1.Signal_SIGNAL_CLOUDEVENT
	r.event.Transport, r.event.AdapterVersion, r.event.TimeMs = goodhartv1.Transport_TRANSPORT_HTTP, "1", at
	outcome := &goodhartv1.Outcome{Kind: kind}
	r.event.Outcome = outcome
	ids := &event.OutcomeIDs{Object: event.ObjectID("", repository, word, number)}
	if kind == goodhartv1.OutcomeKind_OUTCOME_KIND_PR_MERGED {
		other := event.Actor{Email: o.People[(plan.Person+1+i)%len(o.People)].Email}
		size := mix(uint64(plan.Person)<<20|uint64(plan.Week), uint64(i))
		outcome.Additions, outcome.Deletions = new(int64(size%400)), new(int64(size>>20%150))
		outcome.Files, outcome.IndependentApprovals = new(int64(1+size>>40%9)), new(uint32(1))
		ids.MergedBy, ids.Reviewers = other, []event.Actor{other}
	}
	r.draft = event.Draft{
		Event: &r.event, Natural: []string{"delivery", fmt.Sprint(kind, "-", number)}, RawID: "delivery",
		Repository: event.RepositoryID("", repository), Actor: event.Actor{Email: p.Email}, Outcome: ids,
	}
	o.put(r, &o.delivery)
}

// objectOf is the kind of object that an outcome is about.
func objectOf(kind goodhartv1.OutcomeKind) int {
	switch kind {
	case goodhartv1.OutcomeKind_OUTCOME_KIND_TICKET_DONE, goodhartv1.OutcomeKind_OUTCOME_KIND_TICKET_REOPENED:
		return ticket
	case goodhartv1.OutcomeKind_OUTCOME_KIND_DEPLOYMENT_SUCCEEDED, goodhartv1.OutcomeKind_OUTCOME_KIND_DEPLOYMENT_FAILED:
		return deployment
	default:
		return pullRequest
	}
}

package organisation

import (
	"fmt"
	"math"
	"strconv"

	"github.com/goodhartlabs/goodhart/pkg/event"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// service is a machine of a team with a key of its own: it renders a report
// every hour, or reviews builds and retries when they break.
type service struct {
	id, subject string
	team        int
	builder     bool
	credential  event.Credential
	rows        []ServiceWeek
}

func (o *Organisation) makeServices() {
	for _, t := range o.Teams {
		if t.reportService {
			o.addService(t, "report", false)
		}
		if t.builder {
			o.addService(t, "build", true)
		}
	}
}

func (o *Organisation) addService(t *Team, kind string, builder bool) {
	id := fmt.Sprintf("%s-%s", t.Name, kind)
	s := &service{id: id, team: t.Index, builder: builder, rows: make([]ServiceWeek, o.Config.Weeks)}
	s.credential = event.Credential{
		ID: "key-" + id, Tenant: o.Config.Tenant, Service: true,
		Accounting: goodhartv1.Accounting_ACCOUNTING_BILLABLE,
	}
	o.services = append(o.services, s)
}

// serve generates a service's week.
func (o *Organisation) serve(s *service, index, week int) {
	rng := o.stream(forServices, index, week)
	prompt, target := mix(o.Seed, uint64(index)), mix(o.Seed, uint64(index)+1<<32)
	row := &s.rows[week]
	*row = ServiceWeek{ID: s.id, Team: s.team, Week: week}
	if !s.builder {
		for hours := range 168 {
			t := tokens{read: 40_000, write: 2_000, input: 500, output: 900 + rng.Int64N(200)}
			o.run(s, row, int64(hours)*hour+7*minute+rng.Int64N(2*second), t, [2]uint64{prompt, target}, false)
		}
		return
	}
	storm := mix(o.Seed, uint64(index)<<16|uint64(week))%16 == 0
	for range poisson(rng, 50) {
		at := int64(rng.IntN(5))*dayMs + int64(uniform(rng, 7, 20)*float64(hour))
		change, prompt := rng.Uint64(), prompt
		t := tokens{read: 20_000, input: int64(8000 * math.Exp(normal(rng, 3))), output: 400 + rng.Int64N(900)}
		for storm && rng.Float64() < .7 {
			o.run(s, row, at, t, [2]uint64{prompt, change}, true)
			at += 20*second + rng.Int64N(40*second)
		}
		o.run(s, row, at, t, [2]uint64{prompt, change}, false)
	}
}

// run makes one request of a service.
func (o *Organisation) run(s *service, row *ServiceWeek, at int64, t tokens, pair [2]uint64, failed bool) {
	r := o.blank()
	u := o.describe(r, o.weekStart(row.Week)+at)
	r.event.Tool, r.event.ToolVersion = "automation", "1.4.0"
	u.RequestModel, u.ResponseModel = o.Config.Models.Small, o.Config.Models.Small
	r.hash, r.target, r.effects, r.fresh, r.duration = pair[0], pair[1], 1, max(minHashed, t.input), 4*second
	u.H64, u.TargetH64, u.SideEffects, u.NewTurnTokens, u.DurationMs = &r.hash, &r.target, &r.effects, &r.fresh, &r.duration
	if failed {
		u.Status, u.ErrorType = goodhartv1.Status_STATUS_ERROR, "overloaded"
	} else {
		r.setTokens(t)
	}
	r.draft = event.Draft{
		Event: &r.event, Conversation: s.id + "-" + strconv.FormatInt(at/dayMs+int64(row.Week)*7, 10),
		Repository: o.repositories[s.team][0],
	}
	o.name(r, fmt.Sprintf("response-%s-%d-%d", s.id, row.Week, row.Requests))
	o.put(r, &s.credential)
	s.subject = r.event.Subject
	row.Requests++
	if !failed {
		row.Tokens += t.total()
		row.Cost += u.GetCostNanos()
	}
}

// report renders the person's registered report: every morning, or every
// working hour, always with the same prompt on the same target.
func (w *week) report() {
	p := w.p
	if !p.cron || w.plan.Week < p.joined {
		return
	}
	from, to, size := 8, 8, .01
	if p.hourly {
		from, to, size = 8, 17, .002
	}
	first := len(w.requests)
	pair := [2]uint64{mix(w.o.Seed, uint64(p.Index)), mix(w.o.Seed, uint64(p.Index)+1<<40)}
	for d := range 5 {
		for h := from; h <= to; h++ {
			w.requests = append(w.requests, request{
				at: int64(d)*dayMs + int64(h)*hour + w.rng.Int64N(2*second), duration: 8 * second, session: w.session(), turn: 1,
			})
		}
	}
	requests := w.requests[first:]
	w.draw(requests, 0)
	for i := range requests {
		q := &requests[i]
		q.h64, q.target, q.effects = pair[0], pair[1], 1
		q.context, q.output, q.fresh = 20_000, 800, 300
	}
	scale(requests, float64(len(requests))*size*math.Exp(p.mu))
}

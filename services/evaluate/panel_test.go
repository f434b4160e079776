package evaluate

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/kpi"
	"github.com/goodhartlabs/goodhart/pkg/signal"
	"github.com/goodhartlabs/goodhart/pkg/tenant"
	"github.com/goodhartlabs/goodhart/pkg/window"
	"github.com/goodhartlabs/goodhart/services/evaluate/folds"
	"github.com/goodhartlabs/goodhart/services/evaluate/organisation"
)

// The panel that is made without events holds, week by week, what the folds make of
// the events, and the truth beside it is the same.
func TestPanelIsThatOfTheFolds(t *testing.T) {
	if testing.Short() {
		t.Skip("a whole company, one event after the other")
	}
	s := scenario{Prevalence: .4, Adaptive: .5, Requests: cardRequests}
	c := s.config(organisation.Default())
	c.People, c.Weeks, c.AnnouncedWeek = 200, 26, 18
	o, err := organisation.New(3, c)
	if err != nil {
		t.Fatal(err)
	}
	type key struct {
		subject string
		week    int
	}
	folded, teams := map[key]kpi.Week{}, map[string]string{}
	pipe := folds.New(func(string, []byte) error { return nil })
	pipe.Tenant.Observe(tenant.Observer{Week: func(in *signal.Input, _ *signal.State, result *signal.Result) {
		if result != nil {
			return
		}
		for i := range in.Subjects {
			subject := &in.Subjects[i]
			k := subject.Week
			w := kpi.Week{
				Known: true, OutcomesKnown: true, CostKnown: k.UnpricedRequests <= k.UnknownTokenRequests, Requests: k.Requests, CostNanos: k.CostNanos,
				Tokens: k.InputUncachedTokens + k.CacheReadTokens + k.CacheWriteTokens + k.OutputTokens,
			}
			copy(w.DayTokens[:], k.DayTokens)
			copy(w.DayRequests[:], k.DayRequests)
			copy(w.DayCostNanos[:], k.DayCostNanos)
			for _, credit := range k.Credits {
				w.Outcomes += 1000 * (credit.Provisional + credit.Final)
			}
			folded[key{subject.ID, int((k.WeekStartMs - startOf(&c)) / window.Week)}] = w
			if k.Team != "" {
				if subject.ID[:2] == "p_" {
					teams[subject.ID] = k.Team
				}
			}
		}
	}})
	if err := through(t.Context(), o, pipe, func() {}); err != nil {
		t.Fatal(err)
	}
	same, err := organisation.New(3, c)
	if err != nil {
		t.Fatal(err)
	}
	panel, n := same.Panel(c.Weeks), 0
	subjects := slices.Sorted(maps.Keys(teams))
	travels := map[key]bool{}
	for i := range same.Plans {
		if plan := &same.Plans[i]; plan.Looks.Has(organisation.Travel) {
			subject := same.People[plan.Person].Subject
			travels[key{subject, plan.Week}], travels[key{subject, plan.Week + 1}] = true, true
		}
	}
	for i, p := range subjects {
		u := &panel.Units[i]
		if u.Team != teams[p] {
			t.Errorf("%s is in %s, want %s", p, u.Team, teams[p])
		}
		for w := range u.Weeks {
			k, ok := folded[key{p, w}]
			if !ok && u.Weeks[w].Known {
				k = kpi.Week{Known: true, OutcomesKnown: true, CostKnown: true} // nothing happened
			}
			if ok {
				n++
			}
			got := u.Weeks[w]
			if travels[key{p, w}] { // the folds' days are those of where the week began
				k.DayTokens, k.DayRequests, k.DayCostNanos = [7]int64{}, [7]int64{}, [7]int64{}
				got.DayTokens, got.DayRequests, got.DayCostNanos = k.DayTokens, k.DayRequests, k.DayCostNanos
			}
			if diff := cmp.Diff(k, got); diff != "" {
				t.Fatalf("%s, week %d (-folds +panel):\n%s", p, w, diff)
			}
		}
	}
	for k := range folded {
		if k.subject[:2] != "p_" || k.week >= c.Weeks {
			n++
		}
	}
	if n != len(folded) {
		t.Errorf("%d weeks of %d", n, len(folded))
	}
	if diff := cmp.Diff(o.Truth(), same.Truth(), cmp.AllowUnexported(organisation.Plan{})); diff != "" {
		t.Errorf("truth: %s", diff)
	}
}

package tenant

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/kpi"
	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/signal"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// panel is what the people of a tenant did in the weeks that the cards of its
// targets compare, by subject: sums of a week and of its days, nothing else.
type panel map[string]*history

// history is one person's. Its weeks are consecutive from start.
type history struct {
	team  string
	start int64
	weeks []kpi.Week
}

// add appends a week. A week in which the person did nothing between two others is
// known and zero.
func (p panel) add(s *signal.Subject, pol *policy.Policy) {
	k := s.Week
	h := p[s.ID]
	if h == nil {
		h = &history{start: k.WeekStartMs}
		p[s.ID] = h
	}
	at := int((k.WeekStartMs - h.start) / window.Week)
	if at < len(h.weeks) {
		return // weeks are judged in order: one is never added twice
	}
	for len(h.weeks) < at {
		h.weeks = append(h.weeks, kpi.Week{Known: true, CostKnown: true})
	}
	if k.Team != "" { // a week of outcomes alone names none
		h.team = k.Team
	}
	h.weeks = append(h.weeks, weekOf(k, pol.Weights(k.Team)))
}

func weekOf(k *goodhartv1.Week, weights map[goodhartv1.OutcomeKind]int64) kpi.Week {
	w := kpi.Week{
		// A request without tokens, such as a failed one, has no price and needs none.
		Known: true, CostKnown: k.UnpricedRequests <= k.UnknownTokenRequests,
		Tokens:   k.InputUncachedTokens + k.CacheReadTokens + k.CacheWriteTokens + k.OutputTokens,
		Requests: k.Requests, CostNanos: k.CostNanos,
	}
	copy(w.DayTokens[:], k.DayTokens)
	copy(w.DayRequests[:], k.DayRequests)
	copy(w.DayCostNanos[:], k.DayCostNanos)
	for _, c := range k.Credits {
		w.Outcomes += c.Millipoints + (c.Provisional+c.Final-c.Valued)*weights[c.Kind]
	}
	return w
}

// trim drops weeks that lie more than so many before one, and people without any.
func (p panel) trim(week int64, keep int) {
	oldest := week - int64(keep-1)*window.Week
	maps.DeleteFunc(p, func(_ string, h *history) bool {
		if drop := min(int64(len(h.weeks)), max(0, (oldest-h.start)/window.Week)); drop > 0 {
			h.weeks = slices.Delete(h.weeks, 0, int(drop))
			h.start += drop * window.Week
		}
		return len(h.weeks) == 0
	})
}

// whole is the panel as the cards take it. The outcomes of a team are known if any
// of its people has had one.
func (p panel) whole() *kpi.Panel {
	subjects := slices.Sorted(maps.Keys(p))
	out := &kpi.Panel{Start: p[subjects[0]].start}
	connected := map[string]bool{}
	for _, h := range p {
		out.Start = min(out.Start, h.start)
		for i := range h.weeks {
			if h.weeks[i].Outcomes != 0 {
				connected[h.team] = true
			}
		}
	}
	for _, subject := range subjects {
		h := p[subject]
		u := kpi.Unit{Team: h.team, Weeks: make([]kpi.Week, (h.start-out.Start)/window.Week, (h.start-out.Start)/window.Week+int64(len(h.weeks)))}
		for _, w := range h.weeks {
			w.OutcomesKnown = connected[h.team]
			u.Weeks = append(u.Weeks, w)
		}
		out.Units = append(out.Units, u)
	}
	return out
}

// emitCards states the health of every target that is in force in a week.
func (f *Fold) emitCards(t *tenant, week int64, publishable map[string]bool, usage []signal.TeamUsage, out *machine.Outputs) {
	targets := t.policy.TargetsAt(week + window.Week - 1)
	if len(targets) == 0 || len(t.panel) == 0 {
		return
	}
	c := cards{f: f, t: t, whole: t.panel.whole(), week: week, usage: usage}
	for _, target := range targets {
		if target.Scope != policy.ScopeTeam {
			c.emit(target, "", out)
			continue
		}
		for _, team := range teamsOf(target, c.whole) {
			if publishable[team] {
				c.emit(target, team, out)
			}
		}
	}
}

// cards are those of a tenant and week.
type cards struct {
	f     *Fold
	t     *tenant
	whole *kpi.Panel
	week  int64
	usage []signal.TeamUsage
}

// teamsOf lists the teams that a target is set for.
func teamsOf(target *policy.Target, whole *kpi.Panel) []string {
	if len(target.Teams) > 0 {
		return target.Teams
	}
	teams := map[string]bool{}
	for i := range whole.Units {
		if team := whole.Units[i].Team; team != "" {
			teams[team] = true
		}
	}
	return slices.Sorted(maps.Keys(teams))
}

// signalledOf is what people used, and how much of it is in what a signal asks
// about; nothing if that is some people's but fewer than the floor, whose private
// questions it would tell of. The card of a team does not state it at all: it would
// tell of few in most weeks, and what is left of the tenant in the others.
func signalledOf(usage []signal.TeamUsage) (signalled, of int64) {
	var people int64
	for _, u := range usage {
		signalled += u.Signalled
		of += u.Tokens
		people += u.SignalledPeople
	}
	if people > 0 && people < MinimumGroupFloor {
		return 0, 0
	}
	return signalled, of
}

// emit states one card: of the tenant, or of a team.
func (c *cards) emit(target *policy.Target, team string, out *machine.Outputs) {
	c.f.stats.Cards++
	if out.Silent {
		return
	}
	since := window.WeekStart(int64(target.AnnouncedAt)-1) + window.Week // the first week that began under it
	of := c.whole
	if target.Metric == policy.Efficiency {
		of = c.t.teamPanel(c.week)
	}
	in := kpi.Input{Panel: of, Week: int((c.week - of.Start) / window.Week), Target: kpi.Target{
		ID: target.ID, Metric: target.Metric, Threshold: target.Threshold, Period: target.Period,
		Announced: int(max(0, (since-of.Start)/window.Week)),
		Teams:     target.Teams, TeamSizes: map[string]int{},
	}}
	kind := "tenant"
	if team != "" {
		kind, in.Target.Teams = "team", []string{team}
	}
	for _, declared := range c.t.policy.Teams {
		in.Target.TeamSizes[declared.ID] = int(declared.Size)
	}
	if team == "" {
		in.Signalled, in.SignalledOf = signalledOf(c.usage)
	}
	card := kpi.Assess(&in)
	card.Tenant, card.ScopeKind, card.Scope = c.t.name, kind, team
	card.W, card.ConfigVersion = c.f.w, c.t.config.GetVersion()
	c.f.sendCard(&card, out)
}

func savePanel(p panel) []*goodhartv1.PersonPanel {
	var saved []*goodhartv1.PersonPanel
	for subject, h := range p {
		saved = append(saved, &goodhartv1.PersonPanel{
			Subject: subject, Team: h.team, StartMs: h.start,
			Weeks: each(h.weeks, func(w kpi.Week) *goodhartv1.PanelWeek {
				m := &goodhartv1.PanelWeek{
					Tokens: w.Tokens, Requests: w.Requests, CostNanos: w.CostNanos, Priced: w.CostKnown, Outcomes: w.Outcomes,
				}
				if w.Requests != 0 || w.Tokens != 0 {
					m.DayTokens, m.DayRequests, m.DayCostNanos = w.DayTokens[:], w.DayRequests[:], w.DayCostNanos[:]
				}
				return m
			}),
		})
	}
	slices.SortFunc(saved, func(a, b *goodhartv1.PersonPanel) int { return cmp.Compare(a.Subject, b.Subject) })
	return saved
}

func loadPanel(saved []*goodhartv1.PersonPanel) panel {
	p := panel{}
	for _, m := range saved {
		p[strings.Clone(m.Subject)] = &history{team: m.Team, start: m.StartMs, weeks: each(m.Weeks, func(w *goodhartv1.PanelWeek) kpi.Week {
			k := kpi.Week{
				Known: true, CostKnown: w.Priced, Tokens: w.Tokens, Requests: w.Requests, CostNanos: w.CostNanos, Outcomes: w.Outcomes,
			}
			copy(k.DayTokens[:], w.DayTokens)
			copy(k.DayRequests[:], w.DayRequests)
			copy(k.DayCostNanos[:], w.DayCostNanos)
			return k
		})}
	}
	return p
}

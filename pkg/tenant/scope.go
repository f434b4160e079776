package tenant

import (
	"cmp"
	"slices"
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/seaspot"
	"github.com/goodhartlabs/goodhart/pkg/signal"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Scope kinds, short.
const (
	kindTenant = goodhartv1.ScopeKind_SCOPE_KIND_TENANT
	kindTeam   = goodhartv1.ScopeKind_SCOPE_KIND_TEAM
	kindModel  = goodhartv1.ScopeKind_SCOPE_KIND_MODEL
	kindTool   = goodhartv1.ScopeKind_SCOPE_KIND_TOOL
	kinds      = 5
)

// kindName returns the name of a kind in records.
func kindName(k goodhartv1.ScopeKind) string {
	switch k {
	case kindTenant:
		return score.ScopeTenant
	case kindTeam:
		return score.ScopeTeam
	case kindModel:
		return score.ScopeModel
	case kindTool:
		return score.ScopeTool
	default:
		return ""
	}
}

// tenant is the state of one tenant.
type tenant struct {
	name   string
	config *goodhartv1.Config
	// whole is the scope of kind tenant, nil until something happened.
	whole  *scope
	byName [kinds]map[string]*scope
	// scopes is sorted by (kind, name).
	scopes []*scope
	people map[string]*person
	// weeks of subjects wait to be judged; policy is the configuration, read.
	weeks   []signal.Subject
	signals signal.State
	policy  *policy.Policy
	panel   panel
	// scored is what teams achieved in the weeks that cards compare, sorted.
	scored []scored
	// since is the first midnight from which everything is known, 0 for none yet;
	// learned is what the scores compare with, sorted by end.
	since   int64
	learned []*learned
	// watched is how many scopes have a rate.
	watched int
}

// scope is what a tenant, a team, a model or a tool did. A team without a name
// holds those who are in no team: it counts in group sizes and has no score.
type scope struct {
	kind goodhartv1.ScopeKind
	name string
	// minutes, hours and days are the same activity at three widths.
	minutes, hours, days window.Tier[score.Totals]
	// fixes holds the corrections of each window.
	fixes   [][]fix
	members []*member
	groups  []group
	// crews is what the people of a team did, sorted by role; stated holds the
	// efficiency scores of each window that may still be corrected.
	crews  []*crew
	stated [][]statement
	// rate is what is usual in the requests by the quarter of an hour, nil unless it
	// is watched.
	rate *seaspot.Detector
	// index is the place in tenant.scopes while a snapshot is written.
	index uint32
}

// keep says for how long panes are held, by width, in ms.
type keep struct{ minute, hour, day, longest int64 }

// keepFor returns how long panes serve the given windows.
func keepFor(windows []window.Window) keep {
	k := keep{minute: 2 * seaspot.Width, day: window.Week + window.Day} // for the rates
	for _, w := range windows {
		switch w.Pane {
		case window.Minute:
			k.minute = max(k.minute, w.Keep())
		case window.Hour:
			k.hour = max(k.hour, w.Keep())
		case window.Day:
			k.day = max(k.day, w.Keep())
		}
	}
	k.day += score.Settling // an efficiency score repeats them until it is final
	k.longest = max(k.minute, k.hour, k.day)
	return k
}

// tenant returns the state of a tenant, which it creates if it is absent.
func (f *Fold) tenant(name string) *tenant {
	if t, ok := f.tenants[name]; ok {
		return t
	}
	t := &tenant{name: strings.Clone(name), people: map[string]*person{}, panel: panel{}}
	t.policy = policy.Default(t.name)
	for i := range t.byName {
		t.byName[i] = map[string]*scope{}
	}
	f.tenants[t.name] = t
	at, _ := slices.BinarySearchFunc(f.order, name, func(t *tenant, name string) int { return strings.Compare(t.name, name) })
	f.order = slices.Insert(f.order, at, t)
	f.stats.Tenants++
	return t
}

// maxScopes is the most teams, models or tools that a tenant may have; further
// ones count as otherScope. It stops a client that invents names.
const (
	maxScopes  = 4096
	otherScope = "other"
)

// scope returns the scope of a kind and name, which it creates if it is absent.
func (t *tenant) scope(f *Fold, kind goodhartv1.ScopeKind, name string) *scope {
	if s, ok := t.byName[kind][name]; ok {
		return s
	}
	if len(t.byName[kind]) >= maxScopes && name != otherScope {
		f.stats.Capped++
		return t.scope(f, kind, otherScope)
	}
	s := f.newScope(kind, strings.Clone(name))
	t.insert(s)
	f.stats.Scopes++
	return s
}

func (f *Fold) newScope(kind goodhartv1.ScopeKind, name string) *scope {
	return &scope{kind: kind, name: name, fixes: make([][]fix, len(f.windows)), stated: make([][]statement, len(f.windows))}
}

// insert adds a scope in its place.
func (t *tenant) insert(s *scope) {
	t.byName[s.kind][s.name] = s
	if s.kind == kindTenant {
		t.whole = s
	}
	at, _ := slices.BinarySearchFunc(t.scopes, s, compareScopes)
	t.scopes = slices.Insert(t.scopes, at, s)
}

func compareScopes(a, b *scope) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), strings.Compare(a.name, b.name))
}

// add adds a pane of a subject to every scope that it belongs to.
func (t *tenant) add(f *Fold, m *goodhartv1.Feature) {
	start := m.PaneStartMs
	t.begin(start)
	whole := t.whole
	if whole == nil {
		whole = t.scope(f, kindTenant, "")
	}
	var p *person
	human := isPerson(m)
	for _, c := range m.Cells {
		totals := score.FromCell(c)
		team := t.scope(f, kindTeam, c.Team)
		touched := [4]*scope{whole, team}
		n := 2
		if c.Model != "" {
			touched[n] = t.scope(f, kindModel, c.Model)
			n++
		}
		if c.Tool != "" {
			touched[n] = t.scope(f, kindTool, c.Tool)
			n++
		}
		for _, s := range touched[:n] {
			s.add(f, start, &totals)
		}
		if totals.Records == 0 {
			continue
		}
		in := team.crew(m.Role)
		in.spend(start, c)
		if !human {
			continue
		}
		if p == nil {
			p = t.person(f, m.Subject)
		}
		for _, s := range touched[:n] {
			p.member(s).touch(start)
		}
		own := p.member(team)
		own.spend(window.WeekStart(start), &totals)
		own.attend(in, start).own.spend(start, c)
	}
}

// add adds totals to the pane of a minute and notes which windows it corrects.
func (s *scope) add(f *Fold, start int64, totals *score.Totals) {
	addTo(&s.minutes, start, totals, f.w, f.keep.minute)
	addTo(&s.hours, window.Floor(start, window.Hour), totals, f.w, f.keep.hour)
	addTo(&s.days, window.Floor(start, window.Day), totals, f.w, f.keep.day)
	if start < f.w-window.Minute {
		s.correct(f, start)
	}
}

// addTo adds totals to a pane, unless no window asks for it any more. Stale
// panes go when there are half as many again as are needed.
func addTo(tier *window.Tier[score.Totals], start int64, totals *score.Totals, w, keep int64) {
	if start < w-keep {
		return
	}
	tier.At(start).Add(totals)
	if oldest, _ := tier.Pane(0); oldest < w-keep-keep/2 {
		tier.Trim(w - keep)
	}
}

// tier returns the panes of a width.
func (s *scope) tier(width int64) *window.Tier[score.Totals] {
	switch width {
	case window.Minute:
		return &s.minutes
	case window.Hour:
		return &s.hours
	default:
		return &s.days
	}
}

// sum returns what the scope did in the window that ends at end.
func (s *scope) sum(w *window.Window, end int64) score.Totals {
	var sum score.Totals
	panes := s.tier(w.Pane).Range(end-w.Size, end)
	for i := range panes {
		sum.Add(&panes[i])
	}
	return sum
}

package tenant

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// AppendShard appends the whole state, a goodhart.v1.TenantFoldState.
func (f *Fold) AppendShard(dst []byte, _ int) []byte {
	m := &goodhartv1.TenantFoldState{NewestPaneMs: f.newest}
	for i := range f.schedules {
		s := &f.schedules[i]
		m.Schedules = append(m.Schedules, &goodhartv1.TenantSchedule{Name: s.name, NextMs: s.next})
	}
	for _, t := range f.order {
		m.Tenants = append(m.Tenants, f.saveTenant(t))
	}
	return appendMessage(dst, m)
}

func (f *Fold) saveTenant(t *tenant) *goodhartv1.TenantState {
	sortWeeks(t.weeks)
	m := &goodhartv1.TenantState{Tenant: t.name, Config: t.config, Weeks: saveWeeks(t.weeks), Signals: saveSignals(&t.signals), Panel: savePanel(t.panel)}
	m.SinceMs, m.Learned, m.Scored = t.since, each(t.learned, saveLearned), each(t.scored, saveScored)
	for i, s := range t.scopes {
		s.index = uint32(i)
		m.Scopes = append(m.Scopes, f.saveScope(s))
	}
	for _, p := range t.people {
		m.People = append(m.People, p.save())
	}
	slices.SortFunc(m.People, func(a, b *goodhartv1.PersonState) int { return strings.Compare(a.Subject, b.Subject) })
	return m
}

func (f *Fold) saveScope(s *scope) *goodhartv1.ScopeState {
	m := &goodhartv1.ScopeState{
		Kind:    s.kind,
		Name:    s.name,
		Minutes: savePanes(&s.minutes),
		Hours:   savePanes(&s.hours),
		Days:    savePanes(&s.days),
	}
	for i, fixes := range s.fixes {
		for _, x := range fixes {
			m.Corrections = append(m.Corrections, &goodhartv1.ScopeCorrection{
				Window: f.windows[i].Name, EndMs: x.end, Rev: x.rev, Dirty: x.dirty,
			})
		}
	}
	for _, g := range s.groups {
		m.Groups = append(m.Groups, &goodhartv1.ScopeGroup{
			WeekStartMs: g.week, Emitted: g.emitted, People: g.people, Reason: g.reason,
			Top1Ppm: pointer(g.top1), Top2Ppm: pointer(g.top2),
		})
	}
	m.Crews = each(s.crews, saveCrew)
	m.Rate = saveRate(s.rate)
	for i, stated := range s.stated {
		for _, x := range stated {
			m.Statements = append(m.Statements, &goodhartv1.ScopeStatement{
				Window: f.windows[i].Name, EndMs: x.end, Rev: x.rev, Hash: x.hash,
			})
		}
	}
	return m
}

func pointer(m score.Millionths) *int64 {
	if !m.Known {
		return nil
	}
	return &m.N
}

func millionths(p *int64) score.Millionths {
	if p == nil {
		return score.Millionths{}
	}
	return score.Millionths{N: *p, Known: true}
}

func savePanes(tier *window.Tier[score.Totals]) []*goodhartv1.ScopePane {
	panes := make([]*goodhartv1.ScopePane, 0, tier.Len())
	for i := range tier.Len() {
		start, totals := tier.Pane(i)
		panes = append(panes, &goodhartv1.ScopePane{StartMs: start, Totals: totals.Cell()})
	}
	return panes
}

func loadPanes(tier *window.Tier[score.Totals], panes []*goodhartv1.ScopePane) {
	for _, p := range panes {
		*tier.At(p.StartMs) = score.FromCell(p.Totals)
	}
}

func (p *person) save() *goodhartv1.PersonState {
	m := &goodhartv1.PersonState{Subject: p.name}
	for _, in := range p.in {
		saved := &goodhartv1.PersonScope{
			Scope:    in.scope.index,
			LastHour: in.lastHour, HoursLo: in.hoursLo, HoursHi: in.hoursHi,
			LastDay: in.lastDay, Days: uint32(in.days), DaysHi: uint32(in.days >> 32),
		}
		for _, a := range in.attended {
			saved.Attended = append(saved.Attended, &goodhartv1.Attendance{Role: a.crew.role, LastDay: a.last, Days: a.days, Own: saveCrew(&a.own)})
		}
		slices.SortFunc(saved.Attended, func(a, b *goodhartv1.Attendance) int { return strings.Compare(a.Role, b.Role) })
		for _, x := range in.spent {
			saved.Spend = append(saved.Spend, &goodhartv1.PersonSpend{WeekStartMs: x.week, CostNanos: x.cost, Tokens: x.tokens})
		}
		slices.SortFunc(saved.Spend, func(a, b *goodhartv1.PersonSpend) int { return cmp.Compare(a.WeekStartMs, b.WeekStartMs) })
		m.Scopes = append(m.Scopes, saved)
	}
	slices.SortFunc(m.Scopes, func(a, b *goodhartv1.PersonScope) int { return cmp.Compare(a.Scope, b.Scope) })
	return m
}

// LoadShard replaces the state by what AppendShard wrote. An empty data is the
// empty state.
func (f *Fold) LoadShard(shard int, data []byte) error {
	if shard != 0 {
		return fmt.Errorf("load tenant state: shard %d of 1", shard)
	}
	f.reset()
	if len(data) == 0 {
		return nil
	}
	var m goodhartv1.TenantFoldState
	if err := m.UnmarshalVT(data); err != nil {
		return fmt.Errorf("decode tenant state: %w", err)
	}
	f.newest = m.NewestPaneMs
	f.due = math.MaxInt64
	for i := range f.schedules {
		s := &f.schedules[i]
		for _, saved := range m.Schedules {
			if saved.Name == s.name {
				s.next = saved.NextMs
			}
		}
		f.due = min(f.due, s.next)
	}
	for _, saved := range m.Tenants {
		if err := f.loadTenant(saved); err != nil {
			return fmt.Errorf("load tenant %q: %w", saved.Tenant, err)
		}
	}
	return nil
}

func (f *Fold) loadTenant(saved *goodhartv1.TenantState) error {
	t := f.tenant(saved.Tenant)
	if saved.Config != nil {
		p, err := policy.Parse(saved.Config.Document)
		if err != nil {
			return fmt.Errorf("configuration %d: %w", saved.Config.Version, err)
		}
		t.configure(saved.Config, p)
	}
	t.since, t.learned, t.scored = saved.SinceMs, each(saved.Learned, loadLearned), each(saved.Scored, loadScored)
	t.panel = loadPanel(saved.Panel)
	t.weeks, t.signals = loadWeeks(saved.Weeks), loadSignals(saved.Signals)
	for _, state := range saved.Scopes {
		if state.Kind <= 0 || state.Kind >= kinds {
			return fmt.Errorf("scope %q: unknown kind %d", state.Name, state.Kind)
		}
		s := f.newScope(state.Kind, state.Name)
		f.loadScope(s, state)
		t.insert(s)
		if s.rate != nil {
			t.watched++
		}
		f.stats.Scopes++
	}
	for _, state := range saved.People {
		if err := t.loadPerson(f, state); err != nil {
			return err
		}
	}
	return nil
}

func (f *Fold) loadScope(s *scope, state *goodhartv1.ScopeState) {
	loadPanes(&s.minutes, state.Minutes)
	loadPanes(&s.hours, state.Hours)
	loadPanes(&s.days, state.Days)
	for _, x := range state.Corrections {
		for i := range f.windows {
			if f.windows[i].Name != x.Window {
				continue
			}
			s.fixes[i] = append(s.fixes[i], fix{end: x.EndMs, rev: x.Rev, dirty: x.Dirty})
			if x.Dirty {
				f.schedules[i].dirty++
			}
		}
	}
	for _, g := range state.Groups {
		s.groups = append(s.groups, group{
			week: g.WeekStartMs, emitted: g.Emitted, people: g.People, reason: g.Reason,
			top1: millionths(g.Top1Ppm), top2: millionths(g.Top2Ppm),
		})
	}
	s.rate = loadRate(state.Rate)
	for _, c := range state.Crews {
		s.loadCrew(c)
	}
	for _, x := range state.Statements {
		for i := range f.windows {
			if f.windows[i].Name == x.Window {
				s.stated[i] = append(s.stated[i], statement{end: x.EndMs, rev: x.Rev, hash: x.Hash})
			}
		}
	}
}

func (t *tenant) loadPerson(f *Fold, state *goodhartv1.PersonState) error {
	p := t.person(f, state.Subject)
	for _, saved := range state.Scopes {
		if int(saved.Scope) >= len(t.scopes) {
			return fmt.Errorf("person: scope %d of %d", saved.Scope, len(t.scopes))
		}
		m := p.member(t.scopes[saved.Scope])
		m.lastHour, m.hoursLo, m.hoursHi = saved.LastHour, saved.HoursLo, saved.HoursHi
		m.lastDay, m.days = saved.LastDay, uint64(saved.DaysHi)<<32|uint64(saved.Days)
		for _, a := range saved.Attended {
			attended := attendance{crew: m.scope.crew(a.Role), last: a.LastDay, days: a.Days}
			if a.Own != nil {
				attended.own.load(a.Own)
			}
			m.attended = append(m.attended, attended)
		}
		for _, x := range saved.Spend {
			m.spent = append(m.spent, spending{week: x.WeekStartMs, cost: x.CostNanos, tokens: x.Tokens})
		}
	}
	return nil
}

// AppendHeader appends the watermark, which stands still during a replay.
func (f *Fold) AppendHeader(dst []byte) []byte {
	w := f.w
	if f.replaying {
		w = f.headerW
	}
	return appendMessage(dst, &goodhartv1.TenantHeader{W: w})
}

// LoadHeader replaces the watermark. An empty data is the empty state.
func (f *Fold) LoadHeader(data []byte) error {
	f.w = math.MinInt64
	if len(data) > 0 {
		var m goodhartv1.TenantHeader
		if err := m.UnmarshalVT(data); err != nil {
			return fmt.Errorf("decode tenant header: %w", err)
		}
		f.w = m.W
	}
	f.headerW = f.w
	return nil
}

// appendMessage appends the bytes of m.
func appendMessage(dst []byte, m machine.Message) []byte {
	n := m.SizeVT()
	dst = slices.Grow(dst, n)
	at := len(dst)
	dst = dst[:at+n]
	if _, err := m.MarshalToSizedBufferVT(dst[at:]); err != nil {
		panic("tenant: message does not fill its own size") // a bug in generated code
	}
	return dst
}

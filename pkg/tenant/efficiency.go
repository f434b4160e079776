package tenant

import (
	"cmp"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// statement is an efficiency score that was emitted and may be corrected.
type statement struct {
	end int64
	rev uint32
	// hash is of what it said.
	hash uint64
}

// emitEfficiency scores the windows of days that end at a midnight or ended in
// the 14 days before, tenant by tenant, in order of (end, window, scope). What
// says the same as the last statement of it is not said again.
func (f *Fold) emitEfficiency(midnight int64, out *machine.Outputs) {
	for _, t := range f.order {
		t.countPeople(midnight)
		a := assessor{f: f, t: t, midnight: midnight, blocks: map[int64][]score.Block{}, out: out}
		for end := midnight - score.Settling; end <= midnight; end += window.Day {
			for i := range f.windows {
				if w := &f.windows[i]; w.Pane == window.Day && (f.scored == nil || f.scored(end)) && t.active(w, end) {
					a.window(i, end)
				}
			}
		}
		t.unlearn(midnight)
	}
}

// active reports whether a tenant did anything in the window that ends at end.
func (t *tenant) active(w *window.Window, end int64) bool {
	return t.whole != nil && t.whole.days.Any(end-w.Size, end)
}

// assessor scores the windows of a tenant at a midnight.
type assessor struct {
	f        *Fold
	t        *tenant
	midnight int64
	out      *machine.Outputs
	// ledgers are made when they are first asked for, blocks are by start.
	ledgers *ledgers
	blocks  map[int64][]score.Block
}

// window scores every scope that was active in a window.
func (a *assessor) window(index int, end int64) {
	w := &a.f.windows[index]
	if a.ledgers == nil {
		a.ledgers = seriesOf(a.t, a.midnight)
	}
	starts := score.WindowStarts(end, int(w.Size/window.Day))
	known := len(a.ledgers.series) > 0 && starts[0]-score.Lag*window.Day >= a.ledgers.first
	teams := score.Inputs{End: end, AsOf: a.midnight, Whole: score.Unit{
		OutcomesKnown: len(a.ledgers.known) > 0, HistoryKnown: known, LinksKnown: len(a.ledgers.linked) > 0,
		Publishable: a.enough(w, end),
	}}
	models, tools := teams, teams // nothing links outcomes to them: they have no blocks
	if known {
		for _, start := range starts {
			teams.Blocks = append(teams.Blocks, a.blocksAt(start)...)
		}
	}
	byKind := [kinds]*score.Inputs{kindTeam: &teams, kindModel: &models, kindTool: &tools}
	for _, s := range a.t.scopes {
		if in := byKind[s.kind]; in != nil && s.scored() && s.days.Any(end-w.Size, end) {
			in.Units = append(in.Units, a.unit(s, w, end, known))
		}
	}
	model, unattributed := a.model(end), a.unattributed(w, end)
	for _, kind := range [...]goodhartv1.ScopeKind{kindTeam, kindModel, kindTool} {
		from := model.Assess(*byKind[kind])
		if kind == kindTeam {
			a.state(a.t.whole, index, from, &from.Whole, unattributed)
			a.tellPeople(w, from)
			a.achieve(w, from)
		}
		for i := range from.Scores {
			a.state(a.t.byName[kind][from.Scores[i].Unit], index, from, &from.Scores[i], unattributed)
		}
	}
}

// unit is what is known of a scope.
func (a *assessor) unit(s *scope, w *window.Window, end int64, history bool) score.Unit {
	u := score.Unit{Name: s.name, HistoryKnown: history, Publishable: true}
	if s.kind == kindTeam {
		u.OutcomesKnown, u.LinksKnown = a.ledgers.known[s.name], a.ledgers.linked[s.name]
		u.Publishable = s.publishable(end-w.Size, end)
	}
	return u
}

// publishable reports whether a team may be shown over a time: in one of the
// weeks that it touches it may, and in none of which anything is known it may
// not.
func (s *scope) publishable(from, to int64) bool {
	shown := false
	for _, g := range s.groups {
		if g.week+window.Week <= from || g.week >= to {
			continue
		}
		if g.reason != score.ReasonOK {
			return false
		}
		shown = true
	}
	return shown
}

// enough reports whether the tenant itself is a group.
func (a *assessor) enough(w *window.Window, end int64) bool {
	n, _ := a.t.whole.people(w, end)
	return n >= int64(a.f.cfg.MinimumGroup)
}

// blocksAt returns the blocks of all teams, and of the people in none, at a start.
// What services without a team use is nobody's: unattributed_share says how much.
func (a *assessor) blocksAt(start int64) []score.Block {
	blocks, ok := a.blocks[start]
	if !ok {
		blocks, _ = score.Blocks(a.ledgers.series, []int64{start})
		blocks = slices.DeleteFunc(blocks, func(b score.Block) bool { return b.Unit == "" && b.People == 0 })
		a.blocks[start] = blocks
	}
	return blocks
}

// state emits the score of a scope unless it says what the last statement did.
func (a *assessor) state(s *scope, index int, from *score.Assessment, what *score.Score, unattributed score.Millionths) {
	f, w, end := a.f, &a.f.windows[index], from.Inputs.End
	e := score.Efficiency{
		Rolling: score.Rolling{
			Tenant: a.t.name, ScopeKind: kindName(s.kind), Scope: s.name,
			Window: w.Name, Start: end - w.Size, End: end, Totals: s.sum(w, end),
		},
		Score: what, Provisional: from.Inputs.Provisional(), Dispersion: from.Model.Dispersion,
		Unattributed: unattributed,
	}
	e.Rolling.People, e.Rolling.PeopleKnown = s.people(w, end)
	f.emit.body = e.AppendJSON(f.emit.body[:0]) // without revision, watermark and configuration
	next, news := s.restate(index, end, end == a.midnight, xxhash.Sum64(f.emit.body))
	if !news {
		return
	}
	f.stats.Efficiencies++
	e.Rolling.Rev, e.Rolling.W, e.Rolling.ConfigVersion = next, f.w, a.t.config.GetVersion()
	if f.observer.Efficiency != nil {
		f.observer.Efficiency(&e, from, a.ledgers.series)
	}
	f.emitScore(&e, a.out)
}

// restate notes what is said of a window and returns its revision, if that is
// news. What nothing was known of at its end begins with revision 1.
func (s *scope) restate(index int, end int64, ends bool, hash uint64) (rev uint32, news bool) {
	at, found := slices.BinarySearchFunc(s.stated[index], end, func(x statement, end int64) int { return cmp.Compare(x.end, end) })
	if found {
		x := &s.stated[index][at]
		if x.hash == hash {
			return x.rev, false
		}
		x.rev, x.hash = x.rev+1, hash
		return x.rev, true
	}
	if !ends {
		rev = 1
	}
	s.stated[index] = slices.Insert(s.stated[index], at, statement{end: end, rev: rev, hash: hash})
	return rev, true
}

// unattributed is the share of the tenant's cost that belongs to no team.
func (a *assessor) unattributed(w *window.Window, end int64) score.Millionths {
	none := int64(0)
	if s := a.t.byName[kindTeam][""]; s != nil {
		none = s.sum(w, end).CostNanos
	}
	return score.Ratio(none, a.t.whole.sum(w, end).CostNanos, 1)
}

// learned is what the scores of all windows with the same end of learning compare
// with. It is learned once, at the first midnight that asks, so that a week's
// scores have one measure; a new configuration makes it anew.
type learned struct {
	end   int64
	weeks []score.Block
	// model is made of the weeks when it is first asked for.
	model *score.Model
}

// model returns what a window is compared with.
func (a *assessor) model(end int64) *score.Model {
	starts := score.FitStarts(end)
	until := starts[len(starts)-1] + window.Week
	at, found := slices.BinarySearchFunc(a.t.learned, until, func(l *learned, until int64) int { return cmp.Compare(l.end, until) })
	if !found {
		var teams []score.Series
		for _, s := range a.ledgers.series {
			if s.Unit != "" { // those in no team are no unit to compare with
				teams = append(teams, s)
			}
		}
		weeks, _ := score.Blocks(teams, starts)
		a.t.learned = slices.Insert(a.t.learned, at, &learned{end: until, weeks: weeks})
	}
	l := a.t.learned[at]
	if l.model == nil {
		a.f.stats.Models++
		l.model = score.NewModel(l.weeks)
	}
	return l.model
}

// unlearn forgets what no window that may still be corrected compares with.
func (t *tenant) unlearn(midnight int64) {
	starts := score.FitStarts(midnight + window.Day - score.Settling) // of the oldest at the next midnight
	oldest := starts[len(starts)-1] + window.Week
	t.learned = slices.DeleteFunc(t.learned, func(l *learned) bool { return l.end < oldest })
}

func saveLearned(l *learned) *goodhartv1.LearnedWeeks {
	return &goodhartv1.LearnedWeeks{EndMs: l.end, Weeks: each(l.weeks, func(b score.Block) *goodhartv1.LearnedWeek {
		return &goodhartv1.LearnedWeek{
			Team: b.Unit, Role: b.Role, LinkedOnly: b.LinkedOnly, StartMs: b.Start, People: b.People,
			CostNanos: b.CostNanos, AlignedNanos: b.AlignedNanos, Records: b.Records, Unpriced: b.Unpriced,
			Outcomes: b.Value.Outcomes, Standing: b.Value.Standing, Settled: b.Value.Settled, Linked: b.Linked,
		}
	})}
}

func loadLearned(m *goodhartv1.LearnedWeeks) *learned {
	return &learned{end: m.EndMs, weeks: each(m.Weeks, func(b *goodhartv1.LearnedWeek) score.Block {
		return score.Block{
			Unit: b.Team, Role: b.Role, LinkedOnly: b.LinkedOnly, Start: b.StartMs, People: b.People,
			CostNanos: b.CostNanos, AlignedNanos: b.AlignedNanos, Records: b.Records, Unpriced: b.Unpriced,
			Value: score.Value{Outcomes: b.Outcomes, Standing: b.Standing, Settled: b.Settled}, Linked: b.Linked,
		}
	})}
}

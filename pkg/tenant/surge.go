package tenant

import (
	"cmp"
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/seaspot"
	"github.com/goodhartlabs/goodhart/pkg/signal"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// The requests of busy scopes are watched by the quarter of an hour: of those with
// enrol or more of them in a week, until they are fewer than drop; of a tenant, at
// most maxWatched scopes, the busiest first. It bounds the state, some 17 KiB a
// scope.
const (
	enrol      = 500
	drop       = 100
	maxWatched = 48
)

// quarterly is the schedule of the scopes that are watched.
const quarterly = "quarter"

// watched are the kinds of scopes, the parts before the whole, as package signal
// wants to be told.
var watched = [...]goodhartv1.ScopeKind{kindTeam, kindTool, kindTenant}

// watch scores, at a quarter of an hour, the one that ends there. Panes that change
// later do not count.
func (f *Fold) watch(end int64, out *machine.Outputs) {
	for _, t := range f.order {
		if t.watched == 0 {
			continue
		}
		for _, kind := range watched {
			from, to := t.kind(kind)
			for _, s := range t.scopes[from:to] {
				if s.rate != nil {
					f.watchScope(t, s, end-seaspot.Width, out)
				}
			}
		}
	}
}

// kind is where the scopes of a kind are.
func (t *tenant) kind(kind goodhartv1.ScopeKind) (from, to int) {
	at := func(kind goodhartv1.ScopeKind) int {
		i, _ := slices.BinarySearchFunc(t.scopes, kind, func(s *scope, kind goodhartv1.ScopeKind) int { return cmp.Compare(s.kind, kind) })
		return i
	}
	return at(kind), at(kind + 1)
}

func (f *Fold) watchScope(t *tenant, s *scope, start int64, out *machine.Outputs) {
	var sum score.Totals
	panes := s.minutes.Range(start, start+seaspot.Width)
	for i := range panes {
		sum.Add(&panes[i])
	}
	x := s.rate.Add(start, float64(sum.Requests))
	p := signal.Point{
		Tenant: t.name, Kind: kindName(s.kind), Scope: s.name, Start: start,
		Requests: float64(sum.Requests), Usual: x.Usual, Score: x.Score, N: x.N,
		CostNanos: sum.CostNanos, CostKnown: sum.UnpricedRequests == 0,
		At: f.w, Policy: t.policy, ConfigVersion: t.config.GetVersion(),
	}
	p.Publishable = p.Matters() && f.mayShow(s, start)
	if said, ok := t.signals.Surge(&p); ok {
		f.emitSignal(&said, out)
	}
}

// mayShow reports whether a scope is large enough to be spoken of: a team if it was
// in the week before, because the people of this one are not all known yet, what is
// no team if k people worked there in the seven days before.
func (f *Fold) mayShow(s *scope, start int64) bool {
	if s.kind == kindTeam {
		return s.published(window.WeekStart(start) - window.Week)
	}
	n, _ := s.people(&window.Window{Size: window.Week, Pane: window.Day}, window.Floor(start, window.Day))
	return n >= int64(f.cfg.MinimumGroup)
}

// enrol chooses, at a midnight, the scopes that are watched from now on.
func (t *tenant) enrol(midnight int64) {
	type candidate struct {
		scope    *scope
		requests int64
	}
	var candidates []candidate
	t.watched = 0
	for _, s := range t.scopes {
		if !s.scored() || !slices.Contains(watched[:], s.kind) {
			continue
		}
		requests := int64(0)
		for _, day := range s.days.Range(midnight-window.Week, midnight) {
			requests += day.Requests
		}
		switch {
		case s.rate != nil && requests < drop:
			s.rate = nil
		case s.rate != nil:
			t.watched++
		case requests >= enrol:
			candidates = append(candidates, candidate{s, requests})
		}
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int { return cmp.Compare(b.requests, a.requests) })
	for _, c := range candidates[:min(len(candidates), maxWatched-t.watched)] {
		c.scope.rate = &seaspot.Detector{}
		t.watched++
	}
}

func saveRate(d *seaspot.Detector) *goodhartv1.RateState {
	if d == nil {
		return nil
	}
	known := make([]byte, (len(d.Known)+7)/8)
	for i, is := range d.Known {
		if is {
			known[i/8] |= 1 << (i % 8)
		}
	}
	return &goodhartv1.RateState{
		Level: d.Level[:], Known: known, Residuals: d.Residuals, Next: uint32(d.Next), Rows: d.Rows,
		Threshold: d.Threshold, Shape: d.Shape, Scale: d.Scale, Scores: d.Scores,
	}
}

func loadRate(m *goodhartv1.RateState) *seaspot.Detector {
	if m == nil {
		return nil
	}
	d := &seaspot.Detector{
		Residuals: m.Residuals, Next: int(m.Next), Rows: m.Rows,
		Threshold: m.Threshold, Shape: m.Shape, Scale: m.Scale, Scores: m.Scores,
	}
	copy(d.Level[:], m.Level)
	for i := range d.Known {
		d.Known[i] = i/8 < len(m.Known) && m.Known[i/8]>>(i%8)&1 == 1
	}
	return d
}

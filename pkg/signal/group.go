package signal

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/goodhartlabs/goodhart/pkg/window"
)

// group is a question to a shared scope in one week.
type group struct {
	code, kind, scope, team string
	// fired: the condition holds. known: it was measured.
	fired bool
	label Label
	// r is the headline: its value is the median of those concerned.
	r Reading
	// moved of others moved together; people is how many the scope has.
	moved, others, people int64
	values                []float64
	costs                 []int64
	findings              []Finding
	facts                 []Fact
}

func compareGroups(a, b *group) int {
	return cmp.Or(cmp.Compare(a.code, b.code), cmp.Compare(a.kind, b.kind), cmp.Compare(a.scope, b.scope))
}

// divert hands a subject's question over to the scope of a cohort. Supporting
// families open nothing, so there is nothing to hand over.
func (e *evaluation) divert(i int, o *observation, c cohort) {
	d, r := &e.catalogue[i], &o.readings[i]
	if d.Kind != Mechanism {
		return
	}
	g := &group{code: d.Code, label: d.Label, fired: true}
	g.kind, g.scope = c.scope(o)
	if c == sameVersion || c == sameModel {
		g.label = Tooling
	}
	if g.kind == ScopeTeam {
		g.team = g.scope
	}
	if at := slices.IndexFunc(e.groups, func(x group) bool { return compareGroups(&x, g) == 0 }); at >= 0 {
		g = &e.groups[at]
	} else {
		g.people = e.people(c, o)
		e.groups = append(e.groups, *g)
		g = &e.groups[len(e.groups)-1]
	}
	t := r.together[c]
	g.moved, g.others = max(g.moved, t.moved+1), max(g.others, t.others+1)
	g.values = append(g.values, r.Value)
	g.findings = agree(g.findings, r.findings)
	g.r.Threshold, g.r.unit, g.r.other = r.Threshold, r.unit, r.other
	g.r.N += r.N
	g.r.Known += r.Known
	g.r.Of += r.Of
	g.r.Tokens += r.Tokens
	if r.CostKnown {
		g.costs = append(g.costs, r.CostNanos)
	}
}

// people is how many persons a cohort has.
func (e *evaluation) people(c cohort, o *observation) (n int64) {
	for _, other := range e.p.members[c][c.key(o)] {
		if other.subject.isPerson() {
			n++
		}
	}
	return n
}

// dominated reports whether one part makes up more than half of the sum, or two
// more than three quarters: then the sum would tell of a person.
func dominated(parts []int64) bool {
	var total, first, second int64
	for _, n := range parts {
		total += n
		if n > first {
			first, second = n, first
		} else {
			second = max(second, n)
		}
	}
	return first > total-first || first+second > 3*(total-first-second)
}

// mayShow reports whether a question may be put to a scope: no group under k is
// spoken of.
func (e *evaluation) mayShow(g *group) bool {
	switch g.kind {
	case ScopeTeam:
		return e.in.Publishable[g.scope]
	case ScopeTool, ScopeModel, ScopeMetric:
		return g.people >= int64(max(e.in.MinimumGroup, gateOthers))
	default:
		return true
	}
}

// raiseGroups opens, updates and resolves what concerns shared scopes.
func (e *evaluation) raiseGroups() {
	slices.SortFunc(e.groups, func(a, b group) int { return compareGroups(&a, &b) })
	for i := range e.groups {
		g := &e.groups[i]
		if g.fired && !e.mayShow(g) {
			e.result.Coverage[e.coverageOf(g.code)].Suppressed++
			g.fired = false
		}
		e.history(g).Windows = push(e.history(g).Windows, Window{Week: e.in.WeekStart, Fired: g.fired, P: g.r.P})
	}
	for i := range e.s.Groups {
		h := &e.s.Groups[i]
		g := e.groupOf(h)
		if g == nil { // nothing happened
			h.Windows = push(h.Windows, Window{Week: e.in.WeekStart, P: 1})
		}
		n, _ := hits(h.Windows, false)
		st := e.open(h.Code, h.Kind, h.Scope)
		switch {
		case g != nil && g.fired && st == nil && n >= e.catalogue[e.p.index[g.code]].needed() && !e.s.muted(h.Code, h.Kind, h.Scope, e.in.At):
			st = e.begin(Standing{Code: g.code, Kind: g.kind, Scope: g.scope, Team: g.team})
			e.tellGroup(st, g, n)
		case st == nil:
		case g != nil && g.fired:
			if st.Status != Disputed {
				st.revise(Updated, e.in.At)
				e.tellGroup(st, g, n)
			}
		default:
			e.quiet(st, func() []Fact {
				if g == nil || !e.mayShow(g) {
					return nil // what it measured would tell of few
				}
				return e.groupFacts(g, n)
			})
		}
	}
	e.s.Groups = slices.DeleteFunc(e.s.Groups, func(h GroupState) bool {
		return len(h.Windows) == 0 && e.open(h.Code, h.Kind, h.Scope) == nil
	})
}

// history returns that of a question, which it creates if it is absent.
func (e *evaluation) history(g *group) *GroupState {
	h := GroupState{Code: g.code, Kind: g.kind, Scope: g.scope}
	at, ok := slices.BinarySearchFunc(e.s.Groups, h, func(a, b GroupState) int {
		return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Scope, b.Scope))
	})
	if !ok {
		e.s.Groups = slices.Insert(e.s.Groups, at, h)
	}
	return &e.s.Groups[at]
}

func (e *evaluation) groupOf(h *GroupState) *group {
	for i := range e.groups {
		if g := &e.groups[i]; g.code == h.Code && g.kind == h.Kind && g.scope == h.Scope {
			return g
		}
	}
	return nil
}

// tellGroup states a signal about a shared scope.
func (e *evaluation) tellGroup(st *Standing, g *group, fired int) {
	d := &e.catalogue[e.p.index[g.code]]
	st.SeenAt, st.Quiet = e.in.WeekStart, 0
	st.Label, st.Severity = g.label, Warning
	st.CostNanos, st.CostKnown = 0, false
	if len(g.costs) > 0 && !dominated(g.costs) {
		for _, cost := range g.costs {
			st.CostNanos += cost
		}
		st.CostKnown = true
	}
	seen := d.shared
	if g.r.other {
		seen = d.otherShared
	}
	if g.others > 0 {
		seen += moved
	}
	facts := e.groupFacts(g, fired)
	question := d.question(seen, &g.r, g.findings,
		"{week}", window.WeekName(e.in.WeekStart), "{scope}", scopeName(g.kind, g.scope),
		"{moved}", strconv.FormatInt(g.moved, 10), "{others}", strconv.FormatInt(g.others, 10))
	e.emit(st, d, question, facts)
}

// agree merges the findings of those concerned: what one of them shares with
// others is shared, what one of them cannot show cannot be seen.
func agree(into, of []Finding) []Finding {
	if into == nil {
		return slices.Clone(of)
	}
	for i, f := range of {
		if f == Together || f == Unseen && into[i] != Together {
			into[i] = f
		}
	}
	return into
}

// groupFacts is the evidence of a shared question.
func (e *evaluation) groupFacts(g *group, fired int) []Fact {
	d := &e.catalogue[e.p.index[g.code]]
	if len(g.values) > 0 {
		g.r.Value = median(g.values)
	}
	facts := []Fact{
		d.headline(&g.r, g.findings),
		maybe("coverage", "share of the records that it could be measured on", share(g.r.Known, g.r.Of), g.r.Of > 0, "share", g.r.Of),
		count("persistence", "windows of the last three in which it fired", int64(fired), "windows", windowsKept).against(windowsHit),
	}
	if g.others > 0 {
		facts = append(facts,
			number("together", "share of those compared who moved together", share(g.moved, g.others), "share", g.others).against(gateShare),
			count("tokens", "tokens at stake", g.r.Tokens, "tokens", g.r.N))
	}
	return append(facts, g.facts...)
}

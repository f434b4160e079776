package subject

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unsafe"

	"github.com/cespare/xxhash/v2"

	"github.com/goodhartlabs/goodhart/pkg/habit"
	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/window"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// subject is what the fold knows of a subject.
type subject struct {
	key   string // tenant|subject
	shard int
	known bool
	due   int64
	at    uint32
	// panes have not been emitted, sorted by start: a subject has one of a minute at
	// a time.
	panes []*pane
	// one and own are the place of the only pane that most subjects have: an
	// addition waits for memory more than for anything else.
	one [1]*pane
	own pane
	// habit is what it does in a week, once it is known; due is when it has something
	// due by the calendar, and at spreads that.
	habit habit.Habit
}

// warm reads ahead what a fact needs: see habit.Habit.Warm.
func (s *subject) warm() (sum byte) {
	own := (*[unsafe.Offsetof(subject{}.habit)]byte)(unsafe.Pointer(s))
	for at := 0; at < len(own); at += 64 {
		sum += own[at]
	}
	return sum + s.habit.Warm()
}

// pane is one minute of a subject. Its cells are the messages that will be
// emitted, in order of first appearance.
type pane struct {
	subject    *subject
	start, due int64
	delta      bool
	identity   goodhartv1.IdentityType
	role       string
	cells      []*goodhartv1.Cell
	// index finds a cell once there are too many to look through.
	index map[cellKey]*goodhartv1.Cell
	// first is the place of the first cell, which is often the only one.
	first goodhartv1.Cell
	list  [1]*goodhartv1.Cell
}

// cellKey names a cell in its pane.
type cellKey struct{ team, model, tool string }

// indexAbove is the number of cells from which a pane is indexed: subjects use
// one or two models a minute, so the index is for hostile ones.
const indexAbove = 16

// newSubject creates the state of a key.
func (f *Fold) newSubject(key []byte, shard int) *subject {
	s := &subject{key: string(key), shard: shard, due: math.MaxInt64, at: uint32(xxhash.Sum64(key))}
	s.panes = s.one[:0]
	f.shards[shard][s.key] = s
	f.stats.Subjects++
	return s
}

// add adds a fact to the pane of its minute.
func (f *Fold) add(s *subject, in *fact) {
	p := f.pane(s, window.Floor(in.timeMs, window.Minute))
	if t := in.transition; t != nil {
		f.describe(p, t.GetIdentityType(), []byte(t.GetRole()))
		c := f.cell(p, []byte(t.GetTeam()), nil, nil)
		c.OutcomesProvisional += int64(t.GetProvisionalDelta())
		c.OutcomesFinal += int64(t.GetFinalDelta())
		c.OutcomesReverted += int64(t.GetRevertedDelta())
		credit := creditOf(t)
		c.Credits = habit.AddCredit(c.Credits, &credit)
		return
	}
	f.describe(p, in.identity, in.role)
	if in.kind == goodhartv1.FactKind_FACT_KIND_ACTIVITY {
		f.cell(p, in.team, nil, in.tool).Activities++
		return
	}
	addUsage(f.cell(p, in.team, in.usage.model, in.tool), &in.usage)
}

// describe notes who the subject is: the last fact of the pane that knows.
func (f *Fold) describe(p *pane, identity goodhartv1.IdentityType, role []byte) {
	if identity != goodhartv1.IdentityType_IDENTITY_TYPE_UNSPECIFIED {
		p.identity = identity
	}
	if len(role) > 0 && p.role != string(role) {
		p.role = f.names.of(role)
	}
}

// pane returns the pane of a subject that starts at start. A new one is due at
// its end or, if the watermark has passed that, at the next full minute of the
// watermark.
func (f *Fold) pane(s *subject, start int64) *pane {
	n := len(s.panes)
	if n > 0 && s.panes[n-1].start == start {
		return s.panes[n-1]
	}
	at, found := slices.BinarySearchFunc(s.panes, start, byStart)
	if found {
		return s.panes[at]
	}
	p := s.blank()
	p.subject, p.start, p.due = s, start, start+window.Minute
	if p.due <= f.w {
		p.due, p.delta = window.After(f.w, window.Minute), true
	}
	s.panes = slices.Insert(s.panes, at, p)
	f.queue.push(p.due, p)
	f.stats.OpenPanes++
	return p
}

func byStart(p *pane, start int64) int { return cmp.Compare(p.start, start) }

// cell returns the cell of a pane, which it creates if it is absent.
func (f *Fold) cell(p *pane, team, model, tool []byte) *goodhartv1.Cell {
	if p.index != nil {
		if c, ok := p.index[cellKey{string(team), string(model), string(tool)}]; ok {
			return c
		}
	} else {
		for _, c := range p.cells {
			if c.Model == string(model) && c.Team == string(team) && c.Tool == string(tool) {
				return c
			}
		}
	}
	var c *goodhartv1.Cell
	if len(p.cells) == 0 {
		c, p.cells = &p.first, p.list[:0]
	} else {
		c = &goodhartv1.Cell{}
	}
	c.Team, c.Model, c.Tool = f.names.of(team), f.names.of(model), f.names.of(tool)
	p.cells = append(p.cells, c)
	p.reindex(c)
	return c
}

// reindex keeps the index of a pane with many cells; c is the newest.
func (p *pane) reindex(c *goodhartv1.Cell) {
	if len(p.cells) <= indexAbove {
		return
	}
	if p.index != nil {
		p.index[cellKey{c.Team, c.Model, c.Tool}] = c
		return
	}
	p.index = make(map[cellKey]*goodhartv1.Cell, 2*indexAbove)
	for _, c := range p.cells {
		p.index[cellKey{c.Team, c.Model, c.Tool}] = c
	}
}

// addUsage adds one usage record. Absent counts add nothing and are counted as
// unknown.
func addUsage(c *goodhartv1.Cell, u *usage) {
	n := &u.numbers
	c.Records++
	c.InputUncachedTokens += n[inputUncached]
	c.CacheReadTokens += n[cacheRead]
	c.CacheWriteTokens += n[cacheWrite5m] + n[cacheWrite1h] + n[cacheWrite]
	c.OutputTokens += n[output]
	c.ReasoningTokens += n[reasoning]
	c.CostNanos += n[costNanos]
	if u.has&(1<<baseCost) != 0 {
		c.BaseDifferenceNanos += n[baseCost] - n[costNanos]
	}
	if u.has&hasCache != 0 {
		c.CacheRecords++
	}
	if u.has&(1<<reasoning) != 0 {
		c.ReasoningRecords++
	}
	if n[costBasis] == int64(goodhartv1.CostBasis_COST_BASIS_UNPRICED) {
		c.UnpricedRequests++
	}
	if n[granularity] != int64(goodhartv1.Granularity_GRANULARITY_REQUEST) {
		return
	}
	c.Requests++
	if n[status] == int64(goodhartv1.Status_STATUS_ERROR) {
		c.Errors++
	}
	if u.tokensUnknown() {
		c.UnknownTokenRequests++
	}
}

// fire emits everything that is due at the watermark, in order of due time: panes
// by start and key, then what the habits have to say, by key.
func (f *Fold) fire(out *machine.Outputs) {
	for {
		due := min(f.queue.next(), f.calendar.next())
		if due > f.w {
			return
		}
		if f.queue.next() == due {
			for _, p := range f.queue.pop(compareFired) {
				f.emit(p, out)
				f.release(p)
			}
		}
		if f.calendar.next() == due {
			for _, s := range f.calendar.pop(compareSubjects) {
				f.turn(s, due, out)
			}
		}
	}
}

// maxCells is how many cells one feature carries at most: with the longest
// labels about 150 KiB.
const maxCells = 256

// emit states a pane, in several features if it has very many cells.
func (f *Fold) emit(p *pane, out *machine.Outputs) {
	if p.delta {
		f.stats.Deltas++
	} else {
		f.stats.Panes++
	}
	tenant, name, _ := strings.Cut(p.subject.key, "|")
	f.key = append(f.key[:0], tenant...)
	m := &f.feature
	m.Kind = goodhartv1.FeatureKind_FEATURE_KIND_PANE
	m.Tenant, m.Subject = tenant, name
	m.IdentityType, m.Role = p.identity, p.role
	m.PaneStartMs, m.Delta = p.start, p.delta
	for cells := range slices.Chunk(p.cells, maxCells) {
		m.Cells = cells
		out.Emit(schemas.TopicFeatures, machine.ByKey, f.key, p.due, m)
	}
	m.Cells = nil
}

// release forgets a pane that was emitted.
func (f *Fold) release(p *pane) {
	s := p.subject
	at, _ := slices.BinarySearchFunc(s.panes, p.start, byStart)
	s.panes = slices.Delete(s.panes, at, at+1)
	f.stats.OpenPanes--
	*p = pane{}
	f.forget(s)
}

// forget forgets a subject that has neither a pane nor a habit.
func (f *Fold) forget(s *subject) {
	if len(s.panes) == 0 && !s.known {
		delete(f.shards[s.shard], s.key)
		f.stats.Subjects--
	}
}

// blank returns an empty pane.
func (s *subject) blank() *pane {
	if s.own.subject == nil {
		return &s.own
	}
	return &pane{}
}

// compareFired orders panes that are due at the same time.
func compareFired(a, b *pane) int {
	return cmp.Or(cmp.Compare(a.start, b.start), strings.Compare(a.subject.key, b.subject.key))
}

// names makes strings of bytes, the same one for the same bytes. It is a cache
// and no part of the state.
type names struct{ known map[string]string }

// maxNames bounds the cache; beyond it is emptied.
const maxNames = 1 << 14

// of returns b as a string.
func (n *names) of(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if s, ok := n.known[string(b)]; ok {
		return s
	}
	if n.known == nil || len(n.known) >= maxNames {
		n.known = map[string]string{}
	}
	s := string(b)
	n.known[s] = s
	return s
}

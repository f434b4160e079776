package tenant

import (
	"cmp"
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/window"
)

// fix is a window that changed after it was emitted.
type fix struct {
	end int64
	// rev is the last revision emitted, dirty whether it has changed since.
	rev   uint32
	dirty bool
}

// correct notes the emitted windows that hold the minute at start and whose
// deadline the next slide keeps.
func (s *scope) correct(f *Fold, start int64) {
	if !s.scored() {
		return
	}
	for i := range f.windows {
		w, schedule := &f.windows[i], &f.schedules[i]
		first := max(window.After(start, w.Slide), window.Ceil(schedule.next-w.Correct, w.Slide))
		last := min(start+w.Size, schedule.next-w.Slide)
		for end := first; end <= last; end += w.Slide {
			if s.mark(i, end) {
				schedule.dirty++
			}
		}
	}
}

// mark notes that a window changed and reports whether that is news.
func (s *scope) mark(index int, end int64) bool {
	fixes := s.fixes[index]
	at, found := slices.BinarySearchFunc(fixes, end, func(x fix, end int64) int { return cmp.Compare(x.end, end) })
	if !found {
		s.fixes[index] = slices.Insert(fixes, at, fix{end: end, dirty: true})
		return true
	}
	news := !fixes[at].dirty
	fixes[at].dirty = true
	return news
}

// correction is a fix that is due.
type correction struct {
	tenant *tenant
	scope  *scope
	window int
	end    int64
	rev    uint32
}

// emitCorrections emits the corrections of the windows that slide now, in order
// of (end, window, tenant, scope).
func (f *Fold) emitCorrections(slide int64, out *machine.Outputs) {
	var due []correction
	for i := range f.windows {
		if f.schedules[i].next == slide && f.schedules[i].dirty > 0 {
			due = f.collect(due, i, slide)
			f.schedules[i].dirty = 0
		}
	}
	// Collected by window, tenant and scope: a stable sort keeps that order.
	slices.SortStableFunc(due, func(a, b correction) int { return cmp.Compare(a.end, b.end) })
	for _, c := range due {
		f.emitRolling(c.tenant, c.scope, &f.windows[c.window], c.end, c.rev, out)
	}
}

// collect appends the changed windows of one kind with their new revision, and
// forgets the windows that no later slide may correct.
func (f *Fold) collect(due []correction, index int, slide int64) []correction {
	deadline := slide - f.windows[index].Correct
	for _, t := range f.order {
		for _, s := range t.scopes {
			for j := range s.fixes[index] {
				x := &s.fixes[index][j]
				if !x.dirty {
					continue
				}
				x.dirty = false
				x.rev++
				due = append(due, correction{tenant: t, scope: s, window: index, end: x.end, rev: x.rev})
			}
			s.fixes[index] = slices.DeleteFunc(s.fixes[index], func(x fix) bool { return x.end <= deadline })
		}
	}
	return due
}

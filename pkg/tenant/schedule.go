package tenant

import (
	"math"
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/seaspot"
	"github.com/goodhartlabs/goodhart/pkg/window"
)

// schedule is a slide that comes round: that of a window, or midnight.
type schedule struct {
	name  string
	slide int64
	// reach is for how long after the newest minute there is anything to do.
	reach int64
	// next is the first slide that has not been passed, math.MinInt64 before the
	// first record. Every window with an earlier end has been emitted.
	next int64
	// dirty is how many windows wait for a correction.
	dirty int
}

// daily is the schedule of group sizes, of judging, of choosing what is watched and
// of forgetting.
const daily = "daily"

// newSchedules returns the schedules of a fold that has seen nothing.
func newSchedules(windows []window.Window, cfg Config) []schedule {
	schedules := make([]schedule, 0, len(windows)+2)
	longest := max(memory, int64(cfg.PanelWeeks)*window.Week+judged, memoryOfDays)
	for _, w := range windows {
		schedules = append(schedules, schedule{name: w.Name, slide: w.Slide, reach: w.Size, next: math.MinInt64})
		longest = max(longest, w.Keep())
	}
	return append(schedules,
		// Two days more than anything is kept, so that everything is forgotten in
		// the end.
		schedule{name: daily, slide: window.Day, reach: longest + 2*window.Day, next: math.MinInt64},
		// Until nothing is watched any more.
		schedule{name: quarterly, slide: seaspot.Width, reach: window.Week, next: math.MinInt64},
	)
}

// advance passes every slide that lies before the watermark.
func (f *Fold) advance(out *machine.Outputs) {
	for i := range f.schedules {
		if s := &f.schedules[i]; s.next == math.MinInt64 {
			s.next = window.Ceil(f.w, s.slide)
		}
	}
	for {
		f.due = math.MaxInt64
		for i := range f.schedules {
			f.due = min(f.due, f.schedules[i].next)
		}
		if f.due >= f.w {
			return
		}
		f.pass(f.due, out)
	}
}

// pass does what is due at one slide: first the corrections, which have earlier
// ends, then the windows that end there, then the day's work and that of the
// quarter of an hour.
func (f *Fold) pass(slide int64, out *machine.Outputs) {
	f.emitCorrections(slide, out)
	for i := range f.windows {
		if f.schedules[i].next == slide {
			f.emitWindow(i, slide, out)
		}
	}
	if f.schedules[len(f.windows)].next == slide {
		f.emitGroups(slide, out)
		f.emitEfficiency(slide, out)
		f.judgeWeeks(slide, out)
		for _, t := range f.order {
			t.enrol(slide)
		}
		f.forget(slide)
	}
	if f.schedules[len(f.windows)+1].next == slide {
		f.watch(slide, out)
	}
	for i := range f.schedules {
		if s := &f.schedules[i]; s.next == slide {
			f.reschedule(s)
		}
	}
}

// reschedule moves a schedule to its next slide, over all those up to the
// watermark if nothing can happen there: no scope is active so late, and the
// slide that passed has emitted every correction.
func (f *Fold) reschedule(s *schedule) {
	s.next += s.slide
	if f.newest == math.MinInt64 || s.next > f.newest+s.reach {
		s.next = max(s.next, window.Ceil(f.w, s.slide))
	}
}

// emitWindow emits a window that ends now, for the scopes active in it.
func (f *Fold) emitWindow(index int, end int64, out *machine.Outputs) {
	w := &f.windows[index]
	if f.newest < end-w.Size {
		return
	}
	for _, t := range f.order {
		for _, s := range t.scopes {
			if s.scored() && s.tier(w.Pane).Any(end-w.Size, end) {
				f.emitRolling(t, s, w, end, 0, out)
			}
		}
	}
}

// scored reports whether a scope has scores: every one but the team of those
// without a team.
func (s *scope) scored() bool { return s.kind != kindTeam || s.name != "" }

// forget drops what nothing asks for any more.
func (f *Fold) forget(now int64) {
	for _, t := range f.order {
		t.forgetSpending(now)
		for _, s := range t.scopes {
			s.forget(f, now)
		}
		t.forgetPeople(f, now)
		t.scopes = slices.DeleteFunc(t.scopes, func(s *scope) bool {
			if !s.idle() {
				return false
			}
			delete(t.byName[s.kind], s.name)
			if s == t.whole {
				t.whole = nil
			}
			f.stats.Scopes--
			return true
		})
	}
	f.order = slices.DeleteFunc(f.order, func(t *tenant) bool {
		if len(t.scopes) > 0 || t.config != nil || !t.quiet() || len(t.panel)+len(t.scored) > 0 {
			return false
		}
		delete(f.tenants, t.name)
		f.stats.Tenants--
		return true
	})
}

// forget drops the stale state of a scope.
func (s *scope) forget(f *Fold, now int64) {
	s.minutes.Trim(now - f.keep.minute)
	s.hours.Trim(now - f.keep.hour)
	s.days.Trim(now - f.keep.day)
	for i := range s.fixes {
		s.fixes[i] = slices.DeleteFunc(s.fixes[i], func(x fix) bool {
			return !x.dirty && x.end+f.windows[i].Correct <= now
		})
	}
	// Until no window that the week reaches into is scored again.
	s.groups = slices.DeleteFunc(s.groups, func(g group) bool { return g.week+window.Week+f.keep.day <= now })
	s.forgetCrews(now)
	s.members = slices.DeleteFunc(s.members, func(m *member) bool { return m.stale(f, now) })
}

// idle reports whether nothing is known of a scope.
func (s *scope) idle() bool {
	for _, fixes := range s.fixes {
		if len(fixes) > 0 {
			return false
		}
	}
	return s.minutes.Len()+s.hours.Len()+s.days.Len()+len(s.members)+len(s.groups)+len(s.crews) == 0
}

// stale reports whether no window can show a membership any more.
func (m *member) stale(f *Fold, now int64) bool {
	return (m.lastDay+1)*window.Day <= now-f.keep.longest && len(m.spent)+len(m.attended) == 0
}

// forgetSpending drops what people spent in weeks that are final.
func (t *tenant) forgetSpending(now int64) {
	for _, p := range t.people {
		for _, m := range p.in {
			m.spent = slices.DeleteFunc(m.spent, func(s spending) bool { return final(s.week) <= now })
		}
	}
}

// forgetPeople drops stale memberships and people without any. It goes with
// forget of every scope, which drops the same memberships.
func (t *tenant) forgetPeople(f *Fold, now int64) {
	for name, p := range t.people {
		p.in = slices.DeleteFunc(p.in, func(m *member) bool { return m.stale(f, now) })
		if len(p.in) == 0 {
			delete(t.people, name)
			f.stats.People--
		}
	}
}

// Package habit is what one subject (a person, a service, a key) does in an ISO
// week of its local time, and what is usual for it: the raw material of the
// signals and of the health card. It is a part of the subject fold, pure, in
// integers wherever sums must not depend on their order.
//
// A Habit takes the subject's records one by one. A week is stated once, 48 h
// after it has ended, beside baselines from the last ten active weeks before it;
// a rate that leaves what is usual by far is stated at once. Its state is bounded:
// two open weeks, 16 sessions, 1,024 hashes, ten weeks of baselines.
//
// What a source does not supply stays unknown: every statistic is stated with the
// number of records that it could be measured on.
package habit

import (
	"cmp"
	"math"
	"slices"
	"unsafe"

	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Times in the life of a habit, in ms.
const (
	// settle is how long after its end a week is stated: later records are late,
	// and in no score.
	settle = 48 * window.Hour
	// spread keeps the weeks of all subjects from being stated in one minute.
	spread = 6 * window.Hour
	// forget is how long a silent subject is remembered.
	forget = 13 * window.Week
	// maxOffset bounds local time, in minutes: UTC-12 to UTC+14.
	maxOffset = 14 * 60
)

// Habit is the state of one subject. The zero value is a subject that has done
// nothing; it is for one goroutine.
type Habit struct {
	// What every record needs comes first, see Warm.
	last     int64
	weeks    []*week // by start
	sessions []session
	list     [2]*week   // the place of weeks,
	pair     [2]session // of sessions,
	overlap  overlap
	outputs  octaves
	pairs    pairs
	// reports: its tools say when a session leaves something behind, so that one of
	// which none does left nothing.
	reports bool
	// tz is local time as it was last seen, minutes east of UTC.
	tz int32
	// Identity and Role are those of the newest record that knew.
	Identity goodhartv1.IdentityType
	Role     string
	own      week // and of the only week that most subjects have
	guards   guards
	before   favourites
	rings    *rings // nil before the first active week is stated
}

// Warm reads one number of each piece of memory that a record needs, all at once:
// among very many subjects each has to be waited for, but not one after the other.
// What it returns means nothing.
func (h *Habit) Warm() (sum byte) {
	hot := (*[warm]byte)(unsafe.Pointer(h))
	for at := 0; at < len(hot); at += line {
		sum += hot[at]
	}
	return sum
}

// warm is how much of a habit that is, and line how much of it comes at once.
const (
	warm = int(unsafe.Offsetof(Habit{}.guards) + unsafe.Offsetof(guards{}.usual))
	line = 64
)

// favourites are what a week used most.
type favourites struct{ toolVersion, model, repository string }

// Use adds one usage record at watermark w. at spreads the statement of the week:
// a number that is the subject's own, such as a hash of its key. Crossings of
// rate guards are appended to out.
func (h *Habit) Use(u *Use, w int64, at uint32, out []*goodhartv1.Guard) []*goodhartv1.Guard {
	h.last = max(h.last, u.TimeMs)
	h.endSessions(u.TimeMs)
	if k := h.week(u.TimeMs, u.offset(h), w, at); k != nil {
		h.use(k, u)
	}
	if u.Request && u.Has&HasOutput != 0 {
		h.outputs.add(u.Output)
	}
	return h.guards.add(u, w, out)
}

// use adds a record to its week.
func (h *Habit) use(k *week, u *Use) {
	k.add(u)
	if !u.Request {
		return
	}
	newTurn, known := h.newTurn(u)
	if known && u.Has&HasOutput != 0 {
		k.answer(u, newTurn)
	}
	k.timing(u)
	if u.Has&HasPair != 0 {
		h.pairs.add(k, u)
	}
	h.pairs.failed = u.Failed
	if u.Has&HasDuration != 0 {
		h.overlap.add(k.sums, u.TimeMs, u.DurationMs)
	}
	h.inSession(k, u)
}

// Credit adds a change of credit of one of the subject's outcomes.
func (h *Habit) Credit(c *Credit, w int64, at uint32) {
	h.last = max(h.last, c.TimeMs)
	if k := h.week(c.TimeMs, h.tz, w, at); k != nil {
		k.credit(c)
	}
}

// Act adds an activity.
func (h *Habit) Act(a *Act, w int64, at uint32) {
	h.last = max(h.last, a.TimeMs)
	h.endSessions(a.TimeMs)
	k := h.week(a.TimeMs, a.offset(h), w, at)
	if k == nil {
		return
	}
	k.act(a)
	h.reports = h.reports || a.Tells || a.Sink
	if a.Session == 0 {
		return
	}
	if a.HasPrompt {
		h.session(a.Session, a.TimeMs).prompt = a.Prompt + 1
	}
	if a.Sink {
		h.sinkIn(a)
	}
}

// week returns the open week that holds a time, which it opens if need be, nil if
// it was stated before.
func (h *Habit) week(t int64, offset int32, w int64, at uint32) *week {
	start := window.WeekStart(t + int64(offset)*window.Minute)
	for _, k := range slices.Backward(h.weeks) {
		if k.sums.WeekStartMs == start {
			return k
		}
	}
	due := start - int64(offset)*window.Minute + window.Week + settle + int64(at)%(spread/window.Minute)*window.Minute
	if due <= w {
		return nil
	}
	k := h.blank()
	k.begin(start, offset, due)
	i, _ := slices.BinarySearchFunc(h.weeks, start, func(k *week, start int64) int { return cmp.Compare(k.sums.WeekStartMs, start) })
	h.weeks = slices.Insert(h.weeks, i, k)
	return k
}

// blank returns an unused week: the subject's own, so that most lie with the rest
// of it.
func (h *Habit) blank() *week {
	if slices.Contains(h.weeks, &h.own) {
		return &week{}
	}
	if h.weeks == nil {
		h.weeks = h.list[:0]
	}
	h.own = week{}
	return &h.own
}

// Next is when something is due, math.MaxInt64 if nothing ever is.
func (h *Habit) Next() int64 {
	next := h.guards.next()
	for _, k := range h.weeks {
		next = min(next, k.due)
	}
	if len(h.weeks) == 0 && h.last > 0 {
		next = min(next, h.last+forget)
	}
	return next
}

// Fire does what is due at a time: it appends the weeks that are to be stated and
// the guards that have ended, and reports whether the subject is to be forgotten.
// The weeks hold until something is added to the habit.
//
// Release lets go of them.
func (h *Habit) Fire(due int64, weeks []*goodhartv1.Week, ended []*goodhartv1.Guard) ([]*goodhartv1.Week, []*goodhartv1.Guard, bool) {
	for len(h.weeks) > 0 {
		at := slices.IndexFunc(h.weeks, func(k *week) bool { return k.due <= due })
		if at < 0 {
			break
		}
		k := h.weeks[at]
		h.endSessions(math.MaxInt64)
		weeks = append(weeks, h.state(k))
		h.weeks = slices.Delete(h.weeks, at, at+1)
	}
	ended = h.guards.end(due, ended)
	return weeks, ended, len(h.weeks) == 0 && h.guards.next() == math.MaxInt64 && h.last+forget <= due
}

// Release lets go of the weeks that Fire stated.
func (h *Habit) Release() {
	if !slices.Contains(h.weeks, &h.own) {
		h.own = week{}
	}
}

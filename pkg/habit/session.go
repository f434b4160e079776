package habit

import (
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/window"
)

const (
	maxSessions = 16
	// idle ends a session.
	idle = 4 * window.Hour
	// abandonAfter is how soon after a long output something must come of it.
	abandonAfter = 30 * window.Minute
	// cacheFor is how long a provider keeps a prompt's prefix at least.
	cacheFor = 5 * window.Minute
)

// session is a conversation under way.
type session struct {
	id         uint64
	last       int64
	sequence   uint64
	cost       int64
	sinkMs     int64
	longOutput int64 // time of the last output, if it was long
	prompt     int64 // tokens of the prompt that waits for an answer, plus one
	turns      uint32
	child      bool
	sinkKnown  bool
	sink       bool
}

// session returns the session of an id, the most recent one from now on.
func (h *Habit) session(id uint64, t int64) *session {
	for i := range h.sessions {
		if s := h.sessions[i]; s.id == id {
			copy(h.sessions[i:], h.sessions[i+1:])
			h.sessions[len(h.sessions)-1] = s
			return &h.sessions[len(h.sessions)-1]
		}
	}
	if len(h.sessions) >= maxSessions {
		h.endSession(&h.sessions[0])
		h.sessions = slices.Delete(h.sessions, 0, 1)
	}
	if h.sessions == nil {
		h.sessions = h.pair[:0]
	}
	h.sessions = append(h.sessions, session{id: id, last: t})
	return &h.sessions[len(h.sessions)-1]
}

// newTurn is how many tokens are new in a request, if that is known: it says so,
// or it is the first after its session announced a prompt.
func (h *Habit) newTurn(u *Use) (tokens int64, known bool) {
	tokens, known = u.NewTurn, u.Has&HasNewTurn != 0
	for i := range h.sessions {
		if s := &h.sessions[i]; s.id == u.Session && s.prompt > 0 {
			if !known {
				tokens, known = s.prompt-1, true
			}
			s.prompt = 0
		}
	}
	return tokens, known
}

// inSession adds a request to its session.
func (h *Habit) inSession(k *week, u *Use) {
	if u.Session == 0 {
		return
	}
	s := h.session(u.Session, u.TimeMs)
	s.turns++
	if u.Has&HasCache != 0 && s.turns > 1 && u.TimeMs-s.last <= cacheFor {
		k.sums.CacheTurns++
		k.sums.CacheTurnReadTokens += u.CacheRead
		k.sums.CacheTurnInputTokens += u.context()
	}
	if u.Has&HasSequence != 0 {
		k.sums.SequencedRecords++
		if s.sequence != 0 && u.Sequence > s.sequence+1 {
			k.sums.SequenceGaps += int64(min(u.Sequence-s.sequence-1, maxGap))
		}
		s.sequence = max(s.sequence, u.Sequence)
	}
	s.cost += u.CostNanos
	s.child = s.child || u.Child
	s.last = max(s.last, u.TimeMs)
	s.longOutput = 0
	if u.Has&HasOutput != 0 && h.outputs.above(u.Output, 90) {
		s.longOutput = u.TimeMs
	}
	if u.Has&HasSideEffects != 0 {
		s.sinkKnown = true
		if u.SideEffects > 0 {
			s.sink, s.sinkMs = true, u.TimeMs
		}
	}
}

// maxGap bounds what one broken number can add.
const maxGap = 1000

// sinkIn notes that a session left something behind.
func (h *Habit) sinkIn(a *Act) {
	s := h.session(a.Session, a.TimeMs)
	s.last = max(s.last, a.TimeMs)
	s.sinkKnown, s.sink, s.sinkMs = true, true, max(s.sinkMs, a.TimeMs)
}

// endSessions ends those that are idle at a time.
func (h *Habit) endSessions(t int64) {
	for i := range h.sessions {
		if t-h.sessions[i].last > idle { // few are: look before moving any
			h.sessions = slices.DeleteFunc(h.sessions, func(s session) bool {
				if t-s.last <= idle {
					return false
				}
				h.endSession(&s)
				return true
			})
			if len(h.sessions) <= len(h.pair) { // the others may have lain elsewhere
				h.sessions = append(h.pair[:0], h.sessions...)
			}
			return
		}
	}
}

// endSession counts a session in the week of its last record.
func (h *Habit) endSession(s *session) {
	start := window.WeekStart(s.last + int64(h.tz)*window.Minute)
	at := slices.IndexFunc(h.weeks, func(k *week) bool { return k.sums.WeekStartMs == start })
	if at < 0 {
		return
	}
	sums := h.weeks[at].sums
	if s.turns == 0 && !s.sinkKnown {
		return // a prompt that nothing answered
	}
	if s.child {
		sums.ChildSessions++
	}
	if !s.sinkKnown && !h.reports {
		return
	}
	sums.Sessions++
	sums.SessionCostNanos += s.cost
	if !s.sink {
		sums.SinklessSessions++
		sums.SinklessCostNanos += s.cost
	}
	if s.longOutput != 0 && (!s.sink || s.sinkMs < s.longOutput || s.sinkMs > s.longOutput+abandonAfter) {
		sums.AbandonedSessions++
	}
}

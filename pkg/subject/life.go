package subject

import (
	"math"
	"math/bits"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/habit"
	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// live takes a fact into the subject's habit and states the guards that cross. It
// returns why it cannot, a code.
func (f *Fold) live(s *subject, in *fact, out *machine.Outputs) (reason string) {
	h := &s.habit
	s.known = true
	switch {
	case in.transition != nil:
		f.meet(h, in.transition.GetIdentityType(), []byte(in.transition.GetRole()))
		credit := creditOf(in.transition)
		h.Credit(&credit, f.w, s.at)
		f.emitCredit(s, in.transition, out)
	case in.kind == goodhartv1.FactKind_FACT_KIND_ACTIVITY:
		f.meet(h, in.identity, in.role)
		act, ok := in.act()
		if !ok {
			return "undecodable"
		}
		h.Act(&act, f.w, s.at)
	default:
		f.meet(h, in.identity, in.role)
		in.fill(&f.use)
		f.crossings = h.Use(&f.use, f.w, s.at, f.crossings[:0])
		f.emitGuards(s, f.crossings, f.w, out)
	}
	f.schedule(s)
	return ""
}

// meet notes who the subject is: the last fact that knows.
func (f *Fold) meet(h *habit.Habit, identity goodhartv1.IdentityType, role []byte) {
	if identity != goodhartv1.IdentityType_IDENTITY_TYPE_UNSPECIFIED {
		h.Identity = identity
	}
	if len(role) > 0 && h.Role != string(role) {
		h.Role = f.names.of(role)
	}
}

// schedule puts a subject into the calendar, unless it stands there at that time
// or before: it is then put forward when its turn comes.
func (f *Fold) schedule(s *subject) {
	if next := s.habit.Next(); next < s.due {
		s.due = next
		f.calendar.push(next, s)
	}
}

// turn states what a subject's habit has due.
func (f *Fold) turn(s *subject, due int64, out *machine.Outputs) {
	if s.due != due || !s.known {
		return // a stale entry
	}
	s.due = math.MaxInt64
	weeks, ended, over := s.habit.Fire(due, nil, nil)
	for _, week := range weeks {
		f.stats.Weeks++
		m := f.about(s, goodhartv1.FeatureKind_FEATURE_KIND_WEEK)
		m.Week = week
		out.Emit(schemas.TopicFeatures, machine.ByKey, f.key, due, m)
		m.Week = nil
	}
	s.habit.Release()
	f.emitGuards(s, ended, due, out)
	if over {
		s.known, s.habit = false, habit.Habit{}
		f.forget(s)
		return
	}
	f.schedule(s)
}

func (f *Fold) emitGuards(s *subject, guards []*goodhartv1.Guard, w int64, out *machine.Outputs) {
	for _, guard := range guards {
		f.stats.Guards++
		m := f.about(s, goodhartv1.FeatureKind_FEATURE_KIND_GUARD)
		m.Guard = guard
		out.Emit(schemas.TopicFeatures, machine.ByKey, f.key, w, m)
		m.Guard = nil
	}
}

// emitCredit states a change of credit at once: it is booked on the day of its
// object, which no open pane is of.
func (f *Fold) emitCredit(s *subject, t *goodhartv1.Transition, out *machine.Outputs) {
	f.stats.Credits++
	m := f.about(s, goodhartv1.FeatureKind_FEATURE_KIND_CREDIT)
	m.IdentityType, m.Role = t.GetIdentityType(), t.GetRole()
	m.Credit = &goodhartv1.OutcomeCredit{
		Kind: t.GetOutcome(), Team: t.GetTeam(), ObjectDayMs: t.GetObjectDayMs(),
		Provisional: t.GetProvisionalDelta(), Final: t.GetFinalDelta(),
		Millipoints: t.ValueMillipoints, Linked: t.Linked, Unreviewed: t.GetUnreviewed(),
	}
	if t.GetTicket() != "" {
		m.Credit.Ticket = max(1, xxhash.Sum64String(t.GetTicket()))
	}
	out.Emit(schemas.TopicFeatures, machine.ByKey, f.key, f.w, m)
	m.Credit = nil
}

// about is a feature about a subject; f.key is its key.
func (f *Fold) about(s *subject, kind goodhartv1.FeatureKind) *goodhartv1.Feature {
	tenant, name, _ := strings.Cut(s.key, "|")
	f.key = append(f.key[:0], tenant...)
	m := &f.feature
	m.Kind, m.Tenant, m.Subject = kind, tenant, name
	m.IdentityType, m.Role = s.habit.Identity, s.habit.Role
	m.PaneStartMs, m.Delta, m.Cells = 0, false, nil
	return m
}

// creditOf is the change of credit that a transition makes.
func creditOf(t *goodhartv1.Transition) habit.Credit {
	return habit.Credit{
		TimeMs: t.GetTimeMs(), Kind: t.GetOutcome(),
		Provisional: int64(t.GetProvisionalDelta()), Final: int64(t.GetFinalDelta()), Reverted: int64(t.GetRevertedDelta()),
		Millipoints: t.GetValueMillipoints(), Valued: t.ValueMillipoints != nil,
	}
}

// The fields of a Usage that make up what a Habit asks for.
var stated = [...]struct {
	fields uint64
	has    habit.Has
}{
	{hasInput, habit.HasContext},
	{hasCache, habit.HasCache},
	{hasOutput, habit.HasOutput},
	{1 << duration, habit.HasDuration},
	{1 << newTurn, habit.HasNewTurn},
	{1 << kappa, habit.HasKappa},
	{1 << sideEffects, habit.HasSideEffects},
}

// fill sets what a habit needs of a usage fact.
func (f *fact) fill(u *habit.Use) {
	n := &f.usage.numbers
	*u = habit.Use{
		TimeMs: f.timeMs, OffsetMin: f.offset,
		Request:  n[granularity] == int64(goodhartv1.Granularity_GRANULARITY_REQUEST),
		Failed:   n[status] == int64(goodhartv1.Status_STATUS_ERROR),
		Unpriced: n[costBasis] == int64(goodhartv1.CostBasis_COST_BASIS_UNPRICED),
		Team:     f.team, Tool: f.tool, ToolVersion: f.toolVersion, Model: f.usage.model, Repository: f.repository, Credential: f.credential,
		Child: len(f.parent) > 0, Sequence: f.sequence,
		InputUncached: n[inputUncached], CacheRead: n[cacheRead], CacheWrite: n[cacheWrite5m] + n[cacheWrite1h] + n[cacheWrite],
		Output: n[output], Reasoning: n[reasoning], CostNanos: n[costNanos],
		DurationMs: n[duration], NewTurn: n[newTurn], KappaPPM: n[kappa], SideEffects: n[sideEffects],
	}
	u.UnknownTokens = u.Request && f.usage.tokensUnknown()
	for _, s := range stated {
		if f.usage.has&s.fields != 0 {
			u.Has |= s.has
		}
	}
	if f.hasOffset {
		u.Has |= habit.HasOffset
	}
	if f.hasSequence {
		u.Has |= habit.HasSequence
	}
	if len(f.conversation) > 0 {
		u.Session = xxhash.Sum64(f.conversation)
	}
	const pair = 1<<newTurnHash | 1<<targetHash
	if f.usage.has&pair == pair {
		u.Pair = uint64(n[newTurnHash]) ^ bits.RotateLeft64(uint64(n[targetHash]), 32)
		u.Has |= habit.HasPair
	}
}

// Activities that say what a session left behind.
const (
	commits      = "claude_code.commit.count"
	pullRequests = "claude_code.pull_request.count"
	linesChanged = "claude_code.lines_of_code.count"
	edits        = "claude_code.code_edit_tool.decision"
	// A tool ran: as Claude Code and as the GenAI conventions announce it.
	toolResult  = "tool_result"
	executeTool = "execute_tool"
	// A person wrote something.
	userPrompt = "user_prompt"
)

// act is what a habit needs of an activity.
func (f *fact) act() (a habit.Act, ok bool) {
	a = habit.Act{TimeMs: f.timeMs, OffsetMin: f.offset, HasOffset: f.hasOffset}
	name, ok := activityName(f.activity)
	if !ok {
		return a, false
	}
	switch name {
	case commits, pullRequests, linesChanged, edits, toolResult, executeTool, userPrompt:
	default:
		return a, true // nothing that leaves anything behind
	}
	var m goodhartv1.Activity
	if err := m.UnmarshalVT(f.activity); err != nil {
		return a, false
	}
	if len(f.conversation) > 0 {
		a.Session = xxhash.Sum64(f.conversation)
	}
	value := int64(1)
	for _, n := range m.Numbers {
		if n.Value < 0 || n.Value >= 1e9 {
			continue
		}
		switch n.Key {
		case "value":
			value = int64(n.Value)
		case event.SideEffects:
			a.Tells, a.SideEffects = true, int64(n.Value)
		case event.KappaPPM:
			a.KappaPPM, a.HasKappa = int64(n.Value), true
		case "prompt_length":
			a.Prompt, a.HasPrompt = (int64(n.Value)+3)/4, name == userPrompt
		}
	}
	switch name {
	case toolResult, executeTool:
		a.Sink = a.SideEffects > 0
		return a, true
	case userPrompt:
		return a, true
	}
	a.Sink = value > 0
	switch name {
	case commits, pullRequests:
		a.Outcomes = value
	case edits:
		a.Accepted = value
		for _, l := range m.Labels {
			if l.Key == "decision" && l.Value == "reject" {
				a.Accepted, a.Rejected, a.Sink = 0, value, false
			}
		}
	}
	return a, true
}

// activityName reads the name of an Activity, and reports whether it could.
func activityName(b []byte) (name string, ok bool) {
	for i := 0; i < len(b); {
		fd, ok := next(b, i, 1<<1)
		if !ok {
			return "", false
		}
		i = fd.end
		if fd.tag == 1<<3|wireBytes {
			name = string(b[fd.start:fd.end])
		}
	}
	return name, true
}

func compareSubjects(a, b *subject) int { return strings.Compare(a.key, b.key) }

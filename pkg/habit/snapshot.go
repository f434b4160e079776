package habit

import (
	"errors"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Save returns the state. It shares memory with the habit and holds until the
// habit changes.
func (h *Habit) Save() *goodhartv1.Habit {
	m := &goodhartv1.Habit{
		IdentityType: h.Identity, Role: h.Role, LastMs: h.last, TzOffsetMin: h.tz,
		Outputs:     h.outputs.save(),
		ToolVersion: h.before.toolVersion, Model: h.before.model, Repository: h.before.repository,
		Ends: h.overlap.ends, CoveredMs: h.overlap.covered, ReportsSinks: h.reports,
		LastPair: h.pairs.last.pair, LastPairMs: h.pairs.last.ms, LastPairRuns: h.pairs.last.runs, LastFailed: h.pairs.failed,
	}
	for _, k := range h.weeks {
		m.Weeks = append(m.Weeks, k.save())
	}
	for _, s := range h.sessions {
		m.Sessions = append(m.Sessions, s.save())
	}
	for i := range statistics {
		ring := &goodhartv1.HabitRing{}
		if h.rings != nil {
			ring.Values = h.rings[i].values[:h.rings[i].n]
		}
		m.Rings = append(m.Rings, ring)
	}
	m.Pairs = h.pairs.save()
	m.Guards = h.guards.save()
	return m
}

func (k *week) save() *goodhartv1.HabitWeek {
	hours := k.hours.all()
	k.sums.Repeats = k.repeats.save()
	m := &goodhartv1.HabitWeek{
		Sums: k.sums, DueMs: k.due,
		Teams: k.teams.save(), Tools: k.tools.save(), ToolVersions: k.toolVersions.save(),
		Models: k.models.save(), Repositories: k.repositories.save(),
		HourRequests: hours[:],
	}
	for _, g := range k.gaps {
		m.Gaps = append(m.Gaps, &goodhartv1.HabitGaps{LastMs: g.last, Gaps: int64(g.n), Sum: int64(g.sum), Squares: g.squares})
	}
	for _, p := range k.phases {
		m.Phases = append(m.Phases, p.cos, p.sin)
	}
	return m
}

func (s session) save() *goodhartv1.HabitSession {
	return &goodhartv1.HabitSession{
		Id: s.id, LastMs: s.last, Turns: s.turns, Sequence: s.sequence, CostNanos: s.cost, Child: s.child,
		SinkKnown: s.sinkKnown, Sink: s.sink, SinkMs: s.sinkMs, LongOutputMs: s.longOutput,
		Prompt: s.prompt,
	}
}

// Load makes an unused habit what was saved. It takes the message over.
func (h *Habit) Load(m *goodhartv1.Habit) error {
	if len(m.Rings) > statistics || len(m.Guards) > len(watch) {
		return errors.New("a habit of a later version")
	}
	if n := len(m.Pairs); n != 0 && n != pairSets*pairWays {
		return errors.New("a habit with too few or too many pairs")
	}
	h.Identity, h.Role, h.last, h.reports, h.tz = m.IdentityType, m.Role, m.LastMs, m.ReportsSinks, bounded(m.TzOffsetMin)
	h.outputs = loadOctaves(m.Outputs)
	h.before = favourites{m.ToolVersion, m.Model, m.Repository}
	h.overlap.ends, h.overlap.covered = m.Ends, m.CoveredMs
	h.pairs.last.pair, h.pairs.last.ms, h.pairs.last.runs, h.pairs.failed = m.LastPair, m.LastPairMs, m.LastPairRuns, m.LastFailed
	for _, saved := range m.Weeks {
		k := h.blank()
		if err := k.load(saved); err != nil {
			return err
		}
		h.weeks = append(h.weeks, k)
	}
	h.sessions = h.pair[:0]
	for _, s := range m.Sessions {
		h.sessions = append(h.sessions, session{
			id: s.Id, last: s.LastMs, turns: s.Turns, sequence: s.Sequence, cost: s.CostNanos, child: s.Child,
			sinkKnown: s.SinkKnown, sink: s.Sink, sinkMs: s.SinkMs, longOutput: s.LongOutputMs,
			prompt: s.Prompt,
		})
	}
	for i, r := range m.Rings {
		if len(r.Values) == 0 {
			continue
		}
		if h.rings == nil {
			h.rings = new(rings)
		}
		h.rings[i].n = uint8(copy(h.rings[i].values[:], r.Values))
	}
	h.pairs.load(m.Pairs)
	h.guards.load(m.Guards)
	return nil
}

func (k *week) load(m *goodhartv1.HabitWeek) error {
	s := m.Sums
	if s == nil || len(m.HourRequests) != hours || len(m.Gaps) != days || len(m.Phases) != 2*periods ||
		len(s.DayRequests) != days || len(s.DayTokens) != days || len(s.DayCostNanos) != days || len(s.DayOutcomes) != days {
		return errors.New("a habit with half a week")
	}
	k.sums, k.due = s, m.DueMs
	copy(k.dayRequests[:], s.DayRequests)
	copy(k.dayTokens[:], s.DayTokens)
	copy(k.dayCost[:], s.DayCostNanos)
	copy(k.dayOutcomes[:], s.DayOutcomes)
	k.layDays()
	k.repeats, s.Repeats = loadRepeats(s.Repeats), nil
	k.teams, k.tools, k.toolVersions = loadTally(m.Teams), loadTally(m.Tools), loadTally(m.ToolVersions)
	k.models, k.repositories = loadTally(m.Models), loadTally(m.Repositories)
	k.hours = loadHourly(m.HourRequests)
	for i, g := range m.Gaps {
		k.gaps[i] = gaps{last: g.LastMs, squares: g.Squares, n: uint32(g.Gaps), sum: uint32(g.Sum)}
	}
	for i := range k.phases {
		k.phases[i] = phase{m.Phases[2*i], m.Phases[2*i+1]}
	}
	return nil
}

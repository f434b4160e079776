package habit

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// state completes a week that has ended and takes it into what is usual.
func (h *Habit) state(k *week) *goodhartv1.Week {
	s := k.sums
	end := s.WeekStartMs - int64(s.TzOffsetMin)*window.Minute + window.Week
	h.endSessions(end + idle)
	s.Team, s.Tool, s.ToolVersion = k.teams.most(), k.tools.most(), k.toolVersions.most()
	s.Model, s.Repository = k.models.most(), k.repositories.most()
	s.ToolVersionChanged = changed(h.before.toolVersion, s.ToolVersion)
	s.ModelChanged = changed(h.before.model, s.Model)
	s.RepositoryChanged = changed(h.before.repository, s.Repository)
	s.Repeats = top(k.repeats.save())
	k.stateTiming()
	for m := range k.models.all() {
		s.Models = append(s.Models, &goodhartv1.ModelUse{Model: m.name, Requests: m.requests, Tokens: m.tokens, CostNanos: m.costNano})
	}
	slices.SortFunc(s.Models, func(a, b *goodhartv1.ModelUse) int {
		return cmp.Or(cmp.Compare(b.Tokens, a.Tokens), cmp.Compare(a.Model, b.Model))
	})
	for i := 1; h.rings != nil && i < statistics; i++ {
		if r := &h.rings[i]; r.n > 0 {
			s.Baselines = append(s.Baselines, r.baseline(i))
		}
	}
	h.learn(s)
	return s
}

// changed reports whether a favourite is another one than before: unknown before
// or now is no change.
func changed(before, now string) bool { return before != "" && now != "" && before != now }

// hoursUsed counts the hours of a week with a request.
func hoursUsed(bitmap []byte) int64 {
	n := 0
	for _, b := range bitmap {
		n += bits.OnesCount8(b)
	}
	return int64(n)
}

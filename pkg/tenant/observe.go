package tenant

import (
	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/signal"
)

// Observer is told what a fold states, with everything between the statement and
// the log, so that a figure can be explained. It is called as the statement is
// made, by the goroutine of the fold, whether the outputs are silent or not; what
// it is given belongs to the fold and must not be changed, but for signal.Input's
// Observe. A nil func is not called.
type Observer struct {
	// Efficiency sees each efficiency score, and the assessment that it comes
	// from: that of all scopes of its kind in its window. The days are those that
	// the blocks of the window are made of: of every team, by role, as the
	// configuration in force values them.
	Efficiency func(e *score.Efficiency, from *score.Assessment, days []score.Series)
	// Week is called twice for each week that is judged: before, without a result,
	// and after. The state is what the signals remember at that time.
	Week func(in *signal.Input, state *signal.State, result *signal.Result)
	// Crossing sees the signal that a crossing of a rate guard made.
	Crossing func(c *signal.Crossing, s *signal.Signal)
}

// ScoreOnly restricts efficiency scores to windows with an end that ends says yes to:
// a replay of months that asks for some of them need not work out the others. Each end
// has its scores whatever becomes of the rest. It is no part of the state.
func (f *Fold) ScoreOnly(ends func(end int64) bool) { f.scored = ends }

// Observe sets who is told; it is no part of the state.
func (f *Fold) Observe(o Observer) { f.observer = o }

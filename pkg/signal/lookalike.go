package signal

import (
	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/window"
)

// Finding is what the check of a look-alike found.
type Finding uint8

// The findings.
const (
	// NotFound: it was looked for and is not there.
	NotFound Finding = iota
	// Found: it explains what was seen.
	Found
	// Together: those beside the subject moved with it, so that the question is
	// not the subject's.
	Together
	// LeftOut: the statistic leaves it out by its construction.
	LeftOut
	// Unseen: these data cannot show it.
	Unseen
)

// String names the finding.
func (f Finding) String() string {
	return [...]string{"not found", "found", "shared with others", "left out of the count", "cannot be seen here"}[f]
}

// explains reports whether the subject is not to be asked.
func (f Finding) explains() bool { return f == Found || f == Together }

// LookAlike is an innocent explanation.
type LookAlike struct {
	// Name in a list, Why what it would look like.
	Name, Why string
	check     func(o *observation, r *Reading) Finding
}

func look(name, why string, check func(o *observation, r *Reading) Finding) LookAlike {
	return LookAlike{Name: name, Why: why, check: check}
}

func found(is bool) Finding {
	if is {
		return Found
	}
	return NotFound
}

// leftOut: the statistic does not count it.
func leftOut(*observation, *Reading) Finding { return LeftOut }

// unseen: the person is asked, because nothing else can tell.
func unseen(*observation, *Reading) Finding { return Unseen }

// declared: an event was declared that covers the week.
func declared(kinds ...policy.ContextKind) func(*observation, *Reading) Finding {
	return func(o *observation, _ *Reading) Finding { return found(o.declared(kinds...)) }
}

// automated: the subject is registered as an automation.
func automated(o *observation, _ *Reading) Finding {
	return found(registered(o.all.policy, policy.Place{Subject: o.subject.ID}))
}

// together: those of a cohort moved with the subject.
func together(c cohort) func(*observation, *Reading) Finding {
	return func(_ *observation, r *Reading) Finding { return r.together[c].finding() }
}

// changed: something of the subject changed in the week in which the signal
// began, or in the one before.
func changed(week func(*SubjectState) int64) func(*observation, *Reading) Finding {
	return func(o *observation, r *Reading) Finding { return found(coincides(week(o.state), r.onset)) }
}

// movedOr: those of a cohort moved too, or the subject has moved to where they
// have been for long.
func movedOr(c cohort, week func(*SubjectState) int64) func(*observation, *Reading) Finding {
	return func(o *observation, r *Reading) Finding {
		if f := r.together[c].finding(); f == Together {
			return f
		}
		return found(coincides(week(o.state), r.onset))
	}
}

// updated: those with the same version of the client moved too. Clients update
// themselves too often for the change alone to explain anything, unless there are
// too few others to tell.
func updated(o *observation, r *Reading) Finding {
	if f := r.together[sameVersion].finding(); f != Unseen {
		return f
	}
	return found(coincides(o.state.VersionChanged, r.onset))
}

func modelChange(s *SubjectState) int64      { return s.ModelChanged }
func repositoryChange(s *SubjectState) int64 { return s.RepositoryChanged }
func tzChange(s *SubjectState) int64         { return s.TzChanged }

// withResults: the sessions of the week have side effects as before, so that
// something came of them.
func withResults(o *observation, _ *Reading) Finding {
	w := o.week
	if w.Sessions < resultSessions || w.SessionCostNanos <= 0 {
		return Unseen
	}
	limit := resultShare
	if usual, ok := o.usual(sinkless); ok {
		limit = usual
	}
	return found(share(w.SinklessCostNanos, w.SessionCostNanos) <= limit+resultMargin)
}

// What withResults asks for: sessions, the share of their cost that may be
// without a side effect if what is usual is not known, and by how much more than
// usual it may be.
const (
	resultSessions = 10
	resultShare    = 0.30
	resultMargin   = 0.20
)

// coincides reports whether a change came in the week of an onset or in the one
// before.
func coincides(change, onset int64) bool {
	return change != 0 && change <= onset && onset-change <= window.Week
}

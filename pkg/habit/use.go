package habit

import (
	"slices"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Has is the set of what a usage record states.
type Has uint32

// What a record may state.
const (
	HasContext Has = 1 << iota // any input class
	HasCache                   // a cache class
	HasOutput
	HasDuration
	HasNewTurn
	HasPair // the hashes of the new turn and of its target
	HasKappa
	HasSideEffects
	HasOffset
	HasSequence
)

// Use is one usage record that counts. Names are the caller's bytes.
type Use struct {
	TimeMs    int64
	OffsetMin int32
	Has       Has
	// Request is false for the change of a counter: it has tokens and no request.
	Request, Failed, Unpriced, UnknownTokens bool

	Team, Tool, ToolVersion, Model, Repository, Credential []byte
	// Session is a hash of the conversation, 0 for none; Child says that it has a
	// parent.
	Session  uint64
	Child    bool
	Sequence uint64

	InputUncached, CacheRead, CacheWrite, Output, Reasoning int64
	CostNanos                                               int64
	DurationMs, NewTurn                                     int64
	// Pair is a hash of (new turn, target).
	Pair        uint64
	KappaPPM    int64
	SideEffects int64
}

// context is the tokens that a request reads.
func (u *Use) context() int64 { return u.InputUncached + u.CacheRead + u.CacheWrite }

// tokens is all that it reads and writes; reasoning is a part of output.
func (u *Use) tokens() int64 { return u.context() + u.Output }

// offset is local time, UTC where the record does not say.
func (u *Use) offset(h *Habit) int32 {
	h.tz = 0
	if u.Has&HasOffset != 0 {
		h.tz = bounded(u.OffsetMin)
	}
	return h.tz
}

// bounded is an offset that some place on earth has.
func bounded(offset int32) int32 { return max(-maxOffset, min(maxOffset, offset)) }

// Credit is a change of an outcome's credit.
type Credit struct {
	TimeMs                       int64
	Kind                         goodhartv1.OutcomeKind
	Provisional, Final, Reverted int64
	// Millipoints is the value of one outcome in thousandths of a point, if its
	// source states one.
	Millipoints int64
	Valued      bool
}

// AddCredit adds a change of credit to those of its kind.
func AddCredit(credits []*goodhartv1.KindCredit, c *Credit) []*goodhartv1.KindCredit {
	at := slices.IndexFunc(credits, func(k *goodhartv1.KindCredit) bool { return k.Kind == c.Kind })
	if at < 0 {
		at, credits = len(credits), append(credits, &goodhartv1.KindCredit{Kind: c.Kind})
	}
	k := credits[at]
	k.Provisional += c.Provisional
	k.Final += c.Final
	k.Reverted += c.Reverted
	if c.Valued {
		k.Millipoints += (c.Provisional + c.Final) * c.Millipoints
		k.Valued += c.Provisional + c.Final
	}
	return credits
}

// Act is an activity: something that a tool did besides asking a model.
type Act struct {
	TimeMs    int64
	OffsetMin int32
	HasOffset bool
	Session   uint64
	// Sink: it left something behind, such as a commit or an accepted edit. Tells:
	// it would say so; SideEffects is how many things a tool that ran left.
	Tells, Sink bool
	SideEffects int64
	// Outcomes is how many the client reports; Accepted and Rejected are edits.
	Outcomes, Accepted, Rejected int64
	// Prompt is the length in tokens of what a person wrote, if this is it: the
	// next request of the session answers it.
	Prompt    int64
	HasPrompt bool
	// KappaPPM is its compression ratio.
	KappaPPM int64
	HasKappa bool
}

func (a *Act) offset(h *Habit) int32 {
	if a.HasOffset {
		h.tz = bounded(a.OffsetMin)
	}
	return h.tz
}

// Package signal holds the catalogue of Goodhart signals: which questions the
// tenant fold may raise, about what, and which innocent explanations it checks
// first. A signal is a question with evidence, never a verdict; it speaks of a
// metric, a team, a tool or a service key on signals.v1, and of a person on
// self.v1 to that person alone.
//
// One file of this package per signal; adding one is adding its file, its row in
// Catalogue and its tests. The catalogue is empty: no signal is raised.
package signal

// Label is what a signal looks like.
type Label string

// The labels.
const (
	// Tooling: the tool or its settings, nobody's doing.
	Tooling Label = "tooling"
	// Runaway: an automation that went on by itself.
	Runaway Label = "runaway"
	// PossibleGaming: usage for the sake of the number.
	PossibleGaming Label = "possible gaming"
)

// Definition is a row of the catalogue: what is true of every signal of a kind.
type Definition struct {
	// Code names the kind for ever, such as S1.
	Code string
	// Title is what people call it, Question what it asks them.
	Title, Question string
	Label           Label
	// ScopeKinds lists what it may speak of: metric, tenant, team, model, tool,
	// service, self.
	ScopeKinds []string
	// LookAlikes are the innocent explanations that are checked before it opens.
	LookAlikes []string
	// Formula is the version of its arithmetic.
	Formula string
}

// Catalogue returns every kind of signal, by code. The slice is the caller's.
func Catalogue() []Definition { return nil }

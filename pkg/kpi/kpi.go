// Package kpi holds the catalogue of checks that make up the health card of a
// usage target: whether the number that people manage by still means anything,
// and what chasing it costs. The card judges the target, never those it is set
// for.
//
// One file of this package per check; adding one is adding its file, its row in
// Catalogue and its tests. The catalogue is empty: no card is issued.
package kpi

// Verdict is what is left of a target's meaning.
type Verdict string

// The verdicts.
const (
	Healthy          Verdict = "healthy"
	Watch            Verdict = "watch"
	LosingMeaning    Verdict = "losing meaning"
	InsufficientData Verdict = "insufficient data"
)

// Check is a row of the catalogue: one estimate on the card.
type Check struct {
	// Name is the estimate's field in kpi.v1, such as elasticity.
	Name string
	// Title is what people call it, Question what it answers.
	Title, Question string
	// MinimumN is the sample size below which it is not given.
	MinimumN int
	// Adversarial: it can tell gaming from a target that has merely lost its
	// meaning. A verdict of LosingMeaning needs one such check.
	Adversarial bool
	// Formula is the version of its arithmetic.
	Formula string
}

// Catalogue returns every check, in the order of the card. The slice is the
// caller's.
func Catalogue() []Check { return nil }

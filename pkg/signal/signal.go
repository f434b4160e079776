// Package signal holds the catalogue of Goodhart signals and decides which of
// them are raised: Evaluate from the weeks of a tenant's subjects, Guard at once
// from what crosses a rate guard, Surge from what leaves the seasonal pattern of
// a series. A signal is a question with evidence, never a verdict; it speaks of a
// metric, a tenant, a team, a model, a tool or a service on signals.v1, and of a
// person or a personal key on self.v1 to that person alone.
//
// One file of this package per signal: what it needs, its statistic, thresholds,
// minimum sample, evidence and look-alikes behind the shape Definition. Adding one
// is adding its file, its row in Catalogue and its tests. docs/signals.md is
// generated from the catalogue.
//
// A mechanism (something that burns tokens for nothing, or for a date) opens a signal
// of its own if all of this holds; anything else only adds confidence:
//
//   - enough was measured, and what is usual for the subject is known;
//   - the statistic crosses its thresholds in two of the last three windows, or looks
//     at several periods itself;
//   - no look-alike explains it, and nothing that was declared covers it;
//   - those beside the subject (team, client version, model, repository) did not
//     move with it: then the question goes to the tool or the team;
//   - it stays below the false discovery rate across all subjects of the week;
//   - no closed dispute has silenced it.
//
// All of it is a pure function of the arguments, for one goroutine. Floats are
// summed in a fixed order and rounded where they are written.
package signal

//go:generate go run ./internal/gendocs

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

// Severity is how urgent a signal is.
type Severity string

// The severities.
const (
	Info     Severity = "info"
	Warning  Severity = "warning"
	Critical Severity = "critical"
)

// Status is where a signal is in its life.
type Status string

// The statuses.
const (
	Opened   Status = "opened"
	Updated  Status = "updated"
	Resolved Status = "resolved"
	Disputed Status = "disputed"
)

// Kinds of scope.
const (
	ScopeMetric  = "metric"
	ScopeTenant  = "tenant"
	ScopeTeam    = "team"
	ScopeModel   = "model"
	ScopeTool    = "tool"
	ScopeService = "service"
	// ScopeSelf is a person or a personal key: the record goes to self.v1.
	ScopeSelf = "self"
)

// Kind is what a signal may do.
type Kind string

// The kinds.
const (
	// Mechanism may open a signal by itself.
	Mechanism Kind = "mechanism"
	// Supporting adds to the confidence of a mechanism and opens nothing.
	Supporting Kind = "supporting"
	// Aggregate is a statement about many people that says nothing of one.
	Aggregate Kind = "aggregate"
	// Immediate opens and resolves as it happens, without waiting for a week.
	Immediate Kind = "immediate"
)

// Threshold is a figure that a statistic is compared with.
type Threshold struct {
	Name  string
	Value float64
	Unit  string
}

// Definition is a row of the catalogue: what is true of every signal of a kind.
type Definition struct {
	// Code names the signal for ever, such as S1.
	Code string
	// Title is what people call it, Question what it asks.
	Title, Question string
	Kind            Kind
	Label           Label
	// ScopeKinds lists what it may speak of.
	ScopeKinds []string
	// Needs are the figures that a source must supply; without them the signal
	// is unknown.
	Needs []string
	// Statistic says what is computed, in words and symbols.
	Statistic string
	// MinimumN is the smallest sample, counted in Sample.
	MinimumN int64
	Sample   string
	// Thresholds must all be crossed, unless Statistic says otherwise.
	Thresholds []Threshold
	// LookAlikes are the innocent explanations that are checked before it opens.
	LookAlikes []LookAlike
	// Formula is the version of its arithmetic.
	Formula string

	// self and shared say what was seen, to the person and about a scope.
	self, shared template
	// other and otherShared say it where another of the thresholds was crossed.
	other, otherShared template
	// services: it is measured on services too, not on people and keys alone.
	services bool
	// spans: the statistic itself looks at several periods, so that one window
	// of it is enough.
	spans bool
	// chooses: the statistic is the choice of models.
	chooses bool
	// measure takes the statistic of one week; nil for aggregates and guards.
	measure func(*observation) Reading
	// given is what must be true beside the statistic, of the other signals of
	// the same week; nil for nothing.
	given func(*observation) bool
	// release lets go of what is held for it beside weekly figures; nil for nothing.
	release func(*SubjectState)
	// facts is the evidence beside what every signal states.
	facts func(*observation, *Reading) []Fact
}

// Catalogue returns every kind of signal, by code. The slice is the caller's.
func Catalogue() []Definition {
	return []Definition{
		contextBloat(),
		redundantTasks(),
		vaguePrompts(),
		padding(),
		roundTheClock(),
		noSink(),
		parallelAgents(),
		bunching(),
		periodEnd(),
		cheapLoop(),
		cacheBusting(),
		minimumEffort(),
		runawayRate(),
		runawaySpend(),
		surge(),
	}
}

// Lookup returns the definition of a code.
func Lookup(code string) (Definition, bool) {
	for _, d := range Catalogue() {
		if d.Code == code {
			return d, true
		}
	}
	return Definition{}, false
}

package signal

// Measure says what became of a measurement.
type Measure uint8

// What becomes of a measurement.
const (
	// Unknown: no record of the week says anything about it.
	Unknown Measure = iota
	// TooFew: the sample is below the minimum.
	TooFew
	// NoHistory: what is usual for the subject is not known yet.
	NoHistory
	// Quiet: it was measured and lies below a threshold.
	Quiet
	// Fired: it crosses its thresholds.
	Fired
)

// String names the measure.
func (m Measure) String() string {
	return [...]string{"unknown", "too few", "no history", "quiet", "fired"}[m]
}

// measured reports whether it may be compared with others.
func (m Measure) measured() bool { return m == Quiet || m == Fired }

// Reading is the statistic of one signal, taken of one subject and week.
type Reading struct {
	Measure Measure
	// N is the sample. Known of the subject's Of records could be measured.
	N, Known, Of int64
	// Value and Threshold are the headline, as it is shown.
	Value, Threshold float64
	// Shift is how far the statistic lies from what is usual for the subject; the
	// shifts of one signal can be compared between subjects.
	Shift float64
	// P is the probability of this, or more, by chance.
	P float64
	// Tokens and CostNanos are at stake.
	Tokens    int64
	CostNanos int64
	CostKnown bool

	// apart: the statistic itself is beyond its thresholds, whatever else it takes to
	// fire.
	apart bool
	// onset is the week in which it began to.
	onset int64
	// together says how many of those beside the subject moved with it.
	together [cohorts]cohortShare
	// findings are those of the look-alikes, in their order.
	findings []Finding
	// unit of the headline, where it is not that of the first threshold; other: it
	// is stated in the other words of the definition.
	unit  string
	other bool
	// extra is the figure of a second statistic, for the evidence.
	extra float64
}

// sample notes the sample and reports whether it suffices.
func (r *Reading) sample(n, known, of, minimum int64) bool {
	r.N, r.Known, r.Of = n, known, max(of, known)
	switch {
	case known == 0:
		r.Measure = Unknown
	case n < minimum:
		r.Measure = TooFew
	default:
		return true
	}
	return false
}

// decide notes whether it fired.
func (r *Reading) decide(fired bool) {
	r.Measure, r.apart = Quiet, r.apart || fired
	if fired {
		r.Measure = Fired
	}
}

// Fact is one line of evidence.
type Fact struct {
	// Name of the fact within the record, Statistic what was measured.
	Name, Statistic string
	// Value is in Unit; it is unknown unless Known.
	Value float64
	Known bool
	Unit  string
	// Threshold is what the value was compared with, if HasThreshold.
	Threshold    float64
	HasThreshold bool
	// N is the sample, Window what it was measured over.
	N      int64
	Window string
	// LookAlikes that were checked, each with its finding.
	LookAlikes []string
}

// against gives a fact its threshold.
func (f Fact) against(threshold float64) Fact {
	f.Threshold, f.HasThreshold = threshold, true
	return f
}

// number is a fact that is known.
func number(name, statistic string, value float64, unit string, n int64) Fact {
	return Fact{Name: name, Statistic: statistic, Value: value, Known: true, Unit: unit, N: n}
}

// maybe is a fact that is known only if known.
func maybe(name, statistic string, value float64, known bool, unit string, n int64) Fact {
	f := number(name, statistic, value, unit, n)
	f.Known = known
	return f
}

// count is a fact that counts something.
func count(name, statistic string, value int64, unit string, n int64) Fact {
	return number(name, statistic, float64(value), unit, n)
}

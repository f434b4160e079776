package score

import (
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/record"
)

// TypePersonal is the CloudEvents type of a person's own efficiency in self.v1; its
// kind and formula are those of the scores of teams.
const TypePersonal = "ai.goodhart.self.efficiency.v1"

// PersonExpected is how many outcomes must be expected of a person, by the
// dispersion, for a score to be given: as many as it takes to see a shortfall by
// half, which few people deliver in a window.
var PersonExpected = ExpectedNeeded(1.5, 0.01, 0.8)

// Person scores one person as a unit of their own: by the curve of their role and
// the spread among units, with no peers to be above or below of. The window of the
// assessment must have settled. A block in which the person did not work is left
// out: nothing is expected of it.
func (a *Assessment) Person(u Unit, blocks []Block) Score {
	blocks = slices.DeleteFunc(slices.Clone(blocks), func(b Block) bool { return b.People == 0 })
	return a.score(u, blocks, PersonExpected)
}

// Personal is one person's efficiency in a window, for that person alone: a record
// of self.v1. It is stated once, when everything has settled.
type Personal struct {
	Tenant, Subject string
	// Role is that whose curve it is compared with, as of the window's last day of
	// work.
	Role string
	// Window is its name, Start and End its bounds in ms; End is exclusive.
	Window     string
	Start, End int64
	// W is the watermark at emission, ms.
	W     int64
	Score *Score
	// Dispersion is that of the Model.
	Dispersion    float64
	ConfigVersion uint64
}

// Status is final, or insufficient data.
func (p *Personal) Status() string {
	if p.Score.Reason != "" {
		return StatusInsufficient
	}
	return StatusFinal
}

// AppendJSON appends the record, fields in the order of the schema.
func (p *Personal) AppendJSON(dst []byte) []byte {
	o, s := record.Open(dst), p.Score
	o.String("kind", KindEfficiency)
	o.String("tenant", p.Tenant)
	o.String("subject", p.Subject)
	o.String("window", p.Window)
	o.Int("window_start", p.Start)
	o.Int("window_end", p.End)
	o.Int("rev", 0)
	o.Int("w", p.W)
	o.String("role", p.Role)
	o.Int("weeks", int64(len(s.Parts)))
	o.Number("outcomes_needed", PersonExpected, true)
	s.appendTo(&o)
	o.Value("coverage", s.Coverage.append)
	o.Value("unpriced_share", s.Unpriced.append)
	o.Number("dispersion", p.Dispersion, s.ExpectedKnown)
	o.String("status", p.Status())
	o.String("reason", s.Reason)
	o.String("formula", FormulaEfficiency)
	o.Uint("config_version", p.ConfigVersion)
	return o.Close()
}

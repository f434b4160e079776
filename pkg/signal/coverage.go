package signal

import (
	"github.com/goodhartlabs/goodhart/pkg/record"
	"github.com/goodhartlabs/goodhart/pkg/window"
)

// The kind of the record in scores.v1 and its CloudEvents type.
const (
	KindCoverage = "signal_coverage"
	TypeCoverage = "ai.goodhart.score.signal_coverage.v1"
)

// WeekCoverage is the coverage of one signal as it is published: what could be
// looked at, and not what was found in it, which would tell of few.
type WeekCoverage struct {
	Coverage

	Tenant string
	// WeekStart is the Monday 00:00 UTC of the week, W the watermark at emission,
	// ms.
	WeekStart, W  int64
	ConfigVersion uint64
}

// AppendJSON appends the record, fields in the order of the schema.
func (c *WeekCoverage) AppendJSON(dst []byte) []byte {
	d, _ := Lookup(c.Code)
	o := record.Open(dst)
	o.String("kind", KindCoverage)
	o.String("tenant", c.Tenant)
	o.String("code", c.Code)
	o.String("title", d.Title)
	o.String("iso_week", window.WeekName(c.WeekStart))
	o.Int("week_start", c.WeekStart)
	o.Int("rev", 0)
	o.Int("w", c.W)
	o.Int("subjects", c.Subjects)
	o.Int("known", c.Known)
	o.Int("measured", c.Measured)
	o.Int("records", c.Records)
	o.Int("known_records", c.KnownRecords)
	o.String("formula", d.Formula)
	o.Uint("config_version", c.ConfigVersion)
	return o.Close()
}

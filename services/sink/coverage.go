package sink

import "github.com/goodhartlabs/goodhart/pkg/chsink"

var tableCoverage = chsink.Table{Name: "core.signal_coverage", Replacing: true}

// coverage says what a signal could look at in a week.
type coverage struct {
	Tenant        string `json:"tenant"`
	Code          string `json:"code"`
	Title         string `json:"title"`
	WeekStart     int64  `json:"week_start"`
	Rev           uint32 `json:"rev"`
	W             int64  `json:"w"`
	Subjects      int64  `json:"subjects"`
	Known         int64  `json:"known"`
	Measured      int64  `json:"measured"`
	Records       int64  `json:"records"`
	KnownRecords  int64  `json:"known_records"`
	Formula       string `json:"formula"`
	ConfigVersion uint64 `json:"config_version"`
}

// coverageRows fills core.signal_coverage.
type coverageRows struct {
	*chsink.Block
	tenant, code, formula *chsink.Words
	title                 *chsink.String
	weekStart             *chsink.Fixed[uint16]
	rev                   *chsink.Fixed[uint32]
	w                     *chsink.Fixed[int64]
	counts                [5]*chsink.Fixed[int64]
	config                *chsink.Fixed[uint64]
}

func newCoverageRows(o chsink.Origin) *coverageRows {
	b := chsink.NewBlock(tableCoverage, o)
	c := &coverageRows{
		Block: b, tenant: b.Words("tenant"), code: b.Words("code"), formula: b.Words("formula"), title: b.String("title"),
		weekStart: b.Date("week_start"), rev: b.UInt32("rev"), w: b.Millis("w"), config: b.UInt64("config_version"),
	}
	for i, name := range [...]string{"subjects", "known", "measured", "records", "known_records"} {
		c.counts[i] = b.Int64(name)
	}
	return c
}

func (c *coverageRows) add(value []byte) error {
	r, err := object[coverage](value)
	if err != nil {
		return err
	}
	day, fits := days(r.WeekStart)
	switch {
	case r.Code == "":
		return &reject{reason: reasonMissing, field: "code", tenant: r.Tenant}
	case !fits:
		why := badTime("week_start", r.WeekStart)
		why.tenant = r.Tenant
		return why
	}
	c.tenant.Append(r.Tenant)
	c.code.Append(r.Code)
	c.formula.Append(r.Formula)
	c.title.Append(r.Title)
	c.weekStart.Append(day)
	c.rev.Append(r.Rev)
	c.w.Append(clamped(r.W))
	for i, n := range [...]int64{r.Subjects, r.Known, r.Measured, r.Records, r.KnownRecords} {
		c.counts[i].Append(n)
	}
	c.config.Append(r.ConfigVersion)
	c.EndIn(r.WeekStart)
	return nil
}

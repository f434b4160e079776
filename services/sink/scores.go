package sink

import (
	"encoding/json"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/chsink"
)

var (
	tableScores     = chsink.Table{Name: "core.scores", Replacing: true}
	tableEfficiency = chsink.Table{Name: "core.efficiency", Replacing: true}
	tableGroupSize  = chsink.Table{Name: "core.group_size", Replacing: true}
)

// object reads a JSON value into a struct. Fields that the struct does not know
// are passed over: writers may be newer.
func object[T any](value []byte) (T, error) {
	var v T
	if err := json.Unmarshal(value, &v); err != nil {
		return v, &reject{reason: reasonUndecodable, detail: err.Error()}
	}
	return v, nil
}

// silent is the part of decoders whose records measure no latency.
type silent struct{}

// Accepted implements chsink.Decoder.
func (silent) Accepted() []int64 { return nil }

// scores decodes goodhart.scores.v1 into scores of both kinds, group sizes and the
// coverage of signals.
type scores struct {
	silent
	rolling    *rollingRows
	efficiency *efficiencyRows
	groups     *groupRows
	coverage   *coverageRows
}

func newScores(o chsink.Origin) *scores {
	return &scores{
		rolling: newRollingRows(tableScores, o), efficiency: newEfficiencyRows(o), groups: newGroupRows(o), coverage: newCoverageRows(o),
	}
}

// Blocks implements chsink.Decoder.
func (d *scores) Blocks() []*chsink.Block {
	return []*chsink.Block{d.rolling.Block, d.groups.Block, d.coverage.Block, d.efficiency.Block}
}

// Decode implements chsink.Decoder.
func (d *scores) Decode(rec *kgo.Record) error {
	head, err := object[struct {
		Kind   string `json:"kind"`
		Tenant string `json:"tenant"`
	}](rec.Value)
	if err != nil {
		return err
	}
	switch {
	case head.Tenant == "":
		return missing("tenant")
	case head.Kind == "rolling":
		return d.rolling.decode(rec.Value)
	case head.Kind == "efficiency":
		return d.efficiency.decode(rec.Value)
	case head.Kind == "group_size":
		return d.groups.add(rec.Value)
	case head.Kind == "signal_coverage":
		return d.coverage.add(rec.Value)
	default:
		return &reject{reason: reasonUnknownKind, field: "kind", detail: head.Kind, tenant: head.Tenant}
	}
}

// rolling is a record of rolling figures.
type rolling struct {
	Tenant      string `json:"tenant"`
	ScopeKind   string `json:"scope_kind"`
	Scope       string `json:"scope"`
	Window      string `json:"window"`
	WindowStart int64  `json:"window_start"`
	WindowEnd   int64  `json:"window_end"`
	Rev         uint32 `json:"rev"`
	W           int64  `json:"w"`

	Requests             int64  `json:"requests"`
	Records              int64  `json:"records"`
	Errors               int64  `json:"errors"`
	InputUncachedTokens  *int64 `json:"input_uncached_tokens"`
	CacheReadTokens      *int64 `json:"cache_read_tokens"`
	CacheWriteTokens     *int64 `json:"cache_write_tokens"`
	OutputTokens         *int64 `json:"output_tokens"`
	ReasoningTokens      *int64 `json:"reasoning_tokens"`
	CostNanos            *int64 `json:"cost_nanos"`
	UnpricedRequests     int64  `json:"unpriced_requests"`
	UnknownTokenRequests int64  `json:"unknown_token_requests"`
	OutcomesProvisional  *int64 `json:"outcomes_provisional"`
	OutcomesFinal        *int64 `json:"outcomes_final"`
	OutcomesReverted     *int64 `json:"outcomes_reverted"`
	Activities           int64  `json:"activities"`
	People               *int64 `json:"people"`

	CostPerOutcomeNanos      *int64   `json:"cost_per_outcome_nanos"`
	OutcomesPerMillionTokens *float64 `json:"outcomes_per_million_tokens"`
	CacheReadShare           *float64 `json:"cache_read_share"`
	ErrorShare               *float64 `json:"error_share"`

	Status        string `json:"status"`
	Formula       string `json:"formula"`
	ConfigVersion uint64 `json:"config_version"`
}

// rollingRows fills core.scores, and the columns that core.efficiency has like it.
type rollingRows struct {
	*chsink.Block
	tenant, scopeKind, scope, window, status, formula *chsink.Words
	start, end, w                                     *chsink.Fixed[int64]
	rev                                               *chsink.Fixed[uint32]
	counts                                            [6]*chsink.Fixed[int64]
	known                                             [11]*chsink.Nullable[int64]
	shares                                            [3]*chsink.Nullable[float64]
	config                                            *chsink.Fixed[uint64]
}

func newRollingRows(t chsink.Table, o chsink.Origin) *rollingRows {
	b := chsink.NewBlock(t, o)
	return &rollingRows{
		Block: b, tenant: b.Words("tenant"), scopeKind: b.Words("scope_kind"), scope: b.Words("scope"),
		window: b.Words("window"), status: b.Words("status"), formula: b.Words("formula"),
		start: b.Millis("window_start"), end: b.Millis("window_end"), w: b.Millis("w"), rev: b.UInt32("rev"),
		counts: [6]*chsink.Fixed[int64]{
			b.Int64("requests"), b.Int64("records"), b.Int64("errors"),
			b.Int64("unpriced_requests"), b.Int64("unknown_token_requests"), b.Int64("activities"),
		},
		known: [11]*chsink.Nullable[int64]{
			b.NullableInt64("input_uncached_tokens"), b.NullableInt64("cache_read_tokens"), b.NullableInt64("cache_write_tokens"),
			b.NullableInt64("output_tokens"), b.NullableInt64("reasoning_tokens"), b.NullableInt64("cost_nanos"),
			b.NullableInt64("outcomes_provisional"), b.NullableInt64("outcomes_final"), b.NullableInt64("outcomes_reverted"),
			b.NullableInt64("people"), b.NullableInt64("cost_per_outcome_nanos"),
		},
		shares: [3]*chsink.Nullable[float64]{
			b.NullableFloat64("outcomes_per_million_tokens"), b.NullableFloat64("cache_read_share"), b.NullableFloat64("error_share"),
		},
		config: b.UInt64("config_version"),
	}
}

func (c *rollingRows) decode(value []byte) error {
	r, err := object[rolling](value)
	if err != nil {
		return err
	}
	if err := c.fill(&r); err != nil {
		return err
	}
	c.EndIn(r.WindowEnd)
	return nil
}

// fill appends the columns of a row and does not end it.
func (c *rollingRows) fill(r *rolling) error {
	if why := timesOf(r.Tenant, at{"window_start", r.WindowStart}, at{"window_end", r.WindowEnd}); why != nil {
		return why
	}
	c.tenant.Append(r.Tenant)
	c.scopeKind.Append(r.ScopeKind)
	c.scope.Append(r.Scope)
	c.window.Append(r.Window)
	c.status.Append(r.Status)
	c.formula.Append(r.Formula)
	c.start.Append(r.WindowStart)
	c.end.Append(r.WindowEnd)
	c.w.Append(clamped(r.W))
	c.rev.Append(r.Rev)
	for i, v := range [...]int64{r.Requests, r.Records, r.Errors, r.UnpricedRequests, r.UnknownTokenRequests, r.Activities} {
		c.counts[i].Append(v)
	}
	for i, v := range [...]*int64{
		r.InputUncachedTokens, r.CacheReadTokens, r.CacheWriteTokens, r.OutputTokens, r.ReasoningTokens, r.CostNanos,
		r.OutcomesProvisional, r.OutcomesFinal, r.OutcomesReverted, r.People, r.CostPerOutcomeNanos,
	} {
		c.known[i].Append(v)
	}
	for i, v := range [...]*float64{r.OutcomesPerMillionTokens, r.CacheReadShare, r.ErrorShare} {
		c.shares[i].Append(v)
	}
	c.config.Append(r.ConfigVersion)
	return nil
}

// at is a time and the field it stands in.
type at struct {
	field string
	ms    int64
}

// timesOf checks the times of a JSON record.
func timesOf(tenant string, times ...at) error {
	if tenant == "" {
		return missing("tenant")
	}
	for _, t := range times {
		if !storable(t.ms) {
			why := badTime(t.field, t.ms)
			why.tenant = tenant
			return why
		}
	}
	return nil
}

// groupSize says whether a team-week may be shown.
type groupSize struct {
	Tenant      string   `json:"tenant"`
	Team        string   `json:"team"`
	ISOWeek     string   `json:"iso_week"`
	WeekStart   int64    `json:"week_start"`
	People      int64    `json:"people"`
	Top1Share   *float64 `json:"top1_share"`
	Top2Share   *float64 `json:"top2_share"`
	Publishable bool     `json:"publishable"`
	Reason      string   `json:"reason"`
	Rev         uint32   `json:"rev"`
	W           int64    `json:"w"`
}

// groupRows fills core.group_size.
type groupRows struct {
	*chsink.Block
	tenant, team, week, reason *chsink.Words
	weekStart                  *chsink.Fixed[uint16]
	rev                        *chsink.Fixed[uint32]
	people, w                  *chsink.Fixed[int64]
	top1, top2                 *chsink.Nullable[float64]
	publishable                *chsink.Fixed[uint8]
}

func newGroupRows(o chsink.Origin) *groupRows {
	b := chsink.NewBlock(tableGroupSize, o)
	return &groupRows{
		Block: b, tenant: b.Words("tenant"), team: b.Words("team"), week: b.Words("iso_week"), reason: b.Words("reason"),
		weekStart: b.Date("week_start"), rev: b.UInt32("rev"), people: b.Int64("people"), w: b.Millis("w"),
		top1: b.NullableFloat64("top1_share"), top2: b.NullableFloat64("top2_share"), publishable: b.UInt8("publishable"),
	}
}

func (c *groupRows) add(value []byte) error {
	g, err := object[groupSize](value)
	if err != nil {
		return err
	}
	day, fits := days(g.WeekStart)
	if !fits {
		why := badTime("week_start", g.WeekStart)
		why.tenant = g.Tenant
		return why
	}
	c.tenant.Append(g.Tenant)
	c.team.Append(g.Team)
	c.week.Append(g.ISOWeek)
	c.reason.Append(g.Reason)
	c.weekStart.Append(day)
	c.rev.Append(g.Rev)
	c.people.Append(g.People)
	c.w.Append(clamped(g.W))
	c.top1.Append(g.Top1Share)
	c.top2.Append(g.Top2Share)
	c.publishable.Append(bit(g.Publishable))
	c.EndIn(g.WeekStart)
	return nil
}

package score

import "github.com/goodhartlabs/goodhart/pkg/record"

// Kinds of record in scores.v1 and their CloudEvents types.
const (
	KindRolling   = "rolling"
	KindGroupSize = "group_size"
	TypeRolling   = "ai.goodhart.score.rolling.v1"
	TypeGroupSize = "ai.goodhart.score.group_size.v1"
)

// FormulaRolling names the arithmetic of Rolling; it changes when that does.
const FormulaRolling = "rolling/1"

// Scope kinds.
const (
	ScopeTenant = "tenant"
	ScopeTeam   = "team"
	ScopeModel  = "model"
	ScopeTool   = "tool"
)

// Status of a record in scores.v1.
const (
	// StatusRolling: plain figures of a short window.
	StatusRolling = "rolling"
	// StatusInsufficient: plain figures of a window that a score would be given
	// for, without the score.
	StatusInsufficient = "insufficient data"
)

// Rolling is what a scope did in a window, with the figures derived from it.
type Rolling struct {
	Tenant, ScopeKind, Scope string
	// Window is its name, Start and End its bounds in ms; End is exclusive.
	Window     string
	Start, End int64
	// Rev is 0 for the record at the window's end and counts its corrections.
	Rev uint32
	// W is the watermark at emission, ms.
	W      int64
	Totals Totals
	// People used AI in the window; unknown where PeopleKnown is false.
	People      int64
	PeopleKnown bool
	Status      string
	// ConfigVersion is that of the tenant's configuration in force, 0 if none.
	ConfigVersion uint64
}

// AppendJSON appends the record, fields in the order of the schema.
func (r *Rolling) AppendJSON(dst []byte) []byte {
	o := record.Open(dst)
	r.appendTo(&o, KindRolling)
	o.String("status", r.Status)
	o.String("formula", FormulaRolling)
	o.Uint("config_version", r.ConfigVersion)
	return o.Close()
}

// appendTo appends what the scope did, which is the beginning of every kind of
// record about a window.
func (r *Rolling) appendTo(o *record.Object, kind string) {
	o.String("kind", kind)
	o.String("tenant", r.Tenant)
	o.String("scope_kind", r.ScopeKind)
	o.String("scope", r.Scope)
	o.String("window", r.Window)
	o.Int("window_start", r.Start)
	o.Int("window_end", r.End)
	o.Int("rev", int64(r.Rev))
	o.Int("w", r.W)
	r.appendCounts(o)
	r.appendFigures(o)
}

func (r *Rolling) appendCounts(o *record.Object) {
	t := &r.Totals
	tokens := r.tokensKnown()
	o.Int("requests", t.Requests)
	o.Int("records", t.Records)
	o.Int("errors", t.Errors)
	o.Known("input_uncached_tokens", t.InputUncachedTokens, tokens)
	o.Known("cache_read_tokens", t.CacheReadTokens, r.cacheKnown())
	o.Known("cache_write_tokens", t.CacheWriteTokens, r.cacheKnown())
	o.Known("output_tokens", t.OutputTokens, tokens)
	o.Known("reasoning_tokens", t.ReasoningTokens, t.ReasoningRecords > 0 || t.Records == 0)
	o.Known("cost_nanos", t.CostNanos, r.costKnown())
	o.Int("unpriced_requests", t.UnpricedRequests)
	o.Int("unknown_token_requests", t.UnknownTokenRequests)
	o.Known("outcomes_provisional", t.OutcomesProvisional, r.outcomesKnown())
	o.Known("outcomes_final", t.OutcomesFinal, r.outcomesKnown())
	o.Known("outcomes_reverted", t.OutcomesReverted, r.outcomesKnown())
	o.Int("activities", t.Activities)
	o.Known("people", r.People, r.PeopleKnown)
}

func (r *Rolling) appendFigures(o *record.Object) {
	t := &r.Totals
	perOutcome, ok := Quotient(t.CostNanos, t.Outcomes())
	o.Known("cost_per_outcome_nanos", perOutcome, ok && r.outcomesKnown() && r.costKnown())
	perMillion := Ratio(t.Outcomes(), t.Tokens(), 1_000_000)
	perMillion.Known = perMillion.Known && r.outcomesKnown()
	o.Value("outcomes_per_million_tokens", perMillion.append)
	cached := Ratio(t.CacheReadTokens, t.InputUncachedTokens+t.CacheReadTokens+t.CacheWriteTokens, 1)
	cached.Known = cached.Known && r.cacheKnown()
	o.Value("cache_read_share", cached.append)
	o.Value("error_share", Ratio(t.Errors, t.Requests, 1).append)
}

// outcomesKnown: models and tools produce no outcomes of their own.
func (r *Rolling) outcomesKnown() bool {
	return r.ScopeKind == ScopeTenant || r.ScopeKind == ScopeTeam
}

// costKnown is false if no record of the window has a price.
func (r *Rolling) costKnown() bool {
	return r.Totals.CostNanos != 0 || r.Totals.UnpricedRequests == 0
}

// tokensKnown is false if no request of the window has a token count.
func (r *Rolling) tokensKnown() bool {
	return r.Totals.Tokens() != 0 || r.Totals.UnknownTokenRequests == 0
}

// cacheKnown is false if no usage record of the window states a cache count.
func (r *Rolling) cacheKnown() bool {
	return r.Totals.CacheRecords > 0 || r.Totals.Records == 0
}

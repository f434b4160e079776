package score

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
	o := open(dst)
	o.string("kind", KindRolling)
	o.string("tenant", r.Tenant)
	o.string("scope_kind", r.ScopeKind)
	o.string("scope", r.Scope)
	o.string("window", r.Window)
	o.int("window_start", r.Start)
	o.int("window_end", r.End)
	o.int("rev", int64(r.Rev))
	o.int("w", r.W)
	r.appendCounts(&o)
	r.appendFigures(&o)
	o.string("status", r.Status)
	o.string("formula", FormulaRolling)
	o.uint("config_version", r.ConfigVersion)
	return o.close()
}

func (r *Rolling) appendCounts(o *object) {
	t := &r.Totals
	tokens := r.tokensKnown()
	o.int("requests", t.Requests)
	o.int("records", t.Records)
	o.int("errors", t.Errors)
	o.known("input_uncached_tokens", t.InputUncachedTokens, tokens)
	o.known("cache_read_tokens", t.CacheReadTokens, r.cacheKnown())
	o.known("cache_write_tokens", t.CacheWriteTokens, r.cacheKnown())
	o.known("output_tokens", t.OutputTokens, tokens)
	o.known("reasoning_tokens", t.ReasoningTokens, t.ReasoningRecords > 0 || t.Records == 0)
	o.known("cost_nanos", t.CostNanos, r.costKnown())
	o.int("unpriced_requests", t.UnpricedRequests)
	o.int("unknown_token_requests", t.UnknownTokenRequests)
	o.known("outcomes_provisional", t.OutcomesProvisional, r.outcomesKnown())
	o.known("outcomes_final", t.OutcomesFinal, r.outcomesKnown())
	o.known("outcomes_reverted", t.OutcomesReverted, r.outcomesKnown())
	o.int("activities", t.Activities)
	o.known("people", r.People, r.PeopleKnown)
}

func (r *Rolling) appendFigures(o *object) {
	t := &r.Totals
	perOutcome, ok := Quotient(t.CostNanos, t.Outcomes())
	o.known("cost_per_outcome_nanos", perOutcome, ok && r.outcomesKnown() && r.costKnown())
	perMillion := Ratio(t.Outcomes(), t.Tokens(), 1_000_000)
	perMillion.Known = perMillion.Known && r.outcomesKnown()
	o.ratio("outcomes_per_million_tokens", perMillion)
	cached := Ratio(t.CacheReadTokens, t.InputUncachedTokens+t.CacheReadTokens+t.CacheWriteTokens, 1)
	cached.Known = cached.Known && r.cacheKnown()
	o.ratio("cache_read_share", cached)
	o.ratio("error_share", Ratio(t.Errors, t.Requests, 1))
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

package cloudevents

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/event"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// usageData is the data of ai.usage.v1.
type usageData struct {
	Tool          string `json:"tool"`
	ToolVersion   string `json:"tool_version"`
	Actor         person `json:"actor"`
	Operation     string `json:"gen_ai.operation.name"`
	Provider      string `json:"gen_ai.provider.name"`
	RequestModel  string `json:"gen_ai.request.model"`
	ResponseModel string `json:"gen_ai.response.model"`
	ResponseID    id     `json:"gen_ai.response.id"`
	RequestID     id     `json:"request_id"`
	Conversation  id     `json:"gen_ai.conversation.id"`
	Parent        id     `json:"parent_conversation_id"`
	PromptID      id     `json:"prompt_id"`
	Repository    id     `json:"repository"`
	QuerySource   string `json:"query_source"`
	Agent         string `json:"gen_ai.agent.name"`
	Tokens        tokens `json:"tokens"`
	Cost          *cost  `json:"cost"`
	DurationMs    number `json:"duration_ms"`
	TTFTMs        number `json:"ttft_ms"`
	Status        string `json:"status"`
	ErrorType     string `json:"error.type"`
	FinishReason  string `json:"finish_reason"`
	PriceTier     string `json:"price_tier"`
	Attempt       number `json:"attempt"`
	Turn          number `json:"turn"`
	Sequence      number `json:"sequence"`
	TZOffset      number `json:"tz_offset_min"`
	NewTurnTokens number `json:"new_turn_tokens"`
	H64           number `json:"h64"`
	TargetH64     number `json:"target_h64"`
	Kappa         number `json:"kappa"`
	SideEffects   number `json:"side_effects"`
}

type tokens struct {
	InputTotal    number `json:"input_total"`
	InputUncached number `json:"input_uncached"`
	CacheRead     number `json:"cache_read"`
	CacheWrite5m  number `json:"cache_write_5m"`
	CacheWrite1h  number `json:"cache_write_1h"`
	CacheWrite    number `json:"cache_write_unspecified"`
	OutputTotal   number `json:"output_total"`
	Reasoning     number `json:"reasoning"`
}

type cost struct {
	AmountNanos number `json:"amount_nanos"`
	Currency    string `json:"currency"`
	Unit        string `json:"unit"`
	Basis       string `json:"basis"`
}

// operations lists the operations that are one request to a model.
func operations() []string {
	return []string{"chat", "generate_content", "text_completion", "embeddings", "rerank"}
}

// strongID is the least length of a response id that is taken to be unique.
const strongID = 16

// usage decodes the data of ai.usage.v1.
func (it *item) usage(d *event.Draft, data []byte) (*event.Draft, *event.Rejection) {
	var in usageData
	if err := json.Unmarshal(data, &in); err != nil {
		return it.reject(event.ReasonMalformed, typeField(err), "data is not an object of ai.usage.v1")
	}
	if in.Operation != "" && !slices.Contains(operations(), in.Operation) {
		return it.reject(event.ReasonBadValue, "gen_ai.operation.name",
			"want chat, generate_content, text_completion, embeddings or rerank")
	}
	e := d.Event
	e.Kind, e.Usage = goodhartv1.EventKind_EVENT_KIND_USAGE, &goodhartv1.Usage{}
	e.Tool, e.ToolVersion = in.Tool, in.ToolVersion
	var r reader
	in.fill(e, &r)
	in.count(e, &r)
	in.price(e.Usage, &r)
	if r.fault != nil {
		return it.reject(r.fault.reason, r.fault.field, r.fault.detail)
	}
	d.Conversation, d.ParentConversation = string(in.Conversation), string(in.Parent)
	d.Prompt, d.Repository = string(in.PromptID), string(in.Repository)
	d.Actor = in.Actor.actor()
	switch {
	case in.RequestID != "":
		d.Request = []string{"request", string(in.RequestID)}
	case len(in.ResponseID) >= strongID:
		d.Request = []string{"request", string(in.ResponseID)}
	default:
		event.Flag(e, goodhartv1.Quality_QUALITY_MISSING_REQUEST_ID)
	}
	return d, nil
}

// fill sets labels and plain numbers.
func (in *usageData) fill(e *goodhartv1.Event, r *reader) {
	u := e.Usage
	u.OperationName, u.ProviderName = in.Operation, strings.ToLower(in.Provider)
	u.RequestModel, u.ResponseModel = in.RequestModel, in.ResponseModel
	u.QuerySource, u.AgentName = in.QuerySource, in.Agent
	u.ErrorType, u.FinishReason = in.ErrorType, in.FinishReason
	if u.PriceTier = in.PriceTier; u.PriceTier == "standard" {
		u.PriceTier = ""
	}
	u.Granularity = goodhartv1.Granularity_GRANULARITY_REQUEST
	switch in.Status {
	case "", "ok":
		u.Status = goodhartv1.Status_STATUS_OK
	case "error":
		u.Status = goodhartv1.Status_STATUS_ERROR
	default:
		r.fail(event.ReasonBadValue, "status", "want ok or error")
	}
	u.DurationMs = r.count("duration_ms", in.DurationMs, event.MaxMillis)
	u.TtftMs = r.count("ttft_ms", in.TTFTMs, event.MaxMillis)
	u.Attempt = r.count32("attempt", in.Attempt)
	u.Turn = r.count32("turn", in.Turn)
	u.NewTurnTokens = r.count("new_turn_tokens", in.NewTurnTokens, event.MaxCount)
	u.H64 = r.hash("h64", in.H64)
	u.TargetH64 = r.hash("target_h64", in.TargetH64)
	u.KappaPpm = r.ratio("kappa", in.Kappa)
	if n := r.count("side_effects", in.SideEffects, 1e9); n != nil {
		effects := int32(*n)
		u.SideEffects = &effects
	}
	if n := r.count("sequence", in.Sequence, 1<<53); n != nil {
		sequence := uint64(*n)
		e.Sequence = &sequence
	}
	e.TzOffsetMin = r.offset("tz_offset_min", in.TZOffset)
}

// count sets the token classes: what is not cached is given, or is the total
// without the cached parts.
func (in *usageData) count(e *goodhartv1.Event, r *reader) {
	u, t := e.Usage, &in.Tokens
	u.CacheReadTokens = r.count("tokens.cache_read", t.CacheRead, event.MaxCount)
	u.CacheWrite_5MTokens = r.count("tokens.cache_write_5m", t.CacheWrite5m, event.MaxCount)
	u.CacheWrite_1HTokens = r.count("tokens.cache_write_1h", t.CacheWrite1h, event.MaxCount)
	u.CacheWriteTokens = r.count("tokens.cache_write_unspecified", t.CacheWrite, event.MaxCount)
	u.OutputTokens = r.count("tokens.output_total", t.OutputTotal, event.MaxCount)
	u.ReasoningTokens = r.count("tokens.reasoning", t.Reasoning, event.MaxCount)
	u.InputUncachedTokens = r.count("tokens.input_uncached", t.InputUncached, event.MaxCount)
	total := r.count("tokens.input_total", t.InputTotal, event.MaxCount)
	if total == nil {
		return
	}
	rest := *total - u.GetCacheReadTokens() - u.GetCacheWrite_5MTokens() - u.GetCacheWrite_1HTokens() - u.GetCacheWriteTokens()
	if rest < 0 || u.InputUncachedTokens != nil && *u.InputUncachedTokens != rest {
		event.Flag(e, goodhartv1.Quality_QUALITY_TOTAL_MISMATCH)
	}
	if u.InputUncachedTokens == nil {
		rest = max(0, rest)
		u.InputUncachedTokens = &rest
	}
}

// price sets what the source says it cost. Amounts that are not money (premium
// requests, credits) are dropped: their worth is unknown.
func (in *usageData) price(u *goodhartv1.Usage, r *reader) {
	c := in.Cost
	if c == nil || c.Unit != "" && c.Unit != "usd" {
		return
	}
	if c.Currency != "" && c.Currency != "USD" {
		r.fail(event.ReasonBadValue, "cost.currency", "want USD")
		return
	}
	nanos := r.count("cost.amount_nanos", c.AmountNanos, event.MaxNanos)
	switch c.Basis {
	case "billed":
		u.CostNanos = nanos
		if nanos != nil {
			u.CostBasis = goodhartv1.CostBasis_COST_BASIS_BILLED
		}
	case "", "reported", "estimated":
		u.ReportedCostNanos = nanos
	case "unpriced":
	default:
		r.fail(event.ReasonBadValue, "cost.basis", "want billed, reported, estimated or unpriced")
	}
}

package sink

import (
	"github.com/goodhartlabs/goodhart/pkg/chsink"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

var tableUsage = chsink.Table{Name: "core.usage"}

// usageRows fills core.usage.
type usageRows struct {
	*chsink.Block
	envelope
	operation, provider, requestModel, responseModel, model *chsink.Words
	uncached, cacheRead, write5m, write1h, write            *chsink.Nullable[int64]
	output, reasoning, cost, reported, duration, ttft       *chsink.Nullable[int64]
	newTurn                                                 *chsink.Nullable[int64]
	basis, status, granularity                              *chsink.Enum
	priceVersion, priceTier, errorType, finish              *chsink.Words
	querySource, agent                                      *chsink.Words
	attempt, turn                                           *chsink.Nullable[uint32]
	h64, target                                             *chsink.Nullable[uint64]
	kappa, effects                                          *chsink.Nullable[int32]
}

func newUsageRows(o chsink.Origin) *usageRows {
	b := chsink.NewBlock(tableUsage, o)
	return &usageRows{
		Block: b, envelope: newEnvelope(b),
		operation: b.Words("operation_name"), provider: b.Words("provider"), requestModel: b.Words("request_model"),
		responseModel: b.Words("response_model"), model: b.Words("model"),
		uncached: b.NullableInt64("input_uncached_tokens"), cacheRead: b.NullableInt64("cache_read_tokens"),
		write5m: b.NullableInt64("cache_write_5m_tokens"), write1h: b.NullableInt64("cache_write_1h_tokens"),
		write: b.NullableInt64("cache_write_tokens"), output: b.NullableInt64("output_tokens"),
		reasoning: b.NullableInt64("reasoning_tokens"), cost: b.NullableInt64("cost_nanos"),
		reported: b.NullableInt64("reported_cost_nanos"), duration: b.NullableInt64("duration_ms"),
		ttft: b.NullableInt64("ttft_ms"), newTurn: b.NullableInt64("new_turn_tokens"),
		basis:        b.Enum("cost_basis", names(goodhartv1.CostBasis_name, "COST_BASIS_")),
		status:       b.Enum("status", names(goodhartv1.Status_name, "STATUS_")),
		granularity:  b.Enum("granularity", names(goodhartv1.Granularity_name, "GRANULARITY_")),
		priceVersion: b.Words("price_version"), priceTier: b.Words("price_tier"), errorType: b.Words("error_type"),
		finish: b.Words("finish_reason"), querySource: b.Words("query_source"), agent: b.Words("agent_name"),
		attempt: b.NullableUInt32("attempt"), turn: b.NullableUInt32("turn"),
		h64: b.NullableUInt64("h64"), target: b.NullableUInt64("target_h64"),
		kappa: b.NullableInt32("kappa_ppm"), effects: b.NullableInt32("side_effects"),
	}
}

func (c *usageRows) add(f *goodhartv1.Fact) *reject {
	u := f.Event.Usage
	if u.Granularity == goodhartv1.Granularity_GRANULARITY_UNSPECIFIED {
		return missing("event.usage.granularity")
	}
	if why := c.envelope.add(f); why != nil {
		return why
	}
	switch {
	case !c.basis.Append(int32(u.CostBasis)):
		return outOfRange("event.usage.cost_basis", int64(u.CostBasis))
	case !c.status.Append(int32(u.Status)):
		return outOfRange("event.usage.status", int64(u.Status))
	case !c.granularity.Append(int32(u.Granularity)):
		return outOfRange("event.usage.granularity", int64(u.Granularity))
	}
	c.operation.Append(u.OperationName)
	c.provider.Append(u.ProviderName)
	c.requestModel.Append(u.RequestModel)
	c.responseModel.Append(u.ResponseModel)
	c.model.Append(u.Model)
	c.uncached.Append(u.InputUncachedTokens)
	c.cacheRead.Append(u.CacheReadTokens)
	c.write5m.Append(u.CacheWrite_5MTokens)
	c.write1h.Append(u.CacheWrite_1HTokens)
	c.write.Append(u.CacheWriteTokens)
	c.output.Append(u.OutputTokens)
	c.reasoning.Append(u.ReasoningTokens)
	c.cost.Append(u.CostNanos)
	c.reported.Append(u.ReportedCostNanos)
	c.duration.Append(u.DurationMs)
	c.ttft.Append(u.TtftMs)
	c.newTurn.Append(u.NewTurnTokens)
	c.priceVersion.Append(u.PriceVersion)
	c.priceTier.Append(u.PriceTier)
	c.errorType.Append(u.ErrorType)
	c.finish.Append(u.FinishReason)
	c.querySource.Append(u.QuerySource)
	c.agent.Append(u.AgentName)
	c.attempt.Append(u.Attempt)
	c.turn.Append(u.Turn)
	c.h64.Append(u.H64)
	c.target.Append(u.TargetH64)
	c.kappa.Append(u.KappaPpm)
	c.effects.Append(u.SideEffects)
	c.EndIn(f.Event.TimeMs)
	return nil
}

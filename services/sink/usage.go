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
	granularity slot
}

func newUsageRows(o chsink.Origin) *usageRows {
	b := chsink.NewBlock(tableUsage, o)
	c := &usageRows{Block: b, envelope: newEnvelope(b), granularity: field(ofUsage, "granularity")}
	c.word(ofUsage, "provider_name", "provider")
	for _, name := range []string{
		"operation_name", "request_model", "response_model", "model", "price_version", "price_tier", "error_type", "finish_reason",
		"query_source", "agent_name",
	} {
		c.word(ofUsage, name, name)
	}
	for _, name := range []string{
		"input_uncached_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_write_tokens",
		"output_tokens", "reasoning_tokens", "cost_nanos", "reported_cost_nanos", "duration_ms", "ttft_ms", "new_turn_tokens",
	} {
		c.int64(ofUsage, name)
	}
	c.enum(ofUsage, "cost_basis", names(goodhartv1.CostBasis_name, "COST_BASIS_"))
	c.enum(ofUsage, "status", names(goodhartv1.Status_name, "STATUS_"))
	c.enum(ofUsage, "granularity", names(goodhartv1.Granularity_name, "GRANULARITY_"))
	c.uint32(ofUsage, "attempt")
	c.uint32(ofUsage, "turn")
	c.uint64(ofUsage, "h64")
	c.uint64(ofUsage, "target_h64")
	c.int32(ofUsage, "kappa_ppm")
	c.int32(ofUsage, "side_effects")
	return c
}

func (c *usageRows) add(v *view) *reject {
	if v.int32(c.granularity) == int32(goodhartv1.Granularity_GRANULARITY_UNSPECIFIED) {
		return missing("event.usage.granularity")
	}
	return c.envelope.add(v)
}

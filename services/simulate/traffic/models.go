package traffic

import "math/rand/v2"

// Models as the tools spell them. Nobody publishes a price for modelPreview
// and modelOpen.
const (
	modelSonnet  = "claude-sonnet-4-5-20250929"
	modelLong    = "claude-sonnet-4-5-20250929[1m]"
	modelOpus    = "claude-opus-4-5-20251101"
	modelOldOpus = "claude-opus-4-1-20250805"
	modelSmall   = "claude-haiku-4-5-20251001"
	modelBedrock = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	modelPreview = "quartz-preview-1"
	modelOpen    = "local-coder-32b"
)

func pickModel(rng *rand.Rand) string {
	return []string{modelSonnet, modelOpus, modelOldOpus, modelLong, modelPreview}[choose(rng, .62, .27, .03, .05, .03)]
}

// toolCostMicros is what the tool believes a call cost, in millionths of a
// dollar: one rate card for all models, so that it differs from list prices
// as tools' own estimates do.
func toolCostMicros(c *Call) int64 {
	return (300*c.Input + 30*c.CacheRead + 375*c.CacheWrite + 1500*c.Output + 50) / 100
}

package otlp

import (
	"strings"
	"sync"
)

// names are the keys that a shape may show: those of OTLP itself and of the
// attributes that adapters read. Others are counted: a key can carry content.
var names = sync.OnceValue(func() map[string]bool {
	set := map[string]bool{}
	for _, name := range strings.Fields(`
		resource scope attributes key value stringValue intValue doubleValue boolValue arrayValue kvlistValue
		bytesValue values name version schemaUrl droppedAttributesCount timeUnixNano observedTimeUnixNano
		severityNumber severityText body flags traceId spanId parentSpanId traceState eventName kind
		startTimeUnixNano endTimeUnixNano events links status code message unit description metadata sum gauge
		histogram exponentialHistogram summary dataPoints aggregationTemporality isMonotonic asInt asDouble count
		min max bucketCounts explicitBounds exemplars
		service.name service.version event.name event.timestamp event.sequence session.id prompt.id user.id
		user.email user.account_uuid user.account_id organization.id terminal.type enduser.id team model type speed
		effort query_source agent.name request_id client_request_id input_tokens output_tokens cache_read_tokens
		cache_creation_tokens cost_usd cost_usd_micros duration_ms ttft_ms attempt status_code success tool_name
		decision source prompt_length
		gen_ai.operation.name gen_ai.provider.name gen_ai.system gen_ai.request.model gen_ai.response.model
		gen_ai.response.id gen_ai.conversation.id gen_ai.usage.input_tokens gen_ai.usage.output_tokens
		gen_ai.usage.prompt_tokens gen_ai.usage.completion_tokens gen_ai.usage.total_tokens
		gen_ai.usage.cache_read.input_tokens gen_ai.usage.cache_write.input_tokens
		gen_ai.usage.cache_creation.input_tokens gen_ai.usage.reasoning.output_tokens gen_ai.token.type
		llm.model_name llm.token_count.prompt llm.token_count.completion llm.token_count.total`) {
		set[name] = true
	}
	return set
})

func known(name string) bool { return names()[name] }

// Package genai decodes telemetry by the OpenTelemetry conventions for
// generative AI, every generation of them at once, and by OpenInference.
//
// Spans of inference operations (chat, text_completion, generate_content,
// embeddings, rerank) are usage; spans of agents, tools and workflows repeat
// the sums of those below them and are activities. The client inference event
// is usage too and names the same request as its span. Input tokens include
// what came from or went to a cache, by the conventions; the adapter takes the
// parts out of the total.
package genai

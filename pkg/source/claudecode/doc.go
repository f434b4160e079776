// Package claudecode decodes the telemetry of Claude Code: log events, metrics
// and the beta spans.
//
// A request is usage, announced by an api_request event, by a
// claude_code.llm_request span and by the counters token.usage and cost.usage;
// event and span share a request key. Every other event, counter and span is an
// activity with the numbers and enumerated labels of its table, and nothing
// else: a key without a row is dropped, an unknown event is the activity
// "other". Token counts are Anthropic's: input excludes both cache classes.
package claudecode

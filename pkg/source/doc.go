// Package source stands above the adapters, which turn the bytes of one kind of
// source into drafts of events: otlp with claudecode and genai, cloudevents.
// It holds what is tested across all of them: that no content passes, that real
// bodies decode, what an event costs to decode.
package source

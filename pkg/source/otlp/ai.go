package otlp

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// aboutAI reports whether a name or an attribute belongs to AI telemetry.
func aboutAI(name string, maps ...pcommon.Map) bool {
	if hasPrefix(name) {
		return true
	}
	for _, m := range maps {
		for key, value := range m.All() {
			if hasPrefix(key) || key == "event.name" && hasPrefix(value.Str()) {
				return true
			}
		}
	}
	return false
}

// hasPrefix reports whether a name is one of AI telemetry, whether or not there
// is an adapter for it.
func hasPrefix(name string) bool {
	for _, p := range [...]string{
		"gen_ai.", "llm.", "openinference.", "traceloop.", "claude_code.", "gemini_cli.", "qwen-code.", "codex.",
		"github.copilot.", "copilot_chat.",
	} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

package otlp

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// prefixes are those of attributes, events, spans and metrics that are about
// AI, whether or not an adapter exists for them.
func prefixes() []string {
	return []string{
		"gen_ai.", "llm.", "openinference.", "traceloop.", "claude_code.", "gemini_cli.", "qwen-code.", "codex.",
		"github.copilot.", "copilot_chat.",
	}
}

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

func hasPrefix(name string) bool {
	for _, p := range prefixes() {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// Package genai decodes telemetry by the OpenTelemetry conventions for
// generative AI, every generation of them at once, and by OpenInference.
package genai

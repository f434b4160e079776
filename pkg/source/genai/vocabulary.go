package genai

import (
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/event"
)

// kind is what an operation means for counting.
type kind int

const (
	// unnamed: no operation, or one that is not listed.
	unnamed kind = iota
	// inference: one request to a model.
	inference
	// composite: an agent, tool or workflow, which repeats or has no usage.
	composite
)

// executeTool is the operation of a tool that runs.
const executeTool = "execute_tool"

// operationName maps an operation into the vocabulary of the conventions.
func (f *fields) operationName() string {
	switch name := f.operation.value; name {
	case "completion":
		return "text_completion"
	case "embedding":
		return "embeddings"
	case "":
	default:
		return name
	}
	switch strings.ToUpper(f.spanKind.value) {
	case "LLM":
		return "chat"
	case "EMBEDDING":
		return "embeddings"
	case "RERANKER":
		return "rerank"
	case "AGENT":
		return "invoke_agent"
	case "TOOL":
		return executeTool
	case "RETRIEVER":
		return "retrieval"
	case "CHAIN", "WORKFLOW", "TASK":
		return "invoke_workflow"
	case "GUARDRAIL", "EVALUATOR", "PROMPT":
		return strings.ToLower(f.spanKind.value)
	}
	return ""
}

func (f *fields) kind() kind {
	switch f.operationName() {
	case "chat", "generate_content", "text_completion", "embeddings", "rerank":
		return inference
	case "invoke_agent", "create_agent", executeTool, "invoke_workflow", "retrieval", "plan", "fetch_response",
		"guardrail", "evaluator", "prompt", "create_memory", "update_memory", "delete_memory", "search_memory":
		return composite
	}
	return unnamed
}

// looksLikeRequest reports whether a span without an operation is a request of
// an instrumentation older than that attribute: it names a model and counts.
func (f *fields) looksLikeRequest() bool {
	return f.operation.value == "" && f.spanKind.value == "" && f.hasTokens() &&
		(f.requestModel.value != "" || f.responseModel.value != "")
}

func (f *fields) activityName() string {
	if f.kind() == composite {
		return f.operationName()
	}
	return event.Other
}

// eventName lists the events of the conventions that are not usage.
func eventName(name string) string {
	switch name {
	case "gen_ai.system.message", "gen_ai.user.message", "gen_ai.assistant.message", "gen_ai.tool.message",
		"gen_ai.choice", "gen_ai.evaluation.result", "gen_ai.client.operation.exception":
		return name
	}
	return event.Other
}

// provider maps names of older conventions and of OpenInference.
func (f *fields) provider() string {
	name := strings.ToLower(f.system.value)
	switch name {
	case "az.ai.inference", "az.ai.openai", "azure":
		if name == "az.ai.inference" {
			return "azure.ai.inference"
		}
		return "azure.ai.openai"
	case "xai":
		return "x_ai"
	case "vertex_ai", "vertexai":
		return "gcp.vertex_ai"
	case "gemini":
		return "gcp.gemini"
	case "google":
		return "gcp.gen_ai"
	case "aws", "bedrock":
		return "aws.bedrock"
	case "mistralai":
		return "mistral_ai"
	}
	return name
}

// priceTier maps a service tier into the book's; empty is standard.
func (f *fields) priceTier() string {
	switch tier := strings.ToLower(f.tier.value); tier {
	case "default", "auto", "standard", "standard_only":
		return ""
	default:
		return tier
	}
}

package genai

import (
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/source/record"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// fill completes a usage event.
func (f *fields) fill(e *goodhartv1.Event, failed bool) {
	u := e.Usage
	e.AdapterVersion = version
	u.OperationName, u.ProviderName = f.operationName(), f.provider()
	u.RequestModel, u.ResponseModel = f.requestModel.value, f.responseModel.value
	u.AgentName, u.FinishReason, u.PriceTier = f.agent.value, f.finish.value, f.priceTier()
	u.Granularity = goodhartv1.Granularity_GRANULARITY_REQUEST
	u.DurationMs, u.TtftMs, u.ReportedCostNanos = f.duration, f.ttft, f.cost
	u.ErrorType, u.Status = f.errorType, goodhartv1.Status_STATUS_OK
	if failed {
		u.Status = goodhartv1.Status_STATUS_ERROR
	}
	f.tokens(e)
	f.derived.Fill(e)
	if f.num.Strings {
		event.Flag(e, goodhartv1.Quality_QUALITY_STRING_NUMBERS)
	}
}

// tokens takes the cached parts out of the total of the input. Parts that
// exceed their total leave nothing uncached and are flagged.
func (f *fields) tokens(e *goodhartv1.Event) {
	u := e.Usage
	u.CacheReadTokens, u.CacheWriteTokens = f.cacheRead.value, f.cacheWrite.value
	u.OutputTokens, u.ReasoningTokens = f.output.value, f.reasoning.value
	mismatch := false
	if f.input.value != nil {
		uncached := *f.input.value - u.GetCacheReadTokens() - u.GetCacheWriteTokens()
		if uncached < 0 {
			uncached, mismatch = 0, true
		}
		u.InputUncachedTokens = &uncached
	}
	if u.ReasoningTokens != nil && u.OutputTokens != nil && *u.ReasoningTokens > *u.OutputTokens {
		mismatch = true
	}
	if f.total.value != nil && f.input.value != nil && f.output.value != nil &&
		*f.total.value != *f.input.value+*f.output.value {
		mismatch = true
	}
	if mismatch {
		event.Flag(e, goodhartv1.Quality_QUALITY_TOTAL_MISMATCH)
	}
}

// fillActivity completes the activity of an agent, a tool or a workflow.
func (f *fields) fillActivity(e *goodhartv1.Event, failed bool) {
	e.AdapterVersion = version
	if f.duration != nil {
		record.Number(e.Activity, "duration_ms", float64(*f.duration))
	}
	if f.operationName() == executeTool {
		record.SideEffects(e.Activity, f.toolName, !failed)
	}
	status := "ok"
	if failed {
		status = "error"
	}
	record.Label(e.Activity, "status", status)
	if f.toolType != "" {
		kind := f.toolType
		if !slices.Contains([]string{"function", "extension", "datastore"}, kind) {
			kind = event.Other
		}
		record.Label(e.Activity, "tool_type", kind)
	}
}

package organisation

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/source/cloudevents"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// AppendSpan adds a usage record to traces as the span that the GenAI conventions
// have for it. Records of one batch must have come with the same credential.
func (r *Record) AppendSpan(to ptrace.Traces) {
	e, u := r.Event, r.Event.Usage
	resource := to.ResourceSpans().AppendEmpty()
	about := resource.Resource().Attributes()
	about.PutStr("service.name", e.Tool)
	about.PutStr("service.version", e.ToolVersion)
	if r.Draft.Actor.Email != "" {
		about.PutStr("user.email", r.Draft.Actor.Email)
	}
	span := resource.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	response := r.Draft.Request[1]
	var trace pcommon.TraceID
	binary.BigEndian.PutUint64(trace[:], 1)
	copy(trace[8:], e.EventId)
	span.SetTraceID(trace)
	span.SetSpanID(pcommon.SpanID(e.EventId[:8]))
	span.SetName("chat " + u.RequestModel)
	span.SetEndTimestamp(nanos(e.TimeMs))
	span.SetStartTimestamp(nanos(e.TimeMs - u.GetDurationMs()))
	if u.Status == goodhartv1.Status_STATUS_ERROR {
		span.Status().SetCode(ptrace.StatusCodeError)
	}
	a := span.Attributes()
	for _, s := range [...]struct{ key, value string }{
		{"gen_ai.operation.name", u.OperationName},
		{"gen_ai.provider.name", u.ProviderName},
		{"gen_ai.request.model", u.RequestModel},
		{"gen_ai.response.model", u.ResponseModel},
		{"gen_ai.response.id", response},
		{"gen_ai.conversation.id", r.Draft.Conversation},
		{"goodhart.parent_conversation_id", r.Draft.ParentConversation},
		{"vcs.repository.name", r.Draft.Repository},
		{"error.type", u.ErrorType},
	} {
		if s.value != "" {
			a.PutStr(s.key, s.value)
		}
	}
	if u.FinishReason != "" {
		a.PutEmptySlice("gen_ai.response.finish_reasons").AppendEmpty().SetStr(u.FinishReason)
	}
	putNumbers(a, e)
}

func nanos(ms int64) pcommon.Timestamp { return pcommon.Timestamp(ms * 1e6) }

// putNumbers puts what is known.
func putNumbers(a pcommon.Map, e *goodhartv1.Event) {
	u := e.Usage
	put := func(key string, value *int64) {
		if value != nil {
			a.PutInt(key, *value)
		}
	}
	if u.InputUncachedTokens != nil {
		a.PutInt("gen_ai.usage.input_tokens", u.GetInputUncachedTokens()+u.GetCacheReadTokens()+u.GetCacheWriteTokens())
	}
	put("gen_ai.usage.cache_read.input_tokens", u.CacheReadTokens)
	put("gen_ai.usage.cache_creation.input_tokens", u.CacheWriteTokens)
	put("gen_ai.usage.output_tokens", u.OutputTokens)
	put("gen_ai.usage.reasoning.output_tokens", u.ReasoningTokens)
	put("goodhart.new_turn_tokens", u.NewTurnTokens)
	if u.Turn != nil {
		a.PutInt("goodhart.turn", int64(*u.Turn))
	}
	if u.H64 != nil {
		a.PutInt("goodhart.h64", int64(*u.H64))
	}
	if u.TargetH64 != nil {
		a.PutInt("goodhart.target_h64", int64(*u.TargetH64))
	}
	if u.KappaPpm != nil {
		a.PutDouble("goodhart.kappa", float64(*u.KappaPpm)/1e6)
	}
	if u.SideEffects != nil {
		a.PutInt("goodhart.side_effects", int64(*u.SideEffects))
	}
	if e.Sequence != nil {
		a.PutInt("goodhart.sequence", int64(*e.Sequence))
	}
	if e.TzOffsetMin != nil {
		a.PutInt("goodhart.tz_offset_min", int64(*e.TzOffsetMin))
	}
}

// person names somebody on the wire.
type person struct {
	Email string `json:"email,omitempty"`
}

// CloudEvent encodes an outcome record as a structured CloudEvent.
func (r *Record) CloudEvent() ([]byte, error) {
	ids, o := r.Draft.Outcome, r.Event.Outcome
	parts := strings.Split(ids.Object, "\x00") // host, repository, kind, id
	subject := map[string]any{"repo_id": parts[1]}
	subject[map[string]string{"pr": "pr_number", "ticket": "issue_id", "deployment": "deployment_id"}[parts[2]]] = parts[3]
	data := map[string]any{
		"kind":    strings.ToLower(strings.TrimPrefix(o.Kind.String(), "OUTCOME_KIND_")),
		"subject": subject,
		"author":  person{r.Draft.Actor.Email},
	}
	if ids.MergedBy != (event.Actor{}) {
		data["merged_by"], data["reviewers"] = person{ids.MergedBy.Email}, []person{{ids.Reviewers[0].Email}}
		data["independent_approvals"] = o.GetIndependentApprovals()
		data["size"] = map[string]int64{"additions": o.GetAdditions(), "deletions": o.GetDeletions(), "files": o.GetFiles()}
	}
	out, err := json.Marshal(map[string]any{
		"specversion": "1.0", "source": r.Draft.Natural[0], "id": r.Draft.Natural[1], "type": cloudevents.TypeOutcome,
		"time": time.UnixMilli(r.Event.TimeMs).UTC().Format(time.RFC3339Nano), "data": data,
	})
	if err != nil {
		return nil, fmt.Errorf("encode outcome: %w", err)
	}
	return out, nil
}

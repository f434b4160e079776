package claudecode

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/goodhartlabs/goodhart/pkg/source/record"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

const (
	// Source is the name of the adapter in events.
	Source = "claude-code"
	// version is that of the mapping; it changes when an event would look
	// different.
	version = "2"

	scopePrefix = "com.anthropic.claude_code"
	namePrefix  = "claude_code."
	provider    = "anthropic"
)

// Adapter implements record.Adapter.
type Adapter struct {
	events map[string]table
	points map[string]table
	spans  map[string]table
}

// New returns the adapter.
func New() *Adapter {
	return &Adapter{events: eventTables(), points: pointTables(), spans: spanTables()}
}

// scoped reports whether the instrumentation scope is Claude Code's.
func scoped(o *record.Origin) bool { return strings.HasPrefix(o.Scope.Name(), scopePrefix) }

// claims reports whether a log record comes from Claude Code, whatever it says.
func claims(o *record.Origin) bool {
	return scoped(o) || o.Service == "claude-code" || o.Service == "claude-code-desktop"
}

// fields are the attributes that several forms of announcement share.
type fields struct {
	who        record.Who
	repository record.Repository
	num        record.Numbers
	// derived are numbers that a wrapper of the tool adds.
	derived record.Derived

	name, model, speed, querySource, agent string
	requestID, clientRequestID, responseID string
	prompt, timestamp                      string
	finish, tool, toolParameters, quoted   string

	input, output, cacheRead, cacheWrite *int64
	duration, ttft                       *int64
	attempt, sequence, statusCode        *int64
	cost, costMicros                     *int64
	success, hasSuccess                  bool
	tokenType                            string
}

// read fills the fields from the attributes of a record, in one pass.
func (f *fields) read(o *record.Origin, attributes pcommon.Map) {
	f.who, f.repository = o.Who, o.Repository
	for key, value := range attributes.All() {
		if f.who.Read(key, value) || f.repository.Read(key, value) || f.readString(key, value) || f.derived.Read(key, value, &f.num) {
			continue
		}
		f.readNumber(key, value)
	}
}

// readString takes a string attribute and reports whether it was one.
func (f *fields) readString(key string, value pcommon.Value) bool {
	switch key {
	case "event.name":
		f.name = record.Text(value)
	case "event.timestamp":
		f.timestamp = record.Text(value)
	case "model", "gen_ai.request.model":
		if s := record.Text(value); s != "" && (f.model == "" || key == "model") {
			f.model = s
		}
	case "speed":
		f.speed = record.Text(value)
	case "query_source":
		f.querySource = record.Text(value)
	case "agent.name":
		f.agent = record.Text(value)
	case "request_id":
		f.requestID = record.Text(value)
	case "client_request_id":
		f.clientRequestID = record.Text(value)
	case "gen_ai.response.id":
		f.responseID = record.Text(value)
	case "prompt.id":
		f.prompt = record.Text(value)
	case "stop_reason":
		f.finish = record.Text(value)
	case "tool_name":
		f.tool = record.Text(value)
	case "prompt":
		f.quoted = record.Text(value)
	case "tool_parameters":
		f.toolParameters = record.Text(value)
	case "type":
		f.tokenType = record.Text(value)
	case "success":
		f.success, f.hasSuccess = record.Bool(value)
	default:
		return false
	}
	return true
}

// readNumber takes a numeric attribute of a request; others are left alone.
func (f *fields) readNumber(key string, value pcommon.Value) {
	const limit = int64(1e10)
	switch key {
	case "input_tokens", "gen_ai.usage.input_tokens":
		f.input = f.num.Count(key, value, limit)
	case "output_tokens", "gen_ai.usage.output_tokens":
		f.output = f.num.Count(key, value, limit)
	case "cache_read_tokens", "cache_read_input_tokens":
		f.cacheRead = f.num.Count(key, value, limit)
	case "cache_creation_tokens", "cache_creation_input_tokens":
		f.cacheWrite = f.num.Count(key, value, limit)
	case "cost_usd":
		f.cost = f.num.Nanos(key, value, 1)
	case "cost_usd_micros":
		f.costMicros = f.num.Nanos(key, value, 1e-6)
	case "duration_ms":
		f.duration = f.num.Millis(key, value, 1)
	case "ttft_ms":
		f.ttft = f.num.Millis(key, value, 1)
	case "attempt":
		f.attempt = f.num.Count(key, value, 1e6)
	case "status_code":
		f.statusCode = f.num.Count(key, value, 1e6)
	case "event.sequence":
		f.sequence = f.num.Count(key, value, 1<<53)
	}
}

// request names the model request, so that event and span agree.
func (f *fields) request() []string {
	switch {
	case f.requestID != "":
		return []string{"request", f.requestID}
	case f.responseID != "":
		return []string{"request", f.responseID}
	case f.clientRequestID != "":
		return []string{"client_request", f.clientRequestID}
	}
	return nil
}

// fill sets what event, span and counters of usage have in common.
func (f *fields) fill(e *goodhartv1.Event) {
	u := e.Usage
	e.AdapterVersion = version
	u.OperationName, u.ProviderName = "chat", provider
	u.RequestModel = f.model
	u.QuerySource, u.AgentName = f.querySource, f.agent
	if f.speed == "fast" {
		u.PriceTier = "fast"
	}
	if f.num.Strings {
		e.Quality = append(e.Quality, goodhartv1.Quality_QUALITY_STRING_NUMBERS)
	}
}

// fillRequest sets what event and span of one request have in common.
func (f *fields) fillRequest(e *goodhartv1.Event) {
	f.fill(e)
	u := e.Usage
	u.Granularity = goodhartv1.Granularity_GRANULARITY_REQUEST
	u.InputUncachedTokens, u.OutputTokens = f.input, f.output
	u.CacheReadTokens, u.CacheWriteTokens = f.cacheRead, f.cacheWrite
	u.DurationMs, u.TtftMs = f.duration, f.ttft
	u.FinishReason = f.finish
	f.derived.Fill(e)
	u.ReportedCostNanos = f.cost
	if f.cost == nil {
		u.ReportedCostNanos = f.costMicros
	}
	if f.attempt != nil {
		n := uint32(*f.attempt)
		u.Attempt = &n
	}
	u.Status = goodhartv1.Status_STATUS_OK
	if f.hasSuccess && !f.success {
		u.Status = goodhartv1.Status_STATUS_ERROR
		if f.statusCode != nil {
			u.ErrorType = itoa(*f.statusCode)
		}
	}
}

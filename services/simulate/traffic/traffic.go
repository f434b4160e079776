// Package traffic is what a simulated company does, hour by hour: sessions of
// AI tools, programs that call models, pull requests and tickets, and the ways
// in which reports of them go wrong. It decides everything that the pipeline
// will be sent, but not its bytes (package wire) and not what must come of it
// (package truth).
//
// A Generator is deterministic: the same configuration and company give the
// same steps. It holds a few days of traffic at a time, whatever the period.
package traffic

import (
	"time"

	"github.com/goodhartlabs/goodhart/services/simulate/org"
)

// Hour is the length of a step in ms, Day that of a day.
const (
	Hour = int64(time.Hour / time.Millisecond)
	Day  = 24 * Hour
)

// Mark stands in everything that is content: prompts, commands, paths, error
// texts. It must reach no topic and no table.
const Mark = "zq7content"

// Signal is a protocol and form in which items are reported.
type Signal int

// The signals.
const (
	// Logs are Claude Code's OTLP logs.
	Logs Signal = iota
	// Metrics are Claude Code's OTLP metrics.
	Metrics
	// Spans are Claude Code's beta traces.
	Spans
	// GenAI are OTLP spans after the GenAI semantic conventions.
	GenAI
	// CloudUsage are CloudEvents of type ai.usage.v1.
	CloudUsage
	// Outcomes are CloudEvents of type ai.outcome.v1.
	Outcomes
	// Signals is their number.
	Signals
)

// String names the signal as it appears in logs.
func (s Signal) String() string {
	return [...]string{"logs", "metrics", "spans", "genai", "cloud_usage", "outcomes", "?"}[min(s, Signals)]
}

// Session is one conversation with a tool, or one run of a program.
type Session struct {
	ID string
	// Person runs the tool; nil for a service.
	Person  *org.Person
	Service *org.Service
	// Team is the team that the session's traffic belongs to at any time, for
	// services only.
	Team string
	// Logs, Metrics and Spans say what the session reports through.
	Logs, Metrics, Spans bool
	// Gateway sessions pass a gateway that reports the calls again.
	Gateway bool
	// Conversation is false where spans carry no conversation id.
	Conversation bool
	// Provider and Dialect choose the spelling of GenAI spans.
	Provider string
	Dialect  int
	// Skew is how far the device's clock is ahead, in ms; Delay how many steps
	// later than it happened everything is delivered.
	Skew  int64
	Delay int
	// Long sessions use the model's long context; Runaway ones are out of hand, and
	// Uncached ones have lost the cache that they used to have.
	Long              bool
	Runaway, Uncached bool
	Version           string
	Terminal          string
	Trace             [16]byte

	seq uint64
}

// Call is one model request.
type Call struct {
	// End is when it was answered, by the device's clock, ms.
	End        int64
	DurationMs int64
	TTFTMs     int64
	// Model is its name as the tool spells it.
	Model                                           string
	Input, CacheRead, CacheWrite, Output, Reasoning int64
	// CostMicros is the tool's own estimate in millionths of a dollar.
	CostMicros int64
	RequestID  string
	PromptID   string
	Source     string
	Seq        uint64
	// Wasted is how many of the tokens bought nothing: they were spent for the
	// target.
	Wasted int64
	// Failed calls report no tokens.
	Failed bool
	Span   [8]byte
}

// Activity is an event of a tool that is not a model request.
type Activity struct {
	At       int64
	Name     string
	Tool     string
	PromptID string
	Seq      uint64
	OK       bool
	// Size and DurationMs are whatever the event measures.
	Size, DurationMs int64
	Span             [8]byte
}

// Point is one delta of a counter over [Start, End].
type Point struct {
	Start, End int64
	// Metric is the name after "claude_code.".
	Metric string
	// Type is the attribute type; Model and Source are set for usage.
	Type, Model, Source string
	// Value is tokens, micro-USD for cost.usage, else a count or seconds.
	Value int64
}

// Outcome is something that happened to a pull request, ticket or deployment.
type Outcome struct {
	At     int64
	Kind   string
	Author *org.Person
	Repo   string
	Number int
	ID     string
	// Sha names the object's merge; Reverts the merge that this one takes back.
	Sha, Reverts string
	// Reverted says that a later event takes the credit back, ReversalAt when.
	Reverted   bool
	ReversalAt int64
	// Second marks what a poller announces after a webhook did: the same object
	// under another event id.
	Second bool
	Lines  int64
	Delay  int
	Skew   int64
}

// Fault is a way in which a record is not what it should be.
type Fault int

// The faults. Repeat is a second copy of a record in the same request; the
// others make a record that must be refused.
const (
	Sound Fault = iota
	Repeat
	// NegativeCount has a token count below zero.
	NegativeCount
	// Ancient happened in 1970.
	Ancient
	// Cumulative is a counter whose points are not deltas.
	Cumulative
	// NotANumber is a NaN.
	NotANumber
	// NoID is a CloudEvent without id.
	NoID
)

// Item is one record of a request. Exactly one of Call, Activity, Point and
// Outcome is set.
type Item struct {
	Session  *Session
	Call     *Call
	Activity *Activity
	Point    *Point
	Outcome  *Outcome
	Fault    Fault
}

// Time is when the item happened by its own clock, in ms.
func (it *Item) Time() int64 {
	switch {
	case it.Call != nil:
		return it.Call.End
	case it.Activity != nil:
		return it.Activity.At
	case it.Point != nil:
		return it.Point.End
	default:
		return it.Outcome.At
	}
}

// Model is the model of a call or of a counter of usage, as the tool spells it.
func (it *Item) Model() string {
	if it.Call != nil {
		return it.Call.Model
	}
	return it.Point.Model
}

// Encoding is how a request is put on the wire.
type Encoding int

// The encodings. CloudEvents know Structured, Binary and Batch; everything else
// is OTLP.
const (
	Protobuf Encoding = iota
	ProtobufGzip
	JSON
	JSONGzip
	Chunked
	GRPC
	Structured
	Binary
	Batch
)

// Request is what a client sends at once and repeats until it is acknowledged.
type Request struct {
	Signal   Signal
	Encoding Encoding
	// Key is the id of the API key.
	Key   string
	Items []Item
	// Again marks a request that was acknowledged in an earlier step and is sent
	// once more, byte by byte.
	Again bool
	// Lost requests are sent twice at once: the client gives up on the first
	// answer.
	Lost bool
}

// Step is an hour of traffic: its requests are sent together, and acknowledged
// before the next step begins.
type Step struct {
	Index int
	// Start and End bound the hour, ms since the epoch. End is the Goodhart-Clock
	// of every request.
	Start, End int64
	Requests   []*Request
	// Begun is the work that people begin in the seven days from this step on.
	Begun []Work
}

// Work is what a person begins in a week.
type Work struct {
	Person *org.Person
	// Tokens of the week, Useful those of them that were not wasted.
	Tokens, Useful int64
	// Outcomes is how many are expected of it, Usual how many the average person
	// of the company delivers with as many tokens.
	Outcomes, Usual float64
}

// Config is what a Generator depends on, beside the company.
type Config struct {
	Seed uint64
	// Start is the period's first midnight (UTC), ms since the epoch.
	Start int64
	Days  int
	// Events is about how many records will be sent, repetitions included.
	Events int
}

// End is the end of the period.
func (c Config) End() int64 { return c.Start + int64(c.Days)*Day }

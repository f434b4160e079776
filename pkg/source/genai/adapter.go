package genai

import "github.com/goodhartlabs/goodhart/pkg/source/record"

// Source is the name of the adapter in events.
const Source = "otel-genai"

// Adapter implements record.Adapter.
type Adapter struct{}

// New returns the adapter.
func New() *Adapter { return &Adapter{} }

// Log decodes a client inference event.
func (*Adapter) Log(*record.Log, *record.Out) bool { return false }

// Span decodes a span of a model request or of an agent.
func (*Adapter) Span(*record.Span, *record.Out) bool { return false }

// Point decodes a data point of a token counter.
func (*Adapter) Point(*record.Point, *record.Out) bool { return false }

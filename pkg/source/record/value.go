package record

import (
	"strconv"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/goodhartlabs/goodhart/pkg/event"
)

// String returns a string attribute; false if it is absent, empty or of another
// type.
func String(m pcommon.Map, key string) (string, bool) {
	v, ok := m.Get(key)
	if !ok {
		return "", false
	}
	s := Text(v)
	return s, s != ""
}

// Text returns the value of a string attribute, else the empty string.
func Text(v pcommon.Value) string {
	if v.Type() != pcommon.ValueTypeStr {
		return ""
	}
	return v.Str()
}

// First returns the first of several attributes that is a string.
func First(m pcommon.Map, keys ...string) string {
	for _, key := range keys {
		if s, ok := String(m, key); ok {
			return s
		}
	}
	return ""
}

// Bool reads a boolean attribute that may be spelled as a string.
func Bool(v pcommon.Value) (value, ok bool) {
	switch v.Type() {
	case pcommon.ValueTypeBool:
		return v.Bool(), true
	case pcommon.ValueTypeStr:
		switch v.Str() {
		case "true":
			return true, true
		case "false":
			return false, true
		}
	default:
	}
	return false, false
}

// Numbers reads numeric attributes, whatever type they were sent as. It stops
// at the first problem; the zero value is ready.
type Numbers struct {
	// Strings is set once a number came as a string.
	Strings bool
	// Field and Problem are the first bad attribute.
	Field   string
	Problem event.Problem
}

// Float reads an int, double or numeric string; false if the attribute carries
// no value at all, or none that is a number.
func (n *Numbers) Float(key string, v pcommon.Value) (float64, bool) {
	switch v.Type() {
	case pcommon.ValueTypeInt:
		return float64(v.Int()), true
	case pcommon.ValueTypeDouble:
		return v.Double(), true
	case pcommon.ValueTypeEmpty:
		return 0, false
	case pcommon.ValueTypeStr:
		s := strings.TrimSpace(v.Str())
		if s == "" {
			return 0, false
		}
		f, err := strconv.ParseFloat(s, 64)
		if err == nil || f != 0 { // beyond the range it is infinite
			n.Strings = true
			return f, true
		}
	default:
	}
	n.fail(key, event.NotNumber)
	return 0, false
}

// Count reads a whole number from 0 to limit; nil if it is absent or bad.
func (n *Numbers) Count(key string, v pcommon.Value, limit int64) *int64 {
	f, ok := n.Float(key, v)
	if !ok {
		return nil
	}
	count, problem := event.Count(f, limit)
	if problem != "" {
		n.fail(key, problem)
		return nil
	}
	return &count
}

// Millis reads a duration and rounds it to whole milliseconds; unit is how many
// of them make one of the attribute's.
func (n *Numbers) Millis(key string, v pcommon.Value, unit float64) *int64 {
	f, ok := n.Float(key, v)
	if !ok {
		return nil
	}
	if problem := event.Measure(f); problem != "" {
		n.fail(key, problem)
		return nil
	}
	ms, problem := event.Count(float64(int64(f*unit+0.5)), event.MaxMillis)
	if problem != "" {
		n.fail(key, problem)
		return nil
	}
	return &ms
}

// Nanos reads an amount in US dollars, or in fractions of them by unit.
func (n *Numbers) Nanos(key string, v pcommon.Value, unit float64) *int64 {
	f, ok := n.Float(key, v)
	if !ok {
		return nil
	}
	nanos, problem := event.Nanos(f * unit)
	if problem != "" {
		n.fail(key, problem)
		return nil
	}
	return &nanos
}

// Measure reads a number that is finite and not negative.
func (n *Numbers) Measure(key string, v pcommon.Value) (float64, bool) {
	f, ok := n.Float(key, v)
	if !ok {
		return 0, false
	}
	if problem := event.Measure(f); problem != "" {
		n.fail(key, problem)
		return 0, false
	}
	return f, true
}

func (n *Numbers) fail(key string, problem event.Problem) {
	if n.Problem == "" {
		n.Field, n.Problem = key, problem
	}
}

// TimeMS turns a timestamp into ms; 0 stands for an absent one, so a timestamp
// within the first millisecond of 1970 becomes 1.
func TimeMS(t pcommon.Timestamp) int64 {
	if t == 0 {
		return 0
	}
	return max(1, int64(uint64(t)/1e6))
}

package record

import (
	"strconv"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/goodhartlabs/goodhart/pkg/event"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

const derivedPrefix = "goodhart."

// Derived are the numbers that no convention has a name for: those that need
// content but do not carry it, where a source computes them itself, and what
// places a record. goodhart.new_turn_tokens, .turn, .h64, .target_h64, .kappa,
// .side_effects, .tz_offset_min, .sequence. The zero value is ready.
type Derived struct {
	newTurnTokens, turn, sideEffects *int64
	sequence                         *int64
	h64, target                      *uint64
	kappa                            *int32
	tzOffset                         *int32
}

// Read takes an attribute and reports whether it was one of these.
func (d *Derived) Read(key string, value pcommon.Value, n *Numbers) bool {
	name, ok := strings.CutPrefix(key, derivedPrefix)
	if !ok {
		return false
	}
	switch name {
	case "new_turn_tokens":
		d.newTurnTokens = n.Count(key, value, event.MaxCount)
	case "sequence":
		d.sequence = n.Count(key, value, 1<<53)
	case "turn":
		d.turn = n.Count(key, value, 1<<31)
	case "side_effects":
		d.sideEffects = n.Count(key, value, 1e9)
	case "h64":
		d.h64 = n.hash(key, value)
	case "target_h64":
		d.target = n.hash(key, value)
	case "kappa":
		d.kappa = n.ratio(key, value)
	case "tz_offset_min":
		d.tzOffset = n.offset(key, value)
	default:
		return false
	}
	return true
}

// Fill sets the fields of a usage event.
func (d *Derived) Fill(e *goodhartv1.Event) {
	u := e.Usage
	u.NewTurnTokens, u.H64, u.TargetH64, u.KappaPpm = d.newTurnTokens, d.h64, d.target, d.kappa
	if d.turn != nil {
		turn := uint32(*d.turn)
		u.Turn = &turn
	}
	if d.sideEffects != nil {
		effects := int32(*d.sideEffects)
		u.SideEffects = &effects
	}
	if d.sequence != nil {
		sequence := uint64(*d.sequence)
		e.Sequence = &sequence
	}
	e.TzOffsetMin = d.tzOffset
}

// hash reads 64 bits: an integer, or 16 hex digits.
func (n *Numbers) hash(key string, v pcommon.Value) *uint64 {
	switch v.Type() {
	case pcommon.ValueTypeEmpty:
		return nil
	case pcommon.ValueTypeInt:
		h := uint64(v.Int())
		return &h
	case pcommon.ValueTypeStr:
		if h, ok := event.ParseHash(v.Str()); ok {
			return &h
		}
	default:
	}
	n.fail(key, event.NotNumber)
	return nil
}

// ratio reads a compression ratio, 0 to 1000, as parts per million.
func (n *Numbers) ratio(key string, v pcommon.Value) *int32 {
	f, ok := n.Measure(key, v)
	if !ok {
		return nil
	}
	if f > 1000 {
		n.fail(key, event.OutOfRange)
		return nil
	}
	ppm := int32(f*1e6 + 0.5)
	return &ppm
}

// offset reads a time zone in minutes east of UTC.
func (n *Numbers) offset(key string, v pcommon.Value) *int32 {
	f, ok := n.Float(key, v)
	if !ok {
		return nil
	}
	if minutes := int32(f); float64(minutes) == f && minutes >= -14*60 && minutes <= 14*60 {
		return &minutes
	}
	n.fail(key, event.OutOfRange)
	return nil
}

// Int spells an int64, as a part of a natural key.
func Int(n int64) string { return strconv.FormatInt(n, 10) }

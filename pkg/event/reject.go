package event

import (
	"crypto/sha256"
	"strings"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// MaxShape is the greatest length of a Rejection's Shape in bytes.
const MaxShape = 2 << 10

// reject describes a draft that cannot be used. What it hashes is the draft as
// decoded; its shape names the fields of the Event that were set.
func (d *Draft) reject(reason, field, detail string) *Rejection {
	r := &Rejection{Path: d.Path, Field: field, Reason: reason, Detail: detail}
	if d.Event == nil {
		return r
	}
	r.Source = d.Event.Source
	var raw []byte
	for _, part := range d.Natural {
		raw = appendPart(raw, part)
	}
	if enc, err := d.Event.MarshalVT(); err == nil {
		raw = append(raw, enc...)
	}
	r.Hash, r.Size = sha256.Sum256(raw), len(raw)
	r.Shape = CutShape(shape(d.Event))
	return r
}

// shape lists the set fields of an event and of its payload by name.
func shape(e *goodhartv1.Event) string {
	var names []string
	m := e.ProtoReflect()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if !m.Has(f) {
			continue
		}
		if f.Message() == nil || f.IsList() {
			names = append(names, string(f.Name()))
			continue
		}
		payload := m.Get(f).Message()
		inner := payload.Descriptor().Fields()
		for j := range inner.Len() {
			if g := inner.Get(j); payload.Has(g) {
				names = append(names, string(f.Name())+"."+string(g.Name()))
			}
		}
	}
	return "{" + strings.Join(names, ",") + "}"
}

// CutShape bounds a shape to MaxShape bytes.
func CutShape(s string) string {
	if len(s) <= MaxShape {
		return s
	}
	return s[:MaxShape-3] + "..."
}

package ledger

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// The shapes are those of the schema: no field is missing, none has another
// wire type.
func TestShapesMatchSchema(t *testing.T) {
	s := newShapes()
	compareShape(t, s.event, (&goodhartv1.Event{}).ProtoReflect().Descriptor())
}

func compareShape(t *testing.T, s *shape, d protoreflect.MessageDescriptor) {
	t.Helper()
	fields := d.Fields()
	for num := range s.wire {
		field := fields.ByNumber(protoreflect.FieldNumber(num))
		if field == nil && s.wire[num] != wireUnknown {
			t.Errorf("%s has no field %d", d.Name(), num)
		}
	}
	for i := range fields.Len() {
		field := fields.Get(i)
		num := int(field.Number())
		if num >= len(s.wire) || s.wire[num] != wireOf(field) {
			t.Errorf("%s.%s: the shape does not know field %d, or as something else", d.Name(), field.Name(), num)
			continue
		}
		if field.Message() == nil {
			continue
		}
		if sub := s.sub[int32(num)]; sub == nil {
			t.Errorf("%s.%s has no shape", d.Name(), field.Name())
		} else {
			compareShape(t, sub, field.Message())
		}
	}
}

func wireOf(field protoreflect.FieldDescriptor) byte {
	switch field.Kind() {
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return wireBytes
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return wireFixed64
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return wireFixed32
	default:
		if field.IsList() {
			return wirePacked
		}
		return wireVarint
	}
}

// fullEvent has every field set, and every payload.
func fullEvent() *goodhartv1.Event {
	ev := &goodhartv1.Event{}
	fill(ev.ProtoReflect(), 1)
	ev.EventId, ev.RequestKey = id16("id"), id16("request")
	return ev
}

func fill(m protoreflect.Message, n int64) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		n++
		if field.IsList() {
			list := m.Mutable(field).List()
			for range 2 {
				if field.Message() == nil {
					list.Append(scalar(field, n))
					continue
				}
				fill(list.AppendMutable().Message(), n)
			}
			continue
		}
		if field.Message() != nil {
			fill(m.Mutable(field).Message(), n)
			continue
		}
		m.Set(field, scalar(field, n))
	}
}

func scalar(field protoreflect.FieldDescriptor, n int64) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString("value")
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte("bytes"))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(1)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(float64(n) / 2)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind:
		return protoreflect.ValueOfInt32(-int32(n))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(n) << 20)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(uint64(n) << 40)
	default:
		return protoreflect.ValueOfInt64(n << 40)
	}
}

// The view of an event says what the generated decoder says.
func TestViewAgreesWithDecoder(t *testing.T) {
	ev := fullEvent()
	value, err := ev.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	sh := newShapes()
	var v view
	if err := v.decode(&sh, value); err != nil {
		t.Fatal(err)
	}
	if v.kind != ev.Kind || v.signal != ev.Signal || v.accounting != ev.Accounting || v.countsAlone != ev.CountsAlone ||
		string(v.tenant) != ev.Tenant || string(v.source) != ev.Source || string(v.conversation) != ev.Conversation ||
		string(v.subject) != ev.Subject || string(v.credential) != ev.Credential ||
		string(v.eventID) != string(ev.EventId) || string(v.requestKey) != string(ev.RequestKey) ||
		v.time != ev.TimeMs || v.received != ev.ReceivedMs ||
		!v.usage || !v.activity || !v.outcome || !v.config || !v.tick {
		t.Errorf("view %+v of %v", v, ev)
	}
}

// What the view accepts, the decoder of the next stages accepts, too; what
// goodhart itself encodes, the view accepts.
func FuzzView(f *testing.F) {
	full := marshal(fullEvent())
	f.Add(full)
	f.Add(marshal(usageEvent(sigLog, "conv", "req")))
	f.Add([]byte{0x08, 0x05, 0xb2, 0x01, 0x02, 0x80, 0x01})
	f.Add([]byte{0x0b, 0x0c})
	for i := range 20 {
		f.Add(full[:len(full)*i/20])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		sh := newShapes()
		var v view
		err := v.decode(&sh, data)
		var ev goodhartv1.Event
		vtErr := ev.UnmarshalVT(data)
		if err == nil && vtErr != nil {
			t.Fatalf("the view accepts what the decoder refuses: %v", vtErr)
		}
		if vtErr != nil {
			return
		}
		if err == nil && (string(v.tenant) != ev.Tenant || v.time != ev.TimeMs || v.kind != ev.Kind) {
			t.Fatalf("view %+v of %v", v, &ev)
		}
		if again, err := proto.Marshal(&ev); err == nil && len(ev.ProtoReflect().GetUnknown()) == 0 {
			if err := v.decode(&sh, again); err != nil && !hasUnknown(ev.ProtoReflect()) {
				t.Fatalf("the view refuses a well-formed event: %v", err)
			}
		}
	})
}

// hasUnknown reports whether a message keeps fields that it does not know: they
// may be groups, which the view refuses.
func hasUnknown(m protoreflect.Message) bool {
	found := len(m.GetUnknown()) > 0
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.Message() == nil:
		case field.IsList():
			for i := range v.List().Len() {
				found = found || hasUnknown(v.List().Get(i).Message())
			}
		default:
			found = found || hasUnknown(v.Message())
		}
		return !found
	})
	return found
}

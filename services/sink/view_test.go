package sink

import (
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/goodhartlabs/goodhart/pkg/chsink"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// FuzzView holds the view against the generated decoder: what that accepts must
// be read the same, field by field, and nothing may panic.
func FuzzView(f *testing.F) {
	for _, fact := range []*goodhartv1.Fact{usageFact(), activityFact(), outcomeFact(), transitionFact(), tickFact(), tallyFact(), configFact("acme")} {
		f.Add(bytesOf(f, fact))
	}
	f.Add([]byte{0x52, 0x00, 0x52, 0x03, 0x82, 0x01, 0x00})                            // an event twice
	f.Add([]byte{0x52, 0x06, 0xb0, 0x01, 0x03, 0xb2, 0x01, 0x01, 0x02})                // qualities, alone and packed
	f.Add([]byte{0x52, 0x08, 0xca, 0x02, 0x01, 0x0a, 0xca, 0x02, 0x01, 0x0a})          // a torn activity
	f.Add([]byte{0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})    // a varint of ten bytes
	f.Add([]byte{0xfa, 0x7f, 0x01, 0x00, 0xf5, 0x7f, 0, 0, 0, 0, 0x20, 0x02, 0x51, 0}) // fields of tomorrow
	v := view{wire: newWireTypes()}
	f.Fuzz(func(t *testing.T, b []byte) {
		ok := v.read(b)
		var want goodhartv1.Fact
		if want.UnmarshalVT(b) != nil {
			return
		}
		if !ok {
			if groups(b) {
				return
			}
			t.Fatalf("%x: not read", b)
		}
		v.compare(t, ofFact, want.ProtoReflect())
		event := want.GetEvent()
		v.compare(t, ofEvent, event.ProtoReflect())
		v.compare(t, ofUsage, event.GetUsage().ProtoReflect())
		var qualities []int32
		for _, q := range event.GetQuality() {
			qualities = append(qualities, int32(q))
		}
		if !slices.Equal(qualities, v.quality) {
			t.Errorf("qualities %v, want %v", v.quality, qualities)
		}
		if event.GetActivity() != nil {
			got, err := v.activity.MarshalVT()
			if err != nil {
				t.Fatal(err)
			}
			if want, _ := event.Activity.MarshalVT(); string(got) != string(want) {
				t.Errorf("activity %x, want %x", got, want)
			}
		}
	})
}

// groups reports whether the bytes may hold a group, which the generated decoder
// skips and the view refuses.
func groups(b []byte) bool { return slices.ContainsFunc(b, func(c byte) bool { return c&7 == 3 }) }

// compare compares every field of a message by its kind.
func (v *view) compare(t *testing.T, of slot, want protoreflect.Message) {
	t.Helper()
	list := want.Descriptor().Fields()
	for i := range list.Len() {
		f := list.Get(i)
		s := of | slot(f.Number())
		if f.HasPresence() && f.Kind() != protoreflect.MessageKind && v.is(s) != want.Has(f) {
			t.Fatalf("%s: there %v, want %v", f.FullName(), v.is(s), want.Has(f))
		}
		var got string
		switch f.Kind() {
		case protoreflect.StringKind:
			got = v.str(s)
		case protoreflect.BytesKind:
			got = string(v.bytes(s))
		case protoreflect.Int64Kind:
			got = fmt.Sprint(v.int64(s))
		case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
			got = fmt.Sprint(v.num(s))
		case protoreflect.Uint32Kind:
			got = fmt.Sprint(v.uint32(s))
		case protoreflect.Sint32Kind:
			got = fmt.Sprint(v.sint32(s))
		case protoreflect.BoolKind:
			got = fmt.Sprint(v.bool(s))
		case protoreflect.Int32Kind:
			got = fmt.Sprint(v.int32(s))
		case protoreflect.EnumKind:
			if f.IsList() {
				continue // the qualities
			}
			if number := int32(want.Get(f).Enum()); v.int32(s) != number {
				t.Fatalf("%s: %d, want %d", f.FullName(), v.int32(s), number)
			}
			continue
		case protoreflect.MessageKind:
			if v.is(s) != want.Has(f) {
				t.Fatalf("%s: there %v, want %v", f.FullName(), v.is(s), want.Has(f))
			}
			continue
		default:
			t.Fatalf("%s is %s: how does the view read that?", f.FullName(), f.Kind())
		}
		wanted := want.Get(f).String()
		if f.Kind() == protoreflect.BytesKind {
			wanted = string(want.Get(f).Bytes())
		}
		if got != wanted {
			t.Fatalf("%s: %q, want %q", f.FullName(), got, wanted)
		}
	}
}

// A usage fact of known words is decoded without an allocation,
// once the columns have room.
func TestDecodeDoesNotAllocate(t *testing.T) {
	d := newFacts(chsink.Origin{Topic: schemas.TopicFacts}, 1)
	rec := &kgo.Record{Topic: schemas.TopicFacts, Value: bytesOf(t, usageFact())}
	for range 1 << 14 {
		if err := d.Decode(rec); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(100, func() { _ = d.Decode(rec) }); n != 0 {
		t.Errorf("%v allocations per fact, want 0", n)
	}
}

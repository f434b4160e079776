package ledger

import (
	"math/bits"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// maxOutput is the largest output; what would be larger is dead-lettered.
const maxOutput = 512 << 10

// outputRoom is what an output needs beside its body: stamp and record framing.
const outputRoom = 128

// fact encodes a Fact whose event is passed on as it was published, bit by bit,
// unknown fields among them. It implements machine.Message.
type fact struct {
	kind          goodhartv1.FactKind
	observational bool
	late          bool
	accepted      int64
	event         []byte
	transition    *goodhartv1.Transition
	tally         *goodhartv1.Tally
}

// Tags of Fact's fields.
const (
	tagKind          = 4<<3 | wireVarint
	tagObservational = 5<<3 | wireVarint
	tagLate          = 6<<3 | wireVarint
	tagAccepted      = 7<<3 | wireVarint
	tagEvent         = 10<<3 | wireBytes
	tagTransition    = 11<<3 | wireBytes
	tagTally         = 12<<3 | wireBytes
)

// SizeVT is the length of the encoding.
func (f *fact) SizeVT() int {
	n := 2
	if f.observational {
		n += 2
	}
	if f.late {
		n += 2
	}
	if f.accepted != 0 {
		n += 1 + uvarintLen(uint64(f.accepted))
	}
	if f.event != nil {
		n += sizeOf(len(f.event))
	}
	if f.transition != nil {
		n += sizeOf(f.transition.SizeVT())
	}
	if f.tally != nil {
		n += sizeOf(f.tally.SizeVT())
	}
	return n
}

// sizeOf is the length of a field of n bytes, with tag and length.
func sizeOf(n int) int { return 1 + uvarintLen(uint64(n)) + n }

func uvarintLen(x uint64) int { return (bits.Len64(x|1) + 6) / 7 }

// MarshalToSizedBufferVT encodes into the end of b and returns the length.
func (f *fact) MarshalToSizedBufferVT(b []byte) (int, error) {
	i := len(b)
	if f.tally != nil {
		n, err := f.tally.MarshalToSizedBufferVT(b[:i])
		if err != nil {
			return 0, err
		}
		i = putTag(b, i-n, tagTally, uint64(n))
	}
	if f.transition != nil {
		n, err := f.transition.MarshalToSizedBufferVT(b[:i])
		if err != nil {
			return 0, err
		}
		i = putTag(b, i-n, tagTransition, uint64(n))
	}
	if f.event != nil {
		i -= copy(b[i-len(f.event):], f.event)
		i = putTag(b, i, tagEvent, uint64(len(f.event)))
	}
	if f.accepted != 0 {
		i = putTag(b, i, tagAccepted, uint64(f.accepted))
	}
	if f.late {
		i = putTag(b, i, tagLate, 1)
	}
	if f.observational {
		i = putTag(b, i, tagObservational, 1)
	}
	i = putTag(b, i, tagKind, uint64(f.kind))
	return len(b) - i, nil
}

// putTag writes tag and x in front of b[i:] and returns where they begin.
func putTag(b []byte, i int, tag byte, x uint64) int {
	i -= uvarintLen(x)
	for at := i; ; at++ {
		if x < 0x80 {
			b[at] = byte(x)
			break
		}
		b[at] = byte(x) | 0x80
		x >>= 7
	}
	i--
	b[i] = tag
	return i
}

// emit sends f.fact, keyed by tenant and subject.
func (f *Fold) emit(out *machine.Outputs, partition int32, tenant, subject []byte) {
	if f.replaying {
		return
	}
	f.key = append(append(append(f.key[:0], tenant...), '|'), subject...)
	out.Emit(schemas.TopicFacts, partition, f.key, f.w, &f.fact)
}

// pass emits an event as a fact of the given kind.
func (f *Fold) pass(out *machine.Outputs, v *view, kind goodhartv1.FactKind, accepted int64, observational bool) {
	if f.replaying {
		return
	}
	f.fact = fact{
		kind: kind, observational: observational, late: f.late(v.time),
		accepted: accepted, event: v.raw,
	}
	if observational {
		f.stats.Merged++
	} else {
		f.stats.Counted++
	}
	if f.fact.late {
		f.stats.Late++
	}
	f.emit(out, machine.ByKey, v.tenant, v.subject)
}

// late reports whether an event time lies too far behind the watermark for a
// score.
func (f *Fold) late(ms int64) bool { return ms < f.w-f.lateAfter }

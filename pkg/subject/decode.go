package subject

import (
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// fact is what the fold needs of a Fact. Byte slices alias the record. It is
// read by hand because the generated decoder allocates every optional number
// (BENCH.md); a fuzz test holds the two against each other.
type fact struct {
	kind          goodhartv1.FactKind
	observational bool
	late          bool
	hasEvent      bool
	transition    *goodhartv1.Transition

	timeMs   int64
	team     []byte
	role     []byte
	identity goodhartv1.IdentityType
	tool     []byte
	usage    usage
}

// usage is what the fold needs of a Usage.
type usage struct {
	operation []byte
	model     []byte
	// numbers holds the varint fields by field number, has which are present.
	numbers [32]int64
	has     uint32
}

// Field numbers of Usage.
const (
	inputUncached = 6
	cacheRead     = 7
	cacheWrite5m  = 8
	cacheWrite1h  = 9
	cacheWrite    = 10
	output        = 11
	reasoning     = 12
	costNanos     = 13
	costBasis     = 14
	status        = 20
	granularity   = 24
)

// Sets of fields in usage.has.
const (
	hasCache  = 1<<cacheRead | 1<<cacheWrite5m | 1<<cacheWrite1h | 1<<cacheWrite
	hasInput  = 1<<inputUncached | hasCache
	hasOutput = 1 << output
)

// tokensUnknown reports whether a request lacks its input or its output count.
// Embeddings have no output.
func (u *usage) tokensUnknown() bool {
	if u.has&hasInput == 0 {
		return true
	}
	return u.has&hasOutput == 0 && string(u.operation) != "embeddings"
}

// The messages that decode descends into, as bits above every field number that
// it looks for.
const (
	inFact  = 0
	inEvent = 1 << 32
	inUsage = 2 << 32
)

// decode reads a Fact and reports whether it could. It is one loop over the
// bytes: entering a nested message moves the end, leaving it moves it back.
func (f *fact) decode(b []byte) bool {
	*f = fact{}
	var (
		in     uint64 = inFact
		m             = b // up to the end of the message being read
		around [3]int     // ends of the messages around it
	)
	for i := 0; ; {
		for i == len(m) {
			if in == inFact {
				return true
			}
			in -= inEvent
			m = b[:around[in>>32]]
		}
		tag, j := uint64(m[i]), i+1
		if tag >= 0x80 {
			tag, j = longVarint(m, i)
		}
		if tag < 8 || uint(j) >= uint(len(m)) { // every field has a value
			return false
		}
		at := in | tag>>3
		v, k := uint64(m[j]), j+1
		switch tag & 7 {
		case wireVarint:
			if v >= 0x80 {
				v, k = longVarint(m, j)
			}
			if k < 0 {
				return false
			}
			i = k
			f.setNumber(at, v)
		case wireBytes:
			if v >= 0x80 {
				v, k = longVarint(m, j)
			}
			if k < 0 || v > uint64(len(m)-k) {
				return false
			}
			i = k + int(v)
			if at == inFact|10 || at == inEvent|40 {
				f.hasEvent = true
				around[in>>32] = len(m)
				in, m, i = in+inEvent, m[:i], k
				continue
			}
			if !f.setBytes(at, m[k:i:i]) {
				return false
			}
		default:
			if i = skipFixed(j, tag); i < 0 || i > len(m) {
				return false
			}
		}
	}
}

// setNumber notes a varint field.
func (f *fact) setNumber(at, v uint64) {
	if at >= inUsage && at < inUsage+32 {
		f.usage.numbers[at&31] = int64(v)
		f.usage.has |= 1 << (at & 31)
		return
	}
	switch at {
	case inFact | 4:
		f.kind = goodhartv1.FactKind(v)
	case inFact | 5:
		f.observational = v != 0
	case inFact | 6:
		f.late = v != 0
	case inEvent | 7:
		f.timeMs = int64(v)
	case inEvent | 15:
		f.identity = goodhartv1.IdentityType(v)
	}
}

// setBytes notes a length-delimited field and reports whether it is sound.
func (f *fact) setBytes(at uint64, b []byte) bool {
	switch at {
	case inEvent | 13:
		f.team = b
	case inEvent | 14:
		f.role = b
	case inEvent | 18:
		f.tool = b
	case inUsage | 1:
		f.usage.operation = b
	case inUsage | 5:
		f.usage.model = b
	case inFact | 11:
		if f.transition == nil {
			f.transition = &goodhartv1.Transition{}
		}
		return f.transition.UnmarshalVT(b) == nil
	}
	return true
}

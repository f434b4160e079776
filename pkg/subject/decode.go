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

// The fields that are looked for, a bit each.
const (
	wantFact  = 1<<4 | 1<<5 | 1<<6 | 1<<10 | 1<<11
	wantEvent = 1<<7 | 1<<13 | 1<<14 | 1<<15 | 1<<18 | 1<<40
	wantUsage = 1<<1 | 1<<5 | 1<<inputUncached | 1<<cacheRead | 1<<cacheWrite5m | 1<<cacheWrite1h | 1<<cacheWrite |
		1<<output | 1<<reasoning | 1<<costNanos | 1<<costBasis | 1<<status | 1<<granularity
)

// decode reads a Fact and reports whether it could.
func (f *fact) decode(b []byte) bool {
	*f = fact{}
	for i := 0; i < len(b); {
		fd, ok := next(b, i, wantFact)
		if !ok {
			return false
		}
		if i = fd.end; !f.set(&fd, b) {
			return false
		}
	}
	return true
}

func (f *fact) set(fd *field, b []byte) bool {
	switch fd.tag {
	case 4<<3 | wireVarint:
		f.kind = goodhartv1.FactKind(fd.v)
	case 5<<3 | wireVarint:
		f.observational = fd.v != 0
	case 6<<3 | wireVarint:
		f.late = fd.v != 0
	case 10<<3 | wireBytes:
		f.hasEvent = true
		return f.decodeEvent(b[fd.start:fd.end])
	case 11<<3 | wireBytes:
		if f.transition == nil {
			f.transition = &goodhartv1.Transition{}
		}
		return f.transition.UnmarshalVT(b[fd.start:fd.end]) == nil
	}
	return true
}

func (f *fact) decodeEvent(b []byte) bool {
	for i := 0; i < len(b); {
		fd, ok := next(b, i, wantEvent)
		if !ok {
			return false
		}
		i = fd.end
		switch fd.tag {
		case 7<<3 | wireVarint:
			f.timeMs = int64(fd.v)
		case 13<<3 | wireBytes:
			f.team = b[fd.start:fd.end:fd.end]
		case 14<<3 | wireBytes:
			f.role = b[fd.start:fd.end:fd.end]
		case 15<<3 | wireVarint:
			f.identity = goodhartv1.IdentityType(fd.v)
		case 18<<3 | wireBytes:
			f.tool = b[fd.start:fd.end:fd.end]
		case 40<<3 | wireBytes:
			if !f.usage.decode(b[fd.start:fd.end]) {
				return false
			}
		}
	}
	return true
}

func (u *usage) decode(b []byte) bool {
	for i := 0; i < len(b); {
		fd, ok := next(b, i, wantUsage)
		if !ok {
			return false
		}
		i = fd.end
		switch num := fd.tag >> 3; {
		case fd.tag == 1<<3|wireBytes:
			u.operation = b[fd.start:fd.end:fd.end]
		case fd.tag == 5<<3|wireBytes:
			u.model = b[fd.start:fd.end:fd.end]
		case fd.tag&7 == wireVarint && num < 32:
			u.numbers[num] = int64(fd.v)
			u.has |= 1 << num
		}
	}
	return true
}
